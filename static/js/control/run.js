// @ts-check
// The run of show: what is up, what comes next, and every prepared draw and discount in its place.

import { clock, number, off, time } from "../model/format.js";
import { t } from "../model/strings.js";
import { badge, button, iconButton } from "./controls.js";
import { nameOf } from "./desk.js";
import { openDiscountForm } from "./discount-form.js";
import { openCancelDraw, openDrawForm } from "./draw-form.js";
import { icon } from "./icons.js";
import { Part } from "./part.js";
import { h } from "./render.js";
import { openRedeem } from "./redeem.js";
import { openDiscountResults, openDrawResults } from "./results.js";
import { claims, current, next, whyNot } from "./run-of-show.js";
import { pressOnce } from "./strip.js";

/** @typedef {import("./desk.js").Desk} Desk */
/** @typedef {import("./run-of-show.js").Row} Row */

export class ControlRun extends Part {
  /** @override @param {Desk} desk */
  describe(desk) {
    const all = desk.rows;
    return [
      h("header", { class: "part__head" },
        h("h2", { class: "part__title" }, t("run_of_show")),
        desk.may("actions") && desk.stage.show.state !== "ended" ? h("div", { class: "part__tools" },
          button(t("new_draw"), () => openDrawForm(desk), { icon: "plus" }),
          button(t("new_discount"), () => openDiscountForm(desk), { icon: "plus" }),
          button(t("redeem"), () => openRedeem(desk), { kind: "quiet" })) : null),
      h("div", { class: "now" }, nowLine(desk, all), nextLine(desk, all)),
      h("ol", { class: "rows", "aria-label": t("run_of_show") }, all.map((row) => rowItem(desk, row))),
      all.length === 0 ? h("p", { class: "empty", key: "empty" }, t("run_empty")) : null,
    ];
  }
}

/** What is up: always the same height, so that nothing below it moves. @param {Desk} desk @param {Row[]} all */
function nowLine(desk, all) {
  const up = current(all);
  const first = up[0];
  return h("div", { class: `now__line${first ? " now__line--up" : ""}`, key: "now" },
    h("span", { class: "now__label" }, t("now_up")),
    first ? [
      h("strong", { class: "now__what", key: "what" }, nameOf(first)),
      h("span", { class: "now__numbers numbers", key: "numbers" }, moving(desk, first)),
      h("span", { class: "now__time countdown", role: "timer", key: "time" }, countdown(desk, first)),
      up.length > 1 ? h("span", { class: "now__more", key: "more" }, t("and_more", { n: up.length - 1 })) : null,
    ] : h("span", { class: "now__none" }, t("now_nothing")));
}

/** @param {Desk} desk @param {Row[]} all */
function nextLine(desk, all) {
  const row = next(all);
  return h("div", { class: "now__line", key: "next" },
    h("span", { class: "now__label" }, t("now_next")),
    row ? [
      h("strong", { class: "now__what", key: "what" }, `${row.no} · ${nameOf(row)}`),
      h("span", { class: "now__numbers", key: "numbers" }, summaryOf(row)),
      desk.may("actions") ? fireButton(desk, row, "now__fire") : null,
    ] : h("span", { class: "now__none" }, t("next_nothing")));
}

/** The button that opens a row; on its way out it stops it. @param {Desk} desk @param {Row} row @param {string} [more] */
function fireButton(desk, row, more = "") {
  const going = desk.isGoingOut(row);
  const why = whyNot(row, desk.backstage);
  return h("button", {
    key: "fire",
    type: "button",
    class: `button button--small ${going ? "button--danger is-going" : "button--main"} ${more}`,
    disabled: why !== undefined && !going,
    title: why ? t(`why_${why}`) : undefined,
    "aria-label": `${going ? t("stop") : t("open")}: ${nameOf(row)}`,
    onclick: () => pressOnce(desk, going, () => {
      desk.select(row);
      desk.fire(row);
    }),
  }, going ? t("stop") : t("open"), going ? h("span", { class: "going", "aria-hidden": "true" }) : null);
}

