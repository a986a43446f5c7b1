// @ts-check
/**
 * What the viewer has written and the stage does not show yet: it survives a lost connection and a reload,
 * and a repetition carries the same nonce, so that nothing is posted twice.
 */

import { nonce } from "./random.js";

/** @typedef {import("../types.js").Comment} Comment */
/**
 * @typedef {object} Written
 * @property {string} nonce
 * @property {string} text
 * @property {"pending" | "sent" | "failed"} state
 * @property {number} [id] once it is posted
 * @property {string} [code] why it failed
 */
/** @typedef {{get: () => string | null, set: (value: string | null) => void}} Kept */

/** Posted ones kept here, for those that the stage left out. */
const SENT_MAX = 20;

export class Outbox {
  /** @param {Kept} kept where it survives a reload */
  constructor(kept) {
    this.kept = kept;
    /** @type {Written[]} */
    this.written = read(kept.get());
  }

  /** What is to be sent (again) after a reload. */
  get pending() {
    return this.written.filter((one) => one.state === "pending");
  }

  /** @param {string} text @returns {Written} */
  add(text) {
    /** @type {Written} */
    const one = { nonce: nonce(), text, state: "pending" };
    this.change([...this.written, one]);
    return one;
  }

  /** @param {string} nonce @param {number} id */
  sent(nonce, id) {
    this.change(this.written.map((one) => (one.nonce === nonce ? { ...one, state: "sent", id } : one)));
  }

  /** @param {string} nonce @param {string} code */
  failed(nonce, code) {
    this.change(this.written.map((one) => (one.nonce === nonce ? { ...one, state: "failed", code } : one)));
  }

  /** @param {string} nonce */
  remove(nonce) {
    this.change(this.written.filter((one) => one.nonce !== nonce));
  }

  /** Comments are gone from the room: mine among them too. @param {number[]} ids */
  deleted(ids) {
    this.change(this.written.filter((one) => one.id === undefined || !ids.includes(one.id)));
  }

  /** @param {Written[]} written */
  change(written) {
    const sent = written.filter((one) => one.state === "sent");
    const old = new Set(sent.slice(0, Math.max(0, sent.length - SENT_MAX)));
    this.written = written.filter((one) => !old.has(one));
    const unsent = this.written.filter((one) => one.state !== "sent");
    this.kept.set(unsent.length ? JSON.stringify(unsent) : null);
  }
}

/** @param {string | null} text @returns {Written[]} */
function read(text) {
  try {
    const all = JSON.parse(text || "[]");
    return Array.isArray(all) ? all.filter((one) => one && typeof one.nonce === "string" && typeof one.text === "string") : [];
  } catch {
    return [];
  }
}

/**
 * @typedef {object} Line one line of the comments as this viewer sees them
 * @property {string} key
 * @property {string} name
 * @property {string} text
 * @property {import("../types.js").Badge} [badge]
 * @property {number} [by]
 * @property {boolean} own
 * @property {"shown" | "pending" | "failed"} state
 * @property {string} [nonce] of one's own that is not posted
 * @property {string} [code] why it failed
 */

/**
 * The comments on stage, with one's own that it does not show in their places, and unsent ones last.
 *
 * @param {Comment[]} comments
 * @param {import("../types.js").Mine} mine
 * @param {Written[]} written
 * @param {string} name one's own
 * @returns {Line[]}
 */
export function lines(comments, mine, written, name) {
  /** @type {Map<number, Comment>} */
  const byId = new Map();
  for (const one of written) {
    if (one.id !== undefined) byId.set(one.id, { id: one.id, by: mine.number, name, text: one.text });
  }
  for (const comment of mine.offstage || []) byId.set(comment.id, comment);
  const own = new Set(byId.keys());
  for (const comment of comments) byId.set(comment.id, comment);
  const posted = own.size ? [...byId.values()].sort((one, other) => one.id - other.id) : comments;
  /** @type {Line[]} */
  const all = posted.map((comment) => ({
    key: String(comment.id),
    name: comment.name,
    text: comment.text,
    badge: comment.badge,
    by: comment.by,
    own: own.has(comment.id) || (comment.by !== undefined && comment.by === mine.number),
    state: "shown",
  }));
  for (const one of written) {
    if (one.state === "sent") continue;
    all.push({ key: one.nonce, name, text: one.text, own: true, state: one.state, nonce: one.nonce, code: one.code });
  }
  return all;
}
