// @ts-check
// Buttons, marks and form fields as the control page describes them.

import { t } from "../model/strings.js";
import { icon } from "./icons.js";
import { h } from "./render.js";

/**
 * @param {string} label
 * @param {() => void} press
 * @param {{kind?: string, icon?: string, disabled?: boolean, title?: string, key?: string, type?: string, describedby?: string, name?: string, small?: boolean}} [how]
 */
export function button(label, press, how = {}) {
  const kind = (how.kind ?? "").split(" ").filter(Boolean).map((one) => ` button--${one}`).join("");
  return h("button", {
    key: how.key,
    type: how.type ?? "button",
    class: `button${how.small === false ? "" : " button--small"}${kind}`,
    disabled: how.disabled,
    title: how.title,
    "aria-label": how.name,
    "aria-describedby": how.describedby,
    onclick: press,
  }, how.icon ? icon(how.icon) : null, label);
}

/**
 * A button that is a picture; its words are its label and its hint.
 *
 * @param {string} picture
 * @param {string} label
 * @param {() => void} press
 * @param {{pressed?: boolean, disabled?: boolean, key?: string, kind?: string, tabindex?: string}} [how]
 */
export function iconButton(picture, label, press, how = {}) {
  return h("button", {
    key: how.key,
    type: "button",
    class: `icon-button${how.kind ? ` icon-button--${how.kind}` : ""}`,
    title: label,
    "aria-label": label,
    "aria-pressed": how.pressed === undefined ? undefined : String(how.pressed),
    tabindex: how.tabindex,
    disabled: how.disabled,
    onclick: press,
  }, icon(picture));
}

/** @param {string} words @param {"live" | "good" | "bad" | "warn" | ""} [kind] */
export function badge(words, kind = "") {
  return h("span", { class: `badge${kind ? ` badge--${kind}` : ""}` }, words);
}

/**
 * A form's values and what is wrong with them.
 *
 * @typedef {object} Form
 * @property {Record<string, any>} values
 * @property {Record<string, string>} problems by field: a key of the strings, or a sentence
 * @property {() => void} changed paints the form anew
 */

/** @param {Record<string, any>} values @param {() => void} changed @returns {Form} */
export function form(values, changed) {
  return { values: { ...values }, problems: {}, changed };
}

/** @param {Form} form @param {string} field @param {any} value */
function put(form, field, value) {
  form.values[field] = value;
  delete form.problems[field];
  form.changed();
}

/** @param {string} field */
function fieldId(field) {
  return `field-${field}`;
}

/** @param {Form} form @param {string} field @param {string | undefined} hint */
function described(form, field, hint) {
  const id = fieldId(field);
  const by = [hint ? `${id}-hint` : "", form.problems[field] ? `${id}-error` : ""].filter(Boolean).join(" ");
  return { id, "aria-describedby": by || undefined, "aria-invalid": form.problems[field] ? "true" : undefined };
}

/**
 * A field with its label, hint and what is wrong.
 *
 * @param {Form} form @param {string} field @param {string} label @param {string | undefined} hint @param {any} control
 */
function around(form, field, label, hint, control) {
  const id = fieldId(field);
  const problem = form.problems[field];
  return h("div", { class: "field", key: `field-${field}` },
    h("label", { class: "field__label", for: id }, label),
    control,
    hint ? h("span", { class: "field__hint", id: `${id}-hint` }, hint) : null,
    problem ? h("span", { class: "field__error", id: `${id}-error` }, t(problem)) : null,
  );
}

/**
 * @param {Form} form @param {string} field @param {string} label
 * @param {{hint?: string, type?: string, placeholder?: string, inputmode?: string, unit?: any, maxlength?: number, autocomplete?: string, list?: string, key?: string}} [how]
 */
export function text(form, field, label, how = {}) {
  const input = h("input", {
    class: "input",
    type: how.type ?? "text",
    name: field,
    value: form.values[field],
    placeholder: how.placeholder,
    inputmode: how.inputmode,
    maxlength: how.maxlength,
    autocomplete: how.autocomplete ?? "off",
    list: how.list,
    oninput: (/** @type {any} */ event) => put(form, field, event.target.value),
    ...described(form, field, how.hint),
  });
  return around(form, field, label, how.hint, how.unit ? h("div", { class: "with-unit" }, input, how.unit) : input);
}

/** @param {Form} form @param {string} field @param {string} label @param {{hint?: string, rows?: number, placeholder?: string}} [how] */
export function area(form, field, label, how = {}) {
  return around(form, field, label, how.hint, h("textarea", {
    class: "input",
    name: field,
    rows: how.rows ?? 3,
    value: form.values[field],
    placeholder: how.placeholder,
    oninput: (/** @type {any} */ event) => put(form, field, event.target.value),
    ...described(form, field, how.hint),
  }));
}

/**
 * A choice inside another field, or alone with `label`.
 *
 * @param {Form} form @param {string} field @param {[string, string][]} options value and words @param {string} name
 */
