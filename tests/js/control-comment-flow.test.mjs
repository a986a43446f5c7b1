import test from "node:test";
import assert from "node:assert/strict";
import { CommentFlow, ROWS_MAX, WAITING_MAX } from "../../static/js/control/comment-flow.js";

const comment = (id, text = `text ${id}`) => ({ comment: { id, by: 1, name: "Ann", text } });
const ids = (lines) => lines.map((line) => line.id);

test("comments are shown as they come", () => {
  const flow = new CommentFlow();
  flow.apply(comment(1), 10);
  flow.apply(comment(2), 11);
  assert.deepEqual(ids(flow.lines), [1, 2]);
  assert.equal(flow.lines[1].at, 11);
});

test("while anything holds the flow, new ones wait and nothing that is shown moves", () => {
  const flow = new CommentFlow();
  flow.apply(comment(1), 1);
  flow.hold("pointer", true);
  flow.hold("button", true);
  flow.apply(comment(2), 2);
  flow.hold("pointer", false);
  flow.apply(comment(3), 3);
  assert.deepEqual(ids(flow.lines), [1]);
  assert.equal(flow.unseen, 2);
  flow.hold("button", false);
  assert.deepEqual(ids(flow.lines), [1, 2, 3]);
  assert.equal(flow.unseen, 0);
});

test("a deleted comment keeps its place", () => {
  const flow = new CommentFlow();
  flow.apply(comment(1), 1);
  flow.apply(comment(2), 2);
  flow.apply({ deleted: { comments: [1] } }, 3);
  assert.deepEqual(flow.lines.map((line) => [line.id, line.deleted]), [[1, true], [2, false]]);
  flow.apply({ restored: { comments: [{ id: 1, by: 1, name: "Ann", text: "text 1", at: 1 }] } }, 4);
  assert.deepEqual(flow.lines.map((line) => [line.id, line.deleted]), [[1, false], [2, false]]);
});

test("a comment that waits is deleted where it waits", () => {
  const flow = new CommentFlow();
  flow.hold("key", true);
  flow.apply(comment(1), 1);
  flow.apply({ deleted: { comments: [1] } }, 2);
  flow.letGo();
  assert.equal(flow.lines[0].deleted, true);
});

test("an offstage comment that the sample chose is on stage, in its old place", () => {
  const flow = new CommentFlow();
  flow.apply({ offstage: { id: 1, by: 1, name: "Ann", text: "one" } }, 1);
  flow.apply({ offstage: { id: 2, by: 2, name: "Bob", text: "two" } }, 1);
  flow.apply({ sampled: { comments: [{ id: 2, by: 2, name: "Bob", text: "two" }], n: 2 } }, 2);
  assert.deepEqual(flow.lines.map((line) => [line.id, line.offstage]), [[1, true], [2, false]]);
});

test("a restored comment that the page never had comes in its old place", () => {
  const flow = new CommentFlow();
  flow.apply(comment(1), 1);
  flow.apply(comment(5), 1);
  flow.apply({ restored: { comments: [{ id: 3, name: "Eve", text: "three", at: 1 }] } }, 4);
  assert.deepEqual(ids(flow.lines), [1, 3, 5]);
});

test("the page keeps a bounded number, shown or waiting, and says how many passed", () => {
  const flow = new CommentFlow();
  for (let id = 1; id <= ROWS_MAX + 5; id += 1) flow.apply(comment(id), id);
  assert.equal(flow.lines.length, ROWS_MAX);
  assert.equal(flow.lines[0].id, 6);
  flow.hold("scroll", true);
  for (let id = 1; id <= WAITING_MAX + 9; id += 1) flow.apply(comment(1000 + id), id);
  assert.equal(flow.waiting.length, WAITING_MAX);
  assert.equal(flow.unseen, WAITING_MAX + 9);
  flow.letGo();
  assert.equal(flow.lines.length, ROWS_MAX);
  assert.equal(flow.lines.at(-1).id, 1000 + WAITING_MAX + 9);
});

test("a keyframe replaces everything, but not under the reader's eyes", () => {
  const flow = new CommentFlow();
  flow.apply(comment(1), 1);
  flow.apply(comment(2), 1);
  flow.hold("pointer", true);
  flow.reset([{ id: 1, name: "Ann", text: "one", at: 1 }, { id: 9, name: "Eve", text: "nine", at: 9 }], [], 9);
  assert.deepEqual(flow.lines.map((line) => [line.id, line.deleted]), [[1, false], [2, true]]);
  flow.hold("pointer", false);
  assert.deepEqual(ids(flow.lines), [1, 2, 9]);
  flow.reset([{ id: 9, name: "Eve", text: "nine", at: 9 }], [{ id: 8, name: "Bob", text: "eight", at: 8 }], 9);
  assert.deepEqual(flow.lines.map((line) => [line.id, line.offstage]), [[8, true], [9, false]]);
});
