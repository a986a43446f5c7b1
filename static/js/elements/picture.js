// @ts-check
/**
 * `<hub-picture>`: the cover, and over it the moving picture while the show is on: a file, HLS where the
 * browser plays it by itself, or WHEP.
 */

import { h, icon, kept, later, setText } from "../dom.js";
import { liveMs } from "../model/room.js";
import { t } from "../model/strings.js";
import { onTick } from "../model/ticker.js";

/** @typedef {import("../types.js").Source} Source */

/** A picture that has not moved for so long has stopped. */
const STALLED_MS = 4_000;
/** One that stays so is asked for anew. */
const AGAIN_MS = 12_000;
const SOUND = "hubbub.sound";
const RELOADED = "hubbub.reloaded";
/** Pages that have to be loaded again do so within so long, not all at once. */
const RELOAD_WITHIN_MS = 3_000;
/** A title longer than this stands in smaller letters. */
const LONG_TITLE = 36;

export class PictureArea extends HTMLElement {
  constructor() {
    super();
    /** @type {import("../viewer/app.js").App} */
    this.app = later;
    /** What is being played, as text: a change of it starts anew. @type {string} */
    this.playing = "";
    /** Where the picture came from when the page was loaded; empty if there was none. @type {string | undefined} */
    this.origin = undefined;
    /** Whether there is a picture to see yet. */
    this.visible = false;
    /** Whether the title stands where there is neither picture nor cover. */
    this.titled = false;
    this.movedAt = 0;
    this.position = -1;
    this.refused = false;
    this.unplayable = false;
    this.cover = h("img", { class: "picture__cover", alt: "" });
    this.backdrop = h("div", { class: "picture__backdrop" });
    this.video = h("video", { class: "picture__video", playsinline: true, preload: "auto" });
    this.video.muted = true;
    this.playLabel = h("span");
    this.play = h("button", { class: "picture__play", type: "button", hidden: true, onclick: () => this.tryPlay() }, icon("play"), this.playLabel);
    this.soundLabel = h("span");
    this.sound = h("button", { class: "picture__sound", type: "button", hidden: true, onclick: () => this.toggleSound() }, icon("mute"), this.soundLabel);
    this.words = h("p", { class: "picture__words", role: "status" });
    this.showTitle = h("p", { class: "picture__title", hidden: true });
  }

  /** @param {import("../viewer/app.js").App} app */
  start(app) {
    this.app = app;
    // The server puts the cover in before any script runs: that one stays.
    this.cover = this.querySelector("img") || this.cover;
    this.backdrop.append(this.cover);
    this.replaceChildren(this.backdrop, this.showTitle, this.video, this.play, this.sound, this.words);
    this.video.addEventListener("playing", () => this.moved());
    this.video.addEventListener("loadedmetadata", () => this.ready());
    this.video.addEventListener("volumechange", () => this.showSound());
    document.addEventListener("securitypolicyviolation", (event) => {
      if (/^(media|connect)-src/.test(event.violatedDirective)) this.loadAgain(this.playing);
    });
    onTick(() => this.tick());
  }

  /**
   * The page's policy names the picture's origin as it was when the page was loaded. When the host has set another
   * one since, only a page loaded anew may play it: once for each, and not while somebody writes.
   *
   * @param {string} source as text
   */
  loadAgain(source) {
    if (!source || kept.get(RELOADED, "session") === source) return;
    kept.set(RELOADED, source, "session");
    setTimeout(() => {
      if (document.activeElement instanceof HTMLInputElement) document.addEventListener("focusout", () => location.reload(), { once: true });
      else location.reload();
    }, Math.random() * RELOAD_WITHIN_MS);
  }

  update() {
    const { stage } = this.app.room;
    if (!stage) return;
    const { details, state } = stage.show;
    const cover = details.cover ? `/covers/${details.cover.file}` : null;
    if (cover && this.cover.getAttribute("src") !== cover) this.cover.src = cover;
    if (!cover) this.cover.removeAttribute("src");
    this.backdrop.classList.toggle("picture__backdrop--empty", !cover);
    this.backdrop.classList.toggle("picture__backdrop--moving", state === "live" && details.kind === "audio");
    // before the start already, so that the beginning is not missed
    const origin = details.source ? originOf(details.source) : "";
    if (this.origin === undefined) this.origin = origin;
    if (origin && origin !== this.origin && origin !== location.origin) this.loadAgain(JSON.stringify(details.source));
    this.playSource(state === "live" ? details.source : undefined);
    setText(this.showTitle, details.title);
    this.showTitle.classList.toggle("picture__title--long", details.title.length > LONG_TITLE);
    this.titled = state === "live" && cover === null;
    this.showTitle.hidden = !this.titled || this.visible;
    this.showWords();
  }

  /** @param {Source | undefined} source */
  playSource(source) {
    const wanted = source ? JSON.stringify(source) : "";
    if (wanted === this.playing) return;
    this.playing = wanted;
    this.stopSource();
    if (source) this.startSource(source);
  }

  /** @param {Source} source */
  startSource(source) {
    const { video } = this;
    this.unplayable = "hls" in source && !video.canPlayType("application/vnd.apple.mpegurl");
    if (this.unplayable) return;
    this.movedAt = performance.now();
    if ("whep" in source) {
      this.startWhep(source.whep.url);
    } else {
      video.loop = "file" in source;
      video.src = "file" in source ? source.file.url : source.hls.url;
      this.tryPlay();
    }
  }

