import test from "node:test";
import assert from "node:assert/strict";
import { shelves, tagsIn, withTag } from "../../static/js/landing/shelf.js";

const show = (id, state, more = {}) => ({ id, state, tags: [], watching: 0, ...more });

test("shows stand under now, next and past, the nearest first", () => {
  const { live, next, past } = shelves([
    show("old", "ended", { ended_at: 5 }),
    show("small", "live", { watching: 3 }),
    show("dateless", "draft", { scheduled_at: null }),
    show("late", "scheduled", { scheduled_at: 20 }),
    show("big", "paused", { watching: 9 }),
    show("soon", "scheduled", { scheduled_at: 10 }),
    show("new", "ended", { ended_at: 9 }),
  ]);
  assert.deepEqual(live.map(({ id }) => id), ["big", "small"]);
  assert.deepEqual(next.map(({ id }) => id), ["soon", "late", "dateless"]);
  assert.deepEqual(past.map(({ id }) => id), ["new", "old"]);
});

test("tags stand by how many shows have them, and filter", () => {
  const shows = [show("a", "live", { tags: ["x", "y"] }), show("b", "live", { tags: ["y"] }), show("c", "live")];
  assert.deepEqual(tagsIn(shows), ["y", "x"]);
  assert.deepEqual(withTag(shows, "x").map(({ id }) => id), ["a"]);
  assert.equal(withTag(shows, undefined).length, 3);
});
