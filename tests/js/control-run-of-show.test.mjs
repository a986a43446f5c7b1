import test from "node:test";
import assert from "node:assert/strict";
import { allClaims, claims, current, newKey, next, rows, whyNot } from "../../static/js/control/run-of-show.js";

const rules = { prize: "Lipstick", winners: 3, open_ms: 60_000, eligibility: { present: {} } };
const terms = { title: "Everything", off: { percent: 15 }, quota: 500, closes: "with_show" };

const backstage = (over = {}) => ({
  draws: [{ id: "3", rules }],
  discounts: [{ id: "1", terms, source: "generated" }],
  summary: { draws: [], discounts: [] },
  ...over,
  stage: { show: { state: "live" }, draws: [], discounts: [], totals: {}, ...over.stage },
});

test("a row keeps its number from preparing to the end of the show", () => {
  const waiting = rows(backstage());
  const open = rows(backstage({
    discounts: [],
    stage: { discounts: [{ id: "1", terms, remaining: 500, opened_at: 1 }] },
    summary: { draws: [], discounts: [{ id: "1", title: "Everything", off: terms.off, claimed: 0, redeemed: 0, quota: 500 }] },
  }));
  const forgotten = rows(backstage({
    discounts: [],
    summary: { draws: [], discounts: [{ id: "1", title: "Everything", off: terms.off, claimed: 7, redeemed: 2, quota: 500 }] },
  }));
  assert.deepEqual(waiting.map((row) => [row.no, row.id, row.phase]), [[1, "1", "prepared"], [2, "3", "prepared"]]);
  assert.deepEqual(open.map((row) => [row.no, row.id, row.phase]), [[1, "1", "open"], [2, "3", "prepared"]]);
  assert.deepEqual(forgotten.map((row) => [row.no, row.id, row.phase]), [[1, "1", "closed"], [2, "3", "prepared"]]);
});

test("a draw and a discount of the same name are two rows", () => {
  const all = rows(backstage({ discounts: [{ id: "3", terms, source: "generated" }] }));
  assert.deepEqual(all.map((row) => row.what), ["discount", "draw"]);
});

test("names made later sort later", () => {
  const early = newKey(Date.UTC(2026, 10, 22, 9, 59, 59), "zzzz");
  const late = newKey(Date.UTC(2026, 10, 22, 9, 59, 59, 1), "aaaa");
  assert.match(late, /^[a-z0-9-]{1,40}$/);
  assert.ok(early < late);
});

test("what is up is the draw before the discounts, and the next is the first that waits", () => {
  const all = rows(backstage({
    discounts: [],
    draws: [{ id: "9", rules }],
    stage: {
      discounts: [{ id: "1", terms, remaining: 9, opened_at: 5 }],
      draws: [{ id: "3", rules, opened_at: 1, phase: { locked: { reveal_at: 9, count: 2, root: "" } } }],
    },
  }));
  assert.deepEqual(current(all).map((row) => row.id), ["3", "1"]);
  assert.equal(next(all)?.id, "9");
});

test("a row that cannot be opened says why", () => {
  const why = (over, id) => {
    const state = backstage(over);
    return whyNot(rows(state).find((row) => row.id === id), state);
  };
  assert.equal(why({}, "3"), undefined);
  assert.equal(why({ stage: { show: { state: "paused" } } }, "3"), undefined);
  assert.equal(why({ stage: { show: { state: "scheduled" } } }, "3"), "not_live");
  assert.equal(why({ stage: { draws: [{ id: "2", rules, phase: { open: {} } }] } }, "3"), "draw_open");
  assert.equal(why({ stage: { draws: [{ id: "2", rules, phase: { cancelled: { reason: "" } } }] } }, "3"), undefined);
  assert.equal(why({ discounts: [{ id: "1", terms, source: "pasted", codes: 0 }] }, "1"), "no_codes");
  const five = [2, 4, 5, 6, 7].map((id) => ({ id: String(id), terms, remaining: 1, opened_at: 1 }));
  assert.equal(why({ stage: { discounts: five } }, "1"), "five_open");
});

test("claims follow the pulse while open and the summary afterwards, and never fall between the two", () => {
  const summary = { id: "1", title: "", off: terms.off, claimed: 120, redeemed: 7, quota: 500 };
  const card = { id: "1", terms, remaining: 400, opened_at: 1 };
  assert.deepEqual(claims({ card, summary }, { remaining: {} }), { claimed: 120, redeemed: 7, quota: 500 });
  assert.deepEqual(claims({ id: "1", card, summary }, { remaining: { 1: 300 } }), { claimed: 200, redeemed: 7, quota: 500 });
  assert.deepEqual(claims({ id: "1", summary }, {}), { claimed: 120, redeemed: 7, quota: 500 });
  const soldOut = { ...card, remaining: 0, closed: "sold_out" };
  assert.equal(claims({ id: "1", card: soldOut }, { remaining: { 1: 500 } }).claimed, 500, "an older pulse that comes late");
});

test("all claims together count what was opened and nothing that waits", () => {
  const all = rows(backstage({
    summary: { draws: [], discounts: [{ id: "0", claimed: 5, redeemed: 2, quota: 10, off: terms.off, title: "" }] },
  }));
  assert.deepEqual(allClaims(all, {}), { claimed: 5, redeemed: 2, quota: 10 });
});