/** @param {Desk} desk @param {Row} row */
function rowItem(desk, row) {
  const going = desk.isGoingOut(row);
  const selected = desk.isSelected(row);
  return h("li", {
    key: `${row.what}:${row.id}`,
    class: `row row--${row.phase}${selected ? " is-selected" : ""}${going ? " is-going" : ""}`,
    "aria-current": selected ? "true" : undefined,
    "data-row": `${row.what}:${row.id}`,
  },
    h("span", { class: "row__no numbers", "aria-hidden": "true" }, String(row.no)),
    h("span", { class: "row__icon" }, icon(row.what === "draw" ? "gift" : "ticket")),
    h("div", { class: "row__words" },
      h("p", { class: "row__name" }, h("span", { class: "row__title" }, nameOf(row)), phaseBadge(row)),
      h("p", { class: "row__more numbers" }, going ? t("goes_out") : row.phase === "prepared" ? preparedLine(desk, row, selected) : moving(desk, row))),
    h("div", { class: "row__time countdown", role: "timer" }, countdown(desk, row)),
    h("div", { class: "row__tools" }, tools(desk, row)));
}

/** @param {Row} row */
function phaseBadge(row) {
  if (row.phase === "prepared") return null;
  const kind = row.phase === "open" ? "live" : row.phase === "locked" ? "warn" : row.phase === "revealed" ? "good" : "";
  const word = row.phase === "closed" && row.card?.closed ? t(`closed_${row.card.closed}`) : t(`phase_${row.phase}`);
  return badge(word, kind);
}

/** @param {Desk} desk @param {Row} row @param {boolean} selected */
function preparedLine(desk, row, selected) {
  const why = whyNot(row, desk.backstage);
  if (selected && !why) return t("enter_opens", { what: summaryOf(row) });
  return why && why !== "not_live" ? `${summaryOf(row)} · ${t(`why_${why}`)}` : summaryOf(row);
}

/** What was prepared, in one line. @param {Row} row @returns {string} */
function summaryOf(row) {
  if (row.what === "draw") {
    const { rules } = row.prepared;
    return [t("winners_n", { n: rules.winners }), eligibilityOf(rules.eligibility), clock(rules.open_ms)].join(" · ");
  }
  const { terms, source, codes } = row.prepared;
  const from = source === "pasted" ? t("codes_pasted", { n: codes ?? 0, quota: number(terms.quota) }) : t(`codes_${source}`);
  return [off(terms.off), t("quota_n", { n: terms.quota }), from, windowOf(terms.closes)].join(" · ");
}

/** @param {import("../types.js").Closes} closes */
function windowOf(closes) {
  if (closes === "with_show") return t("with_show");
  return "after_ms" in closes ? clock(closes.after_ms) : time(closes.at, Date.now());
}

/** @param {import("../types.js").Eligibility} eligibility */
export function eligibilityOf(eligibility) {
  if ("phrase" in eligibility) return t("for_phrase", { phrase: eligibility.phrase.phrase });
  if ("watched" in eligibility) return t("for_watched", { n: Math.round(eligibility.watched.ms / 60_000) });
  return t("for_present");
}

/** The numbers of a row that was opened, as they move. @param {Desk} desk @param {Row} row @returns {string} */
function moving(desk, row) {
  if (row.what === "discount") {
    const { claimed, redeemed, quota } = claims(row, desk.stage.totals);
    const used = desk.redeemed.get(row.id) ?? redeemed ?? 0;
    const told = t("claimed_short", { n: claimed, quota: number(quota) });
    return row.phase === "open" && !used ? told : `${told} · ${t("redeemed_short", { n: used, claimed: number(claimed) })}`;
  }
  if (row.phase === "cancelled") return row.card?.phase.cancelled?.reason ?? t("phase_cancelled");
  const revealed = row.card?.phase.revealed;
  const entries = revealed?.count ?? row.card?.entries ?? row.summary?.entries ?? 0;
  // those present enter at the lock, all at once
  if (row.phase === "open" && row.card && "present" in row.card.rules.eligibility) return t("for_present");
  if (row.phase !== "revealed") return t("entered_n", { n: entries });
  const won = revealed?.won ?? row.summary?.won ?? 0;
  if (won === 0) return t("no_entries");
  const claimed = desk.tally.prizes.get(row.id) ?? row.summary?.claimed ?? 0;
  const told = [t("entered_n", { n: entries }), t("prizes_of", { n: claimed, winners: number(won) })];
  if (revealed && claimed < won) told.push(prizesUntil(desk, revealed.claim_until));
  return told.join(" · ");
}

