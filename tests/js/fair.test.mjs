import { test } from "node:test";
import assert from "node:assert/strict";
import { createHash, createHmac, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { hmacSha256, sha256 } from "../../static/js/model/sha256.js";
import * as fair from "../../static/js/model/fair.js";

const vectors = JSON.parse(readFileSync(new URL("../vectors/draw-v1.json", import.meta.url), "utf8"));
const { fromHex, toHex } = fair;

test("our SHA-256 and HMAC are the ones of everybody else, at every length around the blocks", () => {
  for (let length = 0; length < 200; length++) {
    const [bytes, key] = [randomBytes(length), randomBytes(length % 65)];
    assert.equal(toHex(sha256(bytes)), createHash("sha256").update(bytes).digest("hex"), `${length} bytes`);
    assert.equal(toHex(hmacSha256(key, bytes)), createHmac("sha256", key).update(bytes).digest("hex"));
  }
  const long = new Uint8Array(1_000_000).fill(97);
  assert.equal(toHex(sha256(long)), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
});

test("every step gives the guide's vectors", () => {
  const { commit, entries, lock, picks, indexes } = vectors;
  assert.equal(toHex(fair.commitmentOf(fromHex(commit.seed), commit.rules)), commit.commitment);
  let hash = fromHex(commit.commitment);
  for (const entry of entries) {
    const leaf = fair.leafOf(entry.number, fromHex(entry.salt), fromHex(entry.viewer));
    hash = fair.chained(hash, leaf);
    assert.deepEqual([toHex(leaf), toHex(hash)], [entry.leaf, entry.hash]);
  }
  const root = fair.rootOf(hash, lock.count, lock.excluded);
  assert.equal(toHex(root), lock.root);
  const list = entries.map(({ number }) => number).filter((number) => number !== 4 && number !== 9);
  const drawn = fair.picks(fromHex(commit.seed), root, list);
  for (const pick of picks) assert.equal(drawn.next().value, pick.entry);
  for (const { number, left, index } of indexes) {
    assert.equal(fair.indexOf(BigInt(`0x${number}`), left) ?? null, index);
  }
});

test("the transcript is verified, and says who holds a prize after the redraw", () => {
  const { winners, holders, entries, excluded } = fair.verify(vectors.transcript);
  assert.deepEqual({ winners, holders, entries, excluded }, { winners: [2, 6, 12], holders: [7, 6, 5], entries: 12, excluded: 2 });
});

test("a transcript of another draw than the page saw does not pass", () => {
  const { commitment, root } = vectors.transcript;
  fair.verify(vectors.transcript, { commitment, root });
  assert.throws(() => fair.verify(vectors.transcript, { commitment: root }), { mismatch: "seen" });
  assert.throws(() => fair.verify(vectors.transcript, { commitment, root: commitment }), { mismatch: "seen" });
});

test("what does not fit is named", () => {
  const broken = (change) => {
    const transcript = structuredClone(vectors.transcript);
    change(transcript);
    try {
      fair.verify(transcript);
    } catch (error) {
      return error.mismatch;
    }
  };
  assert.equal(broken((t) => (t.format = "hubbub-draw-v2")), "format");
  assert.equal(broken((t) => (t.extra = 1)), "shape");
  assert.equal(broken((t) => (t.root = t.root.toUpperCase())), "shape");
  assert.equal(broken((t) => (t.winners[0] = 1.5)), "shape");
  assert.equal(broken((t) => (t.rules += " ")), "rules");
  assert.equal(broken((t) => (t.rules = t.rules.replace(':3,', ':2,"winners":3,'))), "rules");
  assert.equal(broken((t) => t.leaves.reverse()), "root");
  assert.equal(broken((t) => (t.excluded[0].note = "")), "root");
  assert.equal(broken((t) => t.excluded.reverse()), "excluded");
  assert.equal(broken((t) => (t.seed = t.root)), "commitment");
  assert.equal(broken((t) => t.winners.reverse()), "winners");
  assert.equal(broken((t) => t.redraws[0].instead_of.reverse()), "redraw");
  assert.equal(broken((t) => (t.redraws[0].instead_of = [2, 2])), "redraw");
  assert.equal(broken((t) => delete t.root), "parts");
  assert.equal(broken((t) => ["seed", "winners", "redraws"].forEach((key) => delete t[key])), "not_revealed");
  const cancelled = (t) => ["root", "seed", "winners", "redraws"].forEach((key) => delete t[key]);
  assert.equal(broken((t) => (cancelled(t), (t.cancelled = "rain"))), "cancelled");
});

test("a viewer finds its own entry by its receipt, and no other one", () => {
  const [mine, other] = vectors.entries;
  assert.ok(fair.holdsEntry(vectors.transcript, mine, mine.viewer));
  assert.ok(fair.holdsReceipt(vectors.transcript, mine));
  assert.ok(!fair.holdsEntry(vectors.transcript, mine, other.viewer));
  assert.ok(!fair.holdsEntry(vectors.transcript, { ...mine, number: 2 }, mine.viewer));
  assert.ok(!fair.holdsReceipt(vectors.transcript, { number: 99, hash: mine.hash }));
});
