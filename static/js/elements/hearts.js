// @ts-check
/** `<hub-hearts>`: the heart one taps or holds, its count, and the hearts that rise. */

import { h, icon, later, setAttribute, setText } from "../dom.js";
import { compact } from "../model/format.js";
import { t } from "../model/strings.js";
import { Taps } from "../model/taps.js";

/** While held, a tap every so often. */
const HOLD_MS = 160;
/** Hearts in the air at once. */
const RISING_MAX = 24;
/** Hearts for what others tapped, per pulse. */
const OTHERS_MAX = 6;

export class Hearts extends HTMLElement {
  constructor() {
    super();
    /** @type {import("../viewer/app.js").App} */
    this.app = later;
    /** @type {HTMLElement} */
    this.air = later;
    this.shown = 0;
    this.others = -1;
    this.calm = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.taps = new Taps((taps) => this.app.connection.note("like", { taps }));
    this.count = h("span", { class: "tool__count numbers", "aria-hidden": "true" });
    this.button = h("button", { class: "tool tool--heart", type: "button" }, icon("heart"), this.count);
  }

  /** @param {import("../viewer/app.js").App} app @param {HTMLElement} air where hearts rise @param {HTMLElement} picture double tap likes */
  start(app, air, picture) {
    this.app = app;
    this.air = air;
    this.replaceChildren(this.button);
    this.button.addEventListener("pointerdown", (event) => event.button === 0 && this.hold());
    // The keyboard and assistive technology click without a pointer.
    this.button.addEventListener("click", (event) => event.detail === 0 && this.tap());
    this.button.addEventListener("contextmenu", (event) => event.preventDefault());
    for (const end of ["pointerup", "pointercancel", "pointerleave", "blur"]) {
      this.button.addEventListener(end, () => clearInterval(this.holding));
    }
    let last = 0;
    picture.addEventListener("pointerup", (event) => {
      const twice = event.timeStamp - last < 300;
      last = twice ? 0 : event.timeStamp;
      if (twice && !(event.target instanceof Element && event.target.closest("button"))) this.tap();
    });
  }

  hold() {
    this.tap();
    clearInterval(this.holding);
    this.holding = setInterval(() => this.tap(), HOLD_MS);
  }

  tap() {
    const app = this.app;
    const state = app.room.stage?.show.state;
    if (app.preview || !state || state === "ended") return;
    this.taps.tap();
    this.shown += 1;
    this.showCount();
    this.rise();
  }

  update() {
    const { stage } = this.app.room;
    this.hidden = !stage || stage.show.state === "ended";
    if (!stage) return;
    setAttribute(this.button, "aria-label", t("like"));
    const { likes } = stage.totals;
    const more = likes - Math.max(this.others < 0 ? likes : this.others, this.shown);
    this.others = likes;
    this.shown = Math.max(this.shown, likes);
    for (let i = 0; i < Math.min(more, OTHERS_MAX); i += 1) setTimeout(() => this.rise(), i * 150);
    this.showCount();
  }

  showCount() {
    setText(this.count, this.shown ? compact(this.shown) : "");
  }

  rise() {
    const air = this.air;
    if (this.calm.matches || document.visibilityState === "hidden" || air.childElementCount >= RISING_MAX) return;
    const heart = h("span", { class: "rising" }, icon("heart"));
    heart.style.setProperty("--sway", `${Math.round(Math.random() * 56 - 28)}px`);
    heart.style.setProperty("--size", (0.8 + Math.random() * 0.6).toFixed(2));
    heart.style.setProperty("--time", `${Math.round(1900 + Math.random() * 900)}ms`);
    heart.addEventListener("animationend", () => heart.remove());
    air.append(heart);
  }
}

customElements.define("hub-hearts", Hearts);
