import { test } from "node:test";
import assert from "node:assert/strict";
import { reduce as reduceBackstage } from "../../static/js/model/backstage.js";
import { COMMENTS_MAX, emptyRoom, liveMs, reduce } from "../../static/js/model/room.js";

const stage = (more = {}) => ({
  show: { details: { title: "T", host: "H", kind: "video", access: "public", goals: {} }, state: "live", live_ms: 0, live_since: 1000 },
  modes: {},
  comments: [],
  discounts: [],
  draws: [],
  totals: { watching: 1, viewers: 1, likes: 0 },
  ...more,
});
const joined = (more) => reduce(emptyRoom(), { keyframe: { epoch: 1, offset: 1, at: 1000, state: stage(more) } });
const after = (state, ...events) => reduce(state, { delta: { follows: 1, offset: 2, at: 2000, events } });
const comment = (id, more = {}) => ({ id, by: 1, name: "Ann", text: `text ${id}`, ...more });
const ids = (state) => state.stage.comments.map((one) => one.id);

test("comments stand in the order of their ids, each once, with the batch's time", () => {
  let state = after(joined(), { comment: comment(5) }, { comment: comment(7) });
  state = after(state, { sampled: { comments: [comment(6), comment(7)], shown: 3, n: 9 } });
  assert.deepEqual(ids(state), [5, 6, 7]);
  assert.equal(state.stage.comments[0].at, 2000);
  assert.deepEqual(state.sample, { k: 3, n: 9, at: 2000 });
});

test("the newest 150 comments stay", () => {
  let state = joined();
  for (let id = 1; id <= 200; id += 1) state = after(state, { comment: comment(id) });
  assert.equal(state.stage.comments.length, COMMENTS_MAX);
  assert.equal(ids(state)[0], 51);
});

test("a deleted comment is gone everywhere, and comes back to its old place", () => {
  let state = after(joined({ comments: [comment(3), comment(4), comment(5)], pinned: comment(4) }));
  state = reduce(state, { mine: { after: 1, mine: { offstage: [comment(4)], watched_ms: 0 } } });
  state = after(state, { deleted: { comments: [4] } });
  assert.deepEqual(ids(state), [3, 5]);
  assert.equal(state.stage.pinned, undefined);
  assert.deepEqual(state.mine.offstage, []);
  state = after(state, { restored: { comments: [comment(4, { at: 1500 })] } });
  assert.deepEqual(ids(state), [3, 4, 5]);
  assert.equal(state.stage.comments[1].at, 1500);
});

test("a reducer does not touch the state that it was given", () => {
  const before = joined();
  const copy = structuredClone(before);
  after(before, { comment: comment(5) }, { show: { paused: {} } });
  assert.deepEqual(before, copy);
});

test("live time counts without pauses", () => {
  let { show } = joined().stage;
  assert.equal(liveMs(show, 61_000), 60_000);
  let state = reduce(joined(), { delta: { follows: 1, offset: 2, at: 61_000, events: [{ show: { paused: {} } }] } });
  assert.equal(liveMs(state.stage.show, 99_000), 60_000);
  state = reduce(state, { delta: { follows: 2, offset: 3, at: 100_000, events: [{ show: { resumed: {} } }] } });
  assert.equal(liveMs(state.stage.show, 101_000), 61_000);
  state = reduce(state, { delta: { follows: 3, offset: 4, at: 101_000, events: [{ show: { ended: { redeem_until: 5 } } }] } });
  show = state.stage.show;
  assert.deepEqual([show.state, liveMs(show, 999_000), show.ended_at], ["ended", 61_000, 101_000]);
});

test("changed details: given ones change, null clears, the date makes a draft scheduled", () => {
  const draft = { details: { title: "T", host: "H", tags: ["a"] }, state: "draft", live_ms: 0 };
  let state = after(joined({ show: draft }), { show: { changed: { title: "New", scheduled_at: 5, tags: [] } } });
  assert.deepEqual([state.stage.show.details.title, state.stage.show.state], ["New", "scheduled"]);
  state = after(state, { show: { changed: { scheduled_at: null } } });
  assert.equal(state.stage.show.state, "draft");
  assert.ok(!("scheduled_at" in state.stage.show.details));
});

