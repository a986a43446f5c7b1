// A show as its host drives it: from the sign-in link to the summary, on the landing page and the control page.
import test, { after, before } from "node:test";
import assert from "node:assert/strict";
import { Server, Viewer, axe, openBrowser, openPage, picture, scrolls, saysOffline } from "./support.mjs";

const TITLE = "Autumn lips with Mia";
const SIZES = { phone: [390, 844], tablet: [768, 1024], laptop: [1366, 625], desktop: [1440, 900], "laptop at 200 %": [683, 312] };
/** A picture of one pixel. */
const PIXEL = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");

let server;
let browser;
let host;
let room;
let ann;
let bob;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
  host = await openPage(browser, server);
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const button = (page, name) => page.getByRole("button", { name, exact: true });
const row = (page, name) => page.locator(".row", { hasText: name });
const line = (page, text) => page.locator(".line", { hasText: text });
const dialog = (page) => page.getByRole("dialog");
const air = (page, word) => page.locator(".air", { hasText: word }).waitFor();

/** Makes a link for an assistant; the list of the staff stays open. */
async function staffLink(name, rights) {
  await button(host, "Staff").click();
  await dialog(host).getByLabel("Name", { exact: true }).fill(name);
  await dialog(host).getByLabel("May do").selectOption(rights);
  await button(dialog(host), "Make a link").click();
  return dialog(host).getByLabel(`${name} · Assistant: ${rights}`, { exact: true }).inputValue();
}

test("an operator signs in by a press on the link's page", async () => {
  const link = server.signInLink();
  await host.goto(link);
  await button(host, "Sign in").click();
  await button(host, "New show").first().waitFor();
  assert.equal(new URL(host.url()).hash, "", "the code is gone from the address");
  assert.deepEqual(await axe(host), []);
});

test("a used sign-in link says so", async () => {
  const other = await openPage(browser, server);
  await other.goto(`${server.origin}/#sign-in=used`);
  await button(other, "Sign in").click();
  await other.getByText("unknown, used, revoked or expired").waitFor();
  await other.context().close();
});

test("an operator's devices are listed, and one that is lost can be signed out", async () => {
  const lost = await openPage(browser, server);
  await lost.goto(server.signInLink());
  await button(lost, "Sign in").click();
  await button(lost, "New show").first().waitFor();
  await button(host, "Devices").click();
  const devices = dialog(host).getByRole("listitem");
  await devices.nth(1).waitFor();
  assert.deepEqual(await axe(host), []);
  await devices.nth(0).getByText("this device").waitFor();
  await devices.nth(1).getByRole("button").click();
  await devices.nth(1).getByRole("button", { name: /^Sign out now/ }).click();
  await devices.nth(1).getByText("signed out").waitFor();
  await button(dialog(host), "Close").click();
  await lost.reload();
  await lost.getByText("No shows yet").waitFor();
  assert.equal(await button(lost, "New show").count(), 0);
  await lost.context().close();
});

test("a link's name that is taken is said at its field, and nothing else is lost", async () => {
  const details = { title: "Already there", host: "Mia", kind: "video", access: "public" };
  await server.api("POST", "/rooms", { id: "autumn-lips", details });
  await button(host, "New show").first().click();
  await host.getByLabel("Title", { exact: true }).fill(TITLE);
  await host.getByLabel("Host's name").fill("Mia");
  const name = host.getByLabel("Name in the link");
  await name.fill("x");
  await button(host, "Make the show").click();
  await host.getByText("3 to 40 of a–z").waitFor();
  await name.fill("Autumn lips");
  await host.getByText("/r/autumn-lips").waitFor();
  await button(host, "Make the show").click();
  await host.getByText("Another show has this link already").waitFor();
  await host.locator("[name=link_name]:focus").waitFor();
  assert.deepEqual(await axe(host), []);
  await dialog(host).getByRole("radio", { name: "Only with the link" }).check();
  assert.equal(await name.count(), 0, "only rooms that are listed have one");
  await button(dialog(host), "Cancel").click();
  host.trouble.length = 0; // the browser itself tells of the refusal
});