export function choice(form, field, options, name) {
  return h("select", {
    class: "input",
    name: field,
    id: fieldId(field),
    "aria-label": name,
    value: form.values[field],
    onchange: (/** @type {any} */ event) => put(form, field, event.target.value),
  }, options.map(([value, words]) => h("option", { value, key: value }, words)));
}

/** @param {Form} form @param {string} field @param {string} label @param {[string, string][]} options @param {{hint?: string}} [how] */
export function select(form, field, label, options, how = {}) {
  return around(form, field, label, how.hint, h("select", {
    class: "input",
    name: field,
    value: form.values[field],
    onchange: (/** @type {any} */ event) => put(form, field, event.target.value),
    ...described(form, field, how.hint),
  }, options.map(([value, words]) => h("option", { value, key: value }, words))));
}

/**
 * One of a few, all in sight.
 *
 * @param {Form} form @param {string} field @param {string} label @param {[string, string][]} options
 */
export function radios(form, field, label, options) {
  return h("fieldset", { class: "field", key: `field-${field}` },
    h("legend", { class: "field__label" }, label),
    h("div", { class: "segments" }, options.map(([value, words]) => h("label", { class: "segment", key: value },
      h("input", {
        type: "radio",
        class: "segment__input",
        name: field,
        value,
        checked: form.values[field] === value,
        onchange: () => put(form, field, value),
      }),
      h("span", { class: "segment__words" }, words)))),
  );
}

/** @param {Form} form @param {string} field @param {string} label @param {{hint?: string}} [how] */
export function check(form, field, label, how = {}) {
  return h("div", { class: "field", key: `field-${field}` },
    h("label", { class: "check" },
      h("input", {
        type: "checkbox",
        name: field,
        checked: Boolean(form.values[field]),
        onchange: (/** @type {any} */ event) => put(form, field, event.target.checked),
        ...described(form, field, how.hint),
      }),
      h("span", null, label)),
    how.hint ? h("span", { class: "field__hint", id: `${fieldId(field)}-hint` }, how.hint) : null,
  );
}

/** Several of a few. @param {Form} form @param {string} field @param {string} label @param {[string, string][]} options @param {string} [hint] */
export function checks(form, field, label, options, hint) {
  const toggle = (/** @type {string} */ value, /** @type {boolean} */ on) => {
    const others = form.values[field].filter((/** @type {string} */ one) => one !== value);
    put(form, field, on ? [...others, value] : others);
  };
  return h("fieldset", { class: "field", key: `field-${field}` },
    h("legend", { class: "field__label" }, label),
    h("div", { class: "checks" }, options.map(([value, words]) => h("label", { class: "check", key: value },
      h("input", {
        type: "checkbox",
        name: field,
        value,
        checked: form.values[field].includes(value),
        onchange: (/** @type {any} */ event) => toggle(value, event.target.checked),
      }),
      h("span", null, words)))),
    hint ? h("span", { class: "field__hint" }, hint) : null,
  );
}

/** The units of a length of time, beside its number. @param {Form} form @param {string} field @param {string} name */
export function unitOf(form, field, name) {
  return choice(form, field, [["s", t("unit_s")], ["min", t("unit_min")], ["h", t("unit_h")]], name);
}

/** What went wrong with a form as a whole, said once. @param {string | undefined} problem */
export function formProblem(problem) {
  return h("div", { role: "alert", key: "problem" }, problem ? h("p", { class: "note note--bad" }, problem) : null);
}

/** Brings the first wrong field into sight and focus. @param {Element} root */
export function showFirstProblem(root) {
  requestAnimationFrame(() => {
    const first = root.querySelector('[aria-invalid="true"]');
    if (first instanceof HTMLElement) first.focus();
  });
}

/**
 * A text to be copied, with its button; where the clipboard is forbidden (plain http) it is selected.
 *
 * @param {string} value
 * @param {string} label
 * @param {{key?: string}} [how]
 */
export function copyable(value, label, how = {}) {
  return h("div", { class: "copyable", key: how.key },
    h("input", { class: "input copyable__text", readonly: true, value, "aria-label": label, onfocus: (/** @type {any} */ event) => event.target.select() }),
    h("button", { type: "button", class: "button button--small copyable__button", "aria-label": `${t("copy")}: ${label}`, onclick: copyBeside },
      h("span", null, t("copy"))),
  );
}

/** Copies what stands beside a copy button, and says on the button that it did. @param {any} event */
async function copyBeside(event) {
  const pressed = event.currentTarget;
  const input = pressed.parentElement.querySelector("input");
  input.focus();
  input.select();
  const done = await written(input.value);
  pressed.dataset.done = done ? t("copied") : t("copy_by_hand_short");
  setTimeout(() => delete pressed.dataset.done, 2000);
}

/** @param {string} value @returns {Promise<boolean>} */
async function written(value) {
  try {
    await navigator.clipboard.writeText(value);
    return true;
  } catch {
    // plain http: what is selected can still be copied the old way
    return document.execCommand("copy");
  }
}
