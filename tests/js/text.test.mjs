import { test } from "node:test";
import assert from "node:assert/strict";
import { countCharacters, initial, sends } from "../../static/js/model/text.js";

const CASES = [
  ["", 0],
  ["hello", 5],
  ["你好世界", 4],
  ["é", 1],
  ["👩‍👩‍👧‍👦", 1],
  ["👍🏽👍🏽", 2],
  ["🇨🇳🇩🇪", 2],
  ["❤️", 1],
  ["a👍b", 3],
];

test("text is counted as a person counts it", () => {
  for (const [text, count] of CASES) assert.equal(countCharacters(text), count, text);
});

test("without a segmenter it is counted the same", () => {
  for (const [text, count] of CASES) assert.equal(countCharacters(text, null), count, text);
});

test("an avatar shows the first character of the name", () => {
  assert.equal(initial(" ann"), "A");
  assert.equal(initial("小红"), "小");
  assert.equal(initial(""), "?");
});

test("Enter sends only when no input method is composing", () => {
  const enter = { key: "Enter", isComposing: false, keyCode: 13, shiftKey: false };
  assert.equal(sends(enter), true);
  assert.equal(sends({ ...enter, isComposing: true }), false);
  assert.equal(sends({ ...enter, keyCode: 229 }), false, "Safari ends the composition before the key");
  assert.equal(sends({ ...enter, shiftKey: true }), false);
  assert.equal(sends({ ...enter, key: "a" }), false);
});
