// @ts-check
// The run of show: every draw and discount of a room in one list whose order never changes.
//
// A row keeps its place and its number from the moment it is prepared until the end of the show, whatever
// becomes of it, so that a number key always means the same action and nothing moves under the pointer.

/**
 * @typedef {"prepared"|"open"|"locked"|"revealed"|"cancelled"|"closed"} Phase
 * @typedef {object} Row
 * @property {number} no Its number on the page, from 1.
 * @property {string} id
 * @property {"draw"|"discount"} what
 * @property {Phase} phase
 * @property {any} [prepared] `PreparedDraw` or `PreparedDiscount`, while it waits.
 * @property {any} [card] The stage's card, once it was opened and while the stage keeps it.
 * @property {any} [summary] `DrawSummary` or `DiscountSummary`, once it was opened.
 */

/**
 * A name for a new draw or discount: its time first, to the millisecond, so that names sort in the order of
 * preparation on every device.
 * @param {number} now Unix ms
 * @param {string} tail a few random letters and digits
 * @returns {string} at most 40 of `[a-z0-9-]`
 */
export function newKey(now, tail) {
  return `${new Date(now).toISOString().replace(/\D/g, "")}-${tail}`;
}

/**
 * @param {any} card a draw's card
 * @returns {Phase}
 */
export function drawPhase(card) {
  return /** @type {Phase} */ (Object.keys(card.phase)[0]);
}

/**
 * All rows of a room, in the order of their names.
 * @param {any} backstage
 * @returns {Row[]}
 */
export function rows(backstage) {
  /** @type {Map<string, Omit<Row, "no">>} */
  const found = new Map();
  const put = (/** @type {"draw"|"discount"} */ what, /** @type {string} */ id, /** @type {any} */ more) => {
    const key = `${what}:${id}`;
    found.set(key, { ...(found.get(key) ?? { id, what, phase: "prepared" }), ...more });
  };
  for (const draw of backstage.draws) put("draw", draw.id, { prepared: draw });
  for (const discount of backstage.discounts) put("discount", discount.id, { prepared: discount });
  for (const summary of backstage.summary.draws) {
    put("draw", summary.id, { summary, phase: summary.cancelled ? "cancelled" : "revealed" });
  }
  for (const summary of backstage.summary.discounts) put("discount", summary.id, { summary, phase: "closed" });
  for (const card of backstage.stage.draws) put("draw", card.id, { card, phase: drawPhase(card) });
  for (const card of backstage.stage.discounts) {
    put("discount", card.id, { card, phase: card.closed ? "closed" : "open" });
  }
  return [...found.values()]
    .sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : a.what < b.what ? -1 : 1))
    .map((row, index) => ({ ...row, no: index + 1 }));
}

/**
 * What is up now: the open draw or the drawing one first, then open discounts, the newest first.
 * @param {Row[]} all
 * @returns {Row[]}
 */
export function current(all) {
  const up = all.filter((row) => row.phase === "open" || row.phase === "locked");
  return up.sort((a, b) => Number(b.what === "draw") - Number(a.what === "draw")
    || (b.card?.opened_at ?? 0) - (a.card?.opened_at ?? 0));
}

/**
 * The next one that waits, in the order of the list.
 * @param {Row[]} all
 * @returns {Row | undefined}
 */
export function next(all) {
  return all.find((row) => row.phase === "prepared");
}

/**
 * Why a row cannot be opened now; `undefined` if it can.
 * @param {Row} row
 * @param {any} backstage
 * @returns {"not_live"|"draw_open"|"five_open"|"no_codes"|"over"|undefined}
 */
export function whyNot(row, backstage) {
  if (row.phase !== "prepared") return "over";
  const { state } = backstage.stage.show;
  if (state !== "live" && state !== "paused") return "not_live";
  if (row.what === "draw") {
    const busy = backstage.stage.draws.some((/** @type {any} */ card) => ["open", "locked"].includes(drawPhase(card)));
    return busy ? "draw_open" : undefined;
  }
  if (row.prepared.source === "pasted" && !row.prepared.codes) return "no_codes";
  const open = backstage.stage.discounts.filter((/** @type {any} */ card) => !card.closed).length;
  return open >= 5 ? "five_open" : undefined;
}

/**
 * Claims of a discount so far: from the pulse while it is open, from the summary afterwards.
 * @param {Row} row a discount that was opened
 * @param {any} totals
 * @returns {{claimed: number, redeemed: number | undefined, quota: number}}
 */
export function claims(row, totals) {
  const quota = row.card?.terms.quota ?? row.summary?.quota ?? 0;
  const counted = row.card?.closed ? undefined : totals.remaining?.[row.id];
  const remaining = counted ?? row.card?.remaining;
  const told = remaining === undefined ? 0 : quota - remaining;
  return { claimed: Math.max(told, row.summary?.claimed ?? 0), redeemed: row.summary?.redeemed, quota };
}

/**
 * Claimed over all discounts, for the goal; redeemed of them; and the quota of all that were opened.
 * @param {Row[]} all
 * @param {any} totals
 */
export function allClaims(all, totals) {
  const sum = { claimed: 0, redeemed: 0, quota: 0 };
  for (const row of all) {
    if (row.what !== "discount" || row.phase === "prepared") continue;
    const one = claims(row, totals);
    sum.claimed += one.claimed;
    sum.redeemed += one.redeemed ?? 0;
    sum.quota += one.quota;
  }
  return sum;
}