test("an offer's remaining quota comes with pulses, and closing it says why", () => {
  const card = { id: "ten", terms: {}, opened_at: 1, remaining: 100 };
  let state = after(joined(), { discount_opened: card });
  state = reduce(state, { pulse: { as_of: 9, at: 1, totals: { watching: 2, viewers: 2, likes: 3, remaining: { ten: 40 } } } });
  assert.equal(state.stage.discounts[0].remaining, 40);
  state = after(state, { discount_closed: { id: "ten", why: "sold_out" } });
  assert.deepEqual([state.stage.discounts[0].closed, state.stage.discounts[0].remaining], ["sold_out", 0]);
  state = reduce(state, { pulse: { as_of: 9, at: 1, totals: { watching: 2, viewers: 2, likes: 3, remaining: { ten: 40 } } } });
  assert.equal(state.stage.discounts[0].remaining, 0, "an older pulse that comes late brings nothing back");
});

test("a draw's entries come with pulses until it is locked", () => {
  const pulse = (entries) => ({ pulse: { as_of: 9, at: 1, totals: { watching: 2, viewers: 2, likes: 3, entries: { lips: entries } } } });
  let state = after(joined(), { draw_opened: { id: "lips", rules: {}, opened_at: 1, entries: 0, phase: { open: {} } } });
  state = reduce(state, pulse(3));
  assert.equal(state.stage.draws[0].entries, 3);
  state = after(state, { draw_locked: { id: "lips", count: 5, root: "", reveal_at: 2 } });
  assert.equal(reduce(state, pulse(4)).stage.draws[0].entries, 5);
});

test("a jump to a keyframe tells how many comments it passed over at most; a continuous one tells nothing", () => {
  const keyframe = (offset, ...kept) => ({ keyframe: { epoch: 1, offset, at: 9, state: stage({ comments: kept.map(comment) }) } });
  const here = { delta: { follows: 10, offset: 11, at: 9, events: [{ comment: comment(11) }] } };
  const before = reduce(reduce(emptyRoom(), keyframe(10, 9, 10)), here);
  assert.equal(before.skipped, null, "the first keyframe is no jump");
  assert.equal(reduce(before, keyframe(16, 10, 11, 13)).skipped, null);
  assert.deepEqual(reduce(before, keyframe(99, 52, 61)).skipped, { upTo: 40 });
  assert.equal(reduce(before, keyframe(99)).skipped, null, "no comments, nothing to miss");
});

test("likes never go backwards", () => {
  let state = reduce(joined(), { pulse: { as_of: 9, at: 1, totals: { watching: 0, viewers: 2, likes: 30 } } });
  state = reduce(state, { pulse: { as_of: 9, at: 1, totals: { watching: 0, viewers: 2, likes: 20 } } });
  assert.equal(state.stage.totals.likes, 30);
});

test("a draw goes from open over locked to revealed; a redraw puts the new winner in the old one's place", () => {
  const card = { id: "d", rules: {}, opened_at: 1, closes_at: 2, commitment: "c", entries: 0, phase: { open: {} } };
  const winner = (entry) => ({ entry, by: entry, name: `w${entry}` });
  let state = after(joined(), { draw_opened: card });
  state = after(state, { draw_locked: { id: "d", count: 9, root: "r", reveal_at: 5 } });
  assert.deepEqual(state.stage.draws[0].phase, { locked: { count: 9, root: "r", reveal_at: 5 } });
  state = after(state, { draw_revealed: { id: "d", seed: "s", winners: [winner(1), winner(2)], claim_until: 9 } });
  state = after(state, { draw_redrawn: { id: "d", instead_of: [1], winners: [winner(7)], claim_until: 10 } });
  const { revealed } = state.stage.draws[0].phase;
  assert.deepEqual(revealed.winners.map((one) => one.entry), [7, 2]);
  assert.deepEqual([revealed.count, revealed.root, revealed.claim_until], [9, "r", 10]);
});