test("a new show says what is missing, and ends on the control page with its links", async () => {
  await button(host, "New show").first().click();
  await button(host, "Make the show").click();
  assert.equal(await host.locator("[aria-invalid]").count(), 2);
  assert.deepEqual(await axe(host), []);
  await picture(host, "landing-new-show");
  await host.getByLabel("Title", { exact: true }).fill(TITLE);
  await host.getByLabel("Host's name").fill("Mia");
  await host.getByLabel("Tags", { exact: true }).fill("#beauty");
  await host.locator("input[type=file]").setInputFiles({ name: "cover.png", mimeType: "image/png", buffer: PIXEL });
  await button(host, "Make the show").click();
  await dialog(host).getByText("The show is ready").waitFor();
  room = new URL(host.url()).pathname.split("/")[2];
  await dialog(host).getByText("This address works on this computer only.").waitFor();
  assert.equal(await dialog(host).getByLabel("For viewers", { exact: true }).inputValue(), `${server.origin}/r/${room}`);
  await button(dialog(host), "Make a link").click();
  await dialog(host).getByText("Works once").waitFor();
  assert.deepEqual(await axe(host), []);
  await picture(host, "control-links");
  await button(dialog(host), "Close").click();
  await air(host, "PREVIEW");
});

test("a draw and a discount are prepared, and their forms name what is wrong", async () => {
  await button(host, "Draw").click();
  await button(host, "Prepare").click();
  assert.equal(await host.locator("[aria-invalid]").count(), 2, "prize and phrase");
  await host.locator("[name=prize]:focus").waitFor();
  await host.getByLabel("Prize", { exact: true }).fill("Velvet lipstick");
  await host.getByLabel("Phrase", { exact: true }).fill("lipstick");
  await picture(host, "control-draw-form");
  assert.deepEqual(await axe(host), []);
  await button(host, "Prepare").click();
  await row(host, "Velvet lipstick").waitFor();

  await button(host, "Discount").click();
  await host.getByLabel("What the card says").fill("Everything");
  await host.getByLabel("Codes in all").fill("2");
  await picture(host, "control-discount-form");
  assert.deepEqual(await axe(host), []);
  await button(host, "Prepare").click();
  await row(host, "Everything").waitFor();
  assert.deepEqual(await host.locator(".row__title").allTextContents(), ["Velvet lipstick", "Everything"]);
});

test("a prepared draw can be changed, removed and brought back", async () => {
  await host.getByRole("button", { name: "Edit: Velvet lipstick" }).click();
  await host.getByLabel("Winners", { exact: true }).fill("2");
  await button(host, "Prepare").click();
  await row(host, "2 winners").waitFor();
  await host.getByRole("button", { name: "Remove: Velvet lipstick" }).click();
  await row(host, "Velvet lipstick").waitFor({ state: "detached" });
  await host.getByRole("button", { name: /^Undo/ }).click();
  await row(host, "Velvet lipstick").waitFor();
  assert.equal(await row(host, "Velvet lipstick").locator(".row__no").textContent(), "1", "in its old place");
});

test("Go live can be stopped for two seconds, then the show is on air", async () => {
  await button(host, "Go live").click();
  await host.keyboard.press("Escape");
  await button(host, "Go live").waitFor();
  await button(host, "Go live").click();
  await air(host, "ON AIR");
});

test("comments arrive, hold still under the pointer, and are moderated with undo", async () => {
  ann = await Viewer.join(browser, server, room, "Ann");
  bob = await Viewer.join(browser, server, room, "Bob");
  await ann.say("Which shade is this?");
  await line(host, "Which shade is this?").hover();
  await bob.say("Spam spam");
  await button(host, "1 new").waitFor();
  assert.equal(await line(host, "Spam spam").count(), 0);
  await host.mouse.move(600, 300);
  await line(host, "Spam spam").hover();
  await host.getByRole("button", { name: "Delete (d)" }).click();
  await line(host, "Spam spam").getByText("deleted").waitFor();
  for (const size of Object.values(SIZES)) {
    await host.setViewportSize({ width: size[0], height: size[1] });
    assert.deepEqual(await covered(host, ".notice", ".figure, .strip *, .part__tools *, .say *, .hold *, .row, .tab"), [], `${size}`);
  }
  await host.setViewportSize({ width: 1366, height: 625 });
  await host.getByRole("button", { name: /^Undo/ }).click();
  await line(host, "Spam spam").locator(".line__text:not(:has(s))").waitFor();
  await host.mouse.move(600, 300);
});

