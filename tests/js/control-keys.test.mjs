import test from "node:test";
import assert from "node:assert/strict";
import { meaning, typedNumber } from "../../static/js/control/shortcuts.js";
import { CueLine, GOING_OUT_MS } from "../../static/js/control/cue.js";

const calm = { on: true, typing: false, dialog: false, pressable: false, cue: false, selected: false, comment: false };

test("a number selects, Enter fires what is selected", () => {
  assert.deepEqual(meaning({ key: "3" }, calm), { act: "select", digit: 3 });
  assert.equal(meaning({ key: "Enter" }, calm), undefined);
  assert.deepEqual(meaning({ key: "Enter" }, { ...calm, selected: true }), { act: "fire" });
});

test("Enter on a button is the button's own", () => {
  assert.equal(meaning({ key: "Enter" }, { ...calm, selected: true, pressable: true }), undefined);
});

test("shortcuts do nothing in a field, in a composition, in a dialog, with a modifier, held down, or switched off", () => {
  const press = { key: "n" };
  assert.deepEqual(meaning(press, calm), { act: "next" });
  assert.equal(meaning(press, { ...calm, typing: true }), undefined);
  assert.equal(meaning(press, { ...calm, dialog: true }), undefined);
  assert.equal(meaning(press, { ...calm, on: false }), undefined);
  assert.equal(meaning({ ...press, isComposing: true }, calm), undefined);
  assert.equal(meaning({ ...press, keyCode: 229 }, calm), undefined);
  assert.equal(meaning({ ...press, ctrlKey: true }, calm), undefined);
  assert.equal(meaning({ ...press, repeat: true }, calm), undefined);
});

test("Escape stops what is on its way, also from a field and with shortcuts switched off", () => {
  const press = { key: "Escape" };
  assert.deepEqual(meaning(press, { ...calm, cue: true, typing: true, on: false }), { act: "stop" });
  assert.equal(meaning(press, { ...calm, cue: true, dialog: true }), undefined);
  assert.equal(meaning(press, calm), undefined);
});

test("moderation keys need a comment", () => {
  assert.equal(meaning({ key: "d" }, calm), undefined);
  assert.deepEqual(meaning({ key: "d" }, { ...calm, comment: true }), { act: "delete" });
  assert.deepEqual(meaning({ key: "D" }, { ...calm, comment: true }), { act: "delete_all" });
});

test("two digits close together are one number, where there are so many rows", () => {
  assert.equal(typedNumber(undefined, 1, 0, 12), 1);
  assert.equal(typedNumber({ number: 1, at: 0 }, 2, 500, 12), 12);
  assert.equal(typedNumber({ number: 1, at: 0 }, 2, 5000, 12), 2);
  assert.equal(typedNumber({ number: 1, at: 0 }, 2, 500, 9), 2);
  assert.equal(typedNumber(undefined, 7, 0, 3), 0);
});

test("an action leaves after two seconds, and not if it was stopped", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const sent = [];
  let now = 0;
  const line = new CueLine({ send: (what) => sent.push(what), changed: () => {}, now: () => now });
  line.start("first");
  now = GOING_OUT_MS / 2;
  assert.equal(line.left(), 0.5);
  t.mock.timers.tick(GOING_OUT_MS - 1);
  assert.deepEqual(sent, []);
  t.mock.timers.tick(1);
  assert.deepEqual(sent, ["first"]);
  line.start("second");
  assert.equal(line.stop(), "second");
  t.mock.timers.tick(GOING_OUT_MS);
  assert.deepEqual(sent, ["first"]);
  assert.equal(line.left(), 0);
});

test("an action that is overtaken by the next one is sent, not lost", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const sent = [];
  const line = new CueLine({ send: (what) => sent.push(what), changed: () => {}, now: () => 0 });
  line.start("first");
  line.start("second");
  assert.deepEqual(sent, ["first"]);
  t.mock.timers.tick(GOING_OUT_MS);
  assert.deepEqual(sent, ["first", "second"]);
});
