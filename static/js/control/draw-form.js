// @ts-check
// Preparing a draw, and cancelling one that is open.

import { nonce } from "../model/random.js";
import { refusal, t } from "../model/strings.js";
import { check, checks, button, choice, form, formProblem, radios, showFirstProblem, text, unitOf } from "./controls.js";
import { nameOf } from "./desk.js";
import { h } from "./render.js";
import { newKey } from "./run-of-show.js";
import { openSheet } from "./sheet.js";
import { NEW_DRAW, drawRules, drawValues } from "./terms.js";

/** @typedef {import("./desk.js").Desk} Desk */
/** @typedef {import("./controls.js").Form} Form */

/** @param {Desk} desk @param {any} [prepared] one to change */
export function openDrawForm(desk, prepared) {
  const id = prepared?.id ?? newKey(desk.now, nonce().slice(0, 6));
  const values = form(prepared ? drawValues(prepared.rules) : { ...NEW_DRAW, readers: t("readers_usual") }, () => sheet.paint());
  let problem = "";
  const save = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const { rules, problems } = drawRules(values.values);
    values.problems = problems;
    problem = Object.keys(problems).length ? t("check_fields") : "";
    sheet.paint();
    if (problem) return showFirstProblem(sheet.element);
    try {
      await desk.askOrThrow("prepare_draw", { id, rules }, t("prepare_what", { what: rules.prize }));
      sheet.close();
    } catch (failed) {
      problem = refused(failed);
      sheet.paint();
    }
  };
  const sheet = openSheet({
    title: () => t(prepared ? "edit_draw" : "new_draw"),
    body: () => h("form", { class: "form", novalidate: true, onsubmit: save }, fields(values),
      formProblem(problem),
      h("div", { class: "actions" },
        button(t("cancel"), () => sheet.close(), { small: false }),
        button(t("prepare"), () => {}, { kind: "main", type: "submit", small: false }))),
  });
  return sheet;
}

/** What a form says about a refusal: why, in our words, and the server's where it names a field. @param {any} failed */
export function refused(failed) {
  const detail = failed.code === "bad_field" || failed.code === "bad_text" || failed.code === "wrong_state" || failed.code === "full" ? ` (${failed.message})` : "";
  return `${refusal(failed.code)}${detail} ${t("kept_in_form")}`;
}

/** @param {Form} values */
function fields(values) {
  const { eligibility, ask } = values.values;
  return [
    h("div", { class: "form__pair", key: "what" },
      text(values, "prize", t("prize")),
      text(values, "winners", t("winners_count"), { inputmode: "numeric" })),
    radios(values, "eligibility", t("who_is_in"), [["phrase", t("in_phrase")], ["present", t("in_present")], ["watched", t("in_watched")]]),
    eligibility === "phrase" ? text(values, "phrase", t("phrase"), { hint: t("phrase_hint") }) : null,
    eligibility === "present" ? h("p", { class: "field__hint", key: "present" }, t("present_hint")) : null,
    eligibility === "watched" ? text(values, "watched", t("watched_minutes"), { inputmode: "decimal" }) : null,
    h("div", { class: "form__pair", key: "times" },
      text(values, "open", t("open_for"), { inputmode: "decimal", unit: unitOf(values, "open_unit", t("unit")) }),
      text(values, "claim_hours", t("claim_hours"), { inputmode: "numeric", hint: t("claim_hours_hint") })),
    checks(values, "ask", t("ask"), ["name", "phone", "address", "email", "note"].map((one) => [one, t(`ask_${one}`)]), t("ask_hint")),
    ask.length ? text(values, "readers", t("readers"), { hint: t("readers_hint") }) : null,
    check(values, "exclude_earlier_winners", t("exclude_earlier")),
    whoFields(values),
  ];
}

/** Who counts, of draws and discounts. @param {Form} values */
export function whoFields(values) {
  return h("div", { class: "form__pair", key: "who" },
    h("div", { class: "field" },
      h("label", { class: "field__label", for: "field-who" }, t("who_counts")),
      choice(values, "who", [["address_ceiling", t("who_ceiling")], ["anyone", t("who_anyone")], ["store_only", t("who_store")]], t("who_counts"))),
    values.values.who === "address_ceiling" ? text(values, "ceiling", t("ceiling"), { inputmode: "numeric", hint: t("ceiling_hint") }) : null);
}

/** Cancelling needs a reason, which everybody sees. @param {Desk} desk @param {import("./run-of-show.js").Row} row */
export function openCancelDraw(desk, row) {
  const values = form({ reason: "" }, () => sheet.paint());
  const cancel = (/** @type {Event} */ event) => {
    event.preventDefault();
    const reason = values.values.reason.trim();
    if (reason === "" || reason.length > 200) {
      values.problems.reason = reason ? "wrong_long" : "wrong_empty";
      sheet.paint();
      return showFirstProblem(sheet.element);
    }
    sheet.close();
    desk.ask("cancel_draw", { draw: row.id, reason }, t("cancel_what", { what: nameOf(row) }));
  };
  const sheet = openSheet({
    size: "small",
    title: () => t("cancel_draw_title", { what: nameOf(row) }),
    body: () => h("form", { class: "form", novalidate: true, onsubmit: cancel },
      text(values, "reason", t("reason"), { hint: t("reason_hint") }),
      h("div", { class: "actions" },
        button(t("keep_open"), () => sheet.close(), { small: false }),
        button(t("cancel_draw"), () => {}, { kind: "danger", type: "submit", small: false }))),
  });
  return sheet;
}
