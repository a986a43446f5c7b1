// @ts-check
// What a show is: values of the form in, the protocol's details out. Used for a new show and for settings.

import { countCharacters } from "../model/text.js";
import { fromLocalTime, isLink, localTime, tagsOf, whole } from "./terms.js";

/** @typedef {import("./terms.js").Values} Values */
/** @typedef {import("./terms.js").Problems} Problems */

/** What the form for a new show begins with. */
export const NEW_SHOW = {
  title: "", description: "", host: "", kind: "video", access: "public", link_name: "", tags: "", scheduled_at: "",
  source: "none", source_url: "", links: [], goal_viewers: "", goal_comments: "", goal_likes: "", goal_claims: "",
};

/**
 * A link name that a host chose, as rooms are named: 3 to 40 small letters, digits and dashes, none at the ends.
 * Spaces become dashes.
 *
 * @param {any} typed
 * @returns {{name?: string, problem?: string}} neither if nothing was typed
 */
export function linkName(typed) {
  const name = String(typed ?? "").trim().toLowerCase().replace(/[\s_]+/g, "-");
  if (name === "") return {};
  const good = /^[a-z0-9-]{3,40}$/.test(name) && !name.startsWith("-") && !name.endsWith("-");
  return good ? { name } : { problem: "wrong_link_name" };
}

const GOALS = ["viewers", "comments", "likes", "claims"];

/** @param {any} details @param {any} goals @returns {Values} */
export function detailsValues(details, goals) {
  const [source, more] = details.source
    ? /** @type {[string, any]} */ (Object.entries(details.source)[0])
    : ["none", { url: "" }];
  return {
    ...NEW_SHOW,
    title: details.title,
    description: details.description ?? "",
    host: details.host,
    kind: details.kind,
    access: details.access,
    tags: (details.tags ?? []).map((/** @type {string} */ tag) => `#${tag}`).join(" "),
    scheduled_at: details.scheduled_at === undefined ? "" : localTime(details.scheduled_at),
    source,
    source_url: more.url,
    links: (details.links ?? []).map((/** @type {any} */ link) => ({ ...link })),
    ...Object.fromEntries(GOALS.map((goal) => [`goal_${goal}`, goals?.[goal] === undefined ? "" : String(goals[goal])])),
  };
}

/**
 * The details that a form describes.
 *
 * @param {Values} values
 * @param {{now: number, before?: any}} circumstances `before`: the details as they are, when changing
 * @returns {{details: any, problems: Problems}} good if there are no problems
 */
export function detailsOf(values, { now, before }) {
  /** @type {Problems} */
  const problems = {};
  const text = (/** @type {string} */ field, /** @type {number} */ max, needed = true) => {
    const trimmed = String(values[field] ?? "").trim();
    if (needed && trimmed === "") problems[field] = "wrong_empty";
    else if (countCharacters(trimmed) > max) problems[field] = "wrong_long";
    return trimmed;
  };
  const tags = tagsOf(values.tags);
  if (tags.length > 5) problems.tags = "wrong_tags_many";
  else if (tags.some((tag) => countCharacters(tag) > 30)) problems.tags = "wrong_tag_long";
  const scheduled_at = fromLocalTime(values.scheduled_at);
  const unchanged = before && localTime(before.scheduled_at ?? 0) === values.scheduled_at;
  if (values.scheduled_at && (scheduled_at === undefined || (scheduled_at <= now && !unchanged))) {
    problems.scheduled_at = "wrong_time";
  }
  const source = sourceOf(values, problems);
  const links = linksOf(values.links, problems);
  const details = {
    title: text("title", 80),
    description: text("description", 2000, false),
    host: text("host", 20),
    kind: values.kind,
    access: values.access,
    tags,
    scheduled_at: unchanged ? before.scheduled_at : scheduled_at,
    source,
    links,
    goals: goalsOf(values, problems),
  };
  return { details: withoutAbsent(details), problems };
}

/** @param {Values} values @param {Problems} problems */
function sourceOf(values, problems) {
  if (values.source === "none") return undefined;
  const url = String(values.source_url).trim();
  if (!isLink(url)) problems.source_url = "wrong_link";
  return { [values.source]: { url } };
}

/** @param {{label: string, url: string}[]} rows @param {Problems} problems */
function linksOf(rows, problems) {
  const filled = rows
    .map(({ label, url }) => ({ label: label.trim(), url: url.trim() }))
    .filter(({ label, url }) => label !== "" || url !== "");
  const wrong = filled.some(({ label, url }) => label === "" || countCharacters(label) > 40 || !isLink(url));
  if (wrong) problems.links = "wrong_links";
  else if (filled.length > 8) problems.links = "wrong_links_many";
  return filled;
}

/** @param {Values} values @param {Problems} problems */
function goalsOf(values, problems) {
  /** @type {Record<string, number>} */
  const goals = {};
  for (const goal of GOALS) {
    const field = `goal_${goal}`;
    if (String(values[field]).trim() === "") continue;
    const number = whole(values[field], 1, 4_000_000_000);
    if (number === undefined) problems[field] = "wrong_whole";
    else goals[goal] = number;
  }
  return goals;
}

/** @param {Record<string, any>} object */
function withoutAbsent(object) {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

/**
 * What has to be sent to come from one state of the details to another: changed fields only, `null` for
 * what is cleared.
 *
 * @param {any} before details with `goals`
 * @param {any} after
 * @returns {Record<string, any>} empty if nothing changed
 */
export function changeOf(before, after) {
  /** @type {Record<string, any>} */
  const change = {};
  const usual = /** @type {Record<string, any>} */ ({ description: "", tags: [], links: [], goals: {} });
  for (const field of ["title", "description", "host", "kind", "access", "tags", "scheduled_at", "source", "links", "goals"]) {
    const was = before[field] ?? usual[field] ?? null;
    const is = after[field] ?? usual[field] ?? null;
    if (JSON.stringify(was) !== JSON.stringify(is)) change[field] = is;
  }
  return change;
}
