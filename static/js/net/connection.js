// @ts-check
/**
 * One page's connection to a room, over as many sockets as it takes: `hello`, requests that survive a lost
 * socket, the cursor rule, silence, and when to come back.
 */

import { Follower } from "./cursor.js";

/** @typedef {import("../types.js").Message} Message */
/** @typedef {import("../types.js").Problem} Problem */

/**
 * How messages are written: `msgpack.js` has another one.
 * @typedef {{protocol: string, encode: (message: any) => any, decode: (data: any) => any}} Codec
 */
/** @type {Codec} */
const JSON_CODEC = { protocol: "hubbub.v1.json", encode: JSON.stringify, decode: JSON.parse };

/** Nothing heard for so long: the socket is dead (the server sends something at least every 15 s). */
export const SILENCE_MS = 25_000;
/** After asking, an answer within this time, or the socket is dead. */
export const PROBE_MS = 3_000;
/** A socket that has not brought `joined` by then is given up. */
export const JOIN_MS = 10_000;
/** Asks the server's time this often. */
const CLOCK_MS = 60_000;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 30_000;
/** The close code of a room that is out of order: somebody has to see to it, so nobody hurries. */
const PARKED = 4006;
const PARKED_MS = 60_000;

/**
 * Why a connection does not come back by itself, or not soon, from the close code.
 * @typedef {"unknown_room" | "full" | "removed" | "not_allowed" | "too_old" | "flood" | "closed" | "parked" | "offline"} Why
 */
/** @type {Record<number, Why>} */
const FINAL = {
  1008: "flood",
  4500: "unknown_room",
  4501: "full",
  4502: "removed",
  4503: "not_allowed",
  4504: "too_old",
};

/**
 * Where a connection stands. `since` is on the page's clock (`performance.now()`).
 *
 * - connecting: for the first time
 * - live: joined
 * - reconnecting: it was live, and comes back
 * - closed: it does not come back by itself; `why` says what to tell the person
 *
 * While it comes back `why` is `parked` where the room is out of order. It is `offline` while the browser
 * says that there is no network and nothing was heard since, although the socket is still open.
 *
 * @typedef {{phase: "connecting" | "live" | "reconnecting" | "closed", since: number, why?: Why}} Standing
 */

/** A request was refused: `code` is what pages branch on. */
export class Refused extends Error {
  /** @param {Problem} problem */
  constructor(problem) {
    super(problem.message);
    this.name = "Refused";
    this.code = problem.code;
    this.retryAfterMs = problem.retry_after_ms;
    this.text = problem.text;
  }
}

/**
 * How long to wait before the n-th attempt in a row (from 0): doubling, the upper half of it random, so
 * that a thousand pages do not come back in the same instant.
 *
 * @param {number} attempt
 * @param {number} random 0 <= random < 1
 */
export function backoff(attempt, random) {
  const full = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** attempt);
  return full / 2 + (full / 2) * random;
}

/**
 * The address of a room's socket, seen from this page.
 *
 * @param {string} room
 * @param {{protocol: string, host: string}} location
 */
