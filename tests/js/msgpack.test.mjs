import { test } from "node:test";
import assert from "node:assert/strict";
import { decode, encode } from "../../static/js/net/msgpack.js";

const hex = (text) => Uint8Array.from(text.match(/../g) || [], (pair) => parseInt(pair, 16));

test("bytes of the specification read as their values", () => {
  const cases = [
    ["c0", null],
    ["c2", false],
    ["c3", true],
    ["7f", 127],
    ["ff", -1],
    ["cc80", 128],
    ["cd0100", 256],
    ["ce00010000", 65_536],
    ["cf001fffffffffffff", Number.MAX_SAFE_INTEGER],
    ["d080", -128],
    ["d18000", -32_768],
    ["d280000000", -2_147_483_648],
    ["d3ffffffffffffffff", -1],
    ["cb3ff8000000000000", 1.5],
    ["a5e4bda06869", "你hi"],
    ["93010203", [1, 2, 3]],
    ["82a16101a162c3", { a: 1, b: true }],
    ["dc0001c0", [null]],
    ["de0001a16101", { a: 1 }],
  ];
  for (const [bytes, value] of cases) assert.deepEqual(decode(hex(bytes)), value, bytes);
});

test("what is written is read back", () => {
  const long = "é".repeat(200);
  const values = [0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32, Number.MAX_SAFE_INTEGER, -1, -32, -33, -70_000, 1.25, "", long, [], {}];
  const whole = { id: 7, cmd: "comment", args: { nonce: "a1", text: "你好 👩‍👩‍👧", values, absent: undefined, none: null } };
  const { absent, ...args } = whole.args;
  assert.deepEqual(decode(encode(whole)), { ...whole, args });
});

test("short, long and unknown bytes are refused", () => {
  for (const bytes of ["92c0", "a3e4", "c0c0", "c1", "d9", "c7010100"]) {
    assert.throws(() => decode(hex(bytes)), RangeError, bytes);
  }
});

test("a key named __proto__ is only a key", () => {
  const read = decode(hex("81a95f5f70726f746f5f5f81a16101"));
  assert.equal(Object.getPrototypeOf(read), Object.prototype);
});
