// @ts-check
/**
 * What the viewer page's parts share: the room's state, the connection, and who I am. Messages change the
 * state, the state is handed to the parts once per frame: one direction.
 */

import { kept } from "../dom.js";
import { ServerClock } from "../model/clock.js";
import { Outbox } from "../model/outbox.js";
import { Presses } from "../model/presses.js";
import { emptyRoom, reduce } from "../model/room.js";
import { t } from "../model/strings.js";
import { Connection, socketUrl } from "../net/connection.js";

/** @typedef {import("../types.js").Message} Message */
/** @typedef {import("../net/connection.js").Refused} Refused */

/** Where my token is kept. */
export const TOKEN = "hubbub.viewer";
const STORE = "hubbub.store";
const NAME = "hubbub.name";

export class App {
  /** @param {string} room @param {URLSearchParams} query @param {URLSearchParams} fragment @param {import("../net/connection.js").Codec} [codec] */
  constructor(room, query, fragment, codec) {
    this.roomId = room;
    /** A preview watches uncounted, muted, and as nobody. */
    this.preview = query.has("preview");
    this.room = emptyRoom();
    /** The store's own token for me: from the address's fragment, for as long as the tab is open. */
    this.storeToken = fragment.get("token") || kept.get(STORE, "session");
    if (fragment.has("token")) {
      kept.set(STORE, this.storeToken, "session");
      history.replaceState(null, "", location.pathname + location.search);
    }
    this.clock = new ServerClock();
    this.outbox = new Outbox(keptInTab(`hubbub.outbox.${room}`));
    this.presses = new Presses(keptInTab(`hubbub.presses.${room}`));
    /** Presses that the connection holds and asks. @type {Set<import("../model/presses.js").Press>} */
    this.underWay = new Set();
    this.triedWithoutToken = false;
    /** Until when sending rests, server time. */
    this.sendRestsUntil = 0;
    /** When `mine` was heard, server time: its watch time is of then. */
    this.mineAt = 0;
    /** What the picture does. @type {import("../types.js").Picture} */
    this.picture = "none";
    /** How far it is behind its live edge, where that can be known. @type {number | undefined} */
    this.behindMs = undefined;
    /** Set by the page: draws the state soon. */
    this.changed = () => {};
    this.name = this.guestName();
    const src = query.get("src") || "";
    this.connection = new Connection({
      url: socketUrl(room, location),
      codec,
      hello: () => this.hello(src),
      onMessage: (message) => this.take(message),
      onStanding: (standing) => this.stand(standing),
      onTime: (time) => this.clock.sync(time),
    });
  }

  get standing() {
    return this.connection.standing;
  }

  /** My name as the room has it, or as I brought it. */
  get myName() {
    return this.room.mine.name || this.name;
  }

  start() {
    this.connection.start();
    for (const one of this.outbox.pending) this.post(one);
  }

  /** @param {string} src */
  hello(src) {
    /** @type {Record<string, any>} */
    const args = { feed: "stage" };
    if (this.preview) args.preview = true;
    else {
      const token = this.storeToken || (this.triedWithoutToken ? null : kept.get(TOKEN));
      if (token) args.token = token;
      args.name = this.name;
    }
    if (/^[a-z0-9_-]{1,40}$/.test(src)) args.src = src;
    return args;
  }

  /** @param {Message} message */
  take(message) {
    this.room = reduce(this.room, message);
    const carrier = message.keyframe || message.delta || message.pulse;
    if (carrier) this.clock.heard(carrier.at);
    if (message.joined) this.joined(message.joined);
    if (message.joined || message.mine) this.mineAt = this.clock.now();
    if (message.ask_seen) this.answerSeen();
    if (message.delta) {
      for (const event of message.delta.events) {
        if (event.deleted) this.outbox.deleted(event.deleted.comments);
        if (event.modes) this.freshModes();
      }
    }
    this.changed();
  }

  /** @param {import("../types.js").Joined} joined */
  joined(joined) {
    this.triedWithoutToken = false;
    if (joined.token && !this.preview) kept.set(TOKEN, joined.token);
    // after the connection has sent again what it holds
    if (!this.preview) queueMicrotask(() => this.askAgain());
  }

  /** Under other modes the old wait means nothing; if there still is one, the room says so. */
  freshModes() {
    this.sendRestsUntil = 0;
    this.room = { ...this.room, mine: { ...this.room.mine, next_comment_at: undefined } };
  }

