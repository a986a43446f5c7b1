// Two hundred hostile texts, as comments, names and everything else that people write, on every page: nothing runs,
// nothing is loaded, nothing breaks.
import test, { after, before } from "node:test";
import assert from "node:assert/strict";
import { HOSTILE } from "./hostile.mjs";
import { Server, openBrowser, openPage, picture, scrolls } from "./support.mjs";

const ROOM = "hostile";
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true };
/** What nobody's text may become. */
const ALIEN = "iframe:not(.phone__page), object, embed, base, form[action*='evil'], [onerror], [onload], [onclick], [onfocus], [style*='evil'], a[href^='javascript'], [src*='evil'], [href*='evil'], marquee, math, portal, meta[http-equiv=refresh]";

let server;
let browser;
let host;
let viewer;

before(async () => {
  server = await Server.start("127.0.0.1", ["--no-rates", "--display-budget", "off"]);
  browser = await openBrowser();
  const details = { title: "Lipsticks", host: "Hoa", kind: "video", access: "public" };
  await server.api("POST", "/rooms", { id: ROOM, details });
  await server.api("POST", `/rooms/${ROOM}/start`);
  host = await watched({});
  await host.goto(server.signInLink());
  await host.getByRole("button", { name: "Sign in", exact: true }).click();
  await host.getByRole("button", { name: "New show", exact: true }).first().waitFor();
  await host.goto(`${server.origin}/c/${ROOM}`);
  await host.locator(".strip").waitFor();
  viewer = await watched(PHONE);
  await viewer.goto(`${server.origin}/r/${ROOM}`);
  await viewer.locator(".composer__input").waitFor();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A page whose dialogs and broken policies are trouble too. */
async function watched(options) {
  const page = await openPage(browser, server, options);
  page.on("dialog", (dialog) => {
    page.trouble.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  await page.exposeFunction("policyBroken", (what) => page.trouble.push(`the policy was broken: ${what}`));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => globalThis.policyBroken(`${violatedDirective} ${blockedURI}`));
  });
  return page;
}

/** Nothing ran, nothing of others is in the document, and nothing had to be stopped. */
async function isUnharmed(page, what) {
  assert.equal(await page.evaluate(() => globalThis.pwned), undefined, what);
  assert.deepEqual(await page.evaluate((alien) => [...document.querySelectorAll(alien)].map((one) => one.outerHTML.slice(0, 200)), ALIEN), [], what);
  assert.equal((await scrolls(page)).sideways, false, `${what} is not wider than the window`);
  assert.deepEqual(page.trouble, [], what);
}

/** Where the page's parts are. */
const places = (page, parts) => page.evaluate((parts) => parts.map((part) => {
  const { x, y, width, height } = document.querySelector(part).getBoundingClientRect();
  return [part, Math.round(x), Math.round(y), Math.round(width), Math.round(height)];
}), parts);

/**
 * Each comes with a hostile name, says something hostile and goes; how they were answered. Four at a time: a browser
 * puts off sockets of which it opens many at once.
 */
function speak(page, texts) {
  return page.evaluate(async ({ room, texts }) => {
    /** @type {string[]} */
    const said = [];
    const waiting = [...texts.entries()];
    const come = async () => {
      const next = waiting.shift();
      if (!next) return;
      const [n, text] = next;
      const socket = new WebSocket(`ws://${location.host}/ws/${room}`);
      const name = texts[(n + 77) % texts.length];
      said[n] = await new Promise((resolve, reject) => {
        socket.onerror = () => reject(new Error(`no socket for ${n}`));
        socket.onopen = () => socket.send(JSON.stringify({ id: 1, cmd: "hello", args: { name } }));
        socket.onmessage = ({ data }) => {
          const { joined, ok, err } = JSON.parse(data);
          if (joined) socket.send(JSON.stringify({ id: 2, cmd: "comment", args: { nonce: "1", text } }));
          if ((ok ?? err)?.re === 2) resolve(err ? err.code : "shown");
        };
      });
      socket.close();
      await come();
    };
    await Promise.all([come(), come(), come(), come()]);
    return said;
  }, { room: ROOM, texts });
}

test("two hundred hostile comments and names are text on the viewer's and the control page", async () => {
  assert.ok(HOSTILE.length >= 200, String(HOSTILE.length));
  const parts = { viewer: [".composer", ".pill--host"], host: [".strip", ".say", ".rows"] };
  const before = { viewer: await places(viewer, parts.viewer), host: await places(host, parts.host) };
  const said = await speak(viewer, HOSTILE);
  const shown = HOSTILE.filter((_, n) => said[n] === "shown");
  assert.deepEqual([...new Set(said)].sort(), ["bad_text", "shown"]);
  assert.ok(shown.length > 180, `${shown.length} of ${HOSTILE.length} were let in`);
  await server.api("POST", `/rooms/${ROOM}/comments`, { nonce: "last", text: "the last one" });
  await viewer.locator(".comment", { hasText: "the last one" }).waitFor();
  await host.locator(".line", { hasText: "the last one" }).waitFor();
  for (const text of ["<img src=x onerror=", "{{7*7}}", "=cmd|' /C calc'!A0", "[object Object]"]) {
    await host.locator(".line__text", { hasText: text }).first().waitFor();
  }
  await isUnharmed(viewer, "the viewer's page");
  await isUnharmed(host, "the control page");
  assert.deepEqual({ viewer: await places(viewer, parts.viewer), host: await places(host, parts.host) }, before);
  for (const [page, list, row] of [[viewer, ".comments__list", ".comment"], [host, ".lines", ".line__words"]]) {
    const room = await page.locator(list).evaluate((one) => one.getBoundingClientRect().width);
    const out = await page.locator(row).evaluateAll((rows, room) => rows.filter((one) => {
      const { width, height } = one.getBoundingClientRect();
      // 200 of the widest letter there is, in lines as wide as the list
      return width > room || height > 700 || (one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX === "visible");
    }).map((one) => one.textContent), room);
    assert.deepEqual(out, [], "no comment reaches out of its place");
  }
  await picture(viewer, "hostile-viewer");
  await picture(host, "hostile-control");
});

test("a page that comes later gets the same, with MessagePack too", async () => {
  const late = await watched(PHONE);
  await late.goto(`${server.origin}/r/${ROOM}?encoding=msgpack`);
  await late.locator(".comment", { hasText: "the last one" }).waitFor();
  await isUnharmed(late, "the later page");
  await late.context().close();
});

test("hostile titles, prizes, offers, links and staff are text on every page", async () => {
  const refused = [];
  /** What a rule refuses is nobody's trouble. */
  const may = (method, path, body) => server.api(method, path, body).catch((error) => refused.push(error.message));
  const some = HOSTILE.filter((_, n) => n % 8 === 0);
  for (const [n, text] of some.entries()) {
    const cut = (most) => [...text].slice(0, most).join("");
    const details = { title: cut(60), host: cut(20), description: text, kind: "video", access: "public", tags: [cut(15)], links: [{ label: cut(20), url: `https://shop.example/?${encodeURIComponent(text)}` }] };
    await may("POST", "/rooms", { id: `hostile-${n}`, details });
    await may("POST", `/rooms/hostile-${n}/start`);
    if (n % 6) continue;
    await may("PATCH", `/rooms/${ROOM}`, { title: cut(60), description: text, links: details.links });
    const terms = { title: cut(40), off: { percent: 10 }, quota: 5, closes: { after_ms: 600_000 }, who: "anyone" };
    await may("PUT", `/rooms/${ROOM}/discounts/d${n}`, { terms, codes: { generated: {} } });
    await may("POST", `/rooms/${ROOM}/discounts/d${n}/open`);
    await may("PUT", `/rooms/${ROOM}/draws/w${n}`, { prize: cut(40), winners: 1, open_ms: 600_000, eligibility: { phrase: { phrase: cut(30) } } });
    await may("POST", `/rooms/${ROOM}/draws/w${n}/open`);
    await may("POST", `/rooms/${ROOM}/invitations`, { id: `i${n}`, role: "host", name: cut(20) });
    await may("PUT", `/rooms/${ROOM}/viewers/${n + 1}/mute`, { for_ms: 600_000 });
    await may("PUT", `/rooms/${ROOM}/pin`, { comment: n + 1 });
  }
  assert.ok(refused.every((why) => /: (400|404|409) /.test(why)), refused.join("\n"));
  await viewer.reload();
  await viewer.locator(".comment", { hasText: "the last one" }).waitFor();
  await isUnharmed(viewer, "the viewer's page");
  await host.reload();
  await host.locator(".line", { hasText: "the last one" }).waitFor();
  for (const sheet of ["Staff", "Settings", "Share"]) {
    await host.getByRole("button", { name: sheet, exact: true }).click();
    await host.getByRole("dialog").waitFor();
    await isUnharmed(host, sheet);
    await host.keyboard.press("Escape");
    await host.getByRole("dialog").waitFor({ state: "detached" });
  }
  await isUnharmed(host, "the control page");
  const landing = await watched({});
  await landing.goto(`${server.origin}/`);
  await landing.locator(".card").first().waitFor();
  await isUnharmed(landing, "the landing page");
  await landing.goto(`${server.origin}/?tag=${encodeURIComponent(HOSTILE[7])}`);
  await landing.locator(".tags").waitFor();
  await isUnharmed(landing, "the landing page with a tag");
  await picture(landing, "hostile-landing");
  await landing.context().close();
});

test("a room that is out of order says so on the viewer's page and in the operator's list", async () => {
  const page = await watched(PHONE);
  await page.routeWebSocket(/\/ws\//, (socket) => socket.close({ code: 4006, reason: "room out of order" }));
  await page.goto(`${server.origin}/r/${ROOM}`);
  await page.getByText("This show has a fault").waitFor();
  await page.context().close();

  const reason = "<img src=x onerror=alert(1)>";
  await host.route("**/api/v1/rooms?*", async (route) => {
    const answer = await route.fetch();
    const list = await answer.json();
    list.rooms[0].parked = { since: Date.now(), reason };
    await route.fulfill({ response: answer, json: list });
  });
  let asked = 0;
  await host.route("**/release", (route) => {
    asked += 1;
    return route.fulfill({ status: 503, json: { error: { code: "room_parked", message: "out of order" } } });
  });
  await host.goto(`${server.origin}/`);
  const card = host.locator(".card", { hasText: "Out of order since" });
  await card.getByText(reason).waitFor();
  await card.getByRole("button", { name: /^Try again/ }).click();
  await host.getByRole("alert").getByText("out of order until an operator").waitFor();
  assert.equal(asked, 1);
  await picture(host, "landing-parked");
  host.trouble = host.trouble.filter((what) => !/503/.test(what));
  await isUnharmed(host, "the landing page");
});
