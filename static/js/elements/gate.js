// @ts-check
/** `<hub-gate>`: the whole page when the room is not to be had: unknown, full, removed, not allowed, too old. */

import { h, later } from "../dom.js";
import { t } from "../model/strings.js";

export class Gate extends HTMLElement {
  constructor() {
    super();
    /** @type {import("../viewer/app.js").App} */
    this.app = later;
    /** What is drawn. @type {string} */
    this.shown = "";
  }

  /** @param {import("../viewer/app.js").App} app */
  start(app) {
    this.app = app;
  }

  update() {
    const { app } = this;
    const { phase, why = "closed" } = app.standing;
    this.hidden = phase !== "closed";
    const key = this.hidden ? "" : why + document.documentElement.lang;
    if (key === this.shown) return;
    this.shown = key;
    this.replaceChildren();
    if (this.hidden) return;
    const reload = why === "too_old";
    const retry = h("button", {
      class: "button button--main",
      type: "button",
      text: t(reload ? "reload" : "retry"),
      onclick: () => (reload ? location.reload() : app.connection.retry()),
    });
    this.append(
      h(
        "div",
        { class: "gate", role: "alert" },
        h("h1", { text: t(`why_${why}`) }),
        h("p", { text: t(`why_${why}_text`) }),
        h("div", { class: "gate__acts" }, why === "unknown_room" || why === "removed" ? null : retry, h("a", { class: "button", href: "/", text: t("to_start") })),
      ),
    );
  }
}

customElements.define("hub-gate", Gate);
