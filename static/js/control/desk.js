// @ts-check
// The desk: all that the control page knows and can do. Parts of the page read it and are told when it
// changed; what they want is asked of the room through it.

import { reduce } from "../model/backstage.js";
import { ServerClock } from "../model/clock.js";
import { nonce } from "../model/random.js";
import { emptyRoom } from "../model/room.js";
import { refusal, t } from "../model/strings.js";
import { Connection, socketUrl } from "../net/connection.js";
import { Api } from "./api.js";
import { CommentFlow } from "./comment-flow.js";
import { CueLine } from "./cue.js";
import { rows } from "./run-of-show.js";
import { preference, prefer, roomToken } from "./session.js";
import { Tally } from "./tally.js";

/** The page is painted at most this often, in ms: four times a second is as fast as numbers can be read. */
const PAINT_MS = 250;
/** A notice about a failure stays this long; one with an undo as long as the undo. */
const NOTICE_MS = 12_000;
/** How long a mute from the comments lasts. */
export const MUTE_MS = 600_000;

/**
 * @typedef {object} Notice what happened, for the host
 * @property {number} id
 * @property {string} text
 * @property {"good" | "bad"} kind
 * @property {number} until page time at which it goes
 * @property {{label: string, run: () => void}} [undo]
 */

export class Desk {
  /** @param {string} room */
  constructor(room) {
    this.room = room;
    this.api = new Api(() => roomToken(room));
    this.clock = new ServerClock();
    this.state = emptyRoom();
    this.flow = new CommentFlow();
    this.tally = new Tally();
    /** @type {CueLine<{kind: "row", what: "draw" | "discount", id: string} | {kind: "start"}>} */
    this.line = new CueLine({ send: (what) => this.#send(what), changed: () => this.touch(true) });
    /** @type {Map<number, string>} what waits for its answer, in words */
    this.waiting = new Map();
    /** @type {Notice[]} */
    this.notices = [];
    /** @type {string | undefined} `draw:id` or `discount:id` */
    this.selected = undefined;
    /** Grows when the staff changed: lists are read again. */
    this.staffChanges = 0;
    /** Redeemed of each discount, as REST last told. @type {Map<string, number>} */
    this.redeemed = new Map();
    this.shortcuts = preference("shortcuts") !== "off";
    this.lastSeen = 0;
    /** @type {Set<() => void>} */
    this.watchers = new Set();
    this.painted = 0;
    this.numbers = 0;
    this.connection = new Connection({
      url: socketUrl(room, location),
      hello: () => ({ token: roomToken(room), feed: "backstage" }),
      onMessage: (message) => this.#take(message),
      onStanding: () => this.touch(true),
      onTime: (time) => this.clock.sync(time),
    });
  }

  /** Whether the whole state is here. */
  get ready() {
    return this.state.stage !== null && this.state.backstage !== null;
  }

  /** @returns {import("../types.js").Stage} */
  get stage() {
    return /** @type {any} */ (this.state.stage);
  }

  /** The backstage with its stage, as a keyframe has it. @returns {import("../types.js").Backstage} */
  get backstage() {
    return { .../** @type {any} */ (this.state.backstage), stage: this.stage };
  }

  /** The run of show. */
  get rows() {
    return rows(this.backstage);
  }

  /** Server time. */
  get now() {
    return this.clock.now();
  }

  /** Whether the room is on the line, as far as the page knows. */
  get connected() {
    const { phase, why } = this.connection.standing;
    return phase === "live" && why !== "offline";
  }

  /**
   * Whether I may do something; the server decides again.
   *
   * @param {"comments" | "actions" | "all" | "host"} need
   */
  may(need) {
    const role = this.state.role;
    if (role === "host") return true;
    const rights = role?.assistant;
    return need !== "host" && rights !== undefined && (rights === "all" || rights === need);
  }

  // -- being watched

  /** @param {() => void} watcher called after changes, at most every {@link PAINT_MS} */
  watch(watcher) {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  /** Something changed. @param {boolean} [now] somebody waits to see it */
  touch(now = false) {
    const wait = now ? 0 : Math.max(0, this.painted + PAINT_MS - performance.now());
    if (this.paintAt !== undefined && this.paintAt <= performance.now() + wait) return;
    clearTimeout(this.paintTimer);
    this.paintAt = performance.now() + wait;
    this.paintTimer = setTimeout(() => this.paint(), wait);
  }

  paint() {
    this.paintAt = undefined;
    this.painted = performance.now();
    this.notices = this.notices.filter((notice) => notice.until > this.painted);
    for (const watcher of this.watchers) watcher();
  }

  start() {
    this.connection.start();
    // one timer for every countdown of the page
    setInterval(() => this.touch(), 1000);
    document.addEventListener("visibilitychange", () => this.touch(true));
  }

  // -- what the room says

  /** @param {import("../types.js").Message} message */
  #take(message) {
    this.lastSeen = Date.now();
    this.state = reduce(this.state, message);
    this.tally.take(message);
    const keyframe = message.backstage_keyframe;
    if (keyframe) {
      this.clock.heard(keyframe.at);
      this.flow.reset(keyframe.state.stage.comments, keyframe.state.offstage, keyframe.at);
      this.staffChanges += 1;
    }
    const delta = message.backstage_delta;
    if (delta) {
      this.clock.heard(delta.at);
      for (const event of delta.events) {
        this.flow.apply(event, delta.at);
        if (event.staff) this.staffChanges += 1;
      }
    }
    this.touch(Boolean(keyframe || message.joined));
  }

  // -- what I want

  /**
   * Asks the room for something. Without a connection it waits and is sent when the room is back; `words`
   * says meanwhile what waits. A refusal is told in a notice: what was asked, why not.
   *
   * @param {string} cmd
   * @param {Record<string, any>} args
   * @param {string} words
   * @returns {Promise<any>} the answer, `undefined` if it was refused
   */
  async ask(cmd, args, words) {
    const id = (this.numbers += 1);
    this.waiting.set(id, words);
    this.touch(true);
    try {
      return await this.connection.request(cmd, args);
    } catch (problem) {
      this.failed(words, problem);
      return undefined;
    } finally {
      this.waiting.delete(id);
      this.touch(true);
    }
  }

  /**
   * As {@link Desk.ask}, for a form that shows the refusal itself.
   *
   * @param {string} cmd @param {Record<string, any>} args @param {string} words
   */
  async askOrThrow(cmd, args, words) {
    const id = (this.numbers += 1);
    this.waiting.set(id, words);
    this.touch(true);
    try {
      return await this.connection.request(cmd, args);
    } finally {
      this.waiting.delete(id);
      this.touch(true);
    }
  }

  /** Tells a failure. @param {string} words what was asked @param {any} problem */
  failed(words, problem) {
    this.tell(t("failed", { what: words, why: refusal(problem.code ?? "other") }), { kind: "bad" });
  }

  /**
   * @param {string} text
   * @param {{kind?: "good" | "bad", ms?: number, undo?: Notice["undo"]}} [how]
   */
  tell(text, { kind = "good", ms = NOTICE_MS, undo } = {}) {
    const notice = { id: (this.numbers += 1), text, kind, until: performance.now() + ms, undo };
    this.notices = [...this.notices.slice(-2), notice];
    this.touch(true);
  }

  /** @param {number} id */
  dismiss(id) {
    this.notices = this.notices.filter((notice) => notice.id !== id);
    this.touch(true);
  }

  /** Undoes the newest thing that can still be undone. */
  undo() {
    const last = [...this.notices].reverse().find((notice) => notice.undo);
    if (!last?.undo) return false;
    this.dismiss(last.id);
    last.undo.run();
    return true;
  }

  // -- the run of show

  /** @param {import("./run-of-show.js").Row} row */
  select(row) {
    this.selected = `${row.what}:${row.id}`;
    this.touch(true);
  }

  /** @param {import("./run-of-show.js").Row} row */
  isSelected(row) {
    return this.selected === `${row.what}:${row.id}`;
  }

  /** Puts a row on its way out. @param {import("./run-of-show.js").Row} row */
  fire(row) {
    this.line.start({ kind: "row", what: row.what, id: row.id });
  }

  /** @param {import("./run-of-show.js").Row} row */
  isGoingOut(row) {
    const cue = this.line.cue?.what;
    return cue?.kind === "row" && cue.what === row.what && cue.id === row.id;
  }

  /** @param {{kind: "row", what: "draw" | "discount", id: string} | {kind: "start"}} what */
  #send(what) {
    if (what.kind === "start") {
      this.ask("start", {}, t("go_live"));
      return;
    }
    const row = this.rows.find((one) => one.what === what.what && one.id === what.id);
    const words = t("open_what", { what: row ? nameOf(row) : what.id });
    if (what.what === "draw") this.ask("open_draw", { draw: what.id }, words);
    else this.ask("open_discount", { discount: what.id }, words);
  }

  // -- comments

  /** @param {string} text @param {string} key the nonce of this text @returns {Promise<any>} */
  say(text, key = nonce()) {
    return this.askOrThrow("comment", { nonce: key, text }, t("your_comment", { text }));
  }

  /** @param {import("./comment-flow.js").Line} line */
  async remove(line) {
    const answer = await this.ask("delete", { comment: line.id }, t("delete_what", { name: line.name }));
    if (answer?.deleted) this.#offerRestore(answer.deleted, line.name);
  }

  /** All of one viewer's. @param {import("./comment-flow.js").Line} line */
  async removeAll(line) {
    if (line.by === undefined) return;
    const answer = await this.ask("delete_all", { viewer: line.by }, t("delete_all_what", { name: line.name }));
    if (answer?.deleted) this.#offerRestore(answer.deleted, line.name);
  }

  /** @param {{deletion: number, count: number, undo_until: number}} deleted @param {string} name */
  #offerRestore({ deletion, count, undo_until }, name) {
    const restore = () => this.ask("restore", { deletion }, t("undo_delete", { name }));
    this.tell(t("deleted_n", { n: count, name }), {
      ms: Math.max(1000, undo_until - this.now),
      undo: { label: t("undo"), run: restore },
    });
  }

