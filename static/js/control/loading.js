// @ts-check
// Something read over REST for a dialog: it is there, on its way, or could not be had.

import { refusal, t } from "../model/strings.js";
import { button } from "./controls.js";
import { number } from "../model/format.js";
import { h } from "./render.js";

/**
 * @template T
 */
export class Loading {
  /** @type {T | undefined} */
  value;
  /** @type {any} */
  problem;

  /** @param {() => Promise<T>} read @param {() => void} changed */
  constructor(read, changed) {
    this.read = read;
    this.changed = changed;
    this.again();
  }

  /** Reads it again; what is there stays until the new one is. */
  async again() {
    try {
      this.value = await this.read();
      this.problem = undefined;
    } catch (problem) {
      this.problem = problem;
    }
    this.changed();
  }

  /** @param {(value: T) => any} describe */
  show(describe) {
    return [
      this.problem ? h("p", { class: "note note--bad", key: "problem", role: "alert" },
        h("span", null, t("could_not_read", { why: refusal(this.problem.code) })), button(t("retry"), () => this.again())) : null,
      this.value === undefined ? (this.problem ? null : h("p", { class: "empty", key: "loading" }, t("loading"))) : h("div", { key: "value" }, describe(this.value)),
    ];
  }
}

/** Rows of a long list that are shown at once: the page stays quick while its numbers move. */
export const PAGE_ROWS = 100;

/**
 * Where one is in a long list, and the way on and back; nothing where all of it fits.
 *
 * @param {number} after rows passed over
 * @param {number} shown
 * @param {number} total
 * @param {(after: number) => void} go
 */
export function pager(after, shown, total, go) {
  if (total <= PAGE_ROWS) return null;
  return h("div", { class: "pager", key: "pager" },
    button(t("page_back"), () => go(Math.max(0, after - PAGE_ROWS)), { disabled: after === 0 }),
    h("span", { class: "pager__words numbers", role: "status" }, t("page_of", { from: number(after + 1), to: number(after + shown), total: number(total) })),
    button(t("page_on"), () => go(after + PAGE_ROWS), { disabled: after + shown >= total }));
}

/** A table that scrolls inside itself. @param {string} label @param {string[]} heads @param {any[]} rows */
export function table(label, heads, rows) {
  return h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": label },
    h("table", { class: "table" },
      h("thead", null, h("tr", null, heads.map((head, index) => h("th", { scope: "col", key: index }, head)))),
      h("tbody", null, rows)));
}
