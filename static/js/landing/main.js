// @ts-check
// The landing page: what is on, what comes, what was; for operators the way to a new show.

import { compact, time } from "../model/format.js";
import { initial } from "../model/text.js";
import { language, locale, refusal, speak, t } from "../model/strings.js";
import { Api } from "../control/api.js";
import { badge, button } from "../control/controls.js";
import { icon } from "../control/icons.js";
import { h, render } from "../control/render.js";
import { clearCode, codeIn, keepOperatorToken, operatorToken } from "../control/session.js";
import "../control/strings.js";
import { openNewShow } from "./new-show.js";
import { openDevices } from "./devices.js";
import { STEP, inPages, shelves, tagsIn } from "./shelf.js";

/** @typedef {import("./shelf.js").Listed} Listed */

/** The list is read this often while the page is looked at. */
const READ_MS = 15_000;

const api = new Api(operatorToken);
const tools = /** @type {HTMLElement} */ (document.getElementById("tools"));
const main = /** @type {HTMLElement} */ (document.getElementById("main"));

/** @type {Listed[] | undefined} */
let shows;
let problem = "";
let signInProblem = "";
/** Whether there are more than these. */
let more = false;
/** How many are wanted. */
let wanted = STEP;
/** @type {string | undefined} */
let tag = new URLSearchParams(location.search).get("tag") ?? undefined;
/** The tags to choose from: those of all shows. @type {string[]} */
let known = [];

begin();

function begin() {
  document.documentElement.lang = locale();
  paint();
  read();
  setInterval(() => document.visibilityState === "visible" && read(), READ_MS);
  window.addEventListener("hashchange", paint);
}

async function read() {
  const asked = tag;
  try {
    const list = await inPages(api, wanted, asked);
    // another tag was chosen meanwhile: its own list is on the way
    if (asked !== tag) return;
    shows = list.rooms;
    more = list.more;
    if (asked === undefined || known.length === 0) known = tagsIn(asked === undefined ? shows : (await inPages(api, STEP)).rooms);
    problem = "";
  } catch (failed) {
    const { code } = /** @type {any} */ (failed);
    // the token is over: the public list still is to be had
    if (code === "bad_token" && operatorToken()) {
      keepOperatorToken(undefined);
      return read();
    }
    problem = refusal(code);
  }
  paint();
}

function paint() {
  document.title = "Hubbub";
  const code = codeIn(location.hash, "sign-in");
  render(tools, ...toolRow());
  render(main, code ? signIn(code) : null, problem && !code ? h("p", { class: "note note--bad", key: "problem", role: "alert" }, problem) : null, list());
}

function toolRow() {
  const other = language() === "zh" ? "en" : "zh";
  return [
    operatorToken() ? [
      button(t("new_show"), () => openNewShow(api), { kind: "main", icon: "plus", key: "new", small: false }),
      button(t("devices"), () => openDevices(api, signOut), { kind: "quiet", key: "devices" }),
      button(t("sign_out"), signOut, { kind: "quiet", key: "out" }),
    ] : null,
    h("button", {
      key: "language",
      type: "button",
      class: "icon-button icon-button--words",
      lang: other === "zh" ? "zh-CN" : "en",
      "aria-label": `${other === "zh" ? "中" : "EN"} – ${t("language_label")}`,
      onclick: () => {
        speak(other);
        document.documentElement.lang = locale();
        paint();
      },
    }, other === "zh" ? "中" : "EN"),
  ];
}

function signOut() {
  keepOperatorToken(undefined);
  read();
  paint();
}

/** The link's code is exchanged by a press, so that a program that looks at links does not use it up.
 *  @param {string} code */
function signIn(code) {
  const press = async () => {
    try {
      const { token } = await api.send("/sign-in", { code });
      keepOperatorToken(token);
      clearCode();
      signInProblem = "";
      read();
    } catch (failed) {
      const why = /** @type {any} */ (failed).code;
      signInProblem = why === "bad_token" ? t("no_unknown_invitation") : refusal(why);
    }
    paint();
  };
  return h("section", { class: "panel sign-in", key: "sign-in", "aria-labelledby": "sign-in-title" },
    h("h1", { id: "sign-in-title" }, t("sign_in_title")),
    h("p", null, t("sign_in_what")),
    h("div", { role: "alert" }, signInProblem ? h("p", { class: "note note--bad" }, signInProblem) : null),
    h("div", { class: "actions" }, button(t("sign_in"), press, { kind: "main", small: false })));
}

