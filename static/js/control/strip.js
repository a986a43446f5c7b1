// @ts-check
// The strip at the top: am I on air, since when, what do viewers actually have, and the few big buttons.

import { clock, number, time } from "../model/format.js";
import { liveMs } from "../model/room.js";
import { language, speak, t } from "../model/strings.js";
import { button, iconButton } from "./controls.js";
import { openEnd } from "./end.js";
import { openHelp } from "./help.js";
import { Part } from "./part.js";
import { h } from "./render.js";
import { openSettings } from "./settings.js";
import { openShare } from "./share.js";
import { openStaff } from "./staff.js";

/** @typedef {import("./desk.js").Desk} Desk */

/** How long a note stays after somebody was back. */
const ALONE_SAID_MS = 10 * 60_000;

/**
 * Which of the four the host is, in one word.
 *
 * @param {import("../types.js").ShowCard} show
 * @returns {"preview" | "on_air" | "paused" | "ended"}
 */
export function standing(show) {
  if (show.state === "live") return "on_air";
  if (show.state === "paused") return "paused";
  return show.state === "ended" ? "ended" : "preview";
}

export class ControlStrip extends Part {
  /** @override @param {Desk} desk */
  describe(desk) {
    const { show } = desk.stage;
    const is = standing(show);
    return [
      h("header", { class: "strip" },
        h("div", { class: `air air--${is}`, role: "status" },
          h("span", { class: "air__dot", "aria-hidden": "true" }),
          h("strong", { class: "air__word" }, t(`air_${is}`)),
          h("span", { class: "air__time numbers", "aria-hidden": "true" }, elapsed(show, desk.now))),
        h("div", { class: "strip__about" },
          h("h1", { class: "strip__title", title: show.details.title }, show.details.title),
          health(desk)),
        h("div", { class: "strip__buttons" }, buttons(desk, is)),
        h("nav", { class: "strip__more", "aria-label": t("room_menu") }, menu(desk)),
      ),
      h("div", { class: "strip__notes", role: "status" }, lineNote(desk), aloneNote(desk)),
    ];
  }
}

/** @param {import("../types.js").ShowCard} show @param {number} now */
function elapsed(show, now) {
  if (show.state === "draft") return "";
  if (show.state !== "scheduled") return clock(liveMs(show, now));
  const until = (show.details.scheduled_at ?? 0) - now;
  return until > 0 ? `−${clock(until, "up")}` : t("start_due");
}

/** What viewers have. @param {Desk} desk */
function health(desk) {
  const { state, stage } = desk;
  const watching = t("watching", { n: stage.totals.watching });
  const told = state.health;
  if (!told) return h("p", { class: "strip__health" }, watching);
  const journal = told.journal_ok
    ? h("span", { key: "journal", class: "strip__journal", title: t("journal_hint") }, `· ${t("journal_good", { n: told.commit_ms })}`)
    : h("strong", { key: "journal", class: "strip__bad" }, `· ${t("journal_bad")}`);
  return h("p", { class: "strip__health", title: t("health_hint") },
    h("span", { key: "watching", class: "strip__watching" }, watching),
    h("span", { key: "have", class: "strip__have" }, `– ${have(told)}`),
    told.asked ? h("span", { key: "short", class: "strip__short" }, short(told)) : null,
    told.thinned ? h("strong", { key: "thinned", class: "strip__bad" }, t("thinned")) : null,
    journal);
}

/** @param {import("../types.js").Health} told */
function have(told) {
  if (!told.asked) return t("health_nobody");
  const picture = told.playing + told.stalled > 0
    ? t("health_picture", { asked: told.asked, playing: told.playing })
    : t("health_answered", { asked: told.asked, answered: told.answered });
  const newest = t("health_newest", { newest: told.newest });
  const behind = told.behind_ms === undefined ? [] : [t("health_behind", { s: seconds(told.behind_ms) })];
  return [picture, ...behind, newest, t("health_p95", { s: seconds(told.p95_ms) })].join(t("comma"));
}

/** The same for where there is little room. @param {import("../types.js").Health} told */
function short(told) {
  return told.playing + told.stalled > 0
    ? t("health_short_picture", { playing: told.playing, asked: told.asked })
    : t("health_short_newest", { newest: told.newest, asked: told.asked });
}

