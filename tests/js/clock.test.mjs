import { test } from "node:test";
import assert from "node:assert/strict";
import { ServerClock } from "../../static/js/model/clock.js";

test("the shortest round trip wins, and half of it is the guess", () => {
  let local = 1000;
  const clock = new ServerClock(() => local);
  clock.sync({ now: 500_000, sent: 800, received: 1000 });
  assert.equal(clock.now(), 500_100);
  local = 2000;
  clock.sync({ now: 501_080, sent: 1980, received: 2000 });
  assert.equal(clock.now(), 501_090);
  clock.sync({ now: 501_080, sent: 1900, received: 2000 });
  assert.equal(clock.now(), 501_090, "a longer round trip that agrees changes nothing");
});

test("it never goes backwards: ahead of the server, it stands still until that has caught up", () => {
  let local = 0;
  const clock = new ServerClock(() => local);
  clock.sync({ now: 100_000, sent: 0, received: 0 });
  local = 1000;
  assert.equal(clock.now(), 101_000);
  clock.sync({ now: 100_400, sent: 1000, received: 1000 });
  assert.equal(clock.now(), 101_000);
  local = 1300;
  assert.equal(clock.now(), 101_000);
  local = 1700;
  assert.equal(clock.now(), 101_100);
});

test("a message from later than the page thinks brings it forward", () => {
  let local = 0;
  const clock = new ServerClock(() => local);
  clock.heard(100_000);
  local = 500;
  clock.heard(200_000);
  assert.equal(clock.now(), 200_000);
  clock.heard(150_000);
  assert.equal(clock.now(), 200_000);
});
