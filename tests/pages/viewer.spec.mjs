// A show as its viewers see it, in a real browser against the real server: from the lobby to the thanks.
import test, { after, before } from "node:test";
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { Server, axe, openBrowser, openPage, picture, scrolls, saysOffline } from "./support.mjs";

const ROOM = "autumn-lips";
const TITLE = "Autumn lips with Mia";
const SIZES = { phone: [390, 844], tablet: [768, 1024], laptop: [1366, 625], desktop: [1440, 900], "laptop at 200 %": [683, 312] };
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true };

let server;
let browser;
/** The viewer whom the show is followed with. */
let ann;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
  const details = { title: TITLE, description: "Twelve shades.", host: "Mia", kind: "video", access: "public", tags: ["beauty"], scheduled_at: Date.now() + 3_600_000, links: [{ label: "Store", url: "https://shop.example/" }] };
  await server.api("POST", "/rooms", { id: ROOM, details });
  ann = await openPage(browser, server, PHONE);
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** As the host, about the room. */
const host = (method, path, body) => server.api(method, `/rooms/${ROOM}${path}`, body);
const open = (page, query = "") => page.goto(`${server.origin}/r/${ROOM}${query}`);
const button = (page, name) => page.getByRole("button", { name, exact: true });
const comment = (page, text) => page.locator(".comment", { hasText: text });
const input = (page) => page.locator(".composer__input");

async function say(page, text) {
  await input(page).fill(text);
  await input(page).press("Enter");
}

test("title and cover stand in the page before any script runs", async () => {
  const page = await openPage(browser, server, { ...PHONE, javaScriptEnabled: false });
  await open(page);
  await page.getByRole("heading", { name: TITLE }).waitFor();
  await page.context().close();
});

test("the lobby counts down and offers the calendar", async () => {
  await open(ann);
  const countdown = ann.getByRole("timer");
  await countdown.waitFor();
  assert.match(await countdown.textContent(), /^(1:00:00|59:\d\d)$/);
  const calendar = await ann.getByRole("link", { name: "Add to calendar" }).getAttribute("href");
  const event = await fetch(server.origin + calendar);
  assert.match(event.headers.get("content-type"), /text\/calendar/);
  assert.match(await event.text(), /BEGIN:VEVENT/);
  assert.deepEqual(await axe(ann), []);
  await picture(ann, "viewer-lobby");
});

test("an overdue start says starting soon, and nothing counts below zero", async () => {
  await host("PATCH", "", { scheduled_at: Date.now() - 5000 });
  await ann.getByText("Starting soon").waitFor();
  assert.equal(await ann.getByRole("timer").count(), 0);
});

test("the show begins by itself in the page", async () => {
  await host("POST", "/start");
  await ann.locator(".badge--on-air", { hasText: "LIVE" }).waitFor();
  assert.match(await ann.locator(".pill__elapsed").textContent(), /^0:0\d$/);
});

test("a comment reaches the other viewer, and mine is marked", async () => {
  const bob = await openPage(browser, server, PHONE);
  await open(bob);
  await say(ann, "is the lipstick in stock?");
  await comment(bob, "in stock?").waitFor();
  await comment(ann, "in stock?").getByText("You").waitFor();
  assert.equal(await input(ann).inputValue(), "");
  assert.deepEqual(bob.trouble, []);
  await bob.context().close();
});

test("text goes in as text", async () => {
  await say(ann, "<img src=x onerror=alert(1)> <b>bold</b>");
  await comment(ann, "<img src=x").waitFor();
  assert.equal(await ann.locator(".comment img, .comment b").count(), 0);
});

test("Enter does not send while an input method composes", async () => {
  const keyboard = await ann.context().newCDPSession(ann);
  await input(ann).focus();
  await keyboard.send("Input.imeSetComposition", { text: "kouhong", selectionStart: 7, selectionEnd: 7 });
  await keyboard.send("Input.dispatchKeyEvent", { type: "rawKeyDown", key: "Enter", code: "Enter", windowsVirtualKeyCode: 229 });
  await keyboard.send("Input.insertText", { text: "口红" });
  assert.equal(await input(ann).inputValue(), "口红");
  await input(ann).press("Enter");
  await comment(ann, "口红").waitFor();
});

