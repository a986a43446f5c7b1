import { test, mock } from "node:test";
import assert from "node:assert/strict";
import { Taps } from "../../static/js/model/taps.js";

test("taps are folded into at most two messages a second of at most 30 each, and none is sent for nothing", (context) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  context.after(() => mock.timers.reset());
  const sent = [];
  const taps = new Taps((count) => sent.push(count));
  taps.tap();
  assert.deepEqual(sent, [1], "the first goes at once");
  for (let i = 0; i < 50; i += 1) taps.tap();
  assert.deepEqual(sent, [1]);
  mock.timers.tick(500);
  assert.deepEqual(sent, [1, 30]);
  mock.timers.tick(5000);
  assert.deepEqual(sent, [1, 30]);
  taps.tap();
  assert.deepEqual(sent, [1, 30, 1]);
});
