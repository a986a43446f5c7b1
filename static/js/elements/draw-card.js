// @ts-check
/** A lucky draw: prize, how to take part and how long; then drawing; then the winners, and Verify. */

import { h, patchList, setText } from "../dom.js";
import { clock, duration, time } from "../model/format.js";
import { nonce } from "../model/random.js";
import { refusal, t } from "../model/strings.js";
import { Countdown } from "./countdown.js";

/** @typedef {import("../types.js").DrawCard} DrawCard */
/** @typedef {import("../types.js").Revealed} Revealed */

/** Winners shown on the card. */
const WINNERS_SHOWN = 12;

export class DrawView {
  /** @param {import("../viewer/app.js").App} app @param {string} id @param {() => void} openMine */
  constructor(app, id, openMine) {
    this.app = app;
    this.id = id;
    /** Its name among the presses. */
    this.key = `draw ${id}`;
    /** One nonce for the phrase, however often it is tapped. */
    this.nonce = nonce();
    this.title = h("h3", { class: "card__title card__title--prize" });
    this.how = h("p", { class: "card__items" });
    this.countdown = /** @type {Countdown} */ (document.createElement("hub-countdown"));
    this.countdown.spoken = true;
    this.count = h("p", { class: "card__hint numbers" });
    this.state = h("p", { class: "card__state", role: "status" });
    this.spinner = h("div", { class: "drawing", "aria-hidden": "true" }, h("i"), h("i"), h("i"));
    this.winnersTitle = h("p", { class: "card__hint", "aria-hidden": "true" });
    this.winners = h("ul", { class: "winners" });
    this.winnersPart = h("div", {}, this.winnersTitle, this.winners);
    this.enterButton = h("button", { class: "button button--main button--wide", type: "button", onclick: () => this.enter() });
    this.claimButton = h("button", { class: "button button--main button--wide", type: "button", onclick: openMine });
    this.verifyButton = h("button", { class: "button button--wide", type: "button", onclick: () => this.verify() });
    this.element = h(
      "div",
      { class: "card__body" },
      h("div", { class: "card__top" }, h("div", { class: "card__what" }, this.title, this.how), this.countdown),
      this.state,
      this.spinner,
      this.winnersPart,
      this.count,
      this.enterButton,
      this.claimButton,
      this.verifyButton,
    );
  }

  /** What is said when the card comes. @param {DrawCard} card */
  static announcement(card) {
    return `${t("new_draw", { prize: card.rules.prize })} ${howTo(card)}`;
  }

  /** @param {DrawCard} card */
  update(card) {
    this.card = card;
    const { open, locked, revealed } = card.phase;
    setText(this.title, card.rules.prize);
    this.how.hidden = !open;
    setText(this.how, `${howTo(card)} · ${t("winners_n", { n: card.rules.winners })}`);
    this.countdown.hidden = !open;
    this.countdown.run(card.closes_at, this.app.clock);
    this.spinner.hidden = !locked;
    // those present enter at the lock, all at once: before, there is nothing to count
    this.count.hidden = !(open && !("present" in card.rules.eligibility)) && !revealed;
    const entries = t("entries_n", { n: revealed ? revealed.count : Math.max(card.entries, this.entry ? this.entry.number : 0) });
    const until = revealed && this.win(revealed) ? ` · ${t("claim_prize_until", { time: time(revealed.claim_until, this.app.clock.now()) })}` : "";
    setText(this.count, entries + until);
    setText(this.state, this.words(card));
    this.state.className = `card__state${this.good(card) ? " card__state--good" : ""}`;
    this.state.hidden = this.state.textContent === "";
    this.showWinners(revealed);
    this.showButtons(card);
  }

  get busy() {
    return this.app.presses.isWaiting(this.key);
  }

  get entry() {
    return (this.app.room.mine.entries || []).find((entry) => entry.draw === this.id);
  }

  /** @param {Revealed} revealed */
  win(revealed) {
    const { number, wins = [] } = this.app.room.mine;
    const mine = wins.find((win) => win.draw === this.id && !win.redrawn);
    return mine || revealed.winners.find((winner) => winner.by === number);
  }

  /** @param {DrawCard} card */
  good(card) {
    const { revealed, open } = card.phase;
    return revealed ? this.win(revealed) !== undefined : open !== undefined && this.entry !== undefined;
  }

