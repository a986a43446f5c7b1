// @ts-check
/**
 * A sheet: a dialog from below on a phone, in the middle elsewhere. It keeps the focus inside, closes with
 * Escape or a tap beside it, and gives the focus back. (`<dialog>` came to iOS with 15.4, `inert` with 15.5.)
 */

import { h, icon } from "../dom.js";
import { t } from "../model/strings.js";

const FOCUSABLE = "a[href], button:not(:disabled), input:not(:disabled), select, textarea, [tabindex='0']";

/**
 * @typedef {object} Sheet
 * @property {HTMLElement} body
 * @property {() => void} close
 */

/** @type {Sheet | null} */
let open = null;

/**
 * Opens a sheet in place of the one that is open.
 *
 * @param {string} title
 * @param {(Node | null)[]} children
 * @param {() => void} [closed] called after it has closed
 * @returns {Sheet}
 */
export function openSheet(title, children, closed) {
  if (open) open.close();
  const before = document.activeElement;
  const heading = h("h2", { text: title, id: "sheet-title" });
  const close = h("button", { class: "button button--icon button--quiet", type: "button", "aria-label": t("close") }, icon("close"));
  const body = h("div", { class: "sheet__body", tabindex: "-1" });
  for (const child of children) if (child) body.append(child);
  const panel = h(
    "section",
    { class: "sheet__panel", role: "dialog", "aria-modal": "true", "aria-labelledby": "sheet-title", tabindex: "-1" },
    h("header", { class: "sheet__head" }, heading, close),
    body,
  );
  const shade = h("div", { class: "sheet" }, panel);

  /** @param {KeyboardEvent} event */
  const keys = (event) => {
    if (event.key === "Escape" && !event.isComposing) sheet.close();
    else if (event.key === "Tab") keepInside(panel, event);
  };
  /** @type {Sheet} */
  const sheet = {
    body,
    close() {
      if (open !== sheet) return;
      open = null;
      document.removeEventListener("keydown", keys);
      shade.remove();
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
      if (closed) closed();
    },
  };
  shade.addEventListener("click", (event) => {
    if (event.target === shade) sheet.close();
  });
  close.addEventListener("click", () => sheet.close());
  document.addEventListener("keydown", keys);
  open = sheet;
  document.body.append(shade);
  panel.focus({ preventScroll: true });
  return sheet;
}

/** Whether a sheet is open: shortcuts rest then. */
export function sheetIsOpen() {
  return open !== null;
}

/** @param {HTMLElement} panel @param {KeyboardEvent} event */
function keepInside(panel, event) {
  const all = [...panel.querySelectorAll(FOCUSABLE)].filter((one) => one instanceof HTMLElement && one.offsetParent !== null);
  if (!all.length) return;
  const first = /** @type {HTMLElement} */ (all[0]);
  const last = /** @type {HTMLElement} */ (all[all.length - 1]);
  const at = document.activeElement;
  if (event.shiftKey && (at === first || at === panel)) {
    event.preventDefault();
    last.focus();
  } else if (!event.shiftKey && at === last) {
    event.preventDefault();
    first.focus();
  }
}
