// @ts-check
// The numbers of the show as they move, each against its goal; every ratio with what it is of.

import { compact, duration, number, share, time } from "../model/format.js";
import { liveMs } from "../model/room.js";
import { t } from "../model/strings.js";
import { button } from "./controls.js";
import { Part } from "./part.js";
import { h } from "./render.js";
import { allClaims } from "./run-of-show.js";
import { openSummary } from "./summary.js";
import { curve } from "./tally.js";

/** @typedef {import("./desk.js").Desk} Desk */

const CURVE = { width: 120, height: 32 };

export class ControlNumbers extends Part {
  /** @override @param {Desk} desk */
  describe(desk) {
    const { totals, show } = desk.stage;
    const { goals } = desk.backstage;
    const claims = allClaims(desk.rows, totals);
    const redeemed = [...desk.redeemed.values()].reduce((sum, one) => sum + one, 0) || claims.redeemed;
    const { peak } = desk.tally;
    const points = curve(desk.tally.samples, CURVE.width, CURVE.height);
    return [
      h("h2", { class: "visually-hidden" }, t("numbers")),
      h("dl", { class: "numbers-row" },
        figure(t("watching_now"), number(totals.watching), peak ? t("peak_at", { n: peak.viewers, time: time(peak.at, desk.now) }) : t("no_peak"),
          h("svg", { class: "curve", viewBox: `0 -2 ${CURVE.width} ${CURVE.height + 4}`, preserveAspectRatio: "none", "aria-hidden": "true" },
            h("polyline", { points }))),
        figure(t("viewers_so_far"), number(totals.viewers), goal(totals.viewers, goals.viewers, t("viewers_so_far"))),
        figure(t("comments"), number(desk.tally.comments), goal(desk.tally.comments, goals.comments, t("comments"))),
        figure(t("likes_so_far"), compact(totals.likes), goal(totals.likes, goals.likes, t("likes_so_far"))),
        figure(t("claims"), number(claims.claimed), claims.quota
          ? [t("claimed_quota", { share: share(claims.claimed, claims.quota), quota: number(claims.quota) }), t("redeemed_of", { n: redeemed, claimed: number(claims.claimed) })].join(" · ")
          : t("no_discounts"), bar(claims.claimed, goals.claims)),
      ),
      show.state === "ended" ? h("div", { class: "numbers-after", key: "after" },
        h("p", null, t("after_end", { live: duration(liveMs(show, desk.now)) })),
        button(t("summary"), () => openSummary(desk), { kind: "main", icon: "chart" })) : null,
    ];
  }
}

/** @param {string} label @param {string} value @param {any} more @param {any} [drawn] */
function figure(label, value, more, drawn = null) {
  return h("div", { class: "figure", key: label },
    h("dt", { class: "figure__label" }, label),
    h("dd", { class: "figure__value numbers" }, value),
    h("dd", { class: "figure__more numbers" }, more),
    drawn ? h("dd", { class: "figure__drawn" }, drawn) : null);
}

/** @param {number} is @param {number | undefined} wanted @param {string} what */
function goal(is, wanted, what) {
  if (!wanted) return t("no_goal");
  return h("span", { class: "goal" }, t("goal_of", { share: share(is, wanted), goal: number(wanted), what: what.toLowerCase() }), bar(is, wanted));
}

/** @param {number} is @param {number | undefined} of */
function bar(is, of) {
  if (!of) return null;
  return h("span", { class: "bar bar--thin", "aria-hidden": "true" },
    h("span", { class: "bar__fill", vars: { "--share": Math.min(1, is / of) } }));
}
