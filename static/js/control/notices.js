// @ts-check
// What happened, with an undo where there is one. They stand where nothing is pressed and no number is read.

import { t } from "../model/strings.js";
import { button, iconButton } from "./controls.js";
import { Part } from "./part.js";
import { h } from "./render.js";

export class ControlNotices extends Part {
  /** @override @param {import("./desk.js").Desk} desk */
  describe(desk) {
    const now = performance.now();
    return h("ol", { class: "notices", "aria-live": "polite" }, desk.notices.map((notice) => h("li", {
      key: notice.id,
      class: `notice notice--${notice.kind}`,
    },
      h("span", { class: "notice__text" }, notice.text),
      h("span", { class: "notice__acts" }, notice.undo ? button(`${notice.undo.label} (${Math.max(0, Math.ceil((notice.until - now) / 1000))})`, () => {
        desk.dismiss(notice.id);
        notice.undo?.run();
      }, { kind: "main" }) : null,
      iconButton("close", t("close"), () => desk.dismiss(notice.id))))));
  }
}