test("from 20 characters left they are counted down, as a person counts them", async () => {
  await input(ann).fill("👩‍👩‍👧".repeat(185));
  assert.equal(await ann.locator(".composer__count").textContent(), "15");
  await input(ann).fill("a".repeat(201));
  assert.equal(await ann.locator(".composer__count").textContent(), "-1");
  assert.ok(await button(ann, "Send").isDisabled());
  await input(ann).fill("");
});

test("what is being written survives a reload, and slow mode gives the text back with a cool-down", async () => {
  await host("PATCH", "/modes", { slow_ms: 60_000 });
  await input(ann).fill("a draft");
  await ann.reload();
  await input(ann).waitFor();
  assert.equal(await input(ann).inputValue(), "a draft");
  await ann.getByText("Slow mode: one comment every").waitFor();
  const wait = ann.getByRole("button", { name: /^Wait \d+ s to send$/ });
  if (!(await wait.isVisible())) await input(ann).press("Enter");
  await wait.waitFor();
  await host("PATCH", "/modes", { slow_ms: 0 });
  await button(ann, "Send").waitFor();
  await input(ann).fill("");
});

test("comments off says so and keeps what is written", async () => {
  await input(ann).fill("kept");
  await host("PATCH", "/modes", { comments_off: true });
  await ann.locator(".composer__input:disabled").waitFor();
  assert.equal(await input(ann).inputValue(), "kept");
  await host("PATCH", "/modes", { comments_off: false });
  await ann.locator(".composer__input:enabled").waitFor();
  await input(ann).fill("");
});

test("a text that is left standing keeps neither the heart nor Send away; while one writes the field has their room", async () => {
  await input(ann).fill("left standing");
  await ann.locator("#hearts").waitFor({ state: "hidden" });
  await input(ann).blur();
  await button(ann, "Like").waitFor();
  await button(ann, "Share").waitFor();
  assert.ok(await button(ann, "Send").isEnabled());
  await input(ann).focus();
  await button(ann, "My codes and prizes").click();
  await ann.getByRole("dialog", { name: "My codes and prizes" }).waitFor();
  await ann.keyboard.press("Escape");
  await input(ann).fill("");
});

test("a heart is counted and reaches the others", async () => {
  const heart = button(ann, "Like");
  for (let i = 0; i < 5; i += 1) await heart.click();
  const bob = await openPage(browser, server, PHONE);
  await open(bob);
  await bob.locator(".tool--heart .tool__count", { hasText: "5" }).waitFor();
  await bob.context().close();
});

test("a discount card is claimed in one press, its code can be copied and stays among my codes", async () => {
  const terms = { title: "Autumn lips", off: { percent: 15 }, quota: 3, closes: { after_ms: 600_000 }, link: "https://shop.example/" };
  await host("PUT", "/discounts/ten", { terms, codes: { generated: {} } });
  await host("POST", "/discounts/ten/open");
  const card = ann.getByRole("region", { name: "Discount" });
  await card.getByText("15% off").waitFor();
  assert.equal(await ann.evaluate(() => document.activeElement?.closest(".card")), null, "a new card takes no focus");
  assert.deepEqual(await axe(ann), []);
  await picture(ann, "viewer-discount");
  await button(ann, "Claim my code").click();
  const code = await card.locator(".code").textContent();
  assert.match(code, /^[A-Z0-9]{4}(-[A-Z0-9]{4})+$/);
  await card.getByRole("button", { name: "Copy" }).click();
  await card.getByRole("button", { name: "Copied" }).waitFor();
  await ann.reload();
  await button(ann, "My codes and prizes").click();
  const sheet = ann.getByRole("dialog", { name: "My codes and prizes" });
  await sheet.getByText(code).waitFor();
  assert.deepEqual(await axe(ann), []);
  await picture(ann, "viewer-mine");
  await ann.keyboard.press("Escape");
  await sheet.waitFor({ state: "detached" });
});

test("no heart crosses the card", async () => {
  const bob = await openPage(browser, server, PHONE);
  await open(bob);
  await button(bob, "Claim my code").waitFor();
  for (let i = 0; i < 3; i += 1) await button(bob, "Like").click();
  await bob.locator(".rising").first().waitFor({ state: "attached" });
  const [air, cards] = await Promise.all([".air", ".cards"].map((part) => bob.locator(part).boundingBox()));
  assert.ok(air.y + air.height <= cards.y, `hearts begin at ${air.y + air.height}, the card at ${cards.y}`);
  await bob.context().close();
});