test("an answer brings forward what is mine, and a retry's answer changes nothing", () => {
  const claim = { discount: "ten", unit: 1, code: "ABCD" };
  const ok = (answer) => ({ ok: { re: 1, after: 2, answer } });
  let state = reduce(joined(), ok({ claim }));
  state = reduce(state, ok({ claim }));
  assert.deepEqual(state.mine.claims, [claim]);
  state = reduce(state, { mine: { after: 3, mine: { wins: [{ draw: "d", entry: 3 }], watched_ms: 0 } } });
  state = reduce(state, ok({ prize: { draw: "d", entry: 3, code: "P" } }));
  assert.deepEqual(state.mine.wins[0], { draw: "d", entry: 3, claimed: true, code: "P" });
});

test("backstage: the stage's events and those of the staff", () => {
  const backstage = { stage: stage(), goals: {}, draws: [{ id: "d", rules: {} }], discounts: [], summary: {}, blocked_words: [], offstage: [], acts: [], muted: [], addresses: [] };
  let state = reduceBackstage(emptyRoom(), { backstage_keyframe: { epoch: 1, offset: 1, at: 1000, state: backstage } });
  const act = { id: 9, at: 1, by: "server", what: { muted: { viewer: 1, until: 99 } } };
  const events = [{ comment: comment(5) }, { offstage: comment(6) }, { act }, { draw_opened: { id: "d", phase: { open: {} } } }];
  state = reduceBackstage(state, { backstage_delta: { follows: 1, offset: 9, at: 2000, events } });
  assert.deepEqual(ids(state), [5]);
  assert.deepEqual(state.backstage.offstage.map((one) => one.id), [6]);
  assert.deepEqual(state.backstage.muted, [{ viewer: 1, name: "Ann", until: 99 }]);
  assert.deepEqual([state.backstage.draws.length, state.stage.draws.length], [0, 1]);
});

test("an event that this page does not know changes nothing", () => {
  const state = joined();
  assert.deepEqual(after(state, { fireworks: {} }).stage, state.stage);
});

test("a time without staff stands until somebody is back", () => {
  const { show, modes, comments, discounts, draws, totals } = stage();
  const whole = { stage: { show, modes, comments, discounts, draws, totals }, draws: [], discounts: [], offstage: [], acts: [], muted: [] };
  const begun = reduceBackstage(emptyRoom(), { backstage_keyframe: { epoch: 1, offset: 1, at: 1000, state: whole } });
  const then = (state, at, event) => reduceBackstage(state, { backstage_delta: { follows: 1, offset: 2, at, events: [event] } });
  assert.equal(then(begun, 2000, { attended: {} }).backstage.unattended, undefined);
  const alone = then(begun, 3000, { unattended: { since: 2500 } });
  assert.deepEqual(alone.backstage.unattended, { since: 2500 });
  assert.deepEqual(then(alone, 4000, { attended: {} }).backstage.unattended, { since: 2500, until: 4000 });
});

test("the numbers come as an event after the end, for viewers and for staff", () => {
  const summary = { live_ms: 1, viewers: 2, comments: 3, likes: 4, watched_ms: 5, discounts: [], draws: [] };
  assert.deepEqual(after(joined(), { show: { ended: { redeem_until: 5 } } }, { summary }).stage.summary, summary);
  const whole = { stage: stage(), draws: [], discounts: [], offstage: [], acts: [], muted: [], summary: { ...summary, likes: 0 } };
  const begun = reduceBackstage(emptyRoom(), { backstage_keyframe: { epoch: 1, offset: 1, at: 1000, state: whole } });
  const told = reduceBackstage(begun, { backstage_delta: { follows: 1, offset: 2, at: 2000, events: [{ summary }] } });
  assert.deepEqual([told.stage.summary, told.backstage.summary], [summary, summary]);
});