  /** @param {import("./comment-flow.js").Line} line @param {number} [for_ms] */
  async mute(line, for_ms = MUTE_MS) {
    if (line.by === undefined) return;
    const viewer = line.by;
    const words = t("mute_what", { name: line.name });
    const answer = await this.ask("mute", { viewer, for_ms }, words);
    if (!answer) return;
    const unmute = () => this.ask("unmute", { viewer }, t("unmute_what", { name: line.name }));
    this.tell(t("muted_for", { name: line.name, n: Math.round(for_ms / 60_000) }), {
      ms: 10_000,
      undo: { label: t("undo"), run: unmute },
    });
  }

  /** @param {import("./comment-flow.js").Line} line */
  pin(line) {
    return this.ask("pin", { comment: line.id }, t("pin_what", { name: line.name }));
  }

  unpin() {
    return this.ask("unpin", {}, t("unpin"));
  }

  // -- preferences

  /** @param {boolean} on */
  switchShortcuts(on) {
    this.shortcuts = on;
    prefer("shortcuts", on ? "on" : "off");
    this.touch(true);
  }
}

/** What a row is called. @param {import("./run-of-show.js").Row} row @returns {string} */
export function nameOf(row) {
  if (row.what === "draw") return row.prepared?.rules.prize ?? row.card?.rules.prize ?? row.summary?.prize ?? row.id;
  return row.prepared?.terms.title ?? row.card?.terms.title ?? row.summary?.title ?? row.id;
}
