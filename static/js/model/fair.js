// @ts-check
/**
 * Verifies a lucky draw from its transcript, in the page, byte by byte as the guide in `src/room/fair.rs` says:
 * `hubbub-draw-v1`. It shares no code with the server.
 */

import { hmacSha256, sha256 } from "./sha256.js";

/** @typedef {import("../types.js").EntryReceipt} EntryReceipt */

/**
 * @typedef {object} Transcript
 * @property {string} format
 * @property {string} rules
 * @property {string} commitment
 * @property {string[]} leaves
 * @property {{entry: number, why: string, note: string}[]} [excluded]
 * @property {string} [root]
 * @property {string} [seed]
 * @property {number[]} [winners]
 * @property {{instead_of: number[], winners: number[], hash: string}[]} [redraws]
 * @property {string} [cancelled]
 *
 * @typedef {object} Verified
 * @property {number} entries excluded ones among them
 * @property {number} excluded
 * @property {number[]} winners as first drawn
 * @property {number[]} holders after all redraws
 * @property {string} commitment
 * @property {string} root
 *
 * @typedef {"format" | "shape" | "rules" | "parts" | "excluded" | "root" | "commitment" | "winners" | "redraw" |
 *   "cancelled" | "not_revealed" | "seen"} Mismatch what does not fit; `cancelled` and `not_revealed`: there is
 *   nothing to verify; `seen`: it is not the draw that this page saw
 */

export const FORMAT = "hubbub-draw-v1";

const MARK = { struck: 1, earlier_winner: 2 };
const KEYS = ["format", "rules", "commitment", "leaves"];
const MORE_KEYS = ["excluded", "root", "seed", "winners", "redraws", "cancelled"];
const COMMITTED_KEYS = ["room", "draw", "opened_at", "rules"];

/** A transcript that does not fit; {@link Unfit.mismatch} says where. */
export class Unfit extends Error {
  /** @param {Mismatch} mismatch */
  constructor(mismatch) {
    super(`the transcript does not fit: ${mismatch}`);
    this.mismatch = mismatch;
  }
}

/** @param {unknown} fits @param {Mismatch} mismatch @returns {asserts fits} */
function check(fits, mismatch) {
  if (!fits) throw new Unfit(mismatch);
}

/**
 * Checks every step.
 *
 * @param {unknown} given a transcript as it came, parsed
 * @param {{commitment?: string, root?: string}} [seen] what the page saw when the draw opened and was locked
 * @returns {Verified}
 * @throws {Unfit}
 */
export function verify(given, seen = {}) {
  const transcript = read(given);
  const { winners: wanted, exclude_earlier_winners: exclude = false } = readRules(transcript.rules);
  const { leaves, excluded = [], winners = [], redraws = [] } = transcript;
  checkExcluded(excluded, leaves.length, exclude);
  checkParts(transcript);
  check(!transcript.cancelled, "cancelled");
  check(transcript.root, "not_revealed");
  const root = rootOf(chainOf(transcript.commitment, leaves), leaves.length, excluded);
  check(toHex(root) === transcript.root, "root");
  check(transcript.seed, "not_revealed");
  const seed = fromHex(transcript.seed);
  check(toHex(commitmentOf(seed, transcript.rules)) === transcript.commitment, "commitment");
  check(!seen.commitment || seen.commitment === transcript.commitment, "seen");
  check(!seen.root || seen.root === transcript.root, "seen");
  const next = picks(seed, root, eligible(leaves.length, excluded));
  check(same(taken(next, wanted), winners), "winners");
  return {
    entries: leaves.length,
    excluded: excluded.length,
    winners,
    holders: holdersAfter(redraws, root, winners, next),
    commitment: transcript.commitment,
    root: transcript.root,
  };
}

/**
 * Whether an entry is in the list where its receipt says.
 *
 * @param {Transcript} transcript
 * @param {EntryReceipt} receipt
 * @param {string} viewer the entrant's id, 32 hexadecimal digits
 */
export function holdsEntry(transcript, receipt, viewer) {
  const { number, salt, hash } = receipt;
  const leaf = toHex(leafOf(number, fromHex(salt), fromHex(viewer)));
  return transcript.leaves[number - 1] === leaf && holdsReceipt(transcript, { number, hash });
}

