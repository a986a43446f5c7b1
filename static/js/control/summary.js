// @ts-check
// After the end: the numbers of the show, files, and the way to the next one.

import { duration, number, off, share, time } from "../model/format.js";
import { refusal, t } from "../model/strings.js";
import { paths } from "./api.js";
import { button } from "./controls.js";
import { Loading, table } from "./loading.js";
import { h } from "./render.js";
import { keepStaffToken } from "./session.js";
import { openSheet } from "./sheet.js";

/** @typedef {import("./desk.js").Desk} Desk */

/** @param {Desk} desk */
export function openSummary(desk) {
  const path = paths(desk.room);
  const read = new Loading(() => desk.api.read(path.results), () => sheet?.paint());
  const save = (/** @type {string} */ from, /** @type {string} */ name) => desk.api.download(from, name).catch((problem) => desk.failed(name, problem));
  const sheet = openSheet({
    desk,
    size: "wide",
    title: () => t("summary"),
    body: () => [
      read.show((results) => describe(desk, results.summary)),
      h("div", { class: "actions", key: "actions" },
        button(t("save_csv"), () => save(path.resultsCsv, `results-${desk.room}.csv`), { icon: "download", small: false }),
        button(t("save_json"), () => save(path.results, `results-${desk.room}.json`), { icon: "download", small: false }),
        desk.may("host") ? button(t("run_again"), () => runAgain(desk), { kind: "main", small: false }) : null),
    ],
  });
  return sheet;
}

/** @param {Desk} desk @param {import("../types.js").Summary} summary */
function describe(desk, summary) {
  const { viewers } = summary;
  const average = viewers ? duration(summary.watched_ms / viewers) : "–";
  const pairs = [
    [t("live_time"), duration(summary.live_ms)],
    [t("viewers_so_far"), number(viewers)],
    [t("peak"), summary.peak ? t("peak_then", { n: summary.peak.viewers, time: time(summary.peak.at, desk.now) }) : "–"],
    [t("average_watch"), t("average_of", { time: average, n: viewers })],
    [t("comments"), number(summary.comments)],
    [t("likes_so_far"), number(summary.likes)],
  ];
  return [
    h("dl", { class: "summary" }, pairs.map(([name, value]) => h("div", { class: "summary__row", key: name }, h("dt", null, name), h("dd", { class: "numbers" }, value)))),
    summary.discounts.length ? table(t("discounts"), [t("discounts"), t("off_column"), t("claimed_column"), t("redeemed_column")], summary.discounts.map((one) => h("tr", { key: one.id },
      h("td", null, one.title),
      h("td", null, off(one.off)),
      h("td", { class: "numbers" }, t("claimed_of", { n: one.claimed, quota: number(one.quota), share: share(one.claimed, one.quota) })),
      h("td", { class: "numbers" }, t("redeemed_of", { n: one.redeemed, claimed: number(one.claimed) }))))) : null,
    summary.draws.length ? table(t("draws"), [t("prize"), t("entries"), t("winners"), t("prizes_column")], summary.draws.map((one) => h("tr", { key: one.id },
      h("td", null, one.prize, one.cancelled ? ` (${t("phase_cancelled")})` : ""),
      h("td", { class: "numbers" }, number(one.entries)),
      h("td", null, [...one.winners.map((winner) => winner.name), one.won > one.winners.length ? t("and_more", { n: one.won - one.winners.length }) : ""].filter(Boolean).join(t("comma"))),
      h("td", { class: "numbers" }, one.won ? t("prizes_of", { n: one.claimed, winners: number(one.won) }) : "–")))) : null,
  ];
}

/** Copies the show with what was prepared, and goes to its control page. @param {Desk} desk */
async function runAgain(desk) {
  try {
    const made = await desk.api.send(paths(desk.room).copy, {});
    if (made.token) keepStaffToken(made.room, made.token.token);
    location.assign(`/c/${encodeURIComponent(made.room)}`);
  } catch (problem) {
    desk.tell(t("failed", { what: t("run_again"), why: refusal(/** @type {any} */ (problem).code) }), { kind: "bad" });
  }
}