test("the keyboard does the same, and nothing while a field has focus", async () => {
  await host.locator("#say").focus();
  await host.keyboard.type("dmp? 1");
  assert.equal(await host.locator("#say").inputValue(), "dmp? 1");
  assert.equal(await dialog(host).count(), 0);
  assert.equal(await host.locator(".row.is-selected").count(), 0);
  await host.locator("#say").fill("");
  await host.locator("#say").blur();
  await host.keyboard.press("c");
  await host.keyboard.press("p");
  await host.locator(".pinned", { hasText: "Spam spam" }).waitFor();
  await host.keyboard.press("m");
  await host.getByText("Bob is muted").waitFor();
  assert.equal((await bob.say("hello?")).err.code, "muted");
  await host.keyboard.press("u");
  await host.waitForFunction(() => !document.body.textContent.includes("Bob is muted"));
  await host.locator(".strip__title").click();
  await host.keyboard.press("?");
  await dialog(host).getByText("Shortcuts are on").click();
  await host.keyboard.press("Escape");
  await host.keyboard.press("?");
  assert.equal(await dialog(host).count(), 0, "switched off");
  await host.getByRole("button", { name: "Keyboard shortcuts" }).click();
  await dialog(host).getByText("Shortcuts are on").click();
  await picture(host, "control-shortcuts");
  assert.deepEqual(await axe(host), []);
  await host.keyboard.press("Escape");
});

test("the host's own comment carries the host's badge, and an input method's Enter does not send it", async () => {
  const box = host.locator("#say");
  await box.fill("Welcome!");
  await box.evaluate((input) => {
    for (const one of [{ isComposing: true }, { keyCode: 229 }]) input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...one }));
  });
  assert.equal(await box.inputValue(), "Welcome!");
  await box.press("Enter");
  await line(host, "Welcome!").getByText("Host").waitFor();
  assert.equal(await box.inputValue(), "");
});

test("the strip tells what viewers have, and how far the picture is behind", async () => {
  await ann.has({ offset: 1, picture: "playing", behind_ms: 6200 });
  await host.getByText("1 have picture, picture 6.2 s behind").waitFor();
  await ann.has({ offset: 1, picture: "playing" });
  await host.waitForFunction(() => !document.querySelector(".strip__have").textContent.includes("behind"));
});

test("modes reach the viewers at once", async () => {
  await button(host, "Comments off").click();
  await button(host, "Comments on again").waitFor();
  assert.equal((await ann.say("anyone?")).err.code, "comments_off");
  await button(host, "Comments on again").click();
  await button(host, "Comments off").waitFor();
  await host.getByLabel("Slow mode").selectOption("30");
  await host.waitForFunction(() => document.querySelector(".input--small").classList.contains("is-on"));
  await host.getByLabel("Slow mode").selectOption("0");
  await host.waitForFunction(() => !document.querySelector(".input--small").classList.contains("is-on"));
});