  /** @param {DrawCard} card */
  words(card) {
    const { open, locked, revealed, cancelled } = card.phase;
    if (cancelled) return t("draw_cancelled", { reason: cancelled.reason });
    if (locked) return `${t("drawing")} ${t("drawing_among", { n: locked.count })}`;
    if (revealed) return this.outcome(revealed);
    const struck = this.entry && (card.struck || []).find((one) => one.entry === this.entry?.number);
    if (struck) return t("struck", { reason: struck.reason });
    const problem = this.app.presses.why(this.key);
    if (problem) return refusal(problem);
    if (this.entry) return t("entered", { n: this.entry.number });
    return open && "present" in card.rules.eligibility ? t("stay") : "";
  }

  /** @param {Revealed} revealed */
  outcome(revealed) {
    if (!revealed.winners.length) return t("no_entries");
    if (this.win(revealed)) return t("won_it");
    return this.entry ? t("not_won") : "";
  }

  /** @param {Revealed | undefined} revealed */
  showWinners(revealed) {
    const all = revealed ? revealed.winners : [];
    this.winnersPart.hidden = !all.length;
    setText(this.winnersTitle, t("the_winners"));
    this.winners.setAttribute("aria-label", t("the_winners"));
    const more = (revealed ? revealed.won : 0) - Math.min(all.length, WINNERS_SHOWN);
    const rows = all.slice(0, WINNERS_SHOWN).map((winner) => ({ key: String(winner.entry), name: winner.name, by: winner.by }));
    if (more > 0) rows.push({ key: "more", name: t("and_more", { n: more }), by: -1 });
    const { number } = this.app.room.mine;
    patchList(this.winners, rows, (row) => row.key, () => h("li", { class: "winner" }), (item, row) => {
      const own = row.by === number;
      setText(item, own ? `${row.name} (${t("you")})` : row.name);
      item.classList.toggle("winner--own", own);
    });
  }

  /** @param {DrawCard} card */
  showButtons(card) {
    const { open, revealed } = card.phase;
    const { eligibility } = card.rules;
    const over = this.app.clock.now() >= card.closes_at;
    const gate = this.gateLeft(card);
    this.enterButton.hidden = !open || this.entry !== undefined || "present" in eligibility;
    this.enterButton.disabled = this.busy || over || gate > 0;
    setText(this.enterButton, this.enterLabel(card, over, gate));
    const win = (this.app.room.mine.wins || []).find((one) => one.draw === this.id && !one.redrawn);
    this.claimButton.hidden = !revealed || !win || win.claimed === true || win.claim_until <= this.app.clock.now();
    setText(this.claimButton, t("won_claim"));
    this.verifyButton.hidden = !revealed || !revealed.count;
    setText(this.verifyButton, t("verify"));
  }

  /** @param {DrawCard} card @param {boolean} over @param {number} gate */
  enterLabel(card, over, gate) {
    const { eligibility } = card.rules;
    if (over) return t("time_up");
    if (this.busy) return t("entering");
    if (gate > 0) return t("watch_more", { time: clock(gate, "up") });
    return "phrase" in eligibility ? t("enter_phrase", { phrase: eligibility.phrase.phrase }) : t("enter");
  }

  /** How much longer I must watch, ms. @param {DrawCard} card */
  gateLeft(card) {
    const { eligibility } = card.rules;
    if (!("watched" in eligibility)) return 0;
    const { refused } = this.app.presses.find(this.key) || {};
    const told = refused?.code === "watch_longer" ? refused.until - this.app.clock.now() : 0;
    return told > 0 ? told : Math.max(0, eligibility.watched.ms - this.app.watchedMs);
  }

  async enter() {
    const card = this.card;
    if (!card) return;
    const { eligibility } = card.rules;
    const granted = "phrase" in eligibility
      ? await this.app.press(this.key, "comment", { nonce: this.nonce, text: eligibility.phrase.phrase })
      : await this.app.press(this.key, "enter_draw", { draw: this.id });
    if (!granted) this.nonce = nonce();
  }

  async verify() {
    const card = this.card;
    if (!card) return;
    const { openVerify } = await import("./verify.js");
    openVerify(this.app, card, this.entry);
  }

  /** The short words for the folded card. @param {DrawCard} card */
  brief(card) {
    return card.rules.prize;
  }
}

/** How one takes part, in words. @param {DrawCard} card */
function howTo(card) {
  const { eligibility } = card.rules;
  if ("phrase" in eligibility) return t("how_phrase", { phrase: eligibility.phrase.phrase });
  if ("watched" in eligibility) return t("how_watched", { time: duration(eligibility.watched.ms) });
  return t("how_present");
}
