// @ts-check
// A dialog over the page: one at a time, closed by Escape, by its button or by a press beside it.

import { t } from "../model/strings.js";
import { iconButton } from "./controls.js";
import { h, render } from "./render.js";

/**
 * @typedef {object} Sheet
 * @property {() => void} paint
 * @property {() => void} close
 * @property {HTMLDialogElement} element
 */

/**
 * Opens one.
 *
 * @param {object} what
 * @param {() => string} what.title
 * @param {(sheet: Sheet) => any} what.body described anew at every paint
 * @param {"small" | "usual" | "wide"} [what.size]
 * @param {import("./desk.js").Desk} [what.desk] painted with it
 * @param {() => void} [what.closed]
 * @returns {Sheet}
 */
export function openSheet({ title, body, size = "usual", desk, closed }) {
  const element = document.createElement("dialog");
  element.className = `dialog dialog--${size}`;
  element.setAttribute("aria-labelledby", "dialog-title");
  const sheet = {
    element,
    paint: () => render(element, h("div", { class: "dialog__inner" },
      h("header", { class: "dialog__head" },
        h("h2", { id: "dialog-title", class: "dialog__title" }, title()),
        iconButton("close", t("close"), () => sheet.close())),
      h("div", { class: "dialog__body" }, body(sheet)))),
    close: () => element.close(),
  };
  const unwatch = desk?.watch(() => sheet.paint());
  element.addEventListener("close", () => {
    unwatch?.();
    element.remove();
    closed?.();
  });
  // a press beside the dialog; one that began inside (a selection) is not
  let began = /** @type {EventTarget | null} */ (null);
  element.addEventListener("pointerdown", (event) => (began = event.target));
  element.addEventListener("click", (event) => {
    if (event.target === element && began === element && size === "small") sheet.close();
  });
  document.body.append(element);
  sheet.paint();
  element.showModal();
  return sheet;
}

/** Whether a dialog is open. */
export function sheetOpen() {
  return document.querySelector("dialog[open]") !== null;
}
