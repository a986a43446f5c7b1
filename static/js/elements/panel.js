// @ts-check
/** `<hub-panel>`: what stands on the picture when it is not simply live: lobby, paused, ended. */

import { h, icon, later } from "../dom.js";
import { clock, compact, date, number, off, time } from "../model/format.js";
import { t } from "../model/strings.js";
import { onTick } from "../model/ticker.js";
import { Countdown } from "./countdown.js";

/** @typedef {import("../types.js").Stage} Stage */

/** Tags and the host's menu of links. @param {import("../types.js").Details} details @returns {HTMLElement[]} */
export function tagsAndLinks(details) {
  const tags = (details.tags || []).map((tag) => h("li", { class: "tag", text: `#${tag}` }));
  const links = (details.links || []).map((link) =>
    h("li", {}, h("a", { class: "button button--small", href: link.url, target: "_blank", rel: "noopener noreferrer", text: link.label })),
  );
  const lists = [];
  if (tags.length) lists.push(h("ul", { class: "tags" }, ...tags));
  if (links.length) lists.push(h("ul", { class: "links" }, ...links));
  return lists;
}

export class Panel extends HTMLElement {
  constructor() {
    super();
    /** @type {import("../viewer/app.js").App} */
    this.app = later;
    /** What is drawn. @type {string} */
    this.shown = "";
    this.countdown = /** @type {Countdown} */ (document.createElement("hub-countdown"));
    this.countdown.over = () => this.update();
  }

  /** @param {import("../viewer/app.js").App} app */
  start(app) {
    this.app = app;
    onTick(() => this.update());
  }

  update() {
    const { app } = this;
    const { stage } = app.room;
    if (!stage) return;
    const { state, details } = stage.show;
    const soon = (details.scheduled_at || 0) <= app.clock.now();
    const key = JSON.stringify([state, soon, details, stage.summary, document.documentElement.lang]);
    if (key === this.shown) return;
    this.shown = key;
    this.hidden = state === "live";
    this.dataset.state = state;
    const content = { draft: () => this.lobby(stage, soon), scheduled: () => this.lobby(stage, soon), paused, ended: () => this.ended(stage), live: () => [] };
    this.replaceChildren(h("div", { class: "panel-on-picture" }, ...content[state]()));
  }

  /** @param {Stage} stage @param {boolean} soon */
  lobby(stage, soon) {
    const { details } = stage.show;
    /** @type {HTMLElement[]} */
    const parts = [h("h1", { class: "lobby__title", text: details.title })];
    if (details.scheduled_at && soon) {
      parts.push(h("p", { class: "lobby__soon", text: t("starting_soon") }), h("p", { text: t("lobby_soon_text") }));
    } else if (details.scheduled_at) {
      this.countdown.run(details.scheduled_at, this.app.clock);
      parts.push(
        h("p", { class: "lobby__label", text: t("starts_in") }),
        h("p", { class: "lobby__countdown" }, this.countdown),
        h("p", { class: "lobby__date", text: date(details.scheduled_at) }),
        h("a", { class: "button button--main", href: `/r/${encodeURIComponent(this.app.roomId)}/event.ics` }, icon("calendar"), t("add_to_calendar")),
      );
    } else {
      parts.push(h("p", { class: "lobby__soon", text: t("lobby_draft") }));
    }
    if (details.description) parts.push(h("p", { class: "lobby__text", text: details.description }));
    return [...parts, ...tagsAndLinks(details)];
  }

  /** @param {Stage} stage */
  ended(stage) {
    const { show } = stage;
    // It comes with the end, or with the reveal of a draw that the end has closed.
    const sum = stage.summary;
    const until = show.redeem_until && show.redeem_until > this.app.clock.now();
    const figures = sum && [
      figure(clock(sum.live_ms), t("sum_live")),
      figure(number(sum.viewers), t("sum_viewers")),
      sum.peak && figure(number(sum.peak.viewers), t("sum_peak", { time: time(sum.peak.at, sum.peak.at) })),
      sum.comments ? figure(number(sum.comments), t("sum_comments")) : null,
      figure(compact(sum.likes), t("sum_likes")),
    ];
    const results = sum && [
      ...sum.discounts.map((one) => h("li", {}, h("strong", { text: `${off(one.off)} · ${one.title}` }), h("span", { class: "numbers", text: t("results_claimed", { n: one.claimed, total: one.quota }) }))),
      ...sum.draws.filter((one) => !one.cancelled).map((one) => h("li", {}, h("strong", { text: one.prize }), h("span", { text: winnersLine(one) }))),
    ];
    return [
      h("h1", { class: "lobby__title", text: t("ended_title") }),
      h("p", { text: show.details.title }),
      h("p", { class: "lobby__text", text: until ? t("codes_until", { time: time(show.redeem_until || 0, show.ended_at || 0) }) : t("ended_text") }),
      figures && h("dl", { class: "figures" }, ...figures),
      results?.length ? h("ul", { class: "results" }, ...results) : null,
      ...tagsAndLinks(show.details),
      h("a", { class: "button", href: "/", text: t("to_start") }),
    ];
  }
}

function paused() {
  return [h("p", { class: "lobby__soon", text: t("paused_title") }), h("p", { text: t("paused_text") })];
}

/** @param {string} value @param {string} name */
function figure(value, name) {
  return h("div", { class: "figure" }, h("dt", { text: name }), h("dd", { class: "numbers", text: value }));
}

/** @param {import("../types.js").DrawSummary} draw */
function winnersLine(draw) {
  if (!draw.winners.length) return t("no_entries");
  const names = draw.winners.slice(0, 5).map((winner) => winner.name).join(", ");
  return draw.won > 5 ? `${names}, ${t("and_more", { n: draw.won - 5 })}` : names;
}

customElements.define("hub-panel", Panel);
