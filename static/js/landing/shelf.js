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

/** Those with a tag, or all. @param {Listed[]} shows @param {string | undefined} tag */
export function withTag(shows, tag) {
  return tag === undefined ? shows : shows.filter((show) => show.tags.includes(tag));
}
