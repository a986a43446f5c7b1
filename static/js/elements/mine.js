// @ts-check
/** My codes and prizes: what I claimed, what I won and what winners are asked for, which draws I entered. */

import { h } from "../dom.js";
import { date, off, time } from "../model/format.js";
import { refusal, t } from "../model/strings.js";
import { announce } from "./announce.js";
import { copyRow } from "./copy.js";
import { storeLink, useBefore } from "./discount-card.js";
import { openSheet } from "./sheet.js";

/** @typedef {import("../viewer/app.js").App} App */
/** @typedef {import("../types.js").MyClaim} MyClaim */
/** @typedef {import("../types.js").MyWin} MyWin */
/** @typedef {import("../types.js").Ask} Ask */

/** How phones fill in what is asked. @type {Record<Ask, Record<string, string>>} */
const FILL = {
  name: { autocomplete: "name" },
  phone: { autocomplete: "tel", type: "tel" },
  address: { autocomplete: "street-address" },
  email: { autocomplete: "email", type: "email" },
  note: {},
};
const FIELD_MAX = 200;

/** Whether a code can still be used. @param {App} app @param {MyClaim} claim */
export function isExpired(app, claim) {
  const now = app.clock.now();
  const show = app.room.stage?.show;
  if (claim.use_before && claim.use_before <= now) return true;
  return show?.state === "ended" && now >= (show.redeem_until || 0);
}

/** What waits for me: codes that can be used and prizes to claim. @param {App} app */
export function waitingCount(app) {
  const { claims = [], wins = [] } = app.room.mine;
  const now = app.clock.now();
  const usable = claims.filter((claim) => !claim.used && !isExpired(app, claim)).length;
  return usable + wins.filter((win) => !win.claimed && !win.redrawn && win.claim_until > now).length;
}

/**
 * The sheet. `refresh` is called when the state changes: it draws anew, but not while a form is being filled in.
 *
 * @param {App} app
 * @param {() => void} closed
 * @returns {{refresh: () => void}}
 */
export function openMine(app, closed) {
  const holder = h("div");
  let shown = "";
  const refresh = () => {
    const { claims = [], wins = [], entries = [] } = app.room.mine;
    const expired = claims.map((claim) => isExpired(app, claim));
    const phases = app.room.stage?.draws.map((draw) => Object.keys(draw.phase)[0]);
    const key = JSON.stringify([claims, wins, entries, expired, phases, app.presses.all]);
    if (key === shown) return;
    if (shown && holder.querySelector("form")?.contains(document.activeElement)) return;
    shown = key;
    holder.replaceChildren(...content(app), keepButton(app));
  };
  refresh();
  openSheet(t("my_codes"), [holder], closed);
  return { refresh };
}

/** Opens what few need, loaded when it is pressed. @param {App} app @param {string | null} [code] */
export async function keep(app, code) {
  const { openKeep } = await import("./keep.js");
  openKeep(app, code);
}

/** @param {App} app */
function keepButton(app) {
  return h("button", { class: "button button--wide", type: "button", text: t("keep"), onclick: () => keep(app) });
}

/** @param {App} app @returns {Node[]} */
function content(app) {
  const { claims = [], wins = [], entries = [] } = app.room.mine;
  if (!claims.length && !wins.length && !entries.length) {
    return [h("p", { class: "mine__none", text: t("mine_none") })];
  }
  return [
    ...section(t("mine_prizes"), wins.map((win) => prize(app, win)).reverse()),
    ...section(t("mine_codes"), claims.map((claim) => code(app, claim)).reverse()),
    ...section(t("mine_entries"), entries.map((entry) => entered(app, entry)).reverse()),
  ];
}

/** @param {string} title @param {Node[]} rows @returns {Node[]} */
function section(title, rows) {
  if (!rows.length) return [];
  return [h("h3", { class: "mine__title", text: title }), h("ul", { class: "mine__list" }, ...rows)];
}

/** @param {App} app @param {MyClaim} claim */
function code(app, claim) {
  const over = isExpired(app, claim);
  const mark = claim.used
    ? h("span", { class: "badge badge--good", text: t("used") })
    : over && h("span", { class: "badge badge--bad", text: t("expired") });
  const dead = claim.used || over;
  return h(
    "li",
    { class: `ticket${dead ? " ticket--dead" : ""}` },
    h("div", { class: "ticket__head" }, h("strong", { class: "ticket__off", text: off(claim.off) }), h("span", { text: claim.title }), mark),
    h("p", { class: "ticket__line", text: `${claim.items || t("everything")} · ${useBefore(claim, app.clock.now())}` }),
    dead ? h("span", { class: "code", text: claim.code }) : copyRow(claim.code),
    dead || !claim.link ? null : storeLink(claim.link),
  );
}

