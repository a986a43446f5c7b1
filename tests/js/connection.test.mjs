import { test, mock } from "node:test";
import assert from "node:assert/strict";
import { Connection, Refused, backoff, socketUrl } from "../../static/js/net/connection.js";
import { MSGPACK, decode, encode } from "../../static/js/net/msgpack.js";

class FakeSocket {
  static all = [];
  constructor(url, protocol) {
    Object.assign(this, { url, protocol, sent: [], readyState: 0 });
    FakeSocket.all.push(this);
  }
  send(data) {
    this.sent.push(typeof data === "string" ? JSON.parse(data) : decode(data));
  }
  close() {
    this.readyState = 3;
  }
  open() {
    this.readyState = 1;
    this.onopen?.();
  }
  tell(message) {
    this.onmessage?.({ data: this.protocol.endsWith("json") ? JSON.stringify(message) : encode(message) });
  }
  end(code) {
    this.readyState = 3;
    this.onclose?.({ code });
  }
}

/** A connection on fake sockets and a fake clock. */
function setUp(context, options = {}) {
  mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  mock.method(performance, "now", () => now);
  FakeSocket.all = [];
  const heard = [];
  const standings = [];
  const connection = new Connection({
    url: "ws://x/ws/r",
    hello: () => ({ name: "Ann" }),
    onMessage: (message) => heard.push(Object.keys(message)[0]),
    onStanding: ({ phase, why }) => standings.push(why ? `${phase}: ${why}` : phase),
    socket: FakeSocket,
    ...options,
  });
  context.after(() => {
    connection.stop();
    mock.timers.reset();
    mock.restoreAll();
  });
  return {
    connection,
    heard,
    standings,
    socket: () => FakeSocket.all[FakeSocket.all.length - 1],
    pass: (ms) => {
      now += ms;
      mock.timers.tick(ms);
    },
    join(resumed = false) {
      const socket = this.socket();
      socket.open();
      socket.tell({ joined: { re: socket.sent[0].id, now: 1000, epoch: 7, resumed, mine: {} } });
      if (!resumed) socket.tell({ keyframe: { epoch: 7, offset: 12, at: 1000, state: {} } });
      return socket;
    },
  };
}

test("hello is the first message, and what was asked before joined follows it", (context) => {
  const it = setUp(context);
  it.connection.start();
  it.connection.request("comment", { nonce: "a", text: "hi" }).catch(() => {});
  const socket = it.socket();
  assert.equal(socket.protocol, "hubbub.v1.json");
  socket.open();
  assert.deepEqual(socket.sent.map((one) => one.cmd), ["hello"]);
  assert.deepEqual(socket.sent[0].args, { name: "Ann" });
  it.join();
  assert.ok(socket.sent.some((one) => one.cmd === "comment"));
});

test("a request without an answer is sent again, with the same arguments, after the connection was lost", async (context) => {
  const it = setUp(context);
  it.connection.start();
  const first = it.join();
  const answer = it.connection.request("claim", { discount: "ten", unit: 1 });
  const asked = first.sent.find((one) => one.cmd === "claim");
  first.end(1006);
  assert.equal(it.connection.standing.phase, "reconnecting");
  it.pass(600);
  const second = it.join(true);
  assert.deepEqual(second.sent[0].args.cursor, { epoch: 7, offset: 12 });
  assert.deepEqual(second.sent.find((one) => one.cmd === "claim"), asked);
  second.tell({ ok: { re: asked.id, after: 13, answer: { claim: { code: "ABCD" } } } });
  assert.deepEqual(await answer, { claim: { code: "ABCD" } });
  assert.equal(it.connection.waiting, 0);
});

test("a refusal rejects with its code, the text and when to come back", async (context) => {
  const it = setUp(context);
  it.connection.start();
  const socket = it.join();
  const answer = it.connection.request("comment", { nonce: "a", text: "hi" });
  const { id } = socket.sent.find((one) => one.cmd === "comment");
  socket.tell({ err: { re: id, code: "slow_mode", message: "slow", retry_after_ms: 4000, text: "hi" } });
  await assert.rejects(answer, (error) => {
    assert.ok(error instanceof Refused);
    assert.deepEqual([error.code, error.retryAfterMs, error.text], ["slow_mode", 4000, "hi"]);
    return true;
  });
});

test("old deltas are not handed on; a gap comes back at once with the cursor, the second time without", (context) => {
  const it = setUp(context);
  it.connection.start();
  let socket = it.join();
  socket.tell({ delta: { follows: 12, offset: 13, at: 1, events: [] } });
  socket.tell({ delta: { follows: 12, offset: 13, at: 1, events: [] } });
  assert.equal(it.heard.filter((one) => one === "delta").length, 1);
  socket.tell({ delta: { follows: 15, offset: 16, at: 1, events: [] } });
  it.pass(0);
  assert.notEqual(it.socket(), socket);
  socket = it.join(true);
  assert.deepEqual(socket.sent[0].args.cursor, { epoch: 7, offset: 13 });
  socket.tell({ delta: { follows: 15, offset: 16, at: 1, events: [] } });
  it.pass(0);
  it.socket().open();
  assert.equal(it.socket().sent[0].args.cursor, undefined);
});