test("who was too slow is told in words how many comments were skipped, and only then", async () => {
  const slow = await openPage(browser, server, PHONE);
  let deaf = false;
  let epoch;
  let page;
  await slow.routeWebSocket(/\/ws\//, (socket) => {
    page = socket;
    socket.connectToServer().onMessage((data) => {
      epoch ??= JSON.parse(data).joined?.epoch;
      if (!deaf) socket.send(data);
    });
  });
  await open(slow);
  await comment(slow, "in stock?").waitFor();
  deaf = true;
  for (let i = 0; i < 60; i += 1) await host("POST", "/comments", { nonce: `skip${i}`, text: `one of many, ${i}` });
  // what the server sends to a connection that does not keep up
  const { offset, at, state } = await host("GET", "/state");
  page.send(JSON.stringify({ skipped: { from: 1, to: offset } }));
  page.send(JSON.stringify({ keyframe: { epoch, offset, at, state: state.stage } }));
  deaf = false;
  await slow.getByText(/^Back at the newest: up to 1\d comments skipped$/).first().waitFor();
  assert.equal(await ann.getByText("skipped").count(), 0);
  await slow.context().close();
});

test("the skip link reaches the card's button", async () => {
  const bob = await openPage(browser, server, PHONE);
  await open(bob);
  await button(bob, "Claim my code").waitFor();
  await bob.keyboard.press("Tab");
  await bob.keyboard.press("Enter");
  await bob.locator("button:focus", { hasText: "Claim my code" }).waitFor();
  await bob.context().close();
});

test("sold out takes the offer from those without a code", async () => {
  const late = await openPage(browser, server, PHONE);
  await open(late);
  await button(late, "Claim my code").waitFor();
  for (let i = 0; i < 2; i += 1) {
    const other = await openPage(browser, server, PHONE);
    await open(other);
    await button(other, "Claim my code").click();
    await other.locator(".card .code").waitFor();
    await other.context().close();
  }
  await button(late, "Sold out").waitFor();
  await late.locator(".card").waitFor({ state: "hidden", timeout: 15_000 });
  await late.context().close();
});

test("a draw is entered with one tap, drawn, verified in the page, and the prize is claimed", async () => {
  const rules = { prize: "Lipstick set", winners: 1, open_ms: 600_000, eligibility: { phrase: { phrase: "口红" } }, ask: ["name", "phone"], readers: "Mia's shop only" };
  await host("PUT", "/draws/lips", rules);
  await host("POST", "/draws/lips/open");
  await button(ann, "Send “口红”").click();
  await ann.getByText("You are in: no. 1").waitFor();
  await picture(ann, "viewer-draw");
  await host("POST", "/draws/lips/lock");
  await ann.getByText("You won!").waitFor();
  assert.deepEqual(await axe(ann), []);
  await picture(ann, "viewer-won");
  await button(ann, "Verify").click();
  await ann.locator("[data-outcome=good]").waitFor();
  await ann.getByText("My entry, no. 1, is in the list").waitFor();
  assert.deepEqual(await axe(ann), []);
  await picture(ann, "viewer-verified");
  await ann.keyboard.press("Escape");
  await button(ann, "Claim your prize").click();
  const sheet = ann.getByRole("dialog");
  await sheet.getByText("Who reads this: Mia's shop only").waitFor();
  await button(ann, "Send to the host").click();
  await sheet.getByText("Please fill this in.").waitFor();
  await sheet.getByLabel("Name").fill("Ann");
  await sheet.getByLabel("Phone").fill("+49 30 1234567");
  await button(ann, "Send to the host").click();
  await sheet.getByText("Claimed: the host has what you filled in.").waitFor();
  await ann.keyboard.press("Escape");
});

test("a changed transcript is found out", async () => {
  await ann.route("**/transcript", async (route) => {
    const answer = await route.fetch();
    const transcript = await answer.json();
    const [leaf] = transcript.leaves;
    transcript.leaves[0] = (leaf[0] === "0" ? "1" : "0") + leaf.slice(1);
    await route.fulfill({ json: transcript });
  });
  await button(ann, "Verify").click();
  await ann.locator("[data-outcome=bad]").waitFor();
  await ann.unroute("**/transcript");
  await ann.keyboard.press("Escape");
});