test("a number and Enter open a discount; its numbers move and it sells out by itself", async () => {
  await host.locator(".strip__title").click();
  await host.keyboard.press("2");
  await host.locator(".row.is-selected", { hasText: "Everything" }).waitFor();
  await host.keyboard.press("Enter");
  await row(host, "Everything").getByText("Goes out in 2 s").waitFor();
  await host.keyboard.press("Escape");
  await host.keyboard.press("Enter");
  await row(host, "Everything").getByText("OPEN", { exact: true }).waitFor();
  const id = (await row(host, "Everything").getAttribute("data-row")).split(":")[1];
  const [first] = await Promise.all([ann.ask("claim", { discount: id, unit: 1 }), bob.ask("claim", { discount: id, unit: 1 })]);
  await row(host, "Everything").getByText("Sold out").waitFor();
  await row(host, "Everything").getByText("2 claimed / 2 quota").waitFor();

  await host.getByRole("button", { name: "Redeem a code" }).click();
  await dialog(host).getByLabel("Code", { exact: true }).fill(first.ok.answer.claim.code.toLowerCase().replaceAll("-", " "));
  await button(dialog(host), "Only check").click();
  await dialog(host).getByText("it could be redeemed now").waitFor();
  await dialog(host).getByLabel("Order", { exact: true }).fill("A-1");
  await button(dialog(host), "Redeem").click();
  await dialog(host).getByText("Redeemed.").waitFor();
  await dialog(host).getByLabel("Order", { exact: true }).fill("A-2");
  await button(dialog(host), "Redeem").click();
  await dialog(host).getByText("Already used").waitFor();
  assert.deepEqual(await axe(host), []);
  await button(dialog(host), "Close").click();

  await host.getByRole("button", { name: "Claims: Everything" }).click();
  await dialog(host).getByText("used for A-1").waitFor();
  await picture(host, "control-claims");
  assert.deepEqual(await axe(host), []);
  const [file] = await Promise.all([host.waitForEvent("download"), button(dialog(host), "Codes (CSV)").click()]);
  assert.match(file.suggestedFilename(), /\.csv$/);
  await host.route("**/claims?*", (route) => {
    const after = Number(new URL(route.request().url()).searchParams.get("after"));
    const claims = Array.from({ length: Math.min(100, 230 - after) }, (_, i) => ({ viewer: 1, name: `viewer ${after + i + 1}`, unit: 1, code: "C", at: 1 }));
    return route.fulfill({ json: { claims, total: 230 } });
  });
  await button(dialog(host), "Read again").click();
  await dialog(host).getByText("1–100 of 230").waitFor();
  await button(dialog(host), "Next").click();
  await button(dialog(host), "Next").click();
  await dialog(host).getByText("201–230 of 230").waitFor();
  await dialog(host).getByText("viewer 230").waitFor();
  assert.ok(await button(dialog(host), "Next").isDisabled());
  await host.unroute("**/claims?*");
  await button(dialog(host), "Close").click();
});

test("a draw runs from entries to winners", async () => {
  await host.getByRole("button", { name: "Open: Velvet lipstick" }).first().click();
  await row(host, "Velvet lipstick").getByText("OPEN", { exact: true }).waitFor();
  assert.ok((await ann.say(" LIPSTICK ")).ok);
  assert.ok((await bob.say("lipstick")).ok);
  await row(host, "Velvet lipstick").getByText("2 entered").waitFor();
  await picture(host, "control-draw-open");
  await host.getByRole("button", { name: "Draw now: Velvet lipstick" }).click();
  await row(host, "Velvet lipstick").getByText("Drawn", { exact: true }).waitFor();
  await host.getByRole("button", { name: "Winners: Velvet lipstick" }).click();
  await dialog(host).getByText("not claimed yet").first().waitFor();
  await dialog(host).getByText("Prizes can be claimed until").waitFor();
  await dialog(host).getByText("0 of 2 winners claimed").waitFor();
  assert.deepEqual(await axe(host), []);
  await picture(host, "control-winners");
  await button(dialog(host), "Close").click();
});

