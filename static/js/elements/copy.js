// @ts-check
/** A text that can be copied, also where the clipboard is not to be had (plain http): then it is selected. */

import { h } from "../dom.js";
import { t } from "../model/strings.js";
import { announce, toast } from "./announce.js";

/**
 * Copies a text, or selects it in `shown`.
 *
 * @param {string} text
 * @param {Node} [shown] where it stands
 * @returns {Promise<boolean>} whether it is on the clipboard
 */
export async function copyText(text, shown) {
  if (navigator.clipboard && window.isSecureContext) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // refused: the old way
    }
  }
  return copyBySelection(text, shown);
}

/** @param {string} text @param {Node} [shown] */
function copyBySelection(text, shown) {
  const place = shown || document.body.appendChild(h("span", { class: "visually-hidden", text }));
  const selection = window.getSelection();
  const range = document.createRange();
  range.selectNodeContents(place);
  if (selection) {
    selection.removeAllRanges();
    selection.addRange(range);
  }
  let done = false;
  try {
    done = document.execCommand("copy");
  } catch {
    // the selection stays for the person
  }
  if (!shown) place.parentNode?.removeChild(place);
  return done;
}

/**
 * A code and its Copy button.
 *
 * @param {string} code
 */
export function copyRow(code) {
  const shown = h("span", { class: "code", text: code, tabindex: "0" });
  const button = h("button", { class: "button button--main", type: "button", text: t("copy") });
  const hint = h("span", { class: "field__hint", hidden: true, text: t("copy_by_hand") });
  button.addEventListener("click", async () => {
    const done = await copyText(code, shown);
    hint.hidden = done;
    button.textContent = t(done ? "copied" : "copy");
    announce(t(done ? "copied" : "copy_by_hand"));
    if (done) setTimeout(() => (button.textContent = t("copy")), 2500);
  });
  return h("div", { class: "copy-row" }, shown, button, hint);
}

/** Copies a link and says so; shows it in a field to be copied by hand where that fails. @param {string} url */
export async function copyLink(url) {
  const done = await copyText(url);
  toast(done ? t("copied") : url);
  return done;
}