test("a claim, an entry and a prize form whose answer never came are asked again after a reload, and once answered no more", async () => {
  await host("PUT", "/discounts/late", { terms: { title: "Late lips", off: { percent: 20 }, quota: 3, closes: { after_ms: 600_000 } }, codes: { generated: {} } });
  await host("PUT", "/draws/late", { prize: "Late lipstick", winners: 1, open_ms: 600_000, eligibility: { phrase: { phrase: "晚" } }, ask: ["name"], readers: "Mia" });
  const bob = await openPage(browser, server, PHONE);
  let cut = true;
  const asked = [];
  await bob.routeWebSocket(/\/ws\//, (page) => {
    const room = page.connectToServer();
    page.onMessage((data) => {
      const { cmd, args } = JSON.parse(data);
      const pressed = ["claim", "comment", "claim_prize"].includes(cmd);
      if (pressed) asked.push(args);
      if (!cut || !pressed) room.send(data);
    });
  });
  await open(bob);
  await host("POST", "/discounts/late/open");
  await button(bob, "Claim my code").click();
  await button(bob, "Claiming…").waitFor();
  await host("POST", "/draws/late/open");
  await button(bob, "Send “晚”").click();
  await button(bob, "Entering…").waitFor();
  cut = false;
  await bob.reload();
  await bob.getByText("You are in: no. 1").waitFor();
  await button(bob, "Next card").click();
  await bob.locator(".card .code").waitFor();
  assert.deepEqual(asked.slice(2), asked.slice(0, 2), "the same unit, the same nonce");
  await bob.reload();
  await bob.getByText("You are in: no. 1").waitFor();
  assert.equal(asked.length, 4);
  await host("POST", "/draws/late/lock");
  cut = true;
  await button(bob, "Claim your prize").click();
  await bob.getByLabel("Name").fill("Bob");
  await button(bob, "Send to the host").click();
  await bob.reload();
  await button(bob, "Claim your prize").click();
  await bob.locator(".prize-form button:disabled").waitFor();
  assert.equal(await bob.getByLabel("Name").inputValue(), "Bob");
  cut = false;
  await bob.reload();
  await button(bob, "My codes and prizes").click();
  await bob.getByText("Claimed: the host has what you filled in.").waitFor();
  await bob.context().close();
  await host("POST", "/discounts/late/close");
});

test("a claim that is refused after a reload says why", async () => {
  await host("PUT", "/discounts/few", { terms: { title: "Few lips", off: { percent: 20 }, quota: 1, closes: { after_ms: 600_000 } }, codes: { generated: {} } });
  const bob = await openPage(browser, server, PHONE);
  await open(bob);
  await bob.locator(".composer").waitFor();
  await bob.evaluate((room) => sessionStorage.setItem(`hubbub.presses.${room}`, JSON.stringify([{ of: "discount few", cmd: "claim", args: { discount: "few", unit: 2 } }])), ROOM);
  await host("POST", "/discounts/few/open");
  await bob.reload();
  await bob.locator(".card__why", { hasText: /\w/ }).waitFor();
  assert.equal(await bob.evaluate((room) => sessionStorage.getItem(`hubbub.presses.${room}`), ROOM), null);
  await bob.context().close();
  await host("POST", "/discounts/few/close");
});

test("the browser's word that the network is gone is shown at once, and taken back when the room is heard", async () => {
  await saysOffline(ann, ".strip:not(.strip--calm)", "Reconnecting…");
  await ann.evaluate(() => dispatchEvent(new Event("online")));
  await ann.locator(".strip").waitFor({ state: "hidden", timeout: 2_000 });
});

test("a crash of the server is a thin bar: content stays, what was written meanwhile arrives once", async () => {
  await server.kill();
  await ann.getByText("Reconnecting…").first().waitFor();
  assert.ok(await comment(ann, "in stock?").isVisible());
  await say(ann, "written in the dark");
  await ann.getByText("sending…").waitFor();
  await picture(ann, "viewer-reconnecting");
  await server.run();
  await ann.locator(".strip").waitFor({ state: "hidden", timeout: 40_000 });
  await ann.getByText("sending…").waitFor({ state: "detached" });
  assert.equal(await comment(ann, "written in the dark").count(), 1);
  const code = ann.locator("#mine-count");
  assert.equal(await code.textContent(), "1");
});

