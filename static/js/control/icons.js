// @ts-check
// The control page's pictures: strokes on a 24 x 24 grid.

import { h } from "./render.js";

/** @type {Record<string, string>} */
const PATHS = {
  gift: "M4 11h16v9H4zM3 7h18v4H3zM12 7v13M12 7C9 7 7.5 5.8 7.5 4.6S9 3 10 3.8 12 7 12 7s1-2.4 2-3.2 2.5.1 2.5.8S15 7 12 7",
  ticket: "M4 6h16v4a2 2 0 0 0 0 4v4H4v-4a2 2 0 0 0 0-4zM14 9l-4 6M9.8 9.5h.01M14.2 14.5h.01",
  pin: "M9 3h6l-1 6 4 3v2H6v-2l4-3zM12 14v7",
  mute: "M4 5h16v11H10l-4 4v-4H4zM3 3l18 18",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  trash_all: "M3 7h12M7 7V4h5v3M4 7l1 13h8l1-13M17 10h4M17 14h4M17 18h4",
  edit: "M4 20l1-4L16 5l3 3L8 19z",
  close: "M6 6l12 12M18 6L6 18",
  share: "M12 15V3M7.5 7.5L12 3l4.5 4.5M5 12v8h14v-8",
  staff: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7M2.5 20c.5-4 3-6 6.5-6s6 2 6.5 6M16 11a3 3 0 1 0-1-5.8M17.5 14.2c2.4.5 3.7 2.5 4 5.8",
  settings: "M4 7h10M18 7h2M4 17h2M10 17h10M16 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5M8 19.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5",
  help: "M9.2 9a2.9 2.9 0 0 1 5.7.6c0 2-2.9 2.4-2.9 4.4M12 17.5h.01M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18",
  check: "M5 12.5l4.5 4.5L19 7",
  plus: "M12 5v14M5 12h14",
  download: "M12 4v11M7.5 10.5L12 15l4.5-4.5M5 20h14",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12M12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6",
  pause: "M8 5v14M16 5v14",
  play: "M7 4.5v15l12-7.5z",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  list: "M9 6h11M9 12h11M9 18h11M4 6h.01M4 12h.01M4 18h.01",
  chat: "M4 5h16v11H10l-4 4v-4H4z",
  chart: "M4 20h16M7 16v-5M12 16V5M17 16v-8",
  phone: "M8 3h8v18H8zM11 18h2",
};

/**
 * A picture without words; what it means stands beside it or in the button's label.
 *
 * @param {string} name
 */
export function icon(name) {
  return h("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" }, h("path", { d: PATHS[name] }));
}
