import { test } from "node:test";
import assert from "node:assert/strict";
import { Presses } from "../../static/js/model/presses.js";

const storage = (value = null) => ({
  value,
  get() {
    return this.value;
  },
  set(next) {
    this.value = next;
  },
});
const claim = (presses) => presses.add("discount ten", "claim", { discount: "ten", unit: 1 });

test("what is not answered survives a reload with its unit", () => {
  const kept = storage();
  const press = claim(new Presses(kept));
  const later = new Presses(kept);
  assert.deepEqual(later.waiting, [press]);
  assert.ok(later.isWaiting("discount ten"));
});

test("an answer ends it, good or not; a refusal is known until the page is left", () => {
  const kept = storage();
  const presses = new Presses(kept);
  presses.granted(claim(presses));
  assert.equal(kept.value, null);
  presses.refused(claim(presses), "watch_longer", 5_000);
  assert.equal(kept.value, null);
  assert.equal(presses.why("discount ten"), "watch_longer");
  assert.deepEqual(presses.find("discount ten").refused, { code: "watch_longer", until: 5_000 });
});

test("a new press takes the place of the refused one, and leaves those of other things alone", () => {
  const presses = new Presses(storage());
  const entry = presses.add("draw lips", "enter_draw", { draw: "lips" });
  presses.refused(claim(presses), "sold_out", 0);
  const again = claim(presses);
  assert.deepEqual(presses.waiting, [entry, again]);
  assert.equal(presses.why("discount ten"), "");
});

test("broken storage holds no press", () => {
  for (const text of ["{", "7", "[null]", '[{"of":1}]', null]) assert.deepEqual(new Presses(storage(text)).all, []);
});
