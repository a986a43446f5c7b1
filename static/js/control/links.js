// @ts-check
// Links to pass on: to copy, to scan, and what to do where a phone could not reach them.

import { t } from "../model/strings.js";
import { copyable } from "./controls.js";
import { h } from "./render.js";

/**
 * A link with its QR code; one that leads to this computer only has none.
 *
 * @param {object} link
 * @param {string} link.name
 * @param {string} link.url
 * @param {string} [link.note]
 * @param {boolean} [link.loopback]
 * @param {string} [link.qr] address of the code's picture
 * @param {string} [link.svg] the picture itself, where an address must not hold what the link does
 */
export function linkBox({ name, url, note, loopback, qr, svg }) {
  const src = svg === undefined ? qr : `data:image/svg+xml,${encodeURIComponent(svg)}`;
  return h("div", { class: "link-box", key: name },
    h("div", { class: "link-box__words" },
      h("h3", { class: "link-box__name" }, name),
      copyable(url, name),
      note ? h("p", { class: "field__hint" }, note) : null),
    src && !loopback ? h("img", { class: "link-box__qr", src, alt: t("qr_of", { name }), width: "132", height: "132" }) : null);
}

/**
 * What to do when the links lead to this computer only.
 *
 * @param {string} [hint] the server's own words: they name an option if it does not listen on the network
 */
export function loopbackHint(hint = "--listen") {
  const port = location.port || (location.protocol === "https:" ? "443" : "80");
  return h("div", { class: "note note--warn", key: "loopback" },
    h("p", null, h("strong", null, t("loopback_title")), " ",
      hint.includes("--listen") ? t("loopback_listen", { option: `--listen 0.0.0.0:${port}` }) : t("loopback_address")));
}
