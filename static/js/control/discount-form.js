// @ts-check
// Preparing a discount: what is off, for how many, where the codes come from.

import { nonce } from "../model/random.js";
import { t } from "../model/strings.js";
import { area, button, check, form, formProblem, radios, showFirstProblem, text, unitOf } from "./controls.js";
import { refused, whoFields } from "./draw-form.js";
import { h } from "./render.js";
import { newKey } from "./run-of-show.js";
import { preference, prefer } from "./session.js";
import { openSheet } from "./sheet.js";
import { NEW_DISCOUNT, codesOf, discountTerms, discountValues, portions } from "./terms.js";

/** @typedef {import("./desk.js").Desk} Desk */
/** @typedef {import("./controls.js").Form} Form */

/** @param {Desk} desk @param {any} [prepared] one to change */
export function openDiscountForm(desk, prepared) {
  const id = prepared?.id ?? newKey(desk.now, nonce().slice(0, 6));
  const begin = prepared ? discountValues(prepared) : { ...NEW_DISCOUNT, currency: preference("currency") ?? NEW_DISCOUNT.currency };
  const values = form(begin, () => sheet.paint());
  let problem = "";
  let busy = false;
  const save = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (busy) return;
    const { terms, codes, pasted, problems } = discountTerms(values.values, desk.now);
    values.problems = problems;
    problem = Object.keys(problems).length ? t("check_fields") : "";
    sheet.paint();
    if (problem) return showFirstProblem(sheet.element);
    prefer("currency", values.values.currency.toUpperCase());
    busy = true;
    try {
      const words = t("prepare_what", { what: terms.title });
      await desk.askOrThrow("prepare_discount", { id, terms, codes }, words);
      for (const some of portions(pasted)) await desk.askOrThrow("add_codes", { discount: id, codes: some }, t("add_codes_what", { what: terms.title }));
      sheet.close();
    } catch (failed) {
      problem = refused(failed);
      sheet.paint();
    } finally {
      busy = false;
    }
  };
  const sheet = openSheet({
    title: () => t(prepared ? "edit_discount" : "new_discount"),
    body: () => h("form", { class: "form", novalidate: true, onsubmit: save }, fields(values, prepared),
      formProblem(problem),
      h("div", { class: "actions" },
        button(t("cancel"), () => sheet.close(), { small: false }),
        button(t("prepare"), () => {}, { kind: "main", type: "submit", small: false }))),
  });
  return sheet;
}

/** @param {Form} values @param {any} prepared */
function fields(values, prepared) {
  const is = values.values;
  return [
    text(values, "title", t("discount_title"), { placeholder: t("discount_title_example") }),
    radios(values, "kind", t("how_much"), [["percent", t("kind_percent")], ["amount", t("kind_amount")]]),
    is.kind === "percent"
      ? text(values, "percent", t("percent_off"), { inputmode: "numeric", unit: h("span", { class: "unit" }, "%") })
      : h("div", { class: "form__pair", key: "amount" },
        text(values, "amount", t("amount_off"), { inputmode: "decimal" }),
        text(values, "currency", t("currency"), { maxlength: 3 })),
    check(values, "all_items", t("all_items")),
    is.all_items ? null : text(values, "items", t("items"), { hint: t("items_hint") }),
    h("div", { class: "form__pair", key: "quota" },
      text(values, "quota", t("quota"), { inputmode: "numeric", hint: t("quota_hint") }),
      text(values, "per_viewer", t("per_viewer"), { inputmode: "numeric" })),
    radios(values, "closes", t("claim_window"), [["after_ms", t("closes_after")], ["at", t("closes_at")], ["with_show", t("closes_with_show")]]),
    is.closes === "after_ms" ? text(values, "after", t("closes_after_long"), { inputmode: "decimal", unit: unitOf(values, "after_unit", t("unit")) }) : null,
    is.closes === "at" ? text(values, "closes_at", t("closes_at_long"), { type: "datetime-local" }) : null,
    radios(values, "use", t("use_before"), [["show", t("use_show")], ["at", t("use_at")]]),
    is.use === "at" ? text(values, "use_before", t("use_before_when"), { type: "datetime-local" }) : h("p", { class: "field__hint", key: "use-hint" }, t("use_show_hint")),
    codeFields(values, prepared),
    check(values, "gate", t("gate")),
    is.gate ? text(values, "gate_minutes", t("watched_minutes"), { inputmode: "decimal" }) : null,
    text(values, "link", t("shop_link"), { type: "url", inputmode: "url", placeholder: "https://" }),
    whoFields(values),
  ];
}

/** @param {Form} values @param {any} prepared */
function codeFields(values, prepared) {
  const is = values.values;
  const pasted = is.source === "pasted" ? codesOf(String(is.pasted)).length : 0;
  return h("div", { class: "field", key: "codes" },
    radios(values, "source", t("codes_from"), [["generated", t("from_generated")], ["pasted", t("from_pasted")], ["shared", t("from_shared")]]),
    is.source === "generated" ? h("p", { class: "field__hint", key: "generated" }, t("generated_hint")) : null,
    is.source === "shared" ? text(values, "shared_code", t("shared_code"), { hint: t("shared_hint") }) : null,
    is.source === "pasted" ? area(values, "pasted", t("pasted_codes"), {
      hint: [t("pasted_hint"), prepared?.codes ? t("pasted_have", { n: prepared.codes }) : "", t("pasted_n", { n: pasted })].filter(Boolean).join(" "),
    }) : null,
    is.source === "pasted" ? h("label", { class: "button button--small file", key: "file" }, t("load_file"),
      h("input", {
        type: "file",
        class: "visually-hidden",
        accept: ".csv,.txt,text/csv,text/plain",
        onchange: async (/** @type {any} */ event) => {
          const file = event.target.files[0];
          if (!file) return;
          values.values.pasted = `${values.values.pasted}\n${await file.text()}`.trim();
          values.changed();
        },
      })) : null);
}
