// @ts-check
/** A discount: what, how much off, how many are left and how long; then the code. */

import { h, setText } from "../dom.js";
import { clock, duration, number, off, time } from "../model/format.js";
import { refusal, t } from "../model/strings.js";
import { announce } from "./announce.js";
import { copyRow } from "./copy.js";
import { Countdown } from "./countdown.js";

/** @typedef {import("../types.js").DiscountCard} DiscountCard */
/** @typedef {import("../types.js").MyClaim} MyClaim */

/** Below this share of the quota the bar takes the accent. */
const LOW = 0.2;

/** When a code ends, in words. @param {MyClaim} claim @param {number} now */
export function useBefore(claim, now) {
  return claim.use_before ? t("use_before", { time: time(claim.use_before, now) }) : t("use_before_end");
}

/** A link to the store, opened beside the show. @param {string} url */
export function storeLink(url) {
  return h("a", { class: "button button--wide", href: url, target: "_blank", rel: "noopener noreferrer", text: t("to_store") });
}

export class DiscountView {
  /** @param {import("../viewer/app.js").App} app @param {string} id */
  constructor(app, id) {
    this.app = app;
    this.id = id;
    /** Its name among the presses. */
    this.key = `discount ${id}`;
    this.busy = false;
    this.off = h("p", { class: "card__off" });
    this.title = h("h3", { class: "card__title" });
    this.items = h("p", { class: "card__items" });
    this.countdown = /** @type {Countdown} */ (document.createElement("hub-countdown"));
    this.countdown.spoken = true;
    this.left = h("span", { class: "numbers" });
    this.fill = h("div", { class: "bar__fill" });
    this.bar = h("div", { class: "bar", "aria-hidden": "true" }, this.fill);
    this.button = h("button", { class: "button button--main button--wide", type: "button", onclick: () => this.claim() });
    this.why = h("p", { class: "card__why", role: "status" });
    this.got = h("div", { class: "card__got" });
    this.offer = h("div", { class: "card__offer" }, h("div", { class: "card__row" }, this.left), this.bar, this.button);
    this.element = h(
      "div",
      { class: "card__body" },
      h("div", { class: "card__top" }, h("div", { class: "card__what" }, this.off, this.title, this.items), this.countdown),
      this.got,
      this.offer,
      this.why,
    );
  }

  /** What is said when the card comes. @param {DiscountCard} card */
  static announcement(card) {
    return t("new_offer", { title: card.terms.title, off: off(card.terms.off) });
  }

  /** @returns {MyClaim[]} */
  get claims() {
    return (this.app.room.mine.claims || []).filter((claim) => claim.discount === this.id);
  }

  /** @param {DiscountCard} card */
  update(card) {
    const { terms } = card;
    const asked = this.busy;
    this.busy = this.app.presses.isWaiting(this.key);
    const last = this.claims[this.claims.length - 1];
    if (asked && !this.busy && last && !this.app.presses.why(this.key)) announce(`${t("claimed_it")}: ${last.code}`);
    setText(this.off, off(terms.off));
    setText(this.title, terms.title);
    setText(this.items, terms.items || t("everything"));
    // it is the time to claim: who has their share has nothing left to hurry for
    const done = this.claims.length >= (terms.per_viewer || 1);
    this.countdown.hidden = !card.closes_at || card.closed !== undefined || done;
    this.countdown.spoken = !done;
    if (card.closes_at) this.countdown.run(card.closes_at, this.app.clock);
    setText(this.left, t("left_of", { n: card.remaining, total: terms.quota }));
    const share = Math.min(1, card.remaining / terms.quota);
    this.fill.style.transform = `scaleX(${share})`;
    this.fill.classList.toggle("bar__fill--low", share < LOW);
    this.showGot();
    this.showButton(card);
  }

  showGot() {
    const claims = this.claims;
    const key = claims.map((claim) => claim.unit + claim.code).join() + document.documentElement.lang;
    if (this.got.dataset.of === key) return;
    this.got.dataset.of = key;
    this.got.replaceChildren();
    for (const claim of claims) {
      const when = h("p", { class: "card__hint", text: `${t("claimed_it")} · ${useBefore(claim, this.app.clock.now())}` });
      this.got.append(when, copyRow(claim.code));
    }
    const link = claims.length ? claims[claims.length - 1].link : undefined;
    if (link) this.got.append(storeLink(link));
  }

  /** @param {DiscountCard} card */
  showButton(card) {
    const have = this.claims.length;
    const limit = card.terms.per_viewer || 1;
    const over = card.closes_at !== undefined && this.app.clock.now() >= card.closes_at;
    const gate = this.gateLeft(card);
    this.offer.hidden = have >= limit || (card.closed !== undefined && have > 0);
    this.button.disabled = this.busy || card.closed !== undefined || over || gate > 0 || card.remaining === 0;
    setText(this.button, this.label(card, have, over, gate));
    const problem = this.app.presses.why(this.key);
    setText(this.why, problem ? refusal(problem) : (card.terms.gate && !have ? t("watch_gate", { time: duration(card.terms.gate.watched.ms) }) : ""));
  }

  /** @param {DiscountCard} card @param {number} have @param {boolean} over @param {number} gate */
  label(card, have, over, gate) {
    if (card.closed) return t(`closed_${card.closed}`);
    if (card.remaining === 0) return t("closed_sold_out");
    if (over) return t("time_up");
    if (this.busy) return t("claiming");
    if (gate > 0) return t("watch_more", { time: clock(gate, "up") });
    return t(have ? "claim_another" : "claim");
  }

  /** How much longer I must watch, ms. @param {DiscountCard} card */
  gateLeft(card) {
    if (!card.terms.gate) return 0;
    const { refused } = this.app.presses.find(this.key) || {};
    const told = refused?.code === "watch_longer" ? refused.until - this.app.clock.now() : 0;
    return told > 0 ? told : Math.max(0, card.terms.gate.watched.ms - this.app.watchedMs);
  }

  claim() {
    this.app.press(this.key, "claim", { discount: this.id, unit: this.claims.length + 1 });
  }

  /** The short words for the folded card. @param {DiscountCard} card */
  brief(card) {
    return `${off(card.terms.off)} · ${number(card.remaining)}`;
  }
}
