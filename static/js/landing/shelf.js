// @ts-check
// The shows of the landing page, sorted into now, next and past. Pure.

/**
 * A show as the list tells it.
 *
 * @typedef {object} Listed
 * @property {string} id
 * @property {string} title
 * @property {string} host
 * @property {import("../types.js").ShowState} state
 * @property {"public" | "unlisted"} access
 * @property {string[]} tags
 * @property {string | null} cover the file's name under `/covers/`
 * @property {number | null} scheduled_at
 * @property {number | null} started_at
 * @property {number | null} ended_at
 * @property {number} watching
 * @property {number} [unattended_since] for operators: on air without staff since
 * @property {{since: number, reason: string}} [parked] for operators: it broke again and again, and nobody gets in
 */

/**
 * @param {Listed[]} shows
 * @returns {{live: Listed[], next: Listed[], past: Listed[]}} live: most watched first; next: soonest first, without a date last; past: newest first
 */
export function shelves(shows) {
  const of = (/** @type {string[]} */ ...states) => shows.filter((show) => states.includes(show.state));
  return {
    live: of("live", "paused").sort((a, b) => b.watching - a.watching),
    next: of("draft", "scheduled").sort((a, b) => (a.scheduled_at ?? Infinity) - (b.scheduled_at ?? Infinity)),
    past: of("ended").sort((a, b) => (b.ended_at ?? 0) - (a.ended_at ?? 0)),
  };
}

/**
 * The tags in use, those of most shows first, at most 20.
 *
 * @param {Listed[]} shows
 * @returns {string[]}
 */
export function tagsIn(shows) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const show of shows) for (const tag of show.tags) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  return [...counts].sort(([a, n], [b, m]) => m - n || a.localeCompare(b)).slice(0, 20).map(([tag]) => tag);
}

/** So many shows are added by a press. */
export const STEP = 100;
/** The server tells at most so many at once. */
const PAGE_MAX = 1_000;

/**
 * The first shows of the list, asked for in as many pages as it takes.
 *
 * @param {{read: (path: string) => Promise<{rooms: Listed[], more: boolean}>}} api
 * @param {number} wanted how many
 * @param {string} [tag] only those with it
 * @returns {Promise<{rooms: Listed[], more: boolean}>}
 */
export async function inPages(api, wanted, tag) {
  /** @type {Map<string, Listed>} a show that moved on between two pages comes twice */
  const found = new Map();
  let passed = 0;
  for (;;) {
    const limit = Math.min(PAGE_MAX, wanted - passed);
    const query = new URLSearchParams({ limit: String(limit), ...(passed ? { after: String(passed) } : {}), ...(tag ? { tag } : {}) });
    const { rooms, more } = await api.read(`/rooms?${query}`);
    for (const room of rooms) found.set(room.id, room);
    passed += rooms.length;
    if (!more || !rooms.length || passed >= wanted) return { rooms: [...found.values()], more };
  }
}
