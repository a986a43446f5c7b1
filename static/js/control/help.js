// @ts-check
import { t } from "../model/strings.js";
import { h } from "./render.js";
import { openSheet } from "./sheet.js";
import { SHORTCUTS } from "./shortcuts.js";

/** @type {Record<string, string>} */
const KEYS = { digits: "1 … 99", Escape: "Esc", D: "⇧ D", Enter: "Enter ⏎" };

/** The list of shortcuts, and the switch. @param {import("./desk.js").Desk} desk */
export function openHelp(desk) {
  return openSheet({
    desk,
    title: () => t("help_panel"),
    body: () => [
      h("label", { class: "check" },
        h("input", { type: "checkbox", checked: desk.shortcuts, onchange: (/** @type {any} */ event) => desk.switchShortcuts(event.target.checked) }),
        h("span", null, t("shortcuts_on"))),
      h("p", { class: "field__hint" }, t("shortcuts_hint")),
      h("dl", { class: "keys" }, SHORTCUTS.map(([key, act]) => h("div", { class: "keys__row", key: act },
        h("dt", null, h("kbd", { class: "key" }, KEYS[key] ?? key.toUpperCase())),
        h("dd", null, t(`key_${act}`))))),
      h("p", { class: "field__hint" }, t("arrows_hint")),
    ],
  });
}
