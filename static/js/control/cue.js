// @ts-check
// An action on its way out: chosen, it leaves after two seconds unless it is stopped.

/** From the press to the sending, in ms: long enough to see the mistake, short enough to hit the moment. */
export const GOING_OUT_MS = 2000;

/**
 * @template T
 * @typedef {{what: T, at: number}} Cue what goes out, and when (a monotonic time in ms)
 */

/**
 * Holds at most one action back for [`GOING_OUT_MS`].
 * @template T
 */
export class CueLine {
  /** @type {Cue<T> | undefined} */
  #cue;
  /** @type {any} */
  #timer;

  /**
   * @param {object} how
   * @param {(what: T) => void} how.send called when the time is over
   * @param {() => void} how.changed called after every change
   * @param {() => number} [how.now] a monotonic time in ms
   */
  constructor({ send, changed, now = () => performance.now() }) {
    this.send = send;
    this.changed = changed;
    this.now = now;
  }

  /** What is on its way, if anything. */
  get cue() {
    return this.#cue;
  }

  /**
   * Puts an action on its way. One that is on its way already goes first: two presses are two actions.
   * @param {T} what
   */
  start(what) {
    if (this.#cue) this.#leave();
    this.#cue = { what, at: this.now() + GOING_OUT_MS };
    this.#timer = setTimeout(() => this.#leave(), GOING_OUT_MS);
    this.changed();
  }

  /**
   * Takes it back.
   * @returns {T | undefined} what was stopped
   */
  stop() {
    const stopped = this.#cue?.what;
    this.#clear();
    if (stopped !== undefined) this.changed();
    return stopped;
  }

  /** How much of the time is left, 1 to 0. */
  left() {
    return this.#cue ? Math.max(0, Math.min(1, (this.#cue.at - this.now()) / GOING_OUT_MS)) : 0;
  }

  #leave() {
    const what = this.#cue?.what;
    this.#clear();
    if (what !== undefined) this.send(what);
    this.changed();
  }

  #clear() {
    clearTimeout(this.#timer);
    this.#cue = undefined;
  }
}