/** Until when winners may claim. @param {Desk} desk @param {number} until */
function prizesUntil(desk, until) {
  return until > desk.now ? t("until", { time: time(until, desk.now) }) : t("prize_late");
}

/** @param {Desk} desk @param {Row} row */
function countdown(desk, row) {
  if (row.phase === "open") return row.card.closes_at ? clock(row.card.closes_at - desk.now, "up") : "";
  if (row.phase === "locked") return t("drawing");
  return "";
}

/** @param {Desk} desk @param {Row} row */
function tools(desk, row) {
  const may = desk.may("actions");
  const name = nameOf(row);
  const results = row.what === "draw" ? () => openDrawResults(desk, row.id) : () => openDiscountResults(desk, row.id);
  if (row.phase === "prepared") {
    if (!may) return null;
    const ended = desk.stage.show.state === "ended";
    return [
      iconButton("edit", `${t("edit")}: ${name}`, () => (row.what === "draw" ? openDrawForm(desk, row.prepared) : openDiscountForm(desk, row.prepared)), { key: "edit", disabled: ended }),
      iconButton("trash", `${t("remove")}: ${name}`, () => remove(desk, row), { key: "remove", disabled: ended || desk.isGoingOut(row) }),
      fireButton(desk, row),
    ];
  }
  if (row.what === "discount") {
    return [
      button(t("claims"), results, { key: "results", name: `${t("claims")}: ${name}` }),
      may && row.phase === "open" ? button(t("close_it"), () => desk.ask("close_discount", { discount: row.id }, t("close_what", { what: name })), { key: "close", name: `${t("close_it")}: ${name}` }) : null,
    ];
  }
  if (row.phase === "open") {
    return [
      may ? button(t("cancel_it"), () => openCancelDraw(desk, row), { key: "cancel", kind: "quiet", name: `${t("cancel_it")}: ${name}` }) : null,
      may ? button(t("lock_now"), () => desk.ask("lock_draw", { draw: row.id }, t("lock_what", { what: name })), { key: "lock", name: `${t("lock_now")}: ${name}` }) : null,
      button(t("entries"), results, { key: "results", kind: "quiet", name: `${t("entries")}: ${name}` }),
    ];
  }
  return row.phase === "locked" ? null : button(t("winners"), results, { key: "results", name: `${t("winners")}: ${name}` });
}

/** Takes a prepared row out; preparing it again under its name brings it back in its place.
 *  @param {Desk} desk @param {Row} row */
async function remove(desk, row) {
  const name = nameOf(row);
  const cmd = row.what === "draw" ? "remove_draw" : "remove_discount";
  const done = await desk.ask(cmd, row.what === "draw" ? { draw: row.id } : { discount: row.id }, t("remove_what", { what: name }));
  if (!done) return;
  const again = row.what === "draw"
    ? () => desk.ask("prepare_draw", { id: row.id, rules: row.prepared.rules }, t("undo_remove", { what: name }))
    : row.prepared.source === "generated"
      ? () => desk.ask("prepare_discount", { id: row.id, terms: row.prepared.terms, codes: { generated: {} } }, t("undo_remove", { what: name }))
      : undefined;
  desk.tell(t("removed", { what: name }), { undo: again && { label: t("undo"), run: again } });
}
