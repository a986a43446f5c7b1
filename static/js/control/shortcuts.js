// @ts-check
// Which key means what on the control page, decided from the event and the circumstances alone.

/**
 * The shortcuts, in the order of the list that `?` shows: key as pressed, what it does.
 * `digits` stands for the number keys.
 */
export const SHORTCUTS = /** @type {const} */ ([
  ["digits", "select"],
  ["Enter", "fire"],
  ["Escape", "stop"],
  ["n", "next"],
  ["c", "comments"],
  ["w", "write"],
  ["h", "hold"],
  ["d", "delete"],
  ["D", "delete_all"],
  ["m", "mute"],
  ["p", "pin"],
  ["u", "undo"],
  ["?", "help"],
]);

/** Shortcuts that act on the selected comment. */
const ON_COMMENT = new Set(["delete", "delete_all", "mute", "pin"]);

/**
 * @typedef {object} Circumstances
 * @property {boolean} on the host has not switched shortcuts off
 * @property {boolean} typing a field has focus
 * @property {boolean} dialog a dialog is open
 * @property {boolean} pressable a button, link or such has focus (Enter is its own)
 * @property {boolean} cue an action is on its way
 * @property {boolean} selected a row of the run of show is selected
 * @property {boolean} comment a comment has focus
 */

/**
 * What a key press means; `undefined`: nothing of ours.
 *
 * Nothing while a field has focus, an input method composes or a dialog is open. One exception: Escape
 * stops what is on its way wherever the focus is, except in an open dialog, which it closes.
 * @param {{key: string, ctrlKey?: boolean, metaKey?: boolean, altKey?: boolean, isComposing?: boolean,
 *   keyCode?: number, repeat?: boolean}} press
 * @param {Circumstances} now
 * @returns {{act: string, digit?: number} | undefined}
 */
export function meaning(press, now) {
  if (press.isComposing || press.keyCode === 229 || press.ctrlKey || press.metaKey || press.altKey) return undefined;
  if (now.dialog) return undefined;
  if (press.key === "Escape" && now.cue) return { act: "stop" };
  if (now.typing || !now.on || press.repeat) return undefined;
  if (/^[0-9]$/.test(press.key)) return { act: "select", digit: Number(press.key) };
  const found = SHORTCUTS.find(([key]) => key === press.key);
  if (!found) return undefined;
  const act = found[1];
  if (act === "fire") return now.selected && !now.pressable ? { act } : undefined;
  if (act === "stop") return now.selected ? { act } : undefined;
  if (ON_COMMENT.has(act) && !now.comment) return undefined;
  return { act };
}

/**
 * Digits pressed within this time make one number: 1, 2 selects row 12.
 */
export const DIGITS_TOGETHER_MS = 800;

/**
 * The row number after one more digit.
 * @param {{number: number, at: number} | undefined} before what was typed last, and when
 * @param {number} digit
 * @param {number} at ms
 * @param {number} rows how many rows there are
 * @returns {number} 0 for none
 */
export function typedNumber(before, digit, at, rows) {
  const longer = before && at - before.at <= DIGITS_TOGETHER_MS ? before.number * 10 + digit : digit;
  if (longer <= rows) return longer;
  return digit <= rows ? digit : 0;
}

/** What a new Enter has to be told from: an element on which Enter has a meaning of its own. */
export const PRESSABLE = 'button, a[href], summary, [role="button"], [role="tab"], [role="switch"]';
/** An element into which somebody types or chooses. */
export const FIELD = 'input, textarea, select, [contenteditable="true"]';
