// @ts-check
// Redeeming by hand: check a code a buyer shows, or mark it as used for an order.

import { off } from "../model/format.js";
import { refusal, t } from "../model/strings.js";
import { button, form, formProblem, showFirstProblem, text } from "./controls.js";
import { h } from "./render.js";
import { openSheet } from "./sheet.js";

/** @param {import("./desk.js").Desk} desk */
export function openRedeem(desk) {
  const values = form({ code: "", order: "" }, () => sheet.paint());
  let problem = "";
  /** @type {{outcome: string, off?: any, checked: boolean} | undefined} */
  let told;
  const ask = async (/** @type {boolean} */ checked) => {
    told = undefined;
    problem = "";
    const code = values.values.code.trim();
    const order = values.values.order.trim();
    if (code === "") values.problems.code = "wrong_empty";
    if (!checked && order === "") values.problems.order = "wrong_empty";
    sheet.paint();
    if (Object.keys(values.problems).length) return showFirstProblem(sheet.element);
    try {
      const answer = await desk.askOrThrow("redeem", checked ? { code } : { code, order }, t("redeem"));
      told = { ...answer.redemption, checked };
    } catch (failed) {
      problem = refusal(/** @type {any} */ (failed).code);
    }
    sheet.paint();
  };
  const sheet = openSheet({
    size: "small",
    title: () => t("redeem"),
    body: () => h("form", { class: "form", novalidate: true, onsubmit: (/** @type {Event} */ event) => {
      event.preventDefault();
      ask(false);
    } },
      text(values, "code", t("code"), { hint: t("code_hint") }),
      text(values, "order", t("order"), { hint: t("order_hint") }),
      formProblem(problem),
      h("div", { role: "status", key: "told" }, told ? h("p", { class: `note note--${told.outcome === "ok" ? "good" : "bad"}` },
        h("strong", null, t(told.outcome === "ok" && told.checked ? "outcome_could" : `outcome_${told.outcome}`)),
        told.off ? ` ${off(told.off)}` : "") : null),
      h("div", { class: "actions" },
        button(t("check_only"), () => ask(true), { small: false }),
        button(t("redeem_now"), () => {}, { kind: "main", type: "submit", small: false }))),
  });
  return sheet;
}
