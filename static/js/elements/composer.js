// @ts-check
/** `<hub-composer>`: where one writes. What is written is never lost by a refusal, a reconnect or a reload. */

import { h, icon, kept, later, setAttribute, setText } from "../dom.js";
import { duration, time } from "../model/format.js";
import { refusal, t } from "../model/strings.js";
import { countCharacters, sends } from "../model/text.js";
import { onTick } from "../model/ticker.js";
import { announce } from "./announce.js";

/** Longest comment, in characters as a person counts them. */
const TEXT_MAX = 200;
/** Counted down from here. */
const COUNT_FROM = 20;

export class Composer extends HTMLElement {
  constructor() {
    super();
    /** @type {import("../viewer/app.js").App} */
    this.app = later;
    this.draftKey = "";
    /** The code of the last refusal, until something is typed. */
    this.refusedWith = "";
    this.input = h("input", {
      class: "composer__input",
      type: "text",
      enterkeyhint: "send",
      autocomplete: "off",
      "aria-describedby": "composer-note",
    });
    this.count = h("span", { class: "composer__count numbers", hidden: true });
    this.sendLabel = h("span", { class: "numbers" });
    this.send = h("button", { class: "composer__send", type: "button", onclick: () => this.submit() }, icon("send"), this.sendLabel);
    this.note = h("p", { class: "composer__note", id: "composer-note", hidden: true });
  }

  /** @param {import("../viewer/app.js").App} app */
  start(app) {
    this.app = app;
    this.draftKey = `hubbub.draft.${app.roomId}`;
    this.replaceChildren(this.note, h("div", { class: "composer__field" }, this.input, this.count, this.send));
    this.input.value = kept.get(this.draftKey, "session") || "";
    this.input.addEventListener("input", () => this.typed());
    this.input.addEventListener("keydown", (event) => {
      if (!sends(event)) return;
      event.preventDefault();
      this.submit();
    });
    onTick(() => this.tick());
    this.showActive();
  }

  get text() {
    return this.input.value;
  }

  /** Puts text into the field. @param {string} text */
  setTextTo(text) {
    this.input.value = text;
    this.typed();
  }

  typed() {
    kept.set(this.draftKey, this.text || null, "session");
    this.refusedWith = "";
    this.showActive();
    this.tick();
  }

  /** What is written can be sent; while it is being written the field has more of the row. */
  showActive() {
    this.classList.toggle("composer--active", this.text !== "");
  }

  get off() {
    const { stage } = this.app.room;
    return !stage || stage.modes.comments_off === true || stage.show.state === "ended";
  }

  get sendable() {
    const left = TEXT_MAX - countCharacters(this.text.trim());
    return this.text.trim() !== "" && left >= 0 && !this.off && this.app.cooldownMs <= 0;
  }

  async submit() {
    const app = this.app;
    if (!this.sendable) return;
    const written = app.outbox.add(this.text.trim());
    this.setTextTo("");
    app.changed();
    const refused = await app.post(written);
    if (!refused || refused.code === "no_connection") return;
    // Back to its author; where something new is being written it waits among the comments.
    if (this.text === "") {
      app.outbox.remove(written.nonce);
      this.setTextTo(written.text);
    }
    this.refusedWith = refused.code;
    announce(t("text_kept", { why: refusal(refused.code) }));
    app.changed();
  }

  update() {
    const { app, input } = this;
    const { stage } = app.room;
    this.hidden = !stage || stage.show.state === "ended" || app.preview;
    if (!stage) return;
    const off = stage.modes.comments_off === true;
    setAttribute(input, "placeholder", off ? refusal("comments_off") : t("say_something"));
    setAttribute(input, "aria-label", t("comment_as", { name: app.myName }));
    input.disabled = off;
    this.tick();
  }

  tick() {
    const { app, send, sendLabel, count, note } = this;
    const left = TEXT_MAX - countCharacters(this.text.trim());
    count.hidden = left > COUNT_FROM;
    setText(count, String(left));
    setAttribute(count, "aria-label", t("characters_left", { n: left }));
    count.classList.toggle("composer__count--over", left < 0);
    const seconds = Math.ceil(app.cooldownMs / 1000);
    const cooling = seconds > 0;
    setText(sendLabel, cooling && seconds < 1000 ? t("wait_seconds", { n: seconds }) : "");
    send.classList.toggle("composer__send--cooling", cooling);
    setAttribute(send, "aria-label", cooling ? t("wait_to_send", { n: seconds }) : t("send"));
    send.disabled = !this.sendable;
    const words = this.words();
    note.hidden = words === "";
    setText(note, words);
  }

  /** What is to be said above the field. */
  words() {
    const { app } = this;
    const { stage } = app.room;
    if (!stage) return "";
    const { muted_until = 0 } = app.room.mine;
    if (muted_until > app.clock.now()) return t("muted_until", { time: time(muted_until, app.clock.now()) });
    if (this.refusedWith) return t("text_kept", { why: refusal(this.refusedWith) });
    const { slow_ms, comments_off } = stage.modes;
    // without a text the field itself says it
    if (comments_off) return this.text && t("text_kept", { why: refusal("comments_off") });
    const writing = document.activeElement === this.input || this.text !== "";
    if (slow_ms && writing) return t("slow_mode", { time: duration(slow_ms) });
    return "";
  }
}

customElements.define("hub-composer", Composer);
