// @ts-check
/** Taps on the heart, folded: at most two messages a second, at most 30 taps a message. */

const FOLD_MS = 500;
const TAPS_MAX = 30;

/** Folds taps into few messages. */
export class Taps {
  /** @param {(taps: number) => void} send */
  constructor(send) {
    this.send = send;
    this.waiting = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  tap() {
    this.waiting = Math.min(TAPS_MAX, this.waiting + 1);
    if (this.timer === undefined) this.flush();
  }

  flush() {
    this.timer = undefined;
    if (!this.waiting) return;
    this.send(this.waiting);
    this.waiting = 0;
    this.timer = setTimeout(() => this.flush(), FOLD_MS);
  }
}
