// @ts-check
// The control page begins: who is this device, then the desk and its parts.

import { locale, refusal, t, translate } from "../model/strings.js";
import { Api, paths } from "./api.js";
import { button } from "./controls.js";
import { Desk } from "./desk.js";
import { openHelp } from "./help.js";
import { ControlNotices } from "./notices.js";
import { ControlNumbers } from "./numbers.js";
import { ControlPreview } from "./preview.js";
import { h, render } from "./render.js";
import { ControlRun } from "./run.js";
import { next, whyNot } from "./run-of-show.js";
import { clearCode, codeIn, keepStaffToken, preference, prefer, roomOf, roomToken } from "./session.js";
import { openShare } from "./share.js";
import { sheetOpen } from "./sheet.js";
import { FIELD, PRESSABLE, meaning, typedNumber } from "./shortcuts.js";
import { ControlStrip } from "./strip.js";
import { ControlTalk } from "./talk.js";
import "./strings.js";

customElements.define("control-strip", ControlStrip);
customElements.define("control-preview", ControlPreview);
customElements.define("control-run", ControlRun);
customElements.define("control-talk", ControlTalk);
customElements.define("control-numbers", ControlNumbers);
customElements.define("control-notices", ControlNotices);

const TABS = /** @type {const} */ (["talk", "run", "preview", "numbers"]);
/** Redeemed counts are no part of the feed: they are read this often while the page is looked at. */
const RESULTS_MS = 15_000;

const room = roomOf(location.pathname);
const gate = /** @type {HTMLElement} */ (document.getElementById("gate"));
const page = /** @type {HTMLElement} */ (document.getElementById("desk"));

begin();

function begin() {
  // an invitation opened in this very tab
  window.addEventListener("hashchange", () => codeIn(location.hash, "invite") && location.reload());
  document.documentElement.lang = locale();
  translate(document);
  // what stood here for browsers without scripts
  gate.replaceChildren();
  const code = codeIn(location.hash, "invite");
  if (code) askToJoin(code);
  else if (roomToken(room)) openDesk();
  else showGate(t("gate_title"), [t("gate_no_token"), t("gate_how")]);
}

/** @param {string} title @param {string[]} words @param {...any} more */
function showGate(title, words, ...more) {
  gate.hidden = false;
  page.hidden = true;
  render(gate, h("div", { class: "panel gate__panel" },
    h("h1", null, title),
    words.map((one) => h("p", { key: one }, one)),
    more));
}

/** An invitation is taken up by a press, so that a page that only looks at the link does not use it up.
 *  @param {string} code @param {string} [problem] */
function askToJoin(code, problem) {
  const join = async () => {
    try {
      const joined = await new Api(() => undefined).send(paths(room).accept, { code });
      keepStaffToken(room, joined.token);
      clearCode();
      gate.hidden = true;
      openDesk();
    } catch (failed) {
      askToJoin(code, refusal(/** @type {any} */ (failed).code));
    }
  };
  const instead = roomToken(room) ? button(t("gate_with_mine"), () => {
    clearCode();
    gate.hidden = true;
    openDesk();
  }, { small: false }) : null;
  showGate(t("invited_title"), [t("invited_what")],
    h("div", { role: "alert", key: "alert" }, problem ? h("p", { class: "note note--bad" }, problem) : null),
    h("div", { class: "actions", key: "actions" }, instead, button(t("invited_join"), join, { kind: "main", small: false })));
}

function openDesk() {
  const desk = new Desk(room);
  for (const part of page.querySelectorAll("[data-part]")) /** @type {any} */ (part).desk = desk;
  desk.watch(() => paint(desk));
  if (location.hash === "#new") {
    clearCode();
    const unwatch = desk.watch(() => {
      if (!desk.ready) return;
      unwatch();
      openShare(desk, true);
    });
  }
  desk.start();
  listenForKeys(desk);
  setInterval(() => readResults(desk), RESULTS_MS);
  paint(desk);
}

/** @param {Desk} desk */
function paint(desk) {
  const { standing } = desk.connection;
  if (!desk.ready && standing.phase === "closed") return showClosed(desk, standing.why ?? "closed");
  if (!desk.ready && standing.why === "parked") return showGate(t("parked_title"), [t("parked")]);
  if (!desk.ready) return showGate(t(standing.phase === "connecting" ? "connecting" : "reconnecting"), []);
  gate.hidden = true;
  // what was painted while hidden had no size
  if (page.hidden) desk.touch(true);
  page.hidden = false;
  const { title } = desk.stage.show.details;
  document.title = `${t(`air_${desk.stage.show.state === "live" ? "on_air" : "control"}`)} · ${title}`;
  paintTabs(desk);
}

