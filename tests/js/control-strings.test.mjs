import test from "node:test";
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { table } from "../../static/js/model/strings.js";
import "../../static/js/control/strings.js";

const ROOT = new URL("../../static/js/", import.meta.url);
const sources = ["control/", "landing/"].flatMap((folder) => readdirSync(new URL(folder, ROOT))
  .filter((name) => name.endsWith(".js") && name !== "strings.js")
  .map((name) => [folder + name, readFileSync(new URL(folder + name, ROOT), "utf8")]));
const pages = ["control.html", "index.html"].map((name) => [name, readFileSync(new URL(`../${name}`, ROOT), "utf8")]);

test("every text that the control and landing pages ask for is in the table", () => {
  const missing = [];
  for (const [name, source] of sources) {
    for (const [, key] of source.matchAll(/\bt\("([a-z0-9_]+)"/g)) if (!table()[key]) missing.push(`${name}: ${key}`);
    for (const [, start] of source.matchAll(/\bt\(`([a-z0-9_]+_)\$/g)) {
      if (!Object.keys(table()).some((key) => key.startsWith(start))) missing.push(`${name}: ${start}…`);
    }
    for (const [, key] of source.matchAll(/"(wrong_(?!state)[a-z_]+)"/g)) if (!table()[key]) missing.push(`${name}: ${key}`);
  }
  for (const [name, html] of pages) {
    for (const [, key] of html.matchAll(/data-t[a-z-]*="([a-z0-9_]+)"/g)) if (!table()[key]) missing.push(`${name}: ${key}`);
  }
  assert.deepEqual(missing, []);
});

test("both languages fill in the same values", () => {
  const values = (text) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();
  for (const [key, [en, zh]] of Object.entries(table())) {
    assert.ok(en && zh, key);
    // Chinese may leave out what an English sentence needs only for its grammar
    const [inEnglish, inChinese] = [values(en), values(zh)];
    assert.deepEqual(inChinese.filter((value) => !inEnglish.includes(value)), [], key);
  }
});
