// @ts-check
/** `<hub-cards>`: discounts and draws, one at a time over the lower third; others wait as a small stack. */

import { h, icon, later, patchList, setAttribute, setText } from "../dom.js";
import { t } from "../model/strings.js";
import { onTick } from "../model/ticker.js";
import { announce } from "./announce.js";
import { DiscountView } from "./discount-card.js";
import { DrawView } from "./draw-card.js";

/** A closed offer that I have no code of, and a cancelled draw, leave after so long. */
const GONE_MS = 5_000;
/** Winners stay up for so long after the reveal, unless folded away. */
const WINNERS_MS = 10 * 60_000;

/**
 * @typedef {object} Up a card that is up
 * @property {string} key
 * @property {number} at when it was opened
 * @property {import("../types.js").DiscountCard} [discount]
 * @property {import("../types.js").DrawCard} [draw]
 */

export class Cards extends HTMLElement {
  constructor() {
    super();
    /** @type {import("../viewer/app.js").App} */
    this.app = later;
    /** @type {HTMLElement} */
    this.skip = later;
    /** @type {() => void} */
    this.openMine = later;
    /** @type {Map<string, DiscountView | DrawView>} */
    this.views = new Map();
    /** @type {Map<string, number>} when a card was first seen over, on the page's clock */
    this.overSince = new Map();
    /** @type {Set<string>} */
    this.seen = new Set();
    /** @type {Set<string>} put away by the viewer */
    this.dismissed = new Set();
    /** @type {string | null} */
    this.current = null;
    this.folded = false;
    this.ended = false;
    this.kind = h("span", { class: "card__kind" });
    this.place = h("span", { class: "numbers" });
    this.next = h("button", { class: "card__next", type: "button", onclick: () => this.turn() }, this.place, icon("next"));
    this.fold = h("button", { class: "button button--icon button--quiet", type: "button", onclick: () => this.putAway() }, icon("down"));
    this.holder = h("div", { class: "card__holder" });
    this.card = h(
      "section",
      { class: "card", tabindex: "-1", id: "card-action" },
      h("header", { class: "card__head" }, this.kind, this.next, this.fold),
      this.holder,
    );
    this.chip = h("button", { class: "card-chip", type: "button", onclick: () => this.unfold() }, icon("gift"), h("span"));
  }

  /** @param {import("../viewer/app.js").App} app @param {HTMLElement} skip link to the card's button @param {() => void} openMine */
  start(app, skip, openMine) {
    this.app = app;
    this.skip = skip;
    this.openMine = openMine;
    this.replaceChildren(this.card, this.chip);
    onTick(() => this.update());
    if (typeof ResizeObserver !== "undefined") new ResizeObserver(() => this.tellHeight()).observe(this);
  }

  /** Hearts begin above the card, so that none crosses its countdown. */
  tellHeight() {
    const show = /** @type {HTMLElement | null} */ (this.closest(".show"));
    show?.style.setProperty("--cards-height", `${this.offsetHeight}px`);
  }

  update() {
    const { stage } = this.app.room;
    if (!stage) {
      this.hidden = true;
      return;
    }
    const up = this.up(stage);
    // After the end the thanks have the room; the cards wait as a chip.
    const ended = stage.show.state === "ended";
    if (ended && !this.ended) this.folded = true;
    this.ended = ended;
    this.greet(up);
    this.show(up);
  }

  /** @param {import("../types.js").Stage} stage @returns {Up[]} newest first */
  up(stage) {
    /** @type {Up[]} */
    const all = [];
    for (const discount of stage.discounts) {
      const key = `discount ${discount.id}`;
      const claimed = (this.app.room.mine.claims || []).some((claim) => claim.discount === discount.id);
      if (this.stays(key, discount.closed !== undefined, claimed)) all.push({ key, at: discount.opened_at, discount });
    }
    const now = this.app.clock.now();
    for (const draw of stage.draws) {
      const key = `draw ${draw.id}`;
      const { revealed, cancelled } = draw.phase;
      const fresh = revealed !== undefined && now - draw.closes_at < WINNERS_MS;
      if (this.stays(key, cancelled !== undefined || revealed !== undefined, fresh)) all.push({ key, at: draw.opened_at, draw });
    }
    return all.sort((one, other) => other.at - one.at);
  }

