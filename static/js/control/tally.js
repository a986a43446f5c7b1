// @ts-check
// Numbers of a show that run on between two keyframes: the feed tells each comment and each prize claim,
// the keyframe their sum.

/** Samples of "watching now" kept for the curve; at about one pulse a second a quarter of an hour. */
export const SAMPLES_MAX = 900;

export class Tally {
  comments = 0;
  /** @type {{viewers: number, at: number} | undefined} */
  peak;
  /** @type {{at: number, watching: number}[]} */
  samples = [];
  /** @type {Map<string, number>} prizes claimed of each draw */
  prizes = new Map();
  /** @type {Set<string>} */
  #claimed = new Set();

  /** @param {import("../types.js").Message} message one that was applied */
  take(message) {
    if (message.backstage_keyframe) this.#reset(message.backstage_keyframe);
    for (const event of message.backstage_delta?.events ?? []) this.#event(event);
    if (message.pulse) this.#sample(message.pulse.totals.watching, message.pulse.at);
  }

  /** @param {import("../types.js").Keyframe} keyframe */
  #reset({ state, at }) {
    this.comments = state.summary.comments;
    this.peak = state.summary.peak;
    this.prizes = new Map(state.summary.draws.map((/** @type {any} */ draw) => [draw.id, draw.claimed]));
    this.#claimed.clear();
    this.#sample(state.stage.totals.watching, at);
  }

  /** @param {import("../types.js").FeedEvent} event */
  #event(event) {
    if (event.comment || event.offstage) this.comments += 1;
    const prize = event.prize;
    if (!prize || prize.sent !== undefined) return;
    const key = `${prize.id}:${prize.entry}`;
    if (this.#claimed.has(key)) return;
    this.#claimed.add(key);
    this.prizes.set(prize.id, (this.prizes.get(prize.id) ?? 0) + 1);
  }

  /** @param {number} watching @param {number} at */
  #sample(watching, at) {
    this.samples.push({ at, watching });
    this.samples.splice(0, this.samples.length - SAMPLES_MAX);
    if (watching > (this.peak?.viewers ?? 0)) this.peak = { viewers: watching, at };
  }
}

/**
 * The curve of the samples as points of a polyline in a box: time to the right, more upwards, from zero.
 *
 * @param {{at: number, watching: number}[]} samples
 * @param {number} width
 * @param {number} height
 * @returns {string} empty with less than two samples
 */
export function curve(samples, width, height) {
  if (samples.length < 2) return "";
  const from = samples[0].at;
  const span = Math.max(1, samples[samples.length - 1].at - from);
  const most = Math.max(1, ...samples.map(({ watching }) => watching));
  const every = Math.ceil(samples.length / width);
  return samples
    .filter((_, index) => index % every === 0 || index === samples.length - 1)
    .map(({ at, watching }) => `${(((at - from) / span) * width).toFixed(1)},${(height - (watching / most) * height).toFixed(1)}`)
    .join(" ");
}
