// @ts-check
// Something read over REST for a dialog: it is there, on its way, or could not be had.

import { refusal, t } from "../model/strings.js";
import { button } from "./controls.js";
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

/** A table that scrolls inside itself. @param {string} label @param {string[]} heads @param {any[]} rows */
export function table(label, heads, rows) {
  return h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": label },
    h("table", { class: "table" },
      h("thead", null, h("tr", null, heads.map((head, index) => h("th", { scope: "col", key: index }, head)))),
      h("tbody", null, rows)));
}
