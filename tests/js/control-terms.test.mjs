import test from "node:test";
import assert from "node:assert/strict";
import {
  NEW_DISCOUNT, NEW_DRAW, codesOf, discountTerms, discountValues, drawRules, drawValues, duration, fromLocalTime,
  fromMinorUnits, inUnits, localTime, minorUnits, portions, tagsOf, whole, wordsOf,
} from "../../static/js/control/terms.js";
import { NEW_SHOW, changeOf, detailsOf, detailsValues } from "../../static/js/control/details.js";

const NOW = Date.UTC(2026, 10, 22, 12);

test("numbers and times are read as people type them, and nothing else is guessed", () => {
  assert.equal(whole(" 20 ", 1, 20), 20);
  for (const wrong of ["", "0", "21", "1.5", "-1", "1e3", "٣", undefined]) assert.equal(whole(wrong, 1, 20), undefined);
  assert.equal(duration("1,5", "min", 0, 1e9), 90_000);
  assert.equal(duration("2", "h", 0, 1e9), 7_200_000);
  assert.equal(duration("2", "h", 0, 1000), undefined);
  assert.deepEqual(inUnits(90_000), { value: "90", unit: "s" });
  assert.deepEqual(inUnits(7_200_000), { value: "2", unit: "h" });
});

test("money is read in minor units of its currency", () => {
  assert.equal(minorUnits("12", "EUR"), 1200);
  assert.equal(minorUnits("12,5", "EUR"), 1250);
  assert.equal(minorUnits("0.07", "EUR"), 7);
  assert.equal(minorUnits("12.345", "EUR"), undefined);
  assert.equal(minorUnits("300", "JPY"), 300);
  assert.equal(minorUnits("300.5", "JPY"), undefined);
  assert.equal(fromMinorUnits(1250, "EUR"), "12.50");
  assert.equal(fromMinorUnits(300, "JPY"), "300");
});

test("a draw's form and its rules say the same", () => {
  const { rules, problems } = drawRules({
    ...NEW_DRAW, prize: " Lipstick ", winners: "3", open: "90", open_unit: "s", phrase: "lipstick",
    readers: "Only our shop, to send the prize.",
  });
  assert.deepEqual(problems, {});
  assert.deepEqual(rules, {
    prize: "Lipstick", winners: 3, open_ms: 90_000, eligibility: { phrase: { phrase: "lipstick" } },
    exclude_earlier_winners: true, who: { address_ceiling: 20 }, ask: ["name", "phone", "address"],
    readers: "Only our shop, to send the prize.", claim_ms: 172_800_000,
  });
  assert.deepEqual(drawRules(drawValues(rules)).rules, rules);
});

test("a draw that asks winners for something must say who reads it", () => {
  assert.equal(drawRules({ ...NEW_DRAW, prize: "x", phrase: "x" }).problems.readers, "wrong_empty");
  assert.deepEqual(drawRules({ ...NEW_DRAW, prize: "x", phrase: "x", ask: [] }).problems, {});
});

test("each wrong field of a draw is named", () => {
  const { problems } = drawRules({
    ...NEW_DRAW, winners: "0", open: "1", open_unit: "s", eligibility: "watched", watched: "soon", ask: [],
    ceiling: "-", claim_hours: "",
  });
  assert.deepEqual(Object.keys(problems).sort(), ["ceiling", "claim_hours", "open", "prize", "watched", "winners"]);
});

test("a discount's form and its terms say the same", () => {
  const values = {
    ...NEW_DISCOUNT, title: "Everything", kind: "amount", amount: "5", currency: "eur", all_items: false,
    items: "Lipsticks", quota: "500", per_viewer: "2", closes: "at", closes_at: localTime(NOW + 3_600_000),
    use: "at", use_before: localTime(NOW + 7_200_000), gate: true, gate_minutes: "3", who: "store_only",
    link: "https://shop.example/live", source: "shared", shared_code: "LIVE15",
  };
  const { terms, codes, problems } = discountTerms(values, NOW);
  assert.deepEqual(problems, {});
  assert.deepEqual(terms, {
    title: "Everything", off: { amount: { minor: 500, currency: "EUR" } }, items: "Lipsticks", quota: 500,
    per_viewer: 2, closes: { at: NOW + 3_600_000 }, use_before: NOW + 7_200_000, gate: { watched: { ms: 180_000 } },
    who: "store_only", link: "https://shop.example/live",
  });
  assert.deepEqual(codes, { shared: { code: "LIVE15" } });
  const again = discountTerms({ ...discountValues({ terms, source: "shared" }), shared_code: "LIVE15" }, NOW);
  assert.deepEqual(again.terms, terms);
});

