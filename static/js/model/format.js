// @ts-check
/** Numbers, money, times and discounts as the language writes them. */

import { locale, language, t } from "./strings.js";

/** @typedef {import("../types.js").Off} Off */

/** A whole number: `1,204`. @param {number} n */
export function number(n) {
  return new Intl.NumberFormat(locale()).format(n);
}

/** A number for a small place: `1.2K`, `1.2万`. @param {number} n */
export function compact(n) {
  if (n < 10_000) return number(n);
  return new Intl.NumberFormat(locale(), { notation: "compact", maximumFractionDigits: 1 }).format(n);
}

/**
 * An amount in minor units: 500 of CNY is `¥5`, 550 is `¥5.50`.
 *
 * @param {number} minor
 * @param {string} currency ISO 4217
 */
export function money(minor, currency) {
  try {
    /** @type {Intl.NumberFormatOptions} */
    const style = { style: "currency", currency, currencyDisplay: "narrowSymbol" };
    const digits = new Intl.NumberFormat(locale(), style).resolvedOptions().maximumFractionDigits || 0;
    const major = minor / 10 ** digits;
    const least = Number.isInteger(major) ? 0 : digits;
    const rounded = { ...style, minimumFractionDigits: least, maximumFractionDigits: digits };
    return new Intl.NumberFormat(locale(), rounded).format(major);
  } catch {
    // three letters that are no currency here
    return `${number(minor / 100)} ${currency}`;
  }
}

/**
 * How much off: `15% off`, `¥5 off`; in Chinese what is left to pay in tenths, `8.5折`, or `立减¥5`.
 *
 * @param {Off} off
 */
export function off(off) {
  if ("amount" in off) return t("off_amount", { amount: money(off.amount.minor, off.amount.currency) });
  if (off.percent === 100) return t("off_free");
  if (language() === "zh") return t("off_percent", { n: (100 - off.percent) / 10 });
  return t("off_percent", { n: off.percent });
}

/**
 * A countdown or a running time: `0:05`, `12:40`, `1:02:03`, `3 days 01:02:03`. Never negative.
 *
 * @param {number} ms
 * @param {"up" | "down"} [rounding] a countdown shows the second that has begun (up), a running time the one that is over (down)
 */
export function clock(ms, rounding = "down") {
  const seconds = Math.max(0, rounding === "up" ? Math.ceil(ms / 1000) : Math.floor(ms / 1000));
  const days = Math.floor(seconds / 86_400);
  const hours = Math.floor(seconds / 3600) % 24;
  const minutes = Math.floor(seconds / 60) % 60;
  /** @param {number} part */
  const two = (part) => String(part).padStart(2, "0");
  const tail = `${two(minutes)}:${two(seconds % 60)}`;
  if (days) return `${unit(days, "day")} ${two(hours)}:${tail}`;
  if (hours) return `${hours}:${tail}`;
  return `${minutes}:${two(seconds % 60)}`;
}

/** A length of time in words, rounded down as `clock` does it, seconds only while they matter: `2 h 5 min`, `1 min 42 sec`, `48 小时`. @param {number} ms */
export function duration(ms) {
  const seconds = Math.floor(Math.max(0, ms) / 1000);
  if (seconds < 60) return unit(seconds, "second");
  if (seconds < 600 && seconds % 60) return `${unit(Math.floor(seconds / 60), "minute")} ${unit(seconds % 60, "second")}`;
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (!hours) return unit(minutes, "minute");
  return minutes % 60 ? `${unit(hours, "hour")} ${unit(minutes % 60, "minute")}` : unit(hours, "hour");
}

/** @param {number} n @param {"second" | "minute" | "hour" | "day"} of */
function unit(n, of) {
  return new Intl.NumberFormat(locale(), { style: "unit", unit: of, unitDisplay: of === "day" ? "long" : "short" }).format(n);
}

/** A time of day, with the date where it is another day: `20:00`, `Sat, 3 May, 20:00`. @param {number} at @param {number} now */
export function time(at, now) {
  const today = new Date(at).toDateString() === new Date(now).toDateString();
  const clockOnly = { hour: "2-digit", minute: "2-digit" };
  const whole = { weekday: "short", month: "short", day: "numeric", ...clockOnly };
  return new Intl.DateTimeFormat(locale(), /** @type {any} */ (today ? clockOnly : whole)).format(at);
}

/** A date in full: `Saturday, 3 May 2026 at 20:00`. @param {number} at */
export function date(at) {
  const style = { weekday: "long", year: "numeric", month: "long", day: "numeric", hour: "2-digit", minute: "2-digit" };
  return new Intl.DateTimeFormat(locale(), /** @type {any} */ (style)).format(at);
}

/** A share with its parts: `17.1 % (1,204 of 7,000)`; every ratio names both. @param {number} part @param {number} whole */
export function share(part, whole) {
  if (!whole) return "–";
  return new Intl.NumberFormat(locale(), { style: "percent", maximumFractionDigits: 1 }).format(part / whole);
}