/** @param {number} ms */
function seconds(ms) {
  return number(Math.round(ms / 100) / 10);
}

/** @param {Desk} desk @param {string} is */
function buttons(desk, is) {
  const { show } = desk.stage;
  if (!desk.may("all")) return null;
  if (show.ends_at) {
    const left = Math.max(0, Math.ceil((show.ends_at - desk.now) / 1000));
    return h("div", { class: "ending", key: "ending" },
      h("span", { class: "numbers", role: "timer" }, t("ending_in", { n: left })),
      button(t("undo_end"), () => desk.ask("undo_end", {}, t("undo_end")), { kind: "main", small: false }));
  }
  if (is === "preview") return goLive(desk);
  if (is === "ended") return null;
  const pause = is === "on_air"
    ? button(t("pause"), () => desk.ask("pause", {}, t("pause")), { key: "pause", small: false })
    : button(t("resume"), () => desk.ask("resume", {}, t("resume")), { key: "pause", kind: "live", small: false });
  return [pause, button(t("end"), () => openEnd(desk), { key: "end", kind: "danger", small: false })];
}

/** @param {Desk} desk */
function goLive(desk) {
  const going = desk.line.cue?.what.kind === "start";
  return h("button", {
    key: "live",
    type: "button",
    class: `button button--live strip__live${going ? " is-going" : ""}`,
    onclick: () => pressOnce(desk, going, () => desk.line.start({ kind: "start" })),
  }, going ? t("stop_live") : t("go_live"), going ? h("span", { class: "going", "aria-hidden": "true" }) : null);
}

/** Ignores the second press of a double click, which would stop what the first one began.
 *  @param {Desk} desk @param {boolean} going @param {() => void} start */
export function pressOnce(desk, going, start) {
  if (!going) start();
  else if (desk.line.left() < 0.8) desk.line.stop();
}

/** @param {Desk} desk */
function menu(desk) {
  const other = language() === "zh" ? "en" : "zh";
  return [
    iconButton("share", t("share_panel"), () => openShare(desk), { key: "share" }),
    desk.may("host") && iconButton("staff", t("staff_panel"), () => openStaff(desk), { key: "staff" }),
    desk.may("host") && iconButton("settings", t("settings_panel"), () => openSettings(desk), { key: "settings" }),
    iconButton("help", t("help_panel"), () => openHelp(desk), { key: "help" }),
    h("button", {
      key: "language",
      type: "button",
      class: "icon-button icon-button--words",
      lang: other === "zh" ? "zh-CN" : "en",
      "aria-label": `${other === "zh" ? "中" : "EN"} – ${t("language_label")}`,
      onclick: () => {
        speak(other);
        document.documentElement.lang = other === "zh" ? "zh-CN" : "en";
        desk.paint();
      },
    }, other === "zh" ? "中" : "EN"),
  ];
}

/** The show went on without staff: said for a while to whoever comes back. @param {Desk} desk */
function aloneNote(desk) {
  const past = desk.backstage.unattended;
  if (!past || desk.now - (past.until ?? desk.now) > ALONE_SAID_MS) return null;
  const until = past.until ?? desk.now;
  return h("p", { class: "note note--warn", key: "alone" }, t("was_alone", { since: time(past.since, desk.now), for: clock(until - past.since) }));
}

/** A lost connection: since when, and what will be sent. @param {Desk} desk */
function lineNote(desk) {
  const { standing: line } = desk.connection;
  if (desk.connected) return null;
  if (line.phase === "closed") {
    return h("p", { class: "note note--bad", key: "closed" }, t(`line_${line.why ?? "closed"}`),
      button(t("retry"), () => desk.connection.retry(), { kind: "main" }));
  }
  const since = Date.now() - (performance.now() - line.since);
  const waiting = [...desk.waiting.values()];
  return h("p", { class: "note note--warn", key: "lost" },
    line.why === "parked" ? h("strong", { key: "parked" }, t("parked")) : null,
    h("strong", { key: "since" }, t("line_lost", { since: time(since, Date.now()), ago: clock(performance.now() - line.since) })),
    h("span", null, waiting.length ? t("line_waiting", { n: waiting.length, what: waiting.slice(0, 3).join(t("comma")) }) : t("line_nothing")));
}