  /** @param {string} key @param {boolean} over @param {boolean} kept it stays up although it is over */
  stays(key, over, kept) {
    if (!over) {
      this.overSince.delete(key);
      return true;
    }
    if (this.dismissed.has(key)) return false;
    if (kept) return true;
    // What was over before this page came is not shown at all.
    if (!this.seen.has(key)) return false;
    const since = this.overSince.get(key);
    if (since === undefined) this.overSince.set(key, performance.now());
    return since === undefined || performance.now() - since < GONE_MS;
  }

  /** New cards come to the front, unless the viewer is at one; they are announced once. @param {Up[]} up */
  greet(up) {
    const fresh = up.filter((one) => !this.seen.has(one.key));
    for (const one of fresh) {
      this.seen.add(one.key);
      if (one.discount) announce(DiscountView.announcement(one.discount));
      if (one.draw && one.draw.phase.open) announce(DrawView.announcement(one.draw));
    }
    if (!fresh.length || this.card.contains(document.activeElement)) return;
    this.current = fresh[0].key;
    this.folded = this.ended;
  }

  /** @param {Up[]} up */
  show(up) {
    const { card, chip, holder, kind, place, next, fold, views } = this;
    this.hidden = !up.length;
    this.closest(".show")?.toggleAttribute("data-card", up.length > 0 && !this.folded);
    this.skip.hidden = !up.length || this.folded;
    for (const key of [...views.keys()]) if (!up.some((one) => one.key === key)) views.delete(key);
    if (!up.length) {
      holder.replaceChildren();
      return;
    }
    const at = Math.max(0, up.findIndex((one) => one.key === this.current));
    const one = up[at];
    this.current = one.key;
    card.hidden = this.folded;
    chip.hidden = !card.hidden;
    this.classList.toggle("cards--stacked", up.length > 1 && !this.folded);
    setText(kind, t(one.draw ? "draw" : "discount"));
    setAttribute(card, "aria-label", t(one.draw ? "draw" : "discount"));
    next.hidden = up.length < 2;
    setText(place, t("card_of", { n: at + 1, total: up.length }));
    setAttribute(next, "aria-label", t("next_card"));
    setAttribute(fold, "aria-label", t("fold_card"));
    this.render(one, holder);
    setText(chip.children[1], this.chipWords(one, up.length));
  }

  /** @param {Up} one @param {HTMLElement} holder */
  render(one, holder) {
    const view = this.view(one);
    if (view instanceof DiscountView && one.discount) view.update(one.discount);
    if (view instanceof DrawView && one.draw) view.update(one.draw);
    patchList(holder, [view], () => one.key, () => view.element);
  }

  /** @param {Up} one @returns {DiscountView | DrawView} */
  view(one) {
    let view = this.views.get(one.key);
    if (!view) {
      view = one.discount ? new DiscountView(this.app, one.discount.id) : new DrawView(this.app, one.draw ? one.draw.id : "", this.openMine);
      this.views.set(one.key, view);
    }
    return view;
  }

  /** @param {Up} one @param {number} count */
  chipWords(one, count) {
    const view = this.view(one);
    if (count > 1) return t("unfold_cards", { n: count });
    if (view instanceof DiscountView && one.discount) return view.brief(one.discount);
    return view instanceof DrawView && one.draw ? view.brief(one.draw) : "";
  }

  turn() {
    const { stage } = this.app.room;
    if (!stage) return;
    const up = this.up(stage);
    const at = up.findIndex((one) => one.key === this.current);
    this.current = up.length ? up[(at + 1) % up.length].key : null;
    this.update();
  }

  /** What is over goes for good, what is open becomes a chip. */
  putAway() {
    const { stage } = this.app.room;
    const one = stage && this.up(stage).find((other) => other.key === this.current);
    const over = one && (one.discount ? one.discount.closed !== undefined : !one.draw?.phase.open && !one.draw?.phase.locked);
    if (one && over) this.dismissed.add(one.key);
    else this.folded = true;
    this.update();
    this.chip.focus({ preventScroll: true });
  }

  unfold() {
    this.folded = false;
    this.update();
    this.card.focus({ preventScroll: true });
  }
}

customElements.define("hub-cards", Cards);
