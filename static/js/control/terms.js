// @ts-check
// What a host fills in, and what the protocol wants: values of forms in, a draw's rules or a discount's terms
// out, or what is wrong with which field. The server checks everything again; this says it at once.

import { countCharacters } from "../model/text.js";

/** @typedef {Record<string, any>} Values what stands in a form's fields, as text or yes/no */
/** @typedef {Record<string, string>} Problems the name of a problem (a key of the strings) by field */

const DAY_MS = 86_400_000;
export const UNITS = { s: 1000, min: 60_000, h: 3_600_000 };
export const QUOTA_MAX = 1_000_000;
export const WINNERS_MAX = 1000;
export const CODES_PER_COMMAND = 2000;

/**
 * A whole number in a range.
 *
 * @param {unknown} text
 * @param {number} from
 * @param {number} to
 * @returns {number | undefined}
 */
export function whole(text, from, to) {
  const trimmed = String(text ?? "").trim();
  if (!/^\d{1,15}$/.test(trimmed)) return undefined;
  const number = Number(trimmed);
  return number >= from && number <= to ? number : undefined;
}

/**
 * A length of time from a number and a unit, in ms.
 *
 * @param {unknown} text
 * @param {unknown} unit `s`, `min` or `h`
 * @param {number} from ms
 * @param {number} to ms
 * @returns {number | undefined}
 */
export function duration(text, unit, from, to) {
  const trimmed = String(text ?? "").trim().replace(",", ".");
  if (!/^\d{1,7}(\.\d{1,3})?$/.test(trimmed)) return undefined;
  const ms = Math.round(Number(trimmed) * UNITS[/** @type {"s"} */ (unit)]);
  return ms >= from && ms <= to ? ms : undefined;
}

/**
 * A length of time as a form shows it: the largest unit that keeps it whole.
 *
 * @param {number} ms
 * @returns {{value: string, unit: "s" | "min" | "h"}}
 */
export function inUnits(ms) {
  const unit = ms % UNITS.h === 0 ? "h" : ms % UNITS.min === 0 ? "min" : "s";
  return { value: String(ms / UNITS[unit]), unit };
}

/** How many digits a currency has after the point. @param {string} currency */
export function decimals(currency) {
  const options = new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions();
  return options.maximumFractionDigits ?? 2;
}

/**
 * An amount as typed, in minor units.
 *
 * @param {unknown} text `12`, `12.5`, `12,50`
 * @param {string} currency
 * @returns {number | undefined}
 */
export function minorUnits(text, currency) {
  const digits = decimals(currency);
  const match = /^(\d{1,9})(?:[.,](\d+))?$/.exec(String(text ?? "").trim());
  if (!match || (match[2] ?? "").length > digits) return undefined;
  return Number(match[1] + (match[2] ?? "").padEnd(digits, "0"));
}

/** An amount as a form shows it. @param {number} minor @param {string} currency */
export function fromMinorUnits(minor, currency) {
  const digits = decimals(currency);
  return digits === 0 ? String(minor) : (minor / 10 ** digits).toFixed(digits);
}