test("a discount that closes with the show comes back into the form as that", () => {
  const values = { ...NEW_DISCOUNT, title: "All", closes: "with_show" };
  const { terms } = discountTerms(values, NOW);
  assert.equal(terms.closes, "with_show");
  assert.deepEqual(discountTerms(discountValues({ terms, source: "generated" }), NOW).terms, terms);
});

test("each wrong field of a discount is named", () => {
  const { problems } = discountTerms({
    ...NEW_DISCOUNT, percent: "101", quota: "", per_viewer: "0", closes: "at", closes_at: localTime(NOW - 60_000),
    all_items: false, gate: true, gate_minutes: "", link: "javascript:alert(1)", source: "shared",
  }, NOW);
  assert.deepEqual(Object.keys(problems).sort(), [
    "closes_at", "gate_minutes", "items", "link", "per_viewer", "percent", "quota", "shared_code", "title",
  ]);
});

test("a pasted list gives its first column, each code once, without a heading", () => {
  assert.deepEqual(codesOf("Code,used\r\n\"AB 12\",no\r\nCD34;x\n\nAB 12\n"), ["AB 12", "CD34"]);
  assert.deepEqual(codesOf("AB\nCD"), ["AB", "CD"]);
  assert.deepEqual(portions(Array.from({ length: 4001 }, (_, index) => `c${index}`)).map((one) => one.length), [2000, 2000, 1]);
  assert.deepEqual(portions([]), []);
});

test("tags and blocked words are taken apart in both languages' punctuation", () => {
  assert.deepEqual(tagsOf("#beauty，#口红 sale,,#beauty"), ["beauty", "口红", "sale"]);
  assert.deepEqual(wordsOf("bad word\n 坏词、worse ，bad word"), ["bad word", "坏词", "worse"]);
});

test("a new show's form becomes its details", () => {
  const at = NOW + 3_600_000;
  const { details, problems } = detailsOf({
    ...NEW_SHOW, title: "Autumn lips", host: "Mia", tags: "#beauty", scheduled_at: localTime(at), source: "hls",
    source_url: "https://cdn.example/live.m3u8", goal_viewers: "200", links: [{ label: "", url: "" }],
  }, { now: NOW });
  assert.deepEqual(problems, {});
  assert.deepEqual(details, {
    title: "Autumn lips", description: "", host: "Mia", kind: "video", access: "public", tags: ["beauty"],
    scheduled_at: fromLocalTime(localTime(at)), source: { hls: { url: "https://cdn.example/live.m3u8" } }, links: [],
    goals: { viewers: 200 },
  });
});

test("each wrong field of a show is named", () => {
  const { problems } = detailsOf({
    ...NEW_SHOW, title: "x".repeat(81), host: "", tags: "a b c d e f", scheduled_at: localTime(NOW - 120_000),
    source: "file", source_url: "movie.mp4", links: [{ label: "Shop", url: "" }], goal_likes: "many",
  }, { now: NOW });
  assert.deepEqual(Object.keys(problems).sort(), ["goal_likes", "host", "links", "scheduled_at", "source_url", "tags", "title"]);
});

test("settings that were not touched change nothing, also with a start to the second in the past", () => {
  const before = {
    title: "Autumn", host: "Mia", kind: "video", access: "public", scheduled_at: NOW - 1_234, goals: { likes: 5 },
  };
  const { details, problems } = detailsOf(detailsValues(before, before.goals), { now: NOW, before });
  assert.deepEqual(problems, {});
  assert.deepEqual(changeOf(before, details), {});
});

test("what is cleared is sent as null, what is new as it is", () => {
  const before = { title: "Autumn", host: "Mia", kind: "video", access: "public", scheduled_at: 5, tags: ["a"], goals: {} };
  const after = { title: "Winter", host: "Mia", kind: "video", access: "public", tags: [], goals: { likes: 9 } };
  assert.deepEqual(changeOf(before, after), { title: "Winter", tags: [], scheduled_at: null, goals: { likes: 9 } });
});
