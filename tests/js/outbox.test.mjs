import { test } from "node:test";
import assert from "node:assert/strict";
import { Outbox, lines } from "../../static/js/model/outbox.js";

const storage = (value = null) => ({
  value,
  get() {
    return this.value;
  },
  set(next) {
    this.value = next;
  },
});
const comment = (id, more = {}) => ({ id, by: 1, name: "Ann", text: `text ${id}`, ...more });
const told = (all) => all.map((line) => `${line.key.length > 10 ? "?" : line.key} ${line.text}${line.own ? " mine" : ""} ${line.state}`);

test("what is not posted survives a reload with its nonce, what is posted does not come again", () => {
  const kept = storage();
  const outbox = new Outbox(kept);
  const one = outbox.add("hello");
  const two = outbox.add("again");
  outbox.sent(two.nonce, 7);
  assert.deepEqual(new Outbox(kept).pending, [one]);
  outbox.remove(one.nonce);
  assert.equal(kept.value, null);
});

test("a refused one is kept with the reason", () => {
  const kept = storage();
  const outbox = new Outbox(kept);
  const one = outbox.add("hello");
  outbox.failed(one.nonce, "muted");
  const [again] = new Outbox(kept).written;
  assert.deepEqual([again.state, again.code, again.text], ["failed", "muted", "hello"]);
});

test("broken storage is an empty outbox", () => {
  for (const text of ["{", "7", '[{"a":1}]', null]) assert.deepEqual(new Outbox(storage(text)).written, []);
});

test("mine that the stage left out stand in their places, unsent ones last, each once", () => {
  const outbox = new Outbox(storage());
  const left = outbox.add("left out");
  outbox.sent(left.nonce, 5);
  const onStage = outbox.add("text 6");
  outbox.sent(onStage.nonce, 6);
  outbox.add("on its way");
  const mine = { number: 2, watched_ms: 0, offstage: [comment(3, { by: 2 })] };
  const all = lines([comment(4), comment(6, { by: 2 })], mine, outbox.written, "Me");
  assert.deepEqual(told(all), ["3 text 3 mine shown", "4 text 4 shown", "5 left out mine shown", "6 text 6 mine shown", "? on its way mine pending"]);
});

test("a deleted comment of mine is gone from the outbox too", () => {
  const outbox = new Outbox(storage());
  const one = outbox.add("hello");
  outbox.sent(one.nonce, 5);
  outbox.deleted([5]);
  assert.deepEqual(outbox.written, []);
});
