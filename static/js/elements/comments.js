// @ts-check
/** `<hub-comments>`: what people say, newest at the bottom; scrolling up stops the flow. */

import { h, icon, kept, later, patchList, setAttribute, setText } from "../dom.js";
import { lines } from "../model/outbox.js";
import { refusal, t } from "../model/strings.js";
import { onTick } from "../model/ticker.js";
import { announce } from "./announce.js";

/** @typedef {import("../model/outbox.js").Line} Line */

/** Nearer to the bottom than this, px, the flow goes on. */
const NEAR_PX = 48;
/** Announced only while fewer than one in 3 s arrive, over this time. */
const RATE_OVER_MS = 15_000;
const RATE_MAX = RATE_OVER_MS / 3_000;
/** How long "shown k of n" stands after a busy second. */
const SAMPLE_MS = 4_000;
/** How long it stands that some were skipped. */
const SKIPPED_MS = 10_000;
const ALOUD = "hubbub.aloud";

export class Comments extends HTMLElement {
  constructor() {
    super();
    /** @type {import("../viewer/app.js").App} */
    this.app = later;
    this.following = true;
    this.newCount = 0;
    /** @type {string | null} the newest line seen */
    this.newest = null;
    /** @type {number[]} when the last lines came */
    this.arrivals = [];
    /** The jump that was told last, and until when it is, page time. @type {{upTo: number} | null} */
    this.skipped = null;
    this.skippedUntil = 0;
    this.aloud = kept.get(ALOUD) !== "off";
    this.list = h("div", { class: "comments__list", role: "log", "aria-live": "polite", tabindex: "0" });
    this.pinnedText = h("p", { class: "comments__pinned-text" });
    this.pinned = h("div", { class: "comments__pinned", hidden: true }, icon("pin"), this.pinnedText);
    this.none = h("p", { class: "comments__sample", hidden: true });
    this.sample = h("p", { class: "comments__sample numbers", hidden: true });
    this.more = h("button", { class: "comments__more", type: "button", hidden: true, onclick: () => this.follow() });
  }

  /** @param {import("../viewer/app.js").App} app */
  start(app) {
    this.app = app;
    this.replaceChildren(this.pinned, this.sample, this.none, this.list, this.more);
    this.list.addEventListener("scroll", () => this.scrolled(), { passive: true });
    onTick(() => this.tick());
    if (typeof ResizeObserver !== "undefined") new ResizeObserver(() => this.stick()).observe(this.list);
  }

  /** Whether comments are announced when there are few. @param {boolean} aloud */
  setAloud(aloud) {
    this.aloud = aloud;
    kept.set(ALOUD, aloud ? null : "off");
  }

  update() {
    const { app, list } = this;
    const { stage } = app.room;
    if (!stage) return;
    setAttribute(list, "aria-label", t("comments"));
    const all = lines(stage.comments, app.room.mine, app.outbox.written, app.myName);
    this.countNew(all);
    const marks = sameNames(all);
    patchList(list, all, (line) => line.key, (line) => this.row(line), (row, line) => updateRow(row, line, marks));
    this.none.hidden = all.length > 0 || stage.show.state === "ended" || stage.modes.comments_off === true;
    setText(this.none, t("no_comments"));
    this.showPinned(stage.pinned);
    this.stick();
    this.tick();
  }

  /** @param {Line} line */
  row(line) {
    const name = h("span", { class: "comment__name" });
    const row = h("div", { class: "comment" }, name, h("span", { class: "comment__text" }));
    if (line.nonce) row.append(this.unsent(line));
    return row;
  }

  /** What stands beside one's own that is not posted. @param {Line} line */
  unsent(line) {
    const app = this.app;
    const written = () => app.outbox.written.find((one) => one.nonce === line.nonce);
    const again = h("button", {
      class: "comment__act",
      type: "button",
      text: t("send_again"),
      onclick: () => {
        const one = written();
        if (!one) return;
        app.outbox.remove(one.nonce);
        app.post(app.outbox.add(one.text));
        app.changed();
      },
    });
    const discard = h("button", {
      class: "comment__act",
      type: "button",
      text: t("discard"),
      onclick: () => {
        if (line.nonce) app.outbox.remove(line.nonce);
        app.changed();
      },
    });
    return h("span", { class: "comment__unsent" }, h("span", { class: "comment__state" }), again, discard);
  }