test("25 s of silence end the socket, and the page comes back at once", (context) => {
  const it = setUp(context);
  it.connection.start();
  const socket = it.join();
  it.pass(20_000);
  socket.tell({ pulse: { as_of: 12, at: 1, totals: {} } });
  it.pass(20_000);
  assert.equal(it.connection.standing.phase, "live");
  it.pass(5_000);
  assert.equal(it.connection.standing.phase, "reconnecting");
  it.pass(0);
  assert.notEqual(it.socket(), socket);
});

test("a page that is looked at again asks, and comes back at once if nothing is heard for 3 s", (context) => {
  const it = setUp(context);
  it.connection.start();
  const socket = it.join();
  it.connection.wake();
  assert.equal(socket.sent[socket.sent.length - 1].cmd, "ping");
  it.pass(2_000);
  socket.tell({ pulse: { as_of: 12, at: 1, totals: {} } });
  it.pass(2_000);
  assert.equal(it.socket(), socket);
  it.connection.wake();
  it.pass(3_000);
  it.pass(0);
  assert.notEqual(it.socket(), socket);
});

test("offline is said at once, until something is heard all the same", (context) => {
  const it = setUp(context);
  it.connection.start();
  const socket = it.join();
  it.connection.offline();
  assert.deepEqual(it.standings.slice(-1), ["live: offline"]);
  socket.tell({ pulse: { as_of: 12, at: 1, totals: {} } });
  assert.deepEqual(it.standings.slice(-1), ["live"]);
  socket.end(1006);
  it.connection.offline();
  assert.deepEqual(it.standings.slice(-1), ["reconnecting"]);
});

test("a page in backoff that is looked at again does not wait", (context) => {
  const it = setUp(context);
  it.connection.start();
  const socket = it.join();
  socket.end(1006);
  it.connection.wake();
  it.pass(0);
  assert.notEqual(it.socket(), socket);
});

test("after bye the page waits as long as the server said", (context) => {
  const it = setUp(context);
  it.connection.start();
  const socket = it.join();
  socket.tell({ bye: { retry_after_ms: 7_000 } });
  socket.end(4000);
  it.connection.wake();
  it.pass(6_999);
  assert.equal(it.socket(), socket);
  it.pass(1);
  assert.notEqual(it.socket(), socket);
});

test("a page whose room is out of order says so, and comes back after about a minute, also when it is looked at", (context) => {
  const it = setUp(context);
  it.connection.start();
  it.join().end(4006);
  assert.deepEqual(it.standings, ["live", "reconnecting", "reconnecting: parked"]);
  it.pass(44_000);
  it.connection.wake();
  assert.equal(FakeSocket.all.length, 1);
  it.pass(32_000);
  assert.equal(FakeSocket.all.length, 2);
  it.join();
  assert.deepEqual(it.standings.slice(3), ["live"]);
});

test("a close from 4500 on is final: it says why, and rejects what was asked", async (context) => {
  const it = setUp(context);
  it.connection.start();
  const socket = it.join();
  const answer = it.connection.request("claim", { discount: "ten" });
  socket.end(4502);
  await assert.rejects(answer, { code: "no_connection" });
  it.pass(60_000);
  assert.equal(it.socket(), socket);
  assert.deepEqual(it.standings, ["live", "closed: removed"]);
});

test("a socket that does not bring joined is given up", (context) => {
  const it = setUp(context);
  it.connection.start();
  const socket = it.socket();
  it.pass(10_000);
  it.pass(600);
  assert.notEqual(it.socket(), socket);
  assert.equal(it.connection.standing.phase, "connecting");
});

test("with MessagePack the same things are said in binary", (context) => {
  const it = setUp(context, { codec: MSGPACK });
  it.connection.start();
  assert.equal(it.socket().protocol, "hubbub.v1.msgpack");
  const socket = it.join();
  assert.equal(socket.sent[0].cmd, "hello");
  assert.deepEqual(it.heard, ["joined", "keyframe"]);
});

test("the waits double up to 30 s, and the upper half of each is random", () => {
  assert.equal(backoff(0, 0), 250);
  assert.equal(backoff(0, 0.5), 375);
  assert.equal(backoff(3, 0), 2000);
  assert.equal(backoff(20, 0), 15_000);
  assert.ok(backoff(20, 0.999) < 30_000);
});

test("a page on https asks for wss", () => {
  assert.equal(socketUrl("abc", { protocol: "https:", host: "h" }), "wss://h/ws/abc");
  assert.equal(socketUrl("abc", { protocol: "http:", host: "h:8080" }), "ws://h:8080/ws/abc");
});
