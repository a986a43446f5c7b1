// The pages as phones open them: over plain http, at this machine's own address in the network.
import test, { after, before } from "node:test";
import assert from "node:assert/strict";
import { Server, axe, openBrowser, openPage, ownAddress, picture } from "./support.mjs";

const ROOM = "over-the-network";
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true };
const address = ownAddress();
const skip = address ? false : "this machine has no address but the loopback one";

let server;
let browser;
let phone;

const button = (page, name) => page.getByRole("button", { name, exact: true });
const host = (method, path, body) => server.api(method, `/rooms/${ROOM}${path}`, body);

before(async () => {
  if (skip) return;
  server = await Server.start(address);
  browser = await openBrowser();
  await server.api("POST", "/rooms", { id: ROOM, details: { title: "Over the network", host: "Mia", kind: "video", access: "public" } });
  await host("POST", "/start");
  phone = await openPage(browser, server, PHONE);
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

test("a phone joins and comments", { skip }, async () => {
  await phone.goto(`${server.origin}/r/${ROOM}`);
  await phone.locator(".badge--on-air").waitFor();
  assert.equal(await phone.evaluate(() => isSecureContext), false, "as on a phone");
  await phone.locator(".composer__input").fill("hello from a phone");
  await phone.locator(".composer__input").press("Enter");
  await phone.locator(".comment[data-key]", { hasText: "hello from a phone" }).getByText("You").waitFor();
});

test("a code is claimed and copied", { skip }, async () => {
  const terms = { title: "Everything", off: { percent: 15 }, quota: 3, closes: { after_ms: 600_000 } };
  await host("PUT", "/discounts/ten", { terms, codes: { generated: {} } });
  await host("POST", "/discounts/ten/open");
  await button(phone, "Claim my code").click();
  const code = await phone.locator(".card .code").textContent();
  await button(phone, "Copy").click();
  await button(phone, "Copied").waitFor();
  await phone.locator(".composer__input").focus();
  await phone.keyboard.press("Control+V");
  assert.equal(await phone.locator(".composer__input").inputValue(), code);
  await phone.locator(".composer__input").fill("");
});

test("a draw is verified", { skip }, async () => {
  const rules = { prize: "Lipstick", winners: 1, open_ms: 600_000, eligibility: { phrase: { phrase: "666" } } };
  await host("PUT", "/draws/lips", rules);
  await host("POST", "/draws/lips/open");
  await button(phone, "Send “666”").click();
  await phone.getByText("You are in: no. 1").waitFor();
  await host("POST", "/draws/lips/lock");
  await button(phone, "Verify").click();
  await phone.locator("[data-outcome=good]").waitFor();
  await picture(phone, "network-verified");
  await phone.keyboard.press("Escape");
});

test("the host finds links and a code that phones can open, and is told what plain http lacks", { skip }, async () => {
  const control = await openPage(browser, server);
  await control.goto(server.signInLink());
  await button(control, "Sign in").click();
  await button(control, "New show").first().waitFor();
  await control.goto(`${server.origin}/c/${ROOM}`);
  await button(control, "Share").click();
  const panel = control.getByRole("dialog");
  const link = panel.getByLabel("For viewers", { exact: true });
  assert.equal(await link.inputValue(), `${server.origin}/r/${ROOM}`);
  assert.ok(await panel.getByAltText("QR code: For viewers").evaluate((code) => code.decode().then(() => code.naturalWidth > 0)));
  assert.equal(await panel.getByText("works on this computer only").count(), 0);
  await panel.getByText("open over plain http").waitFor();
  await panel.getByRole("button", { name: "Copy: For viewers" }).click();
  await panel.locator("[data-done=Copied]").waitFor();
  await button(panel, "Make a link").click();
  await panel.getByAltText(/^QR code: Assistant/).waitFor();
  assert.deepEqual(await axe(control), []);
  await picture(control, "network-links");
  assert.deepEqual(control.trouble, []);
});

test("nothing of this troubled the phone's console or left the origin", { skip }, () => {
  assert.deepEqual(phone.trouble, []);
});
