import { test } from "node:test";
import assert from "node:assert/strict";
import { clock, compact, duration, money, off } from "../../static/js/model/format.js";
import { speak, table, t } from "../../static/js/model/strings.js";
import "../../static/js/viewer/strings.js";

const inChinese = (read) => {
  speak("zh", false);
  try {
    return read();
  } finally {
    speak("en", false);
  }
};

test("15 percent off reads 8.5折 in Chinese", () => {
  assert.equal(off({ percent: 15 }), "15% off");
  assert.equal(inChinese(() => off({ percent: 15 })), "8.5折");
  assert.equal(inChinese(() => off({ percent: 20 })), "8折");
  assert.equal(inChinese(() => off({ percent: 99 })), "0.1折");
  assert.equal(inChinese(() => off({ percent: 100 })), "免单");
});

test("an amount off reads 立减 in Chinese", () => {
  const five = { amount: { minor: 500, currency: "CNY" } };
  assert.equal(off(five), "¥5 off");
  assert.equal(inChinese(() => off(five)), "立减¥5");
});

test("money knows how many digits its currency has", () => {
  assert.equal(money(550, "CNY"), "¥5.50");
  assert.equal(money(500, "JPY"), "¥500");
  assert.equal(money(123456, "USD"), "$1,234.56");
});

test("a countdown shows the second that has begun, a running time the one that is over; neither is negative", () => {
  assert.equal(clock(60_000, "up"), "1:00");
  assert.equal(clock(59_001, "up"), "1:00");
  assert.equal(clock(59_999), "0:59");
  assert.equal(clock(3_723_000), "1:02:03");
  assert.equal(clock(-5, "up"), "0:00");
  assert.equal(clock(2 * 86_400_000 + 5000), "2 days 00:00:05");
  assert.equal(inChinese(() => clock(86_400_000 + 5000)), "1天 00:00:05");
});

test("lengths of time and large counts are short", () => {
  assert.equal(duration(30_000), "30 sec");
  assert.equal(duration(47_900), "47 sec", "as clock says 0:47");
  assert.equal(duration(90_000), "1 min 30 sec");
  assert.equal(duration(779_000), "12 min", "as clock says 12:59");
  assert.equal(duration(725_000), "12 min");
  assert.equal(duration(300_000), "5 min");
  assert.equal(duration(7_500_000), "2 hr 5 min");
  assert.equal(compact(9_999), "9,999");
  assert.equal(compact(12_345), "12.3K");
  assert.equal(inChinese(() => compact(123_456)), "12.3万");
});

test("every key has both languages with the same placeholders", () => {
  const names = (text) => [...new Set([...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]))].sort();
  for (const [key, [en, zh]] of Object.entries(table())) {
    assert.ok(en && zh, key);
    assert.deepEqual(names(en), names(zh), key);
  }
});

test("one and more have their own forms", () => {
  assert.equal(t("entries_n", { n: 1 }), "1 entry");
  assert.equal(t("entries_n", { n: 5000 }), "5,000 entries");
});