test("the nickname can be changed, and older comments keep the old one", async () => {
  await ann.locator(".pill--host").click();
  await ann.getByLabel("Your name here").fill("Ann of Berlin");
  await button(ann, "Save").click();
  await ann.locator(".toast", { hasText: "Name changed" }).waitFor();
  await ann.keyboard.press("Escape");
  await say(ann, "with a new name");
  await comment(ann, "with a new name").getByText("Ann of Berlin").waitFor();
  await comment(ann, "in stock?").getByText(/Guest/).waitFor();
});

test("a deleted comment goes, also from the page that wrote it", async () => {
  await say(ann, "something rude");
  const rude = comment(ann, "something rude");
  await rude.waitFor();
  await ann.waitForFunction(() => [...document.querySelectorAll(".comment")].some((one) => one.textContent.includes("rude") && /^\d+$/.test(one.dataset.key)));
  const id = await rude.getAttribute("data-key");
  await host("DELETE", `/comments/${id}`);
  await rude.waitFor({ state: "detached" });
});

test("with 200 comments and long names it holds at every size, day and night, in both languages", async () => {
  await host("PATCH", "", { title: "A title of as many characters as a title may have, which is quite a lot, really" });
  for (let i = 0; i < 200; i += 1) await host("POST", "/comments", { nonce: `n${i}`, text: `comment number ${i}, 评论 ${"long ".repeat(i % 9)}` });
  for (const [name, [width, height]] of Object.entries(SIZES)) {
    for (const [colorScheme, locale] of [["light", "en-GB"], ["dark", "zh-CN"]]) {
      const page = await openPage(browser, server, { viewport: { width, height }, colorScheme, locale });
      await open(page);
      await comment(page, "number 199").waitFor();
      assert.ok((await page.locator(".comment").count()) <= 150);
      assert.equal((await scrolls(page)).sideways, false, name);
      assert.equal(await page.evaluate(() => document.documentElement.lang.slice(0, 2)), locale.slice(0, 2));
      assert.deepEqual(await axe(page), [], name);
      await picture(page, `viewer ${name} ${colorScheme}`.replace(/\W+/g, "-"));
      assert.deepEqual(page.trouble, []);
      await page.context().close();
    }
  }
});

test("scrolling up stops the flow and says how many are new", async () => {
  await ann.reload();
  await comment(ann, "number 199").waitFor();
  await ann.locator(".comments__list").evaluate((list) => (list.scrollTop = 0));
  await host("POST", "/comments", { nonce: "new", text: "a new one" });
  const more = button(ann, "1 new");
  await more.waitFor();
  await more.click();
  assert.equal(await ann.locator(".comments__list").evaluate((list) => list.scrollHeight - list.scrollTop - list.clientHeight < 2), true);
});

test("under reduced motion no heart rises", async () => {
  const calm = await openPage(browser, server, { ...PHONE, reducedMotion: "reduce" });
  await open(calm);
  await button(calm, "Like").click();
  assert.equal(await calm.locator(".rising").count(), 0);
  await calm.context().close();
});

test("with MessagePack the page is the same", async () => {
  const page = await openPage(browser, server, PHONE);
  await open(page, "?encoding=msgpack");
  await comment(page, "a new one").waitFor();
  await say(page, "packed");
  await comment(ann, "packed").waitFor();
  assert.deepEqual(page.trouble, []);
  await page.context().close();
});

test("a picture that comes from elsewhere than when the page was loaded is played all the same", async () => {
  let asked = 0;
  const cinema = createServer((_, answer) => {
    asked += 1;
    answer.writeHead(404).end();
  });
  await new Promise((resolve) => cinema.listen(0, "127.0.0.1", resolve));
  const details = { title: "Picture later", host: "Mia", kind: "video", access: "public", scheduled_at: Date.now() + 3_600_000 };
  await server.api("POST", "/rooms", { id: "picture-later", details });
  const page = await openPage(browser, server, PHONE);
  await page.goto(`${server.origin}/r/picture-later`);
  await page.getByRole("timer").waitFor();
  const loaded = page.waitForEvent("load");
  await server.api("PATCH", "/rooms/picture-later", { source: { file: { url: `http://127.0.0.1:${cinema.address().port}/show.webm` } } });
  await loaded;
  await page.getByRole("timer").waitFor();
  await server.api("POST", "/rooms/picture-later/start");
  await page.locator(".badge--on-air").waitFor();
  await page.waitForFunction(() => document.querySelector("video").networkState === 3);
  assert.ok(asked > 0, "the policy lets it through");
  cinema.close();
  await page.context().close();
});

