// @ts-check
/** Text as a person counts and types it. */

/** @type {Intl.Segmenter | null} */
const SEGMENTER =
  typeof Intl !== "undefined" && "Segmenter" in Intl ? new Intl.Segmenter(undefined, { granularity: "grapheme" }) : null;

/**
 * Where the browser has no segmenter (Chrome 86, iOS 14): a base character with its marks, variation
 * selectors, skin tones, joined pictures, and flags of two letters each count as one.
 */
const CLUSTER =
  /\r\n|\p{RI}\p{RI}|\p{Emoji}(?:\p{M}|\p{EMod}|\u{FE0F}|[\u{E0020}-\u{E007F}])*(?:\u{200D}\p{Emoji}(?:\p{M}|\p{EMod}|\u{FE0F})*)*|\P{M}(?:\p{M}|\u{200D}|\u{FE0F})*|\p{M}+/gsu;

/** The characters of a text. @param {string} text @param {Intl.Segmenter | null} [segmenter] @returns {string[]} */
export function characters(text, segmenter = SEGMENTER) {
  if (segmenter) return Array.from(segmenter.segment(text), (part) => part.segment);
  return text.match(CLUSTER) || [];
}

/** How many characters. @param {string} text @param {Intl.Segmenter | null} [segmenter] */
export function countCharacters(text, segmenter = SEGMENTER) {
  return characters(text, segmenter).length;
}

/** The first letters of a name, for an avatar. @param {string} name */
export function initial(name) {
  return (characters(name.trim())[0] || "?").toUpperCase();
}

/**
 * Whether a press of Enter is meant to send: not while an input method composes. Safari ends the composition
 * before the key; it is known by 229 then.
 *
 * @param {{key: string, isComposing: boolean, keyCode: number, shiftKey: boolean}} event
 */
export function sends(event) {
  return event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229;
}
