import test from "node:test";
import assert from "node:assert/strict";
import { SAMPLES_MAX, Tally, curve } from "../../static/js/control/tally.js";

const keyframe = (over = {}) => ({
  backstage_keyframe: {
    at: 1000,
    state: {
      stage: { totals: { watching: 4 } },
      summary: { comments: 10, peak: { viewers: 9, at: 500 }, draws: [{ id: "d", claimed: 1 }], ...over },
    },
  },
});
const delta = (...events) => ({ backstage_delta: { events } });
const pulse = (watching, at) => ({ pulse: { totals: { watching }, at } });

test("comments count once, whether they reach the stage at once, later or never", () => {
  const tally = new Tally();
  tally.take(keyframe());
  tally.take(delta({ comment: { id: 1 } }, { offstage: { id: 2 } }, { offstage: { id: 3 } }));
  tally.take(delta({ sampled: { comments: [{ id: 3 }], n: 2 } }));
  assert.equal(tally.comments, 13);
  tally.take(keyframe({ comments: 40 }));
  assert.equal(tally.comments, 40);
});

test("the peak is the most that was ever told, with its time", () => {
  const tally = new Tally();
  tally.take(keyframe());
  tally.take(pulse(8, 2000));
  assert.deepEqual(tally.peak, { viewers: 9, at: 500 });
  tally.take(pulse(12, 3000));
  tally.take(pulse(3, 4000));
  assert.deepEqual(tally.peak, { viewers: 12, at: 3000 });
});

test("a prize claimed again with other contacts is one claim, and one marked as sent is none", () => {
  const tally = new Tally();
  tally.take(keyframe());
  tally.take(delta({ prize: { id: "d", entry: 5 } }, { prize: { id: "d", entry: 5 } }, { prize: { id: "d", entry: 5, sent: true } }));
  assert.equal(tally.prizes.get("d"), 2);
});

test("the curve fills its box and keeps a bounded number of samples", () => {
  assert.equal(curve([{ at: 1, watching: 1 }], 100, 10), "");
  assert.equal(curve([{ at: 0, watching: 0 }, { at: 5, watching: 2 }, { at: 10, watching: 4 }], 100, 10), "0.0,10.0 50.0,5.0 100.0,0.0");
  const tally = new Tally();
  for (let at = 0; at < SAMPLES_MAX + 50; at += 1) tally.take(pulse(at, at));
  assert.equal(tally.samples.length, SAMPLES_MAX);
  assert.equal(curve(tally.samples, 120, 30).split(" ").length <= 122, true);
});