/** @param {App} app @param {MyWin} win */
function prize(app, win) {
  return h(
    "li",
    { class: "ticket ticket--prize" },
    h("div", { class: "ticket__head" }, h("strong", { class: "ticket__off", text: win.prize })),
    ...prizeState(app, win),
  );
}

/** @param {App} app @param {MyWin} win @returns {Node[]} */
function prizeState(app, win) {
  /** @param {string} text */
  const line = (text) => h("p", { class: "ticket__line", text });
  if (win.redrawn) return [line(t("prize_redrawn"))];
  if (win.claimed && win.code) return [line(t("prize_code")), copyRow(win.code)];
  const late = win.claim_until <= app.clock.now();
  if (late) return [line(t(win.claimed ? "prize_claimed" : "prize_late"))];
  const until = line(t("claim_prize_until", { time: date(win.claim_until) }));
  if (!win.ask || !win.ask.length) return [until, getCode(app, win)];
  if (!win.claimed || app.presses.find(prizeKey(win))) return [until, form(app, win)];
  const change = h("button", { class: "button button--small", type: "button", text: t("prize_change") });
  change.addEventListener("click", () => change.replaceWith(form(app, win)));
  return [line(t("prize_claimed")), change];
}

/** @param {App} app @param {MyWin} win */
function getCode(app, win) {
  const error = h("p", { class: "field__error", role: "alert" });
  const button = h("button", { class: "button button--main button--wide", type: "button", text: t("prize_get_code") });
  showPress(app, win, button, error);
  button.addEventListener("click", () => send(app, win, {}, button, error));
  return h("div", {}, button, error);
}

/** @param {App} app @param {MyWin} win */
function form(app, win) {
  const asks = win.ask || [];
  const sent = app.presses.find(prizeKey(win))?.args.contact || {};
  const inputs = asks.map((ask) => h("input", { class: "input", maxlength: FIELD_MAX, name: ask, value: sent[ask], ...FILL[ask] }));
  const error = h("p", { class: "field__error", role: "alert" });
  const button = h("button", { class: "button button--main button--wide", type: "submit", text: t("prize_send") });
  showPress(app, win, button, error);
  const fields = asks.map((ask, i) => h("label", { class: "field" }, h("span", { class: "field__label", text: t(`ask_${ask}`) }), inputs[i]));
  const readers = win.readers ? h("p", { class: "field__hint", text: t("readers", { who: win.readers }) }) : null;
  const element = h("form", { class: "prize-form", novalidate: true }, ...fields, readers, error, button);
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    const empty = inputs.find((input) => input.name !== "note" && input.value.trim() === "");
    for (const input of inputs) input.setAttribute("aria-invalid", String(input === empty));
    if (empty) {
      error.textContent = t("fill_in");
      empty.after(error);
      empty.focus();
      return;
    }
    /** @type {Record<string, string>} */
    const contact = {};
    for (const input of inputs) if (input.value.trim()) contact[input.name] = input.value.trim();
    button.before(error);
    button.focus();
    send(app, win, contact, button, error);
  });
  return element;
}

/** @param {App} app @param {MyWin} win @param {Record<string, string>} contact @param {HTMLButtonElement} button @param {HTMLElement} error */
async function send(app, win, contact, button, error) {
  const asked = app.press(prizeKey(win), "claim_prize", { draw: win.draw, contact });
  showPress(app, win, button, error);
  if (await asked) announce(t("prize_claimed"));
  showPress(app, win, button, error);
}

/** A prize's name among the presses. @param {MyWin} win */
function prizeKey(win) {
  return `prize ${win.draw}`;
}

/** Whether it is on its way, and why not. @param {App} app @param {MyWin} win @param {HTMLButtonElement} button @param {HTMLElement} error */
function showPress(app, win, button, error) {
  const why = app.presses.why(prizeKey(win));
  button.disabled = app.presses.isWaiting(prizeKey(win));
  error.textContent = why && refusal(why);
}

/** @param {App} app @param {import("../types.js").EntryReceipt} entry */
function entered(app, entry) {
  const draw = app.room.stage?.draws.find((one) => one.id === entry.draw);
  return h(
    "li",
    { class: "ticket ticket--entry" },
    h("span", { text: draw ? draw.rules.prize : entry.draw }),
    h("span", { class: "numbers ticket__line", text: `${t("entry_no", { n: entry.number })}${draw ? ` · ${phaseWords(draw, app)}` : ""}` }),
  );
}

/** @param {import("../types.js").DrawCard} draw @param {App} app */
function phaseWords(draw, app) {
  const { revealed, cancelled, locked } = draw.phase;
  if (cancelled) return t("draw_cancelled", { reason: cancelled.reason });
  if (locked) return t("drawing");
  if (!revealed) return time(draw.closes_at, app.clock.now());
  return (app.room.mine.wins ?? []).some((win) => win.draw === draw.id) ? t("won", { prize: draw.rules.prize }) : t("not_won");
}