/**
 * Whether the list up to an entry is the one that its receipt acknowledged; it needs no viewer's id.
 *
 * @param {Transcript} transcript
 * @param {{number: number, hash: string}} receipt
 */
export function holdsReceipt(transcript, { number, hash }) {
  const leaves = transcript.leaves.slice(0, number);
  return leaves.length === number && toHex(chainOf(transcript.commitment, leaves)) === hash;
}

/** The running hash after these entries. @param {string} commitment @param {string[]} leaves @returns {Uint8Array} */
function chainOf(commitment, leaves) {
  let hash = fromHex(commitment);
  for (const leaf of leaves) hash = chained(hash, fromHex(leaf));
  return hash;
}

/** Step 1. @param {Uint8Array} seed @param {string} rules */
export function commitmentOf(seed, rules) {
  return sha256(bytes("hubbub-draw-v1/commit\0", seed, rules));
}

/** Step 2. @param {number} number @param {Uint8Array} salt @param {Uint8Array} viewer */
export function leafOf(number, salt, viewer) {
  return sha256(bytes("hubbub-draw-v1/entry\0", number, salt, viewer));
}

/** Step 2. @param {Uint8Array} before @param {Uint8Array} leaf */
export function chained(before, leaf) {
  return sha256(bytes("hubbub-draw-v1/chain\0", before, leaf));
}

/** Step 3. @param {Uint8Array} chain @param {number} count @param {NonNullable<Transcript["excluded"]>} excluded */
export function rootOf(chain, count, excluded) {
  const each = excluded.flatMap(({ entry, why, note }) => {
    const text = new TextEncoder().encode(note);
    return [entry, Uint8Array.of(MARK[/** @type {"struck"} */ (why)]), text.length, text];
  });
  return sha256(bytes("hubbub-draw-v1/lock\0", chain, count, excluded.length, ...each));
}

/**
 * Step 4: the entries in the order in which they win, until none is left.
 *
 * @param {Uint8Array} seed
 * @param {Uint8Array} root
 * @param {number[]} list entries that can win, ascending; emptied
 * @returns {Generator<number, undefined>}
 */
export function* picks(seed, root, list) {
  for (let c = 0; list.length; c++) {
    const block = hmacSha256(seed, bytes("hubbub-draw-v1/pick\0", root, c));
    const index = indexOf(new DataView(block.buffer).getBigUint64(0), list.length);
    if (index !== undefined) yield list.splice(index, 1)[0];
  }
}

/** Step 4. @param {bigint} number below 2^64 @param {number} left @returns {number | undefined} throw it away */
export function indexOf(number, left) {
  const all = 1n << 64n;
  const bound = BigInt(left);
  return number >= all - (all % bound) ? undefined : Number(number % bound);
}

/** Step 6. @param {Uint8Array} before @param {number[]} insteadOf @param {number[]} winners */
export function redrawOf(before, insteadOf, winners) {
  return sha256(bytes("hubbub-draw-v1/redraw\0", before, insteadOf.length, ...insteadOf, ...winners));
}

/** @param {number} count @param {{entry: number}[]} excluded */
function eligible(count, excluded) {
  const out = new Set(excluded.map(({ entry }) => entry));
  return Array.from({ length: count }, (_, i) => i + 1).filter((entry) => !out.has(entry));
}

/** @param {Generator<number, undefined>} next @param {number} count */
function taken(next, count) {
  const entries = [];
  while (entries.length < count) {
    const { value, done } = next.next();
    if (done) break;
    entries.push(value);
  }
  return entries;
}

/**
 * Step 6.
 *
 * @param {NonNullable<Transcript["redraws"]>} redraws
 * @param {Uint8Array} root
 * @param {number[]} winners
 * @param {Generator<number, undefined>} next
 */
function holdersAfter(redraws, root, winners, next) {
  let holders = winners;
  let before = root;
  for (const { instead_of, winners: fresh, hash } of redraws) {
    const replaced = new Map(instead_of.map((entry, i) => [entry, fresh[i]]));
    check(replaced.size > 0 && replaced.size === instead_of.length, "redraw");
    check(instead_of.every((entry) => holders.includes(entry)), "redraw");
    check(fresh.length === instead_of.length && same(taken(next, fresh.length), fresh), "redraw");
    before = redrawOf(before, instead_of, fresh);
    check(toHex(before) === hash, "redraw");
    holders = holders.map((entry) => replaced.get(entry) ?? entry);
  }
  return holders;
}