/** @param {Desk} desk @param {string} why */
function showClosed(desk, why) {
  const useless = why === "removed" || why === "not_allowed";
  if (useless) keepStaffToken(room, undefined);
  showGate(t("gate_title"), [t(`line_${why}`), useless ? t("gate_how") : ""].filter(Boolean),
    h("div", { class: "actions", key: "actions" }, button(t("retry"), () => desk.connection.retry(), { kind: "main", small: false })));
}

/** On a phone one part at a time. @param {Desk} desk */
function paintTabs(desk) {
  const tab = preference("tab") ?? "talk";
  page.dataset.tab = tab;
  const nav = /** @type {HTMLElement} */ (document.getElementById("tabs"));
  const words = { talk: t("comments"), run: t("tab_run"), preview: t("tab_preview"), numbers: t("numbers") };
  render(nav, TABS.map((one) => h("button", {
    key: one,
    type: "button",
    class: "tab",
    "aria-pressed": String(one === tab),
    onclick: () => {
      prefer("tab", one);
      desk.paint();
    },
  }, words[one], one === "talk" && desk.flow.unseen ? h("span", { class: "tab__n numbers" }, String(desk.flow.unseen)) : null)));
}

/** @param {Desk} desk */
async function readResults(desk) {
  if (document.visibilityState === "hidden" || !desk.ready || !desk.connected) return;
  if (!desk.rows.some((row) => row.what === "discount" && row.phase !== "prepared")) return;
  try {
    const { summary } = await desk.api.read(paths(room).results);
    desk.redeemed = new Map(summary.discounts.map((/** @type {any} */ one) => [one.id, one.redeemed]));
    desk.touch();
  } catch {
    // the next reading tells; nothing waits for these numbers
  }
}

/** @param {Desk} desk */
function listenForKeys(desk) {
  /** @type {{number: number, at: number} | undefined} */
  let typed;
  const talk = /** @type {ControlTalk} */ (page.querySelector("control-talk"));
  document.addEventListener("keydown", (press) => {
    if (!desk.ready) return;
    const focused = document.activeElement;
    const does = meaning(press, {
      on: desk.shortcuts,
      typing: focused?.matches(FIELD) ?? false,
      dialog: sheetOpen(),
      pressable: focused?.matches(PRESSABLE) ?? false,
      cue: desk.line.cue !== undefined,
      selected: desk.selected !== undefined,
      comment: talk.chosen !== undefined,
    });
    if (!does) return;
    press.preventDefault();
    if (does.act === "select") {
      const at = performance.now();
      const number = typedNumber(typed, does.digit ?? 0, at, desk.rows.length);
      typed = { number, at };
      const row = desk.rows.find((one) => one.no === number);
      if (row) choose(desk, row);
    } else act(desk, talk, does.act);
  });
}

/** @param {Desk} desk @param {import("./run-of-show.js").Row} row */
function choose(desk, row) {
  desk.select(row);
  desk.paint();
  page.querySelector(`[data-row="${row.what}:${row.id}"]`)?.scrollIntoView({ block: "nearest" });
}

/** @param {Desk} desk @param {ControlTalk} talk @param {string} what */
function act(desk, talk, what) {
  const comment = talk.chosen;
  /** @type {Record<string, () => void>} */
  const acts = {
    fire: () => fireSelected(desk),
    stop: () => {
      if (desk.line.stop() === undefined) desk.selected = undefined;
      desk.paint();
    },
    next: () => {
      const row = next(desk.rows);
      if (row) choose(desk, row);
    },
    comments: () => talk.enter(),
    write: () => document.getElementById("say")?.focus(),
    hold: () => {
      if (desk.flow.isHeldBy("button")) talk.follow();
      else desk.flow.hold("button", true);
      desk.paint();
    },
    undo: () => desk.undo(),
    help: () => openHelp(desk),
    delete: () => comment && desk.remove(comment),
    delete_all: () => comment && desk.removeAll(comment),
    mute: () => comment && desk.mute(comment),
    pin: () => comment && desk.pin(comment),
  };
  acts[what]?.();
}

/** @param {Desk} desk */
function fireSelected(desk) {
  const row = desk.rows.find((one) => desk.isSelected(one));
  if (!row || !desk.may("actions")) return;
  const why = whyNot(row, desk.backstage);
  if (why) desk.tell(t(`why_${why}`), { kind: "bad", ms: 4000 });
  else if (!desk.isGoingOut(row)) desk.fire(row);
}
