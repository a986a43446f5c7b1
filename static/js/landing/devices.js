// @ts-check
// The devices on which operators signed in, and signing one out.

import { refusal, t } from "../model/strings.js";
import { time } from "../model/format.js";
import { badge, button, formProblem } from "../control/controls.js";
import { Loading } from "../control/loading.js";
import { h } from "../control/render.js";
import { openSheet } from "../control/sheet.js";

/**
 * @typedef {object} Device
 * @property {string} person
 * @property {number} [since]
 * @property {number} expires_at
 * @property {boolean} revoked
 * @property {boolean} own this one
 */

/** @param {import("../control/api.js").Api} api @param {() => void} signedOut when this very device was signed out */
export function openDevices(api, signedOut) {
  let problem = "";
  /** The device of which it is asked once more. @type {string | undefined} */
  let asking;
  const read = new Loading(async () => (await api.read("/devices")).devices, () => sheet?.paint());
  const signOut = async (/** @type {Device} */ device) => {
    asking = undefined;
    try {
      await api.ask("DELETE", `/devices/${device.person}`);
      problem = "";
      if (device.own) {
        sheet.close();
        return signedOut();
      }
    } catch (failed) {
      problem = refusal(/** @type {any} */ (failed).code);
    }
    read.again();
  };
  const row = (/** @type {Device} */ device) => {
    const name = device.since === undefined ? t("device_code") : t("device_since", { time: time(device.since, Date.now()) });
    return h("li", { class: "list__row", key: device.person },
      h("span", { class: "list__words numbers" }, name),
      device.own ? badge(t("device_own"), "good") : null,
      h("span", { class: "list__more numbers" }, device.revoked ? "" : t("until", { time: time(device.expires_at, Date.now()) })),
      device.revoked ? badge(t("device_revoked"))
        : asking === device.person ? [
          button(t("cancel"), () => ask(undefined), { key: "keep" }),
          button(t("device_sign_out"), () => signOut(device), { kind: "danger", key: "sure", name: `${t("device_sign_out")}: ${name}` }),
        ] : button(t("sign_out"), () => ask(device.person), { key: "out", name: `${t("sign_out")}: ${name}` }));
  };
  const ask = (/** @type {string | undefined} */ person) => {
    asking = person;
    sheet.paint();
  };
  const sheet = openSheet({
    title: () => t("devices"),
    body: () => [
      h("p", { class: "field__hint", key: "what" }, t("devices_what")),
      formProblem(problem),
      read.show((all) => h("ul", { class: "list" }, inOrder(all).map(row))),
    ],
  });
  return sheet;
}

/** This one first, then those signed in, the newest first, then what was signed out. @param {Device[]} all */
function inOrder(all) {
  const rank = (/** @type {Device} */ device) => (device.own ? 0 : device.revoked ? 2 : 1);
  return [...all].sort((a, b) => rank(a) - rank(b) || (b.since ?? 0) - (a.since ?? 0));
}