  /** @param {string} url */
  async startWhep(url) {
    const wanted = this.playing;
    // few shows come this way: loaded where one does
    const whep = await import("../net/whep.js").catch(() => undefined);
    // without it the picture stays still, and is asked for anew
    if (!whep || wanted !== this.playing || this.whep) return;
    this.whep = whep.watchWhep(url, (stream) => {
      this.video.srcObject = stream;
      this.tryPlay();
    });
  }

  stopSource() {
    this.whep?.stop();
    this.whep = undefined;
    this.refused = this.unplayable = false;
    this.position = -1;
    const { video } = this;
    video.pause();
    video.srcObject = null;
    if (video.hasAttribute("src")) {
      video.removeAttribute("src");
      video.load();
    }
    this.showVideo(false);
    this.app.picture = "none";
    this.showSound();
  }

  async tryPlay() {
    const { video } = this;
    if (!this.playing) return;
    video.muted = !(kept.get(SOUND) === "on" && !this.app.preview);
    try {
      await video.play();
      this.refused = false;
    } catch {
      this.refused = !(await this.tryMuted(video));
    }
    this.showSound();
    this.showWords();
  }

  /** Sound needs a tap: without it most browsers play. @param {HTMLVideoElement} video */
  async tryMuted(video) {
    video.muted = true;
    try {
      await video.play();
      return true;
    } catch (error) {
      // Interrupted by another source: that one reports for itself. A broken one is found by its stillness.
      return !(error instanceof DOMException && error.name === "NotAllowedError");
    }
  }

  toggleSound() {
    const { video } = this;
    video.muted = !video.muted;
    kept.set(SOUND, video.muted ? null : "on");
    this.tryPlayIfStill();
  }

  tryPlayIfStill() {
    if (this.video.paused) this.video.play().catch(() => this.showWords());
  }

  /** A file is shown as if it were sent now: everybody sees the same part of it. */
  ready() {
    const { video, app } = this;
    const show = app.room.stage?.show;
    if (!show) return;
    const tall = video.videoHeight > video.videoWidth;
    video.classList.toggle("picture__video--tall", tall);
    if (video.loop && Number.isFinite(video.duration) && video.duration > 0) {
      video.currentTime = (liveMs(show, app.clock.now()) / 1000) % video.duration;
    }
  }

  moved() {
    this.movedAt = performance.now();
    this.showVideo(true);
  }

  /** Not `hidden`: a phone pauses a picture that has no place. @param {boolean} visible */
  showVideo(visible) {
    this.visible = visible;
    this.video.classList.toggle("picture__video--visible", visible);
    this.showTitle.hidden = !this.titled || visible;
  }

  tick() {
    const { video, app } = this;
    if (this.playing && !this.unplayable) {
      const moving = !video.paused && video.readyState >= 2 && video.currentTime !== this.position;
      this.position = video.currentTime;
      if (moving) this.moved();
      const still = performance.now() - this.movedAt;
      app.picture = still > STALLED_MS ? "stalled" : "playing";
      if (still > AGAIN_MS && !this.refused) this.again();
    } else {
      app.picture = "none";
    }
    app.behindMs = app.picture === "playing" && this.visible ? this.behind() : undefined;
    this.showWords();
  }

  /**
   * How far the picture is behind its live edge, ms; nothing where that cannot be known from here: a recording
   * has no edge, and WHEP does not tell.
   */
  behind() {
    const { video, app } = this;
    const show = app.room.stage?.show;
    const source = show?.details.source;
    if (!show || !source) return undefined;
    const edge = "file" in source ? fileEdge(video, liveMs(show, app.clock.now())) : "hls" in source ? hlsEdge(video) : undefined;
    return edge === undefined ? undefined : Math.round(1000 * Math.max(0, edge - video.currentTime));
  }

  /** The picture stays still: ask for it anew. */
  again() {
    const source = this.app.room.stage?.show.details.source;
    if (!source) return;
    this.stopSource();
    this.startSource(source);
  }

  showSound() {
    const { video, sound, soundLabel } = this;
    sound.hidden = !this.visible || this.app.preview;
    setText(soundLabel, video.muted ? t("tap_for_sound") : "");
    sound.setAttribute("aria-label", t(video.muted ? "tap_for_sound" : "sound_off"));
    sound.classList.toggle("picture__sound--on", !video.muted);
    const wanted = video.muted ? "mute" : "sound";
    if (sound.dataset.icon === wanted) return;
    sound.dataset.icon = wanted;
    sound.replaceChild(icon(wanted), sound.children[0]);
  }

  showWords() {
    const { app, play, playLabel, words } = this;
    play.hidden = !(this.refused && this.playing);
    setText(playLabel, t("play"));
    this.showSound();
    const stalled = app.picture === "stalled" && !this.refused && app.standing.phase === "live";
    setText(words, this.unplayable ? t("picture_unplayable") : stalled ? t("picture_stalled") : "");
  }
}

/** @param {Source} source */
function originOf(source) {
  const [{ url }] = Object.values(source);
  return new URL(url, location.href).origin;
}

/** Where a file would be if it were sent now, s, within half its length of where it is. @param {HTMLVideoElement} video @param {number} liveMs */
function fileEdge(video, liveMs) {
  const { currentTime, duration } = video;
  if (!Number.isFinite(duration) || duration <= 0) return undefined;
  const ahead = (((liveMs / 1000 - currentTime) % duration) + duration) % duration;
  return currentTime + (ahead > duration / 2 ? ahead - duration : ahead);
}

/** The newest that a live playlist offers, s. @param {HTMLVideoElement} video */
function hlsEdge({ duration, seekable }) {
  return duration === Infinity && seekable.length ? seekable.end(seekable.length - 1) : undefined;
}

customElements.define("hub-picture", PictureArea);
