// @ts-check
/** Keep on another device: a code that carries me over to another browser, and the place to enter one. */

import { h, kept } from "../dom.js";
import { time } from "../model/format.js";
import { add, refusal, t } from "../model/strings.js";
import { TOKEN } from "../viewer/app.js";
import { copyRow } from "./copy.js";
import { openSheet } from "./sheet.js";

/** @typedef {import("../viewer/app.js").App} App */

add({
  keep_what: ["Open the link or type the code in the other browser before {time}. It works once.", "请在 {time} 前在另一浏览器打开链接或输入数字码，仅可使用一次。"],
  keep_code: ["Code", "数字码"],
  keep_link: ["Link", "链接"],
  keep_make: ["Get a code", "获取数字码"],
  keep_here: ["Bring mine here", "转移到这里"],
  keep_here_what: ["You have codes or prizes in another browser? Get a code there and type it here. What this browser has of its own is left behind.", "在其他浏览器里有优惠码或奖品？请在那里获取数字码并在此输入。此浏览器原有的内容不会保留。"],
  keep_digits: ["8-digit code", "8 位数字码"],
  keep_bring: ["Bring it here", "转移"],
  keep_by_store: ["The store signs you in on other devices, too.", "在其他设备上同样可由商店登录。"],
  no_unknown_code: ["This code is wrong, used or over. Get a new one.", "此码有误、已使用或已过期，请重新获取。"],
  no_bad_token: ["It did not work. Load the page again.", "没有成功，请重新加载页面。"],
});

/**
 * @param {string} path below `/api/v1`
 * @param {Record<string, string>} headers
 * @param {any} json
 * @throws {{code: string}}
 */
async function post(path, headers, json) {
  const request = { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(json) };
  const answer = await fetch(`/api/v1${path}`, request);
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw told.error || { code: "other" };
  return told;
}

/** A button that asks something, and says why it did not work. @param {string} words @param {() => Promise<void>} press */
function asking(words, press) {
  const error = h("p", { class: "field__error", role: "alert" });
  const button = h("button", { class: "button button--main button--wide", type: "submit", text: words });
  const form = (/** @type {Node[]} */ ...fields) => h("form", { class: "prize-form", novalidate: true, onsubmit }, ...fields, button, error);
  /** @param {Event} event */
  async function onsubmit(event) {
    event.preventDefault();
    button.disabled = true;
    error.textContent = "";
    try {
      await press();
    } catch (failed) {
      error.textContent = refusal(/** @type {{code: string}} */ (failed).code);
    }
    button.disabled = false;
  }
  return form;
}

/** @param {App} app @param {string | null} [code] from a link */
export function openKeep(app, code) {
  openSheet(t("keep"), code ? [enter(app, code)] : [make(app), h("h3", { class: "mine__title", text: t("keep_here") }), enter(app, "")]);
}

/** @param {App} app */
function make(app) {
  if (app.storeToken) return h("p", { text: t("keep_by_store") });
  const holder = h("div");
  const form = asking(t("keep_make"), async () => {
    const made = await post(`/rooms/${encodeURIComponent(app.roomId)}/handover`, { authorization: `Bearer ${kept.get(TOKEN)}` }, {});
    holder.replaceChildren(
      h("p", { class: "field__hint", text: t("keep_what", { time: time(made.expires_at, app.clock.now()) }) }),
      h("h3", { class: "mine__title", text: t("keep_code") }),
      copyRow(made.code.replace(/^.{4}/, "$& ")),
      h("h3", { class: "mine__title", text: t("keep_link") }),
      copyRow(made.link),
    );
  });
  holder.append(form());
  return holder;
}

/** @param {App} app @param {string} code */
function enter(app, code) {
  const input = h("input", { class: "input", value: code, inputmode: "numeric", autocomplete: "one-time-code", maxlength: 12 });
  return asking(t("keep_bring"), async () => {
    const { token } = await post("/handover", {}, { code: input.value });
    kept.set(TOKEN, token);
    app.forgetStoreToken();
    // As the other one from the start, and without the code in the address.
    location.replace(location.pathname + location.search);
  })(
    h("p", { class: "field__hint", text: t("keep_here_what") }),
    h("label", { class: "field" }, h("span", { class: "field__label", text: t("keep_digits") }), input),
  );
}