  answerSeen() {
    const cursor = this.connection.follower.cursor;
    if (!cursor) return;
    const { picture, behindMs } = this;
    const seen = { offset: cursor.offset, picture: document.hidden ? "hidden" : picture };
    this.connection.note("seen", behindMs === undefined || document.hidden ? seen : { ...seen, behind_ms: behindMs });
  }

  /** @param {import("../net/connection.js").Standing} standing */
  stand(standing) {
    // A token that this server does not know (its secret is new): come in as somebody new, once.
    const refused = standing.phase === "closed" && standing.why === "not_allowed";
    if (refused && this.storeToken) {
      // The person is told; who tries again comes in as a guest.
      this.forgetStoreToken();
    } else if (refused && !this.triedWithoutToken && !this.preview && kept.get(TOKEN)) {
      this.triedWithoutToken = true;
      this.connection.retry();
      return;
    }
    this.changed();
  }

  forgetStoreToken() {
    this.storeToken = null;
    kept.set(STORE, null, "session");
  }

  guestName() {
    const old = kept.get(NAME);
    if (old) return old;
    const [random] = crypto.getRandomValues(new Uint16Array(1));
    const name = t("guest", { number: String(1000 + (random % 9000)) });
    kept.set(NAME, name);
    return name;
  }

  /** @param {string} name @throws {Refused} */
  async rename(name) {
    await this.connection.request("rename", { name });
    kept.set(NAME, name);
    this.name = name;
    this.room = { ...this.room, mine: { ...this.room.mine, name } };
    this.changed();
  }

  /**
   * Posts what was written; it stays in the outbox until the room has it.
   *
   * @param {import("../model/outbox.js").Written} written
   * @returns {Promise<Refused | null>} why it was refused
   */
  async post(written) {
    try {
      const answer = await this.connection.request("comment", { nonce: written.nonce, text: written.text });
      if (answer.comment) this.outbox.sent(written.nonce, answer.comment.comment);
      else this.outbox.remove(written.nonce);
      this.rest(this.room.stage?.modes.slow_ms || 0);
      return null;
    } catch (error) {
      const refused = /** @type {Refused} */ (error);
      this.outbox.failed(written.nonce, refused.code);
      this.rest(refused.retryAfterMs || 0);
      return refused;
    } finally {
      this.changed();
    }
  }

  /**
   * Asks for a claim, an entry or a prize. It waits among the presses until the room has answered; `true` if
   * it was granted.
   *
   * @param {string} of @param {string} cmd @param {Record<string, any>} args
   */
  press(of, cmd, args) {
    return this.ask(this.presses.add(of, cmd, args));
  }

  /** What an earlier page pressed, or this one before its connection was closed. */
  askAgain() {
    for (const press of this.presses.waiting) if (!this.underWay.has(press)) this.ask(press);
  }

  /** @param {import("../model/presses.js").Press} press */
  async ask(press) {
    this.underWay.add(press);
    this.changed();
    try {
      await this.connection.request(press.cmd, press.args);
      this.presses.granted(press);
      return true;
    } catch (error) {
      const { code, retryAfterMs = 0 } = /** @type {Refused} */ (error);
      // that is no answer: it is asked again once the room can be had
      if (code !== "no_connection") this.presses.refused(press, code, this.clock.now() + retryAfterMs);
      return false;
    } finally {
      this.underWay.delete(press);
      this.changed();
    }
  }

  /** Sending rests for so long. @param {number} ms */
  rest(ms) {
    if (ms > 0) this.sendRestsUntil = Math.max(this.sendRestsUntil, this.clock.now() + ms);
  }

  /** How long until the next comment is taken, ms. */
  get cooldownMs() {
    const { next_comment_at = 0, muted_until = 0 } = this.room.mine;
    return Math.max(0, Math.max(this.sendRestsUntil, next_comment_at, muted_until) - this.clock.now());
  }

  /** My watch time by now, ms, as far as this page can know it. */
  get watchedMs() {
    const live = this.room.stage?.show.state === "live";
    return this.room.mine.watched_ms + (live ? Math.max(0, this.clock.now() - this.mineAt) : 0);
  }
}

/** A place that survives a reload of this tab. @param {string} key */
function keptInTab(key) {
  return {
    get: () => kept.get(key, "session"),
    /** @param {string | null} value */
    set: (value) => kept.set(key, value, "session"),
  };
}
