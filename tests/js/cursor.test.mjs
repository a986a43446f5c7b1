import { test } from "node:test";
import assert from "node:assert/strict";
import { Follower, place } from "../../static/js/net/cursor.js";

test("a delta is dropped, applied or a gap by where it stands to the cursor", () => {
  assert.equal(place(12, { follows: 10, offset: 12 }), "drop");
  assert.equal(place(12, { follows: 3, offset: 5 }), "drop");
  assert.equal(place(12, { follows: 12, offset: 13 }), "apply");
  assert.equal(place(12, { follows: 10, offset: 14 }), "apply");
  assert.equal(place(12, { follows: 13, offset: 14 }), "gap");
});

const keyframe = (offset) => ({ keyframe: { epoch: 7, offset, at: 1, state: {} } });
const delta = (follows, offset) => ({ delta: { follows, offset, at: 1, events: [] } });

test("the cursor follows keyframes and applied deltas, and stays where a gap is", () => {
  const follower = new Follower();
  assert.equal(follower.take(keyframe(12)), "apply");
  assert.equal(follower.take(delta(12, 14)), "apply");
  assert.deepEqual(follower.cursor, { epoch: 7, offset: 14 });
  assert.equal(follower.take(delta(12, 14)), "drop");
  assert.equal(follower.take(delta(15, 16)), "gap");
  assert.deepEqual(follower.cursor, { epoch: 7, offset: 14 });
  assert.equal(follower.take(keyframe(20)), "apply");
  assert.equal(follower.take(delta(15, 16)), "drop");
});

test("a delta before any keyframe is a gap", () => {
  assert.equal(new Follower().take(delta(0, 1)), "gap");
});

test("counts older than the last keyframe or pulse are dropped, equal ones taken", () => {
  const follower = new Follower();
  const pulse = (as_of) => ({ pulse: { as_of, at: 1, totals: {} } });
  follower.take(keyframe(12));
  assert.equal(follower.take(pulse(11)), "drop");
  assert.equal(follower.take(pulse(12)), "apply");
  assert.equal(follower.take(pulse(30)), "apply");
  assert.equal(follower.take(pulse(29)), "drop");
});

test("an older mine is dropped; after joined it counts anew", () => {
  const follower = new Follower();
  const mine = (after) => ({ mine: { after, mine: {} } });
  assert.equal(follower.take(mine(5)), "apply");
  assert.equal(follower.take(mine(4)), "drop");
  follower.take({ joined: {} });
  assert.equal(follower.take(mine(4)), "apply");
});