/** A time for `<input type="datetime-local">`, in this computer's zone. @param {number} ms */
export function localTime(ms) {
  const at = new Date(ms);
  return new Date(ms - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** The time that such a field names. @param {unknown} text @returns {number | undefined} Unix ms */
export function fromLocalTime(text) {
  const ms = text ? new Date(String(text)).getTime() : NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

/** A web address that viewers may follow. @param {string} text */
export function isLink(text) {
  return /^https?:\/\/[^\s/]+\S*$/i.test(text) && URL.canParse?.(text) !== false;
}

/** @param {Values} values @param {Problems} problems */
function whoCounts(values, problems) {
  if (values.who === "anyone") return "anyone";
  if (values.who === "store_only") return "store_only";
  const ceiling = whole(values.ceiling, 1, 1_000_000);
  if (ceiling === undefined) problems.ceiling = "wrong_whole";
  return { address_ceiling: ceiling };
}

/** @param {any} who `WhoCounts`, or absent */
function fromWhoCounts(who) {
  if (typeof who === "string") return { who, ceiling: "20" };
  return { who: "address_ceiling", ceiling: String(who?.address_ceiling ?? 20) };
}

/** A text of a length; says what is wrong. @param {Values} values @param {string} field
 *  @param {number} max @param {Problems} problems @param {boolean} [needed] */
function text(values, field, max, problems, needed = true) {
  const trimmed = String(values[field] ?? "").trim();
  if (needed && trimmed === "") problems[field] = "wrong_empty";
  else if (countCharacters(trimmed) > max) problems[field] = "wrong_long";
  return trimmed;
}

/** What the form for a new draw begins with. */
export const NEW_DRAW = {
  prize: "", winners: "1", open: "2", open_unit: "min", eligibility: "phrase", phrase: "", watched: "5",
  exclude_earlier_winners: true, who: "address_ceiling", ceiling: "20",
  ask: ["name", "phone", "address"], readers: "", claim_hours: "48",
};

/** @param {any} rules a draw's rules @returns {Values} */
export function drawValues(rules) {
  const [[eligibility, more]] = /** @type {[string, any][]} */ (Object.entries(rules.eligibility));
  const open = inUnits(rules.open_ms);
  return {
    ...NEW_DRAW,
    prize: rules.prize,
    winners: String(rules.winners),
    open: open.value,
    open_unit: open.unit,
    eligibility,
    phrase: more.phrase ?? "",
    watched: more.ms === undefined ? NEW_DRAW.watched : String(more.ms / UNITS.min),
    exclude_earlier_winners: rules.exclude_earlier_winners ?? false,
    ...fromWhoCounts(rules.who),
    ask: rules.ask ?? [],
    readers: rules.readers ?? "",
    claim_hours: rules.claim_ms === undefined ? NEW_DRAW.claim_hours : String(rules.claim_ms / UNITS.h),
  };
}

/** @param {Values} values @param {Problems} problems */
function eligibility(values, problems) {
  if (values.eligibility === "present") return { present: {} };
  if (values.eligibility === "phrase") return { phrase: { phrase: text(values, "phrase", 40, problems) } };
  const ms = duration(values.watched, "min", 1000, DAY_MS);
  if (ms === undefined) problems.watched = "wrong_number";
  return { watched: { ms } };
}

/**
 * A draw's rules.
 *
 * @param {Values} values
 * @returns {{rules: any, problems: Problems}} good if there are no problems
 */
export function drawRules(values) {
  /** @type {Problems} */
  const problems = {};
  const winners = whole(values.winners, 1, WINNERS_MAX);
  if (winners === undefined) problems.winners = "wrong_winners";
  const open_ms = duration(values.open, values.open_unit, 5000, DAY_MS);
  if (open_ms === undefined) problems.open = "wrong_open";
  const claim_ms = duration(values.claim_hours, "h", 60_000, 90 * DAY_MS);
  if (claim_ms === undefined) problems.claim_hours = "wrong_number";
  const ask = ["name", "phone", "address", "email", "note"].filter((one) => values.ask.includes(one));
  const readers = text(values, "readers", 200, problems, ask.length > 0);
  const rules = {
    prize: text(values, "prize", 80, problems),
    winners,
    open_ms,
    eligibility: eligibility(values, problems),
    ...(values.exclude_earlier_winners ? { exclude_earlier_winners: true } : {}),
    who: whoCounts(values, problems),
    ...(ask.length > 0 ? { ask, readers } : {}),
    claim_ms,
  };
  return { rules, problems };
}

/** What the form for a new discount begins with. */
export const NEW_DISCOUNT = {
  title: "", kind: "percent", percent: "15", amount: "", currency: "EUR", all_items: true, items: "",
  quota: "100", per_viewer: "1", closes: "after_ms", after: "5", after_unit: "min", closes_at: "",
  use: "show", use_before: "", gate: false, gate_minutes: "5", who: "address_ceiling", ceiling: "20",
  link: "", source: "generated", shared_code: "", pasted: "",
};

/** @param {any} prepared a prepared discount; its codes are never told @returns {Values} */
export function discountValues(prepared) {
  const { terms, source } = prepared;
  const amount = terms.off.amount;
  // a text has an `at` of its own
  const closes = typeof terms.closes === "string" ? { [terms.closes]: true } : terms.closes;
  const after = inUnits(closes.after_ms ?? 5 * UNITS.min);
  return {
    ...NEW_DISCOUNT,
    title: terms.title,
    kind: amount ? "amount" : "percent",
    percent: amount ? NEW_DISCOUNT.percent : String(terms.off.percent),
    amount: amount ? fromMinorUnits(amount.minor, amount.currency) : "",
    currency: amount?.currency ?? NEW_DISCOUNT.currency,
    all_items: terms.items === undefined,
    items: terms.items ?? "",
    quota: String(terms.quota),
    per_viewer: String(terms.per_viewer ?? 1),
    closes: Object.keys(closes)[0],
    after: after.value,
    after_unit: after.unit,
    closes_at: closes.at === undefined ? "" : localTime(closes.at),
    use: terms.use_before === undefined ? "show" : "at",
    use_before: terms.use_before === undefined ? "" : localTime(terms.use_before),
    gate: terms.gate !== undefined,
    gate_minutes: terms.gate ? String(terms.gate.watched.ms / UNITS.min) : NEW_DISCOUNT.gate_minutes,
    ...fromWhoCounts(terms.who),
    link: terms.link ?? "",
    source,
  };
}

/** @param {Values} values @param {Problems} problems */
function off(values, problems) {
  if (values.kind === "percent") {
    const percent = whole(values.percent, 1, 100);
    if (percent === undefined) problems.percent = "wrong_percent";
    return { percent };
  }
  const currency = String(values.currency ?? "").trim().toUpperCase();
  if (!/^[A-Z]{3}$/.test(currency)) {
    problems.currency = "wrong_currency";
    return undefined;
  }
  const minor = minorUnits(values.amount, currency);
  if (!minor) problems.amount = "wrong_amount";
  return { amount: { minor, currency } };
}

/** @param {Values} values @param {number} now @param {Problems} problems */
function closes(values, now, problems) {
  if (values.closes === "with_show") return "with_show";
  if (values.closes === "after_ms") {
    const after_ms = duration(values.after, values.after_unit, 1000, DAY_MS);
    if (after_ms === undefined) problems.after = "wrong_after";
    return { after_ms };
  }
  const at = fromLocalTime(values.closes_at);
  if (at === undefined || at <= now) problems.closes_at = "wrong_time";
  return { at };
}

/** @param {Values} values @param {Problems} problems */
function codeSource(values, problems) {
  if (values.source === "generated") return { generated: {} };
  if (values.source === "pasted") return { pasted: {} };
  return { shared: { code: text(values, "shared_code", 64, problems) } };
}

/** Codes out of a pasted or loaded list: the first column of each line, without a heading, each once.
 *  @param {string} list */
export function codesOf(list) {
  const first = list.split(/\r?\n/).map((row) => row.split(/[,;\t]/)[0].trim().replace(/^"(.*)"$/, "$1").trim());
  const codes = [...new Set(first.filter((code) => code !== ""))];
  return /^(codes?|coupon|voucher|优惠码|折扣码|券码)$/i.test(codes[0] ?? "") ? codes.slice(1) : codes;
}

/** Codes in portions that one command takes. @param {string[]} codes */
export function portions(codes) {
  const count = Math.ceil(codes.length / CODES_PER_COMMAND);
  return Array.from({ length: count }, (_, index) =>
    codes.slice(index * CODES_PER_COMMAND, (index + 1) * CODES_PER_COMMAND));
}

/**
 * A discount's terms and the source of its codes.
 *
 * @param {Values} values
 * @param {number} now Unix ms
 * @returns {{terms: any, codes: any, pasted: string[], problems: Problems}} good if there are no problems
 */
export function discountTerms(values, now) {
  /** @type {Problems} */
  const problems = {};
  const quota = whole(values.quota, 1, QUOTA_MAX);
  if (quota === undefined) problems.quota = "wrong_quota";
  const per_viewer = whole(values.per_viewer, 1, 100);
  if (per_viewer === undefined) problems.per_viewer = "wrong_per_viewer";
  const use_before = values.use === "at" ? fromLocalTime(values.use_before) : undefined;
  if (values.use === "at" && (use_before === undefined || use_before <= now)) problems.use_before = "wrong_time";
  const gate_ms = values.gate ? duration(values.gate_minutes, "min", 1000, DAY_MS) : undefined;
  if (values.gate && gate_ms === undefined) problems.gate_minutes = "wrong_number";
  const link = String(values.link ?? "").trim();
  if (link !== "" && !isLink(link)) problems.link = "wrong_link";
  const pasted = values.source === "pasted" ? codesOf(String(values.pasted ?? "")) : [];
  if (pasted.some((code) => countCharacters(code) > 64)) problems.pasted = "wrong_code";
  const terms = {
    title: text(values, "title", 60, problems),
    off: off(values, problems),
    ...(values.all_items ? {} : { items: text(values, "items", 200, problems) }),
    quota,
    ...(per_viewer === 1 ? {} : { per_viewer }),
    closes: closes(values, now, problems),
    ...(use_before === undefined ? {} : { use_before }),
    ...(gate_ms === undefined ? {} : { gate: { watched: { ms: gate_ms } } }),
    who: whoCounts(values, problems),
    ...(link === "" ? {} : { link }),
  };
  return { terms, codes: codeSource(values, problems), pasted, problems };
}

/** Blocked words from a field: one a line, or with commas. @param {string} field */
export function wordsOf(field) {
  return [...new Set(field.split(/[\n,，、]/).map((word) => word.trim()).filter((word) => word !== ""))];
}

/** Tags from a field: with blanks, commas or `#`. @param {string} field */
export function tagsOf(field) {
  return [...new Set(field.split(/[\s,，、#＃]+/).filter((tag) => tag !== ""))];
}
