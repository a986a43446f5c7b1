// @ts-check
// Who this device is: tokens kept in the browser, codes that links bring in their fragment.

const OPERATOR = "hubbub.operator";

/** @param {string} room */
const staffKey = (room) => `hubbub.staff.${room}`;

/** @param {string} key */
function kept(key) {
  try {
    return localStorage.getItem(key) ?? undefined;
  } catch {
    return memory.get(key);
  }
}

/** Where storage is forbidden a token lasts as long as the page. @type {Map<string, string>} */
const memory = new Map();

/** @param {string} key @param {string | undefined} value */
function keep(key, value) {
  if (value === undefined) memory.delete(key);
  else memory.set(key, value);
  try {
    if (value === undefined) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // `memory` has it
  }
}

/** The operator's token, if somebody signed in on this device. */
export function operatorToken() {
  return kept(OPERATOR);
}

/** @param {string | undefined} token `undefined` signs out */
export function keepOperatorToken(token) {
  keep(OPERATOR, token);
}

/** The token for a room: its own staff token, else the operator's. @param {string} room */
export function roomToken(room) {
  return kept(staffKey(room)) ?? operatorToken();
}

/** @param {string} room @param {string | undefined} token */
export function keepStaffToken(room, token) {
  keep(staffKey(room), token);
}

/**
 * The code that a link brings in its fragment.
 *
 * @param {string} hash `location.hash`
 * @param {"invite" | "sign-in"} name
 * @returns {string | undefined}
 */
export function codeIn(hash, name) {
  const code = new URLSearchParams(hash.replace(/^#/, "")).get(name);
  return code || undefined;
}

/** Takes a used code out of the address, so that nobody copies it from there. */
export function clearCode() {
  history.replaceState(history.state, "", location.pathname + location.search);
}

/**
 * The room that a control page's path names: `/c/{room}`.
 *
 * @param {string} path
 */
export function roomOf(path) {
  return decodeURIComponent(path.split("/")[2] ?? "");
}

/** What this device prefers on the control page, by name. @param {string} name @returns {string | undefined} */
export function preference(name) {
  return kept(`hubbub.control.${name}`);
}

/** @param {string} name @param {string} value */
export function prefer(name, value) {
  keep(`hubbub.control.${name}`, value);
}
