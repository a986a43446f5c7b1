// @ts-check
/** Words for those who listen to the page. */

import { h } from "../dom.js";

/** @type {HTMLElement | undefined} */
let region;

/** Says something once, when there is a pause. @param {string} words */
export function announce(words) {
  if (!region) {
    region = h("div", { class: "visually-hidden", role: "status" });
    document.body.append(region);
  }
  const line = h("p", { text: words });
  // A region that is filled in the moment it appears is not read everywhere.
  setTimeout(() => region && region.append(line), 50);
  setTimeout(() => line.remove(), 8000);
}

/** Shows and says something in passing. @param {string} words */
export function toast(words) {
  for (const old of document.querySelectorAll(".toast")) old.remove();
  const box = h("div", { class: "toast", text: words, "aria-hidden": "true" });
  document.body.append(box);
  announce(words);
  setTimeout(() => box.remove(), 4000);
}
