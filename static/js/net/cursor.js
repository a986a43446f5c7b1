// @ts-check
/**
 * The cursor rule (see the protocol guide): which messages bring the page forward, which are old, and when
 * something is missing.
 */

/** @typedef {import("../types.js").Message} Message */
/** @typedef {import("../types.js").Cursor} Cursor */

/**
 * Where a delta stands to an offset that was applied.
 *
 * @param {number} offset the last offset applied
 * @param {{follows: number, offset: number}} delta
 * @returns {"drop" | "apply" | "gap"}
 */
export function place(offset, delta) {
  if (delta.offset <= offset) return "drop";
  return delta.follows <= offset ? "apply" : "gap";
}

/** Follows one room's feed: keeps the cursor and judges every message by it. */
export class Follower {
  constructor() {
    /** @type {Cursor | null} where the page is; `null` before the first keyframe */
    this.cursor = null;
    /** @type {number} */
    this.countsAsOf = 0;
    /** @type {number} */
    this.mineAfter = 0;
  }

  /**
   * Takes a message. "apply": hand it on; "drop": it is old; "gap": come back with the cursor.
   *
   * @param {Message} message
   * @returns {"drop" | "apply" | "gap"}
   */
  take(message) {
    const keyframe = message.keyframe || message.backstage_keyframe;
    if (keyframe) {
      this.cursor = { epoch: keyframe.epoch, offset: keyframe.offset };
      this.countsAsOf = keyframe.offset;
      return "apply";
    }
    const delta = message.delta || message.backstage_delta;
    if (delta) return this.takeDelta(delta);
    if (message.pulse) return this.takePulse(message.pulse.as_of);
    if (message.joined) {
      this.mineAfter = 0;
      return "apply";
    }
    if (message.mine) return this.takeMine(message.mine.after);
    return "apply";
  }

  /** @param {{follows: number, offset: number}} delta */
  takeDelta(delta) {
    if (!this.cursor) return "gap";
    const verdict = place(this.cursor.offset, delta);
    if (verdict === "apply") this.cursor = { epoch: this.cursor.epoch, offset: delta.offset };
    return verdict;
  }

  /** @param {number} asOf */
  takePulse(asOf) {
    if (asOf < this.countsAsOf) return "drop";
    this.countsAsOf = asOf;
    return "apply";
  }

  /** @param {number} after */
  takeMine(after) {
    if (after < this.mineAfter) return "drop";
    this.mineAfter = after;
    return "apply";
  }

  /** Forgets where the page is: the next `hello` asks for a keyframe. */
  forget() {
    this.cursor = null;
  }
}