test("an assistant joins once by a press, and may do what the link said", async () => {
  const link = await staffLink("Lea", "comments");
  await picture(host, "control-staff");
  assert.deepEqual(await axe(host), []);

  const lea = await openPage(browser, server, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  await lea.goto(link);
  await button(lea, "Join the staff").waitFor();
  assert.equal(await lea.locator(".gate__panel").count(), 1);
  await button(lea, "Join the staff").click();
  await air(lea, "ON AIR");
  assert.equal(await button(lea, "End…").count(), 0);
  await line(lea, "Welcome!").waitFor();
  await line(lea, "Which shade is this?").tap();
  await lea.getByRole("button", { name: "Delete (d)" }).waitFor();
  await picture(lea, "control-assistant-phone");
  assert.deepEqual(await axe(lea), []);
  await button(lea, "Actions").click();
  assert.equal(await button(lea, "Draw").count(), 0);
  assert.deepEqual(lea.trouble, []);

  await dialog(host).getByRole("button", { name: "Remove: Lea" }).click();
  await lea.getByText("no longer on the staff").waitFor();
  await button(dialog(host), "Close").click();
  await lea.goto(link);
  await button(lea, "Join the staff").click();
  await lea.getByText("unknown, used, revoked or expired").waitFor();
  await lea.context().close();
});

test("an assistant for actions sees a discount's numbers, but not who has which code", async () => {
  const link = await staffLink("Kim", "actions");
  await button(dialog(host), "Close").click();
  const kim = await openPage(browser, server);
  await kim.goto(link);
  await button(kim, "Join the staff").click();
  await air(kim, "ON AIR");
  await kim.getByRole("button", { name: "Claims: Everything" }).click();
  await dialog(kim).getByText("2 claimed of 2 (quota)").waitFor();
  assert.equal(await button(dialog(kim), "Codes (CSV)").count(), 0);
  assert.equal(await dialog(kim).locator("code").count(), 0);
  await picture(kim, "control-assistant-claims");
  assert.deepEqual(kim.trouble, []);
  await kim.context().close();
});

test("the browser's word that the network is gone is shown at once, and taken back when the room is heard", async () => {
  await saysOffline(host, ".note--warn", "Connection lost since");
  await host.evaluate(() => dispatchEvent(new Event("online")));
  await host.getByText("Connection lost since").waitFor({ state: "hidden", timeout: 2_000 });
});

test("a lost connection keeps everything in sight, and sends what waits when it is back", async () => {
  await server.kill();
  await host.getByText("Connection lost since").waitFor();
  assert.equal(await row(host, "Velvet lipstick").count(), 1);
  await button(host, "Pause").click();
  await host.getByText("1 action will be sent when it is back: Pause").waitFor();
  await picture(host, "control-lost");
  await server.run();
  await air(host, "PAUSED");
  await button(host, "Resume").click();
  await air(host, "ON AIR");
});

test("strip, current and next action, comments and the run of show stand on one screen at every size", async () => {
  ann = await Viewer.join(browser, server, room, "Maximiliane von Aufz");
  for (const [name, [width, height]] of Object.entries(SIZES)) {
    await host.setViewportSize({ width, height });
    for (const [scheme, lang] of [["light", "en"], ["dark", "zh"]]) {
      await host.emulateMedia({ colorScheme: scheme, reducedMotion: scheme === "dark" ? "reduce" : "no-preference" });
      await host.evaluate((to) => localStorage.setItem("hubbub.lang", to), lang);
      await host.reload();
      await host.locator(".strip").waitFor();
      assert.deepEqual(await scrolls(host), { sideways: false, down: false }, `${name} ${lang}`);
      if (name !== "phone") {
        for (const part of [".air", ".now__line", ".say", ".lines", ".rows"]) assert.ok(await inSight(host, part), `${name} ${lang}: ${part}`);
      }
      assert.deepEqual(await axe(host), [], `${name} ${lang}`);
      await picture(host, `control-${name.replaceAll(" ", "-").replace("%", "")}-${lang}`);
    }
  }
  await host.setViewportSize({ width: 1366, height: 625 });
  await host.emulateMedia({ colorScheme: "light", reducedMotion: "no-preference" });
  await host.evaluate(() => localStorage.setItem("hubbub.lang", "en"));
  await host.reload();
  await air(host, "ON AIR");
});

/** The words of those of `others` that `selector` stands over. */
function covered(page, selector, others) {
  return page.evaluate(([selector, others]) => {
    const over = document.querySelector(selector).getBoundingClientRect();
    return [...document.querySelectorAll(others)].filter((one) => {
      const { top, left, bottom, right, width } = one.getBoundingClientRect();
      return width > 0 && left < over.right && right > over.left && top < over.bottom && bottom > over.top;
    }).map((one) => one.textContent);
  }, [selector, others]);
}

/** Whether the first of these is wholly in the window. */
function inSight(page, selector) {
  return page.locator(selector).first().evaluate((element) => {
    const { top, left, bottom, right, height } = element.getBoundingClientRect();
    return height > 0 && top >= 0 && left >= 0 && bottom <= innerHeight && right <= innerWidth;
  });
}

test("settings change what viewers see", async () => {
  await button(host, "Settings").click();
  await dialog(host).getByLabel("Title", { exact: true }).fill(`${TITLE}, part two`);
  await dialog(host).getByLabel("Comments", { exact: true }).fill("10");
  await picture(host, "control-settings");
  assert.deepEqual(await axe(host), []);
  await button(dialog(host), "Save").click();
  await host.locator(".strip__title", { hasText: "part two" }).waitFor();
  await host.getByText("of the goal of 10 comments").waitFor();
});

test("End asks once, can be undone, and then leaves the summary", async () => {
  await button(host, "End…").click();
  await picture(host, "control-end");
  assert.deepEqual(await axe(host), []);
  await button(dialog(host), "End the show").click();
  await button(host, "Undo end").click();
  await button(host, "End…").click();
  await dialog(host).getByLabel("Codes can still be used for").selectOption("5");
  await button(dialog(host), "End the show").click();
  await host.locator(".air", { hasText: "ENDED" }).waitFor({ timeout: 25_000 });
  await host.setViewportSize({ width: 390, height: 844 });
  await host.locator(".tab", { hasText: "Numbers" }).click();
  assert.ok(await host.locator(".figure").first().evaluate((tile) => tile.offsetHeight) < 120, "a tile is as high as what it says");
  assert.ok(await inSight(host, ".numbers-after .button"));
  await host.setViewportSize({ width: 1366, height: 625 });
  await button(host, "Summary").click();
  await dialog(host).getByText("2 claimed of 2 (quota), 100%").waitFor();
  await dialog(host).getByText("1 redeemed of 2 claimed").waitFor();
  await picture(host, "control-summary");
  assert.deepEqual(await axe(host), []);
  const [file] = await Promise.all([host.waitForEvent("download"), button(dialog(host), "Save as CSV").click()]);
  assert.match(file.suggestedFilename(), /\.csv$/);
});

test("Run again makes the next show with what was prepared", async () => {
  await button(dialog(host), "Run again").click();
  await air(host, "PREVIEW");
  assert.notEqual(new URL(host.url()).pathname.split("/")[2], room);
  await row(host, "Velvet lipstick").waitFor();
  await row(host, "Everything").waitFor();
});

test("the landing page lists what was, in both languages, for everybody", async () => {
  const guest = await openPage(browser, server, { locale: "zh-CN", colorScheme: "dark", viewport: { width: 390, height: 844 } });
  await guest.goto(`${server.origin}/`);
  await guest.getByRole("heading", { name: "往期" }).waitFor();
  await guest.getByRole("button", { name: "#beauty" }).click();
  await guest.getByText("part two").waitFor();
  assert.equal(new URL(guest.url()).search, "?tag=beauty");
  assert.equal(await guest.getByText("新建直播").count(), 0);
  assert.deepEqual(await axe(guest), []);
  assert.deepEqual(await scrolls(guest), { sideways: false, down: false });
  await picture(guest, "landing-phone-zh");
  assert.deepEqual(guest.trouble, []);
});

test("the landing page goes on beyond the first hundred shows", async () => {
  const guest = await openPage(browser, server);
  await guest.route("**/api/v1/rooms?*", (route) => {
    const limit = Number(new URL(route.request().url()).searchParams.get("limit"));
    const show = (_, i) => ({ id: `show-${i}`, title: `Show ${i}`, host: "Mia", state: "ended", access: "public", tags: [], ended_at: 9_000 - i, watching: 0 });
    return route.fulfill({ json: { rooms: Array.from({ length: Math.min(limit, 130) }, show), more: limit < 130 } });
  });
  await guest.goto(`${server.origin}/`);
  await guest.getByText("Show 99", { exact: true }).waitFor();
  assert.equal(await guest.locator(".card").count(), 100);
  await button(guest, "Show more").click();
  await guest.getByText("Show 129", { exact: true }).waitFor();
  await button(guest, "Show more").waitFor({ state: "detached" });
  await guest.context().close();
});

test("nothing went wrong in the host's browser meanwhile", () => {
  assert.deepEqual(host.trouble, []);
});