test("an unknown room says so", async () => {
  const page = await openPage(browser, server, PHONE);
  await page.goto(`${server.origin}/r/nothinghere`);
  await page.getByRole("heading", { name: "There is no such show" }).waitFor();
  assert.deepEqual(await axe(page), []);
  await page.context().close();
});

test("my codes follow me to another browser, by a link that works once", async () => {
  await button(ann, "My codes and prizes").click();
  await ann.locator(".ticket").first().waitFor();
  const mine = await ann.locator(".ticket").count();
  await button(ann, "Keep on another device").click();
  await button(ann, "Get a code").click();
  await ann.locator(".sheet .code").nth(1).waitFor();
  const [digits, link] = await ann.locator(".sheet .code").allTextContents();
  assert.match(digits, /^\d{4} \d{4}$/);
  assert.ok(link.endsWith(`#keep=${digits.replace(" ", "")}`), link);
  assert.deepEqual(await axe(ann), []);
  await picture(ann, "viewer-keep");
  await button(ann, "Close").click();

  const other = await openPage(browser, server, PHONE);
  await other.goto(link);
  await button(other, "Bring it here").click();
  await other.waitForURL(`${server.origin}/r/${ROOM}`);
  await button(other, "My codes and prizes").click();
  await other.locator(".ticket").first().waitFor();
  assert.equal(await other.locator(".ticket").count(), mine);
  await button(other, "Keep on another device").click();
  await other.getByLabel("8-digit code").fill(digits);
  await button(other, "Bring it here").click();
  await other.getByText("This code is wrong, used or over.").waitFor();
  await other.context().close();
});

test("a store's token leaves the address at once, and one that is not good is said to be so", async () => {
  const page = await openPage(browser, server, PHONE);
  await open(page, "#token=eyJ0eXAiOiJKV1QifQ.e30.bad");
  await page.getByRole("heading", { name: "You cannot come in here" }).waitFor();
  assert.equal(page.url(), `${server.origin}/r/${ROOM}`);
  await page.context().close();
});

test("a pause has its own words, and at the end there are thanks and the numbers", async () => {
  await host("POST", "/pause");
  await ann.getByText("Back in a moment").waitFor();
  await host("POST", "/resume");
  await ann.locator(".badge--on-air").waitFor();
  await host("POST", "/end", {});
  await ann.getByText("The show is about to end.").waitFor();
  await ann.getByRole("heading", { name: "Thanks for watching" }).waitFor({ timeout: 20_000 });
  await ann.getByText("3 of 3 claimed").waitFor({ timeout: 15_000 });
  assert.deepEqual(await axe(ann), []);
  await picture(ann, "viewer-ended");
  await button(ann, "My codes and prizes").click();
  await ann.getByText("Expired").first().waitFor();
});

test("nothing of all this troubled the console or left the origin", () => {
  assert.deepEqual(ann.trouble, []);
});

test("what the viewer page loads unasked weighs less than 60 kB as it is sent", async () => {
  const page = await fetch(`${server.origin}/r/${ROOM}`);
  const html = await page.text();
  const waiting = [...html.matchAll(/(?:href|src)="(\/static\/[^"]+)"/g)].map(([, path]) => path);
  const seen = new Map([["the page", Number(page.headers.get("content-length"))]]);
  while (waiting.length) {
    const path = waiting.pop();
    if (seen.has(path)) continue;
    const answer = await fetch(server.origin + path);
    assert.ok(answer.ok, path);
    seen.set(path, Number(answer.headers.get("content-length")));
    const imports = (await answer.text()).matchAll(/^(?:import|\} from) .*?"(\.[^"]+)"/gm);
    for (const [, other] of imports) waiting.push(new URL(other, `http://x${path}`).pathname);
  }
  const loaded = [...seen.keys()].join(" ");
  for (const part of ["/connection.js", "/mine.js", "/viewer.css"]) assert.ok(loaded.includes(part), `${part} is among ${loaded}`);
  for (const part of ["/fair.js", "/whep.js", "/keep.js", "/msgpack.js"]) assert.ok(!loaded.includes(part), `${part} waits until it is needed`);
  const bytes = [...seen.values()].reduce((sum, one) => sum + one, 0);
  assert.ok(bytes < 60_000, `${bytes} bytes`);
});
