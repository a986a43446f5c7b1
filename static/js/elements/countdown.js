// @ts-check
/** `<hub-countdown>`: the time until something on the server's clock, in figures of one width. */

import { setText } from "../dom.js";
import { clock as written, duration } from "../model/format.js";
import { t } from "../model/strings.js";
import { onTick } from "../model/ticker.js";
import { announce } from "./announce.js";

/** Spoken when so many seconds are left. */
const SPOKEN = [60, 30, 10];
/** The last seconds look urgent. */
const URGENT_MS = 10_000;

export class Countdown extends HTMLElement {
  constructor() {
    super();
    /** Server time at which it is over, ms. */
    this.until = 0;
    /** @type {{now: () => number} | null} */
    this.clock = null;
    /** Whether 60, 30 and 10 seconds are spoken. */
    this.spoken = false;
    /** Called once when it is over. @type {(() => void) | null} */
    this.over = null;
    this.leftBefore = Infinity;
  }

  connectedCallback() {
    this.classList.add("countdown");
    this.setAttribute("role", "timer");
    this.setAttribute("aria-live", "off");
    this.stop = onTick(() => this.tick());
    this.tick();
  }

  disconnectedCallback() {
    if (this.stop) this.stop();
  }

  /** @param {number} until @param {{now: () => number}} clock */
  run(until, clock) {
    if (this.until !== until) this.leftBefore = Infinity;
    this.until = until;
    this.clock = clock;
    this.tick();
  }

  tick() {
    if (!this.clock || !this.until) return;
    const left = this.until - this.clock.now();
    setText(this, written(left, "up"));
    this.classList.toggle("countdown--urgent", left <= URGENT_MS);
    const passed = SPOKEN.find((second) => left <= second * 1000 && this.leftBefore > second * 1000);
    if (this.spoken && passed && this.leftBefore !== Infinity && left > 0) {
      announce(t("time_left", { time: duration(passed * 1000) }));
    }
    if (left <= 0 && this.leftBefore > 0 && this.over) this.over();
    this.leftBefore = left;
  }
}

customElements.define("hub-countdown", Countdown);