  /** @param {import("../types.js").Comment | undefined} pinned */
  showPinned(pinned) {
    this.pinned.hidden = !pinned;
    if (pinned) setText(this.pinnedText, `${t("pinned")} · ${pinned.name}: ${pinned.text}`);
  }

  /** @param {Line[]} all */
  countNew(all) {
    const last = all[all.length - 1];
    if (!last) return;
    const seen = this.newest === null ? all.length - 1 : all.findIndex((line) => line.key === this.newest);
    const fresh = seen < 0 ? all.length : all.length - 1 - seen;
    if (this.newest !== null) {
      const now = performance.now();
      for (let i = 0; i < fresh && i < 20; i += 1) this.arrivals.push(now);
      if (!this.following) this.newCount += fresh;
      if (last.own && last.state === "pending" && fresh) this.follow();
    }
    this.newest = last.key;
  }

  /** The flow goes on from the bottom. */
  follow() {
    this.following = true;
    this.newCount = 0;
    this.stick();
    this.showMore();
  }

  stick() {
    if (this.following) this.list.scrollTop = this.list.scrollHeight;
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.list;
    this.following = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    if (this.following) this.newCount = 0;
    this.showMore();
  }

  showMore() {
    this.more.hidden = !this.newCount;
    setText(this.more, t("n_new", { n: this.newCount }));
  }

  tick() {
    const { list, sample } = this;
    const since = performance.now() - RATE_OVER_MS;
    this.arrivals = this.arrivals.filter((at) => at > since);
    setAttribute(list, "aria-live", this.aloud && this.arrivals.length <= RATE_MAX ? "polite" : "off");
    const words = this.skippedWords() || this.sampleWords();
    sample.hidden = !words;
    if (words) setText(sample, words);
    this.showMore();
  }

  /** Where this page was too slow, or away, and jumped to the newest: so much it says, once. */
  skippedWords() {
    const { skipped } = this.app.room;
    if (!skipped) return "";
    const words = t("skipped", { n: skipped.upTo });
    if (skipped !== this.skipped) {
      this.skipped = skipped;
      this.skippedUntil = performance.now() + SKIPPED_MS;
      announce(words);
    }
    return performance.now() < this.skippedUntil ? words : "";
  }

  sampleWords() {
    const { sample: last } = this.app.room;
    const busy = last !== null && last.k < last.n && this.app.clock.now() - last.at < SAMPLE_MS;
    return busy && last ? t("shown_of", { k: last.k, n: last.n }) : "";
  }
}

/** @param {HTMLElement} row @param {Line} line @param {Set<string>} marks names that several people have */
function updateRow(row, line, marks) {
  const [name, text] = row.children;
  const mark = line.by !== undefined && marks.has(line.name) ? ` ·${line.by}` : "";
  const badge = line.badge ? ` ${t(line.badge)}` : "";
  if (name.getAttribute("data-of") !== `${line.name}${mark}${badge}${line.own}`) {
    name.setAttribute("data-of", `${line.name}${mark}${badge}${line.own}`);
    name.replaceChildren(line.name);
    if (mark) name.append(h("span", { class: "comment__mark", text: mark }));
    if (line.badge) name.append(" ", h("span", { class: `comment__badge comment__badge--${line.badge}`, text: t(line.badge) }));
    if (line.own) name.append(" ", h("span", { class: "comment__badge", text: t("you") }));
    name.append(" ");
  }
  setText(text, line.text);
  row.className = `comment${line.own ? " comment--own" : ""}${line.badge && line.badge !== "member" ? " comment--staff" : ""}`;
  const unsent = row.querySelector(".comment__unsent");
  if (!unsent) return;
  const failed = line.state === "failed";
  setText(unsent.children[0], failed ? t("not_sent", { why: refusal(line.code || "other") }) : t("pending"));
  /** @type {HTMLElement} */ (unsent.children[1]).hidden = !failed;
  /** @type {HTMLElement} */ (unsent.children[2]).hidden = !failed;
}

/** Names that more than one person has here: they get a small mark. @param {Line[]} all */
function sameNames(all) {
  /** @type {Map<string, number>} */
  const owner = new Map();
  /** @type {Set<string>} */
  const shared = new Set();
  for (const { name, by } of all) {
    if (by === undefined) continue;
    const other = owner.get(name);
    if (other !== undefined && other !== by) shared.add(name);
    owner.set(name, by);
  }
  return shared;
}

customElements.define("hub-comments", Comments);
