// @ts-check
/** Verify: recomputes a draw on this device from its public record, and looks for my own entry in it. */

import { h, icon } from "../dom.js";
import { number } from "../model/format.js";
import { Unfit, holdsEntry, holdsReceipt, verify } from "../model/fair.js";
import { t } from "../model/strings.js";
import { announce } from "./announce.js";
import { openSheet } from "./sheet.js";

/** @typedef {import("../types.js").DrawCard} DrawCard */
/** @typedef {import("../types.js").EntryReceipt} EntryReceipt */
/** @typedef {import("../viewer/app.js").App} App */

/**
 * @typedef {object} Check one line of the outcome
 * @property {boolean} good
 * @property {string} words
 * @property {string} [detail]
 */

/** Steps that a mismatch leaves open: what stands before it in the order of checking has held. */
const ORDER = ["root", "commitment", "winners"];

/**
 * Checks a transcript against what this page was shown.
 *
 * @param {any} transcript
 * @param {DrawCard} card
 * @param {EntryReceipt | undefined} entry mine
 * @param {string | null} viewer
 * @returns {Check[]}
 */
export function checks(transcript, card, entry, viewer) {
  const { revealed } = card.phase;
  const shown = revealed ? revealed.winners.map((winner) => winner.entry) : [];
  /** @type {string | null} */
  let wrong = null;
  let found = "";
  try {
    const proof = verify(transcript, { commitment: card.commitment, root: revealed && revealed.root });
    found = inWords(proof.holders);
    const same = proof.holders.slice(0, shown.length).join() === shown.join();
    if (!same || proof.holders.length !== revealed?.won) wrong = "winners";
  } catch (error) {
    wrong = error instanceof Unfit ? error.mismatch : "shape";
  }
  const at = wrong === null ? ORDER.length : Math.max(0, ORDER.indexOf(wrong));
  const rows = [
    { good: at > 0, words: t("verify_root"), detail: `${t("entries_n", { n: revealed ? revealed.count : 0 })} · ${revealed ? revealed.root : ""}` },
    { good: at > 1, words: t("verify_commitment"), detail: card.commitment },
    { good: at > 2, words: t("verify_winners"), detail: found || inWords(shown) },
  ];
  if (entry) rows.push(mine(transcript, entry, viewer));
  return rows;
}

/** Entries' numbers, the first fifty. @param {number[]} entries */
function inWords(entries) {
  const named = entries.slice(0, 50).map((one) => `#${number(one)}`).join(", ");
  return entries.length > 50 ? `${named} … ${t("and_more", { n: entries.length - 50 })}` : named;
}

/** @param {any} transcript @param {EntryReceipt} entry @param {string | null} viewer @returns {{good: boolean, words: string, detail: string}} */
function mine(transcript, entry, viewer) {
  let good = false;
  try {
    good = viewer ? holdsEntry(transcript, entry, viewer) : holdsReceipt(transcript, entry);
  } catch {
    // a record of another shape does not hold it
  }
  return { good, words: t(good ? "verify_mine" : "verify_mine_missing", { n: entry.number }), detail: entry.hash };
}

/** @param {App} app @param {DrawCard} card @param {EntryReceipt | undefined} entry */
export async function openVerify(app, card, entry) {
  const outcome = h("p", { class: "note", role: "status", text: t("verifying") });
  const rows = h("ul", { class: "verify__rows" });
  const address = `/api/v1/rooms/${encodeURIComponent(app.roomId)}/draws/${encodeURIComponent(card.id)}/transcript`;
  const record = h("a", { class: "button", href: address, download: `draw-${card.id}.json`, text: t("verify_transcript") });
  const words = h("p", { class: "field__hint", text: t("verify_proves") });
  openSheet(t("verify_title"), [h("div", { class: "verify" }, outcome, rows, words, record)]);
  let transcript;
  try {
    const response = await fetch(address);
    if (!response.ok) throw new Error(String(response.status));
    transcript = await response.json();
  } catch {
    tell(outcome, false, t("verify_failed"));
    return;
  }
  // The words are painted before the work begins.
  await new Promise((resolve) => setTimeout(resolve, 50));
  const all = checks(transcript, card, entry, app.room.viewer);
  const good = all.every((one) => one.good);
  tell(outcome, good, t(good ? "verify_good" : "verify_bad"));
  outcome.dataset.outcome = good ? "good" : "bad";
  rows.replaceChildren(...all.map(row));
  if (!entry) rows.append(h("li", { class: "field__hint", text: t("verify_not_in") }));
}

/** @param {Check} check */
function row({ good, words, detail }) {
  const mark = h("span", { class: `badge badge--${good ? "good" : "bad"}` }, icon(good ? "check" : "close"));
  return h("li", { class: "verify__row" }, mark, h("strong", { text: words }), detail ? h("samp", { text: detail }) : null);
}

/** @param {HTMLElement} outcome @param {boolean} good @param {string} words */
function tell(outcome, good, words) {
  outcome.className = `note note--${good ? "good" : "bad"} verify__outcome`;
  outcome.replaceChildren(icon(good ? "check" : "close"), words);
  announce(words);
}