function list() {
  if (!shows) return problem ? null : h("p", { class: "empty", key: "loading" }, t("loading"));
  const all = shelves(shows);
  const any = all.live.length + all.next.length + all.past.length > 0;
  return [
    tags(),
    any || tag ? null : h("div", { class: "panel nothing", key: "nothing" },
      h("h1", null, t("no_rooms")),
      operatorToken() ? h("div", { class: "actions actions--start" }, button(t("new_show"), () => openNewShow(api), { kind: "main", icon: "plus", small: false })) : h("p", null, t("sign_in_how"))),
    !any && tag ? h("p", { class: "empty", key: "none" }, t("no_rooms_tag", { tag })) : null,
    shelf("live", t("live_now"), all.live),
    shelf("next", t("next_up"), all.next),
    shelf("past", t("past"), all.past),
    more ? h("div", { class: "actions more", key: "more" }, button(t("more_shows"), showMore, { small: false })) : null,
  ];
}

function showMore() {
  wanted += STEP;
  read();
}

function tags() {
  const some = tag === undefined || known.includes(tag) ? known : [tag, ...known];
  if (some.length === 0) return null;
  const choose = (/** @type {string | undefined} */ one) => {
    tag = one;
    wanted = STEP;
    const address = new URL(location.href);
    if (one === undefined) address.searchParams.delete("tag");
    else address.searchParams.set("tag", one);
    history.replaceState(history.state, "", address);
    paint();
    read();
  };
  return h("nav", { class: "tags", key: "tags", "aria-label": t("by_tag") },
    [undefined, ...some].map((one) => h("button", {
      key: one ?? "",
      type: "button",
      class: "tag",
      "aria-pressed": String(tag === one),
      onclick: () => choose(one),
    }, one === undefined ? t("all_tags") : `#${one}`)));
}

/** @param {string} kind @param {string} title @param {Listed[]} some */
function shelf(kind, title, some) {
  if (some.length === 0) return null;
  return h("section", { class: `shelf shelf--${kind}`, key: kind, "aria-labelledby": `shelf-${kind}` },
    h("h2", { class: "shelf__title", id: `shelf-${kind}` }, title),
    h("ul", { class: "cards" }, some.map((show) => card(show))));
}

/** @param {Listed} show */
function card(show) {
  const live = show.state === "live" || show.state === "paused";
  return h("li", { class: "card", key: show.id },
    h("a", { class: "card__link", href: `/r/${encodeURIComponent(show.id)}` },
      h("span", { class: "card__cover" },
        show.cover
          ? h("img", { key: "cover", src: `/covers/${show.cover}`, alt: "", loading: "lazy" })
          : h("span", { key: "none", class: `card__blank card__blank--${hue(show.id)}`, "aria-hidden": "true" }, initial(show.title)),
        live ? h("span", { class: "card__badges", key: "badges" }, badge(t(show.state === "live" ? "state_live" : "state_paused"), show.state === "live" ? "live" : "warn"),
          h("span", { class: "card__watching numbers" }, icon("eye"), t("watching", { n: compact(show.watching) }))) : null),
      h("span", { class: "card__title" }, show.title),
      h("span", { class: "card__more" }, [t("with_host", { name: show.host }), when(show)].filter(Boolean).join(" · ")),
      show.tags.length ? h("span", { class: "card__tags" }, show.tags.map((one) => `#${one}`).join(" ")) : null),
    operatorToken() ? h("div", { class: "card__tools" },
      show.access === "unlisted" ? badge(t("unlisted_mark")) : null,
      show.unattended_since ? badge(t("alone_mark", { time: time(show.unattended_since, Date.now()) }), "warn") : null,
      show.parked ? parked(show, show.parked) : null,
      h("a", { class: "button button--small", href: `/c/${encodeURIComponent(show.id)}`, "aria-label": `${t("control_link")}: ${show.title}` }, t("control_link"))) : null);
}

/** A show that is out of order: since when, why, and another try. @param {Listed} show @param {{since: number, reason: string}} parked */
function parked(show, parked) {
  const again = async () => {
    const failed = await api.ask("POST", `/rooms/${encodeURIComponent(show.id)}/release`).then(() => "", ({ code }) => refusal(code));
    await read();
    problem ||= failed;
    paint();
  };
  return [
    badge(t("parked_mark", { time: time(parked.since, Date.now()) }), "bad"),
    button(t("retry"), again, { key: "again", name: `${t("retry")}: ${show.title}` }),
    h("p", { class: "card__fault", key: "why" }, t("parked_why", { reason: parked.reason })),
  ];
}

/** @param {Listed} show */
function when(show) {
  const now = Date.now();
  if (show.state === "ended") return show.ended_at ? time(show.ended_at, now) : "";
  if (show.state === "live" || show.state === "paused") return "";
  if (!show.scheduled_at) return t("no_date");
  return show.scheduled_at > now ? t("starts", { time: time(show.scheduled_at, now) }) : t("starting_soon");
}

/** One of a few colours for a show without a cover, the same every time. @param {string} room */
function hue(room) {
  let sum = 0;
  for (const letter of room) sum = (sum * 31 + letter.charCodeAt(0)) % 997;
  return sum % 4;
}
