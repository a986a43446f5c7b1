import test from "node:test";
import assert from "node:assert/strict";
import { inPages, shelves, tagsIn } from "../../static/js/landing/shelf.js";

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

test("tags stand by how many shows have them", () => {
  const shows = [show("a", "live", { tags: ["x", "y"] }), show("b", "live", { tags: ["y"] }), show("c", "live")];
  assert.deepEqual(tagsIn(shows), ["y", "x"]);
});

test("a long list is asked for in pages, and a show that comes twice stands once", async () => {
  const all = Array.from({ length: 1_250 }, (_, i) => show(String(i), "ended"));
  /** @type {string[]} */
  const asked = [];
  const read = async (path) => {
    asked.push(path);
    const query = new URLSearchParams(path.split("?")[1]);
    const [after, limit] = [Number(query.get("after") ?? 0), Number(query.get("limit"))];
    return { rooms: all.slice(after && after - 1, after + limit), more: after + limit < all.length };
  };
  const { rooms, more } = await inPages({ read }, 1_200, "x");
  assert.deepEqual([rooms.length, more], [1_200, true]);
  assert.deepEqual(asked, ["/rooms?limit=1000&tag=x", "/rooms?limit=200&after=1000&tag=x"]);
  assert.equal((await inPages({ read }, 2_000)).more, false);
});
