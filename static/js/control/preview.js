// @ts-check
// The room as viewers see it: the viewer page itself, uncounted and muted, in the size of a phone.

import { t } from "../model/strings.js";
import { Part } from "./part.js";
import { h, render } from "./render.js";

/** The width of the phone that is shown. */
const PHONE_PX = 390;

export class ControlPreview extends Part {
  /** @type {HTMLElement | undefined} */
  box;

  /** @override */
  paint() {
    if (!this.desk?.ready) return;
    render(this, [
      h("header", { class: "part__head" }, h("h2", { class: "part__title" }, t("as_viewers"))),
      h("div", { class: "phone", ref: (/** @type {HTMLElement} */ box) => this.begin(box) },
        h("iframe", {
          class: "phone__page",
          src: `/r/${encodeURIComponent(this.desk.room)}?preview=1`,
          title: t("preview_title"),
          tabindex: "-1",
          inert: true,
          loading: "lazy",
        })),
    ]);
  }

  /** @param {HTMLElement} box */
  begin(box) {
    new ResizeObserver(() => {
      const scale = box.clientWidth / PHONE_PX;
      box.style.setProperty("--scale", String(scale));
      box.style.setProperty("--page-height", `${box.clientHeight / (scale || 1)}px`);
    }).observe(box);
  }
}