export function socketUrl(room, location) {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${location.host}/ws/${encodeURIComponent(room)}`;
}

/**
 * @typedef {object} Options
 * @property {string} url of the socket, see {@link socketUrl}
 * @property {Codec} [codec] JSON if absent
 * @property {() => Record<string, any>} hello arguments of `hello` without the cursor; asked at every connect
 * @property {(message: Message) => void} onMessage every message that brings the page forward: joined, keyframes, deltas, pulses, mine, ok, skipped, ask_seen, health; old ones are left out
 * @property {(standing: Standing) => void} [onStanding]
 * @property {(time: {now: number, sent: number, received: number}) => void} [onTime] the server's time, with when it was asked and heard on `performance.now()`
 * @property {typeof WebSocket} [socket] for tests
 */

/**
 * @typedef {object} Asked a request that waits for its reply
 * @property {number} id
 * @property {string} cmd
 * @property {Record<string, any>} args
 * @property {(answer: any) => void} resolve
 * @property {(reason: Error) => void} reject
 */

export class Connection {
  /** @param {Options} options */
  constructor(options) {
    this.options = options;
    this.codec = options.codec || JSON_CODEC;
    this.follower = new Follower();
    /** @type {Standing} */
    this.standing = { phase: "connecting", since: performance.now() };
    /** @type {WebSocket | null} */
    this.socket = null;
    /** @type {Map<number, Asked>} unanswered requests, oldest first; sent again after a reconnect */
    this.asked = new Map();
    this.nextId = 1;
    this.attempt = 0;
    /** What the server asked for in `bye`. */
    this.byeMs = -1;
    this.heardAt = 0;
    this.joinedOnce = false;
    this.gaps = 0;
    /** @type {Map<number, number>} pings: id -> when */
    this.pings = new Map();
    /** @type {Record<string, ReturnType<typeof setTimeout> | undefined>} */
    this.timers = {};
    this.wake = this.wake.bind(this);
    this.offline = this.offline.bind(this);
  }

  /** Connects, and stays connected until {@link Connection.stop}. */
  start() {
    if (typeof document !== "undefined") {
      document.addEventListener("visibilitychange", this.wake);
      window.addEventListener("pageshow", this.wake);
      window.addEventListener("online", this.wake);
      window.addEventListener("offline", this.offline);
    }
    this.connect();
  }

  /** Ends it; what was asked is rejected with the code `no_connection`. */
  stop() {
    if (typeof document !== "undefined") {
      document.removeEventListener("visibilitychange", this.wake);
      window.removeEventListener("pageshow", this.wake);
      window.removeEventListener("online", this.wake);
      window.removeEventListener("offline", this.offline);
    }
    this.finish("closed");
  }

  /** The person asks to try again after a final close. */
  retry() {
    this.attempt = 0;
    this.byeMs = -1;
    this.stand(this.joinedOnce ? "reconnecting" : "connecting");
    this.connect();
  }

  /** Comes back without a cursor: the state is sent afresh. */
  refresh() {
    this.follower.forget();
    this.again(0);
  }

  /**
   * Asks something; resolves with the answer once it is durable (`{"comment": {...}}`), rejects with
   * {@link Refused}. Without a connection it waits; after a lost one it is sent again as it is: give
   * commands the nonce, unit or id that makes the repetition the same one.
   *
   * @param {string} cmd
   * @param {Record<string, any>} [args]
   * @returns {Promise<any>}
   */
  request(cmd, args = {}) {
    if (this.standing.phase === "closed") return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      const asked = { id: this.takeId(), cmd, args, resolve, reject };
      this.asked.set(asked.id, asked);
      if (this.standing.phase === "live") this.send({ id: asked.id, cmd, args });
    });
  }

  /**
   * Says something that has no reply (`like`, `seen`); without a connection it is dropped.
   *
   * @param {string} cmd
   * @param {Record<string, any>} args
   * @returns {boolean} whether it was sent
   */
  note(cmd, args) {
    if (this.standing.phase !== "live") return false;
    this.send({ cmd, args });
    return true;
  }

  /** How many requests wait for their reply. */
  get waiting() {
    return this.asked.size;
  }

  // -- sockets

  connect() {
    this.drop();
    const Socket = this.options.socket || WebSocket;
    let socket;
    try {
      socket = new Socket(this.options.url, this.codec.protocol);
    } catch {
      this.again();
      return;
    }
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => this.sayHello();
    socket.onmessage = (event) => this.hear(event.data);
    socket.onclose = (event) => this.lost(event.code);
    this.after("join", JOIN_MS, () => this.again());
  }

  sayHello() {
    /** @type {Record<string, any>} */
    const args = { ...this.options.hello() };
    if (this.follower.cursor) args.cursor = this.follower.cursor;
    this.helloAt = performance.now();
    this.send({ id: this.takeId(), cmd: "hello", args });
  }

  /** @param {Record<string, any>} message */
  send(message) {
    if (!this.socket || this.socket.readyState !== 1) return;
    this.socket.send(this.codec.encode(message));
  }

  /** @param {string | ArrayBuffer} data */
  hear(data) {
    this.heardAt = performance.now();
    this.clear("probe");
    if (this.standing.why === "offline") this.stand("live");
    /** @type {Message} */
    let message;
    try {
      message = this.codec.decode(data);
    } catch {
      this.again();
      return;
    }
    this.handle(message);
  }

  /** @param {Message} message */
  handle(message) {
    if (message.bye) {
      this.byeMs = message.bye.retry_after_ms;
      return;
    }
    if (message.pong) {
      this.tellTime(message.pong.now, this.pings.get(message.pong.re));
      this.pings.delete(message.pong.re);
      return;
    }
    if (message.err) {
      this.refused(message.err);
      return;
    }
    const verdict = this.follower.take(message);
    if (verdict === "gap") this.gap();
    if (verdict !== "apply") return;
    if (message.joined) this.joined(message.joined);
    if (message.keyframe || message.backstage_keyframe || message.delta || message.backstage_delta) this.gaps = 0;
    this.options.onMessage(message);
    if (message.joined) this.sendWaiting();
    if (message.ok) this.answered(message.ok.re, message.ok.answer);
  }

  /** @param {import("../types.js").Joined} joined */
  joined(joined) {
    this.clear("join");
    this.attempt = 0;
    this.byeMs = -1;
    this.joinedOnce = true;
    // Another life of the journal: the cursor means nothing there.
    if (!joined.resumed) this.follower.forget();
    this.tellTime(joined.now, this.helloAt);
    this.watchSilence();
    this.stand("live");
  }

  sendWaiting() {
    for (const { id, cmd, args } of this.asked.values()) this.send({ id, cmd, args });
    this.ping();
  }

  /** @param {number} re @param {any} answer */
  answered(re, answer) {
    const asked = this.asked.get(re);
    this.asked.delete(re);
    if (asked) asked.resolve(answer);
  }

  /** @param {Problem} problem */
  refused(problem) {
    const asked = problem.re === undefined ? undefined : this.asked.get(problem.re);
    if (!asked) return;
    this.asked.delete(asked.id);
    asked.reject(new Refused(problem));
  }

  /** Something is missing: come back with the cursor; the second time in a row without it. */
  gap() {
    this.gaps += 1;
    if (this.gaps > 1) this.follower.forget();
    this.again(0);
  }

  // -- losing and coming back

  /** @param {number} code */
  lost(code) {
    this.drop();
    if (FINAL[code]) this.finish(FINAL[code]);
    else if (code === PARKED) this.parked();
    else this.again();
  }

  /** The room is out of order: in about a minute again, also when the page is looked at meanwhile. */
  parked() {
    this.byeMs = PARKED_MS * (0.75 + 0.5 * Math.random());
    this.again();
    this.stand(this.standing.phase, "parked");
  }

  /** @param {number} [delayMs] at once, or after the server's own delay, or with backoff */
  again(delayMs) {
    this.drop();
    this.stand(this.joinedOnce ? "reconnecting" : "connecting");
    const bye = this.byeMs >= 0 ? this.byeMs : undefined;
    const wait = bye ?? delayMs ?? backoff(this.attempt, Math.random());
    this.attempt += 1;
    this.after("connect", wait, () => {
      this.byeMs = -1;
      this.connect();
    });
  }

  /** @param {Why} why */
  finish(why) {
    this.drop();
    this.stand("closed", why);
    const waiting = [...this.asked.values()];
    this.asked.clear();
    for (const asked of waiting) asked.reject(closedError());
  }

  /** Lets the socket go without hearing from it again. */
  drop() {
    ["join", "probe", "silence", "clock", "connect"].forEach((name) => this.clear(name));
    this.pings.clear();
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  watchSilence() {
    const left = SILENCE_MS - (performance.now() - this.heardAt);
    if (left <= 0) this.again(0);
    else this.after("silence", left, () => this.watchSilence());
  }

  /** The page is looked at again, or the network is back: is the socket still alive? */
  wake() {
    if (typeof document !== "undefined" && document.visibilityState === "hidden") return;
    if (this.standing.phase === "live") {
      this.ping();
      this.after("probe", PROBE_MS, () => this.again(0));
    } else if (this.standing.phase !== "closed" && this.byeMs < 0 && this.timers.connect) {
      this.again(0);
    }
  }

  /** The network is gone, says the browser; what is heard all the same, or the check at `online`, says more. */
  offline() {
    if (this.standing.phase === "live") this.stand("live", "offline");
  }

  ping() {
    const id = this.takeId();
    this.pings.set(id, performance.now());
    this.send({ id, cmd: "ping", args: {} });
    this.after("clock", CLOCK_MS, () => this.ping());
  }

  // -- small things

  /** @param {number} now @param {number | undefined} sent */
  tellTime(now, sent) {
    if (sent === undefined || !this.options.onTime) return;
    this.options.onTime({ now, sent, received: performance.now() });
  }

  /** @param {Standing["phase"]} phase @param {Why} [why] */
  stand(phase, why) {
    if (this.standing.phase === phase && this.standing.why === why) return;
    this.standing = { phase, since: performance.now(), why };
    if (this.options.onStanding) this.options.onStanding(this.standing);
  }

  takeId() {
    const id = this.nextId;
    this.nextId += 1;
    return id;
  }

  /** @param {string} name @param {number} ms @param {() => void} run */
  after(name, ms, run) {
    this.clear(name);
    this.timers[name] = setTimeout(() => {
      this.timers[name] = undefined;
      run();
    }, ms);
  }

  /** @param {string} name */
  clear(name) {
    clearTimeout(this.timers[name]);
    this.timers[name] = undefined;
  }
}

function closedError() {
  return new Refused({ code: "no_connection", message: "the connection is closed" });
}