/** @param {number[]} one @param {number[]} other */
function same(one, other) {
  return one.length === other.length && one.every((entry, i) => entry === other[i]);
}

/** @param {NonNullable<Transcript["excluded"]>} excluded @param {number} count @param {boolean} exclude */
function checkExcluded(excluded, count, exclude) {
  let last = 0;
  for (const { entry, why } of excluded) {
    check(entry > last && entry <= count && (why === "struck" || exclude), "excluded");
    last = entry;
  }
}

/** Each part needs the one before it; a cancelled draw has no root. @param {Transcript} transcript */
function checkParts({ cancelled, root, seed, winners = [], redraws = [] }) {
  const parts = [cancelled === undefined, root !== undefined, seed !== undefined, winners.length > 0, redraws.length > 0];
  check(parts.every((here, i) => i === 0 || parts[i - 1] || !here), "parts");
}

/** @param {unknown} given @returns {Transcript} */
function read(given) {
  check(hasKeys(given, KEYS, MORE_KEYS), "shape");
  const { format, rules, commitment, leaves, excluded, root, seed, winners, redraws, cancelled } = given;
  check(format === FORMAT, "format");
  check(typeof rules === "string" && isHash(commitment) && isList(leaves, isHash), "shape");
  check(optional(root, isHash) && optional(seed, isHash) && optional(cancelled, isText), "shape");
  check(optional(winners, (list) => isList(list, isEntry)), "shape");
  check(optional(excluded, (list) => isList(list, isExcluded)), "shape");
  check(optional(redraws, (list) => isList(list, isRedraw)), "shape");
  return /** @type {any} */ (given);
}

/** @param {string} text @returns {{winners: number, exclude_earlier_winners?: boolean}} */
function readRules(text) {
  let committed;
  try {
    committed = JSON.parse(text);
  } catch {
    throw new Unfit("rules");
  }
  check(hasKeys(committed, COMMITTED_KEYS, []) && JSON.stringify(committed) === text, "rules");
  const { rules } = committed;
  check(rules && isEntry(rules.winners), "rules");
  check(optional(rules.exclude_earlier_winners, (value) => typeof value === "boolean"), "rules");
  return rules;
}

/** @param {any} value @param {string[]} must @param {string[]} may @returns {value is Record<string, any>} */
function hasKeys(value, must, may) {
  const object = typeof value === "object" && value !== null && !Array.isArray(value);
  if (!object || !must.every((key) => Object.hasOwn(value, key))) return false;
  return Object.keys(value).every((key) => must.includes(key) || may.includes(key));
}

/** @param {unknown} value @param {(value: any) => boolean} is */
const optional = (value, is) => value === undefined || is(value);
/** @param {unknown} value @param {(value: any) => boolean} is */
const isList = (value, is) => Array.isArray(value) && value.every(is);
/** @param {unknown} value */
const isText = (value) => typeof value === "string";
/** @param {unknown} value */
const isHash = (value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
/** @param {any} value */
const isEntry = (value) => Number.isInteger(value) && value > 0 && value < 2 ** 32;
/** @param {any} value */
const isExcluded = (value) =>
  hasKeys(value, ["entry", "why", "note"], []) &&
  isEntry(value.entry) &&
  Object.hasOwn(MARK, value.why) &&
  isText(value.note);
/** @param {any} value */
const isRedraw = (value) =>
  hasKeys(value, ["instead_of", "winners", "hash"], []) &&
  isList(value.instead_of, isEntry) &&
  isList(value.winners, isEntry) &&
  isHash(value.hash);

/**
 * One after the other: a number is four bytes, big-endian; a text its UTF-8.
 *
 * @param {...(string | number | Uint8Array)} parts
 */
function bytes(...parts) {
  const each = parts.map((part) => {
    if (typeof part === "string") return new TextEncoder().encode(part);
    if (typeof part !== "number") return part;
    return Uint8Array.of(part >>> 24, part >>> 16, part >>> 8, part);
  });
  const all = new Uint8Array(each.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of each) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** @param {string} hex @returns {Uint8Array} */
export function fromHex(hex) {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) => parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}

/** @param {Uint8Array} bytes */
export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
