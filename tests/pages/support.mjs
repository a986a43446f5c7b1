// A real server and a real browser for the checks of the pages.
import { spawn, execFileSync } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { createRequire } from "node:module";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BINARY = process.env.HUBBUB_BINARY ?? join(ROOT, "target/debug/hubbub");
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SCREENSHOTS = fileURLToPath(new URL("screenshots/", import.meta.url));

/** A port that is free now. */
function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().on("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** This machine's own address in its network, if it has one. */
export function ownAddress() {
  const all = Object.values(networkInterfaces()).flat();
  return all.find(({ family, internal }) => family === "IPv4" && !internal)?.address;
}

/** A server of its own with data of its own; it can be killed and started again on the same data and port. */
export class Server {
  /**
   * @param {string} [host] the address at which its pages are opened; one of the network is listened to as all are
   * @param {string[]} [options] more of the program's options
   */
  static async start(host = "127.0.0.1", options = []) {
    const server = new Server();
    server.options = options;
    server.data = mkdtempSync(join(tmpdir(), "hubbub-pages-"));
    server.port = await freePort();
    server.listen = `${host === "127.0.0.1" ? host : "0.0.0.0"}:${server.port}`;
    server.origin = `http://${host}:${server.port}`;
    await server.run();
    return server;
  }

  async run() {
    const options = ["serve", "--listen", this.listen, "--data", this.data, ...this.options];
    this.child = spawn(BINARY, options, { stdio: "ignore" });
    for (let tries = 0; tries < 200; tries += 1) {
      const ready = await fetch(`${this.origin}/readyz`).then((answer) => answer.ok, () => false);
      if (ready) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error("the server does not get ready");
  }

  /** As a crash does it. */
  async kill() {
    const gone = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGKILL");
    await gone;
  }

  /** A link that signs one browser in as operator, once. */
  signInLink() {
    const told = execFileSync(BINARY, ["token", "operator", "--link", "--listen", `127.0.0.1:${this.port}`, "--data", this.data]);
    return /http\S+#sign-in=\S+/.exec(String(told))[0].replace(/^https?:\/\/[^/]+/, this.origin);
  }

  /** Asks the API as an operator. */
  async api(method, path, body) {
    this.token ??= String(execFileSync(BINARY, ["token", "operator", "--data", this.data])).trim();
    const headers = { authorization: `Bearer ${this.token}`, "content-type": "application/json" };
    const answer = await fetch(`${this.origin}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text && JSON.parse(text);
  }

  async stop() {
    await this.kill();
    rmSync(this.data, { recursive: true, force: true });
  }
}

/** The browser: a new one, which keeps nothing of an earlier one. */
export function openBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
  });
}

/**
 * A page in a context of its own. `page.trouble` gathers what must not happen: console errors, exceptions,
 * requests that leave the origin.
 */
export async function openPage(browser, server, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1366, height: 625 }, locale: "en-GB", ...options });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  page.trouble = [];
  page.on("pageerror", (error) => page.trouble.push(String(error.stack)));
  page.on("console", (message) => {
    // a server that was killed on purpose cannot be reached
    if (message.type() === "error" && !/ERR_CONNECTION|WebSocket connection/.test(message.text())) page.trouble.push(message.text());
  });
  page.on("request", (request) => {
    const { protocol, host } = new URL(request.url());
    if (/^(http|ws)s?:$/.test(protocol) && host !== new URL(server.origin).host) page.trouble.push(`asked ${request.url()}`);
  });
  return page;
}

/** Serious findings of axe in the page as it is. */
export async function axe(page) {
  // the page's policy forbids scripts of others: this one comes by the debugger
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run({ iframes: false }));
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.target} ${node.html.slice(0, 120)}`).join(" | ")}`);
}

/** Whether the page itself would have to be scrolled, or is wider than the window. */
export function scrolls(page) {
  return page.evaluate(() => {
    const { scrollWidth, scrollHeight } = document.documentElement;
    return { sideways: scrollWidth > innerWidth, down: scrollHeight > innerHeight };
  });
}

/** A picture for a person's eye. */
export async function picture(page, name) {
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
}

/**
 * Waits until the page says this in such an element when the browser says that the network is gone. Each message that
 * comes all the same takes it back, so the browser says it again and again.
 */
export function saysOffline(page, selector, words) {
  return page.evaluate(([selector, words]) => new Promise((resolve) => {
    const said = () => [...document.querySelectorAll(selector)].some((element) => !element.hidden && element.textContent.includes(words));
    const observer = new MutationObserver(() => {
      if (!said()) return;
      observer.disconnect();
      clearInterval(again);
      resolve(undefined);
    });
    observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
    const again = setInterval(() => dispatchEvent(new Event("offline")), 50);
  }), [selector, words]);
}

/** A viewer over a bare socket, in a browser page of the server's origin. */
export class Viewer {
  static async join(browser, server, room, name) {
    const page = await openPage(browser, server);
    await page.goto(`${server.origin}/`);
    await page.evaluate(({ room, name }) => new Promise((resolve, reject) => {
      const waiting = new Map();
      let id = 1;
      const socket = new WebSocket(`ws://${location.host}/ws/${room}`);
      globalThis.ask = (cmd, args) => new Promise((done) => {
        id += 1;
        waiting.set(id, done);
        socket.send(JSON.stringify({ id, cmd, args }));
      });
      socket.onerror = () => reject(new Error("no socket"));
      socket.onopen = () => socket.send(JSON.stringify({ id: 1, cmd: "hello", args: { name } }));
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message.joined) resolve();
        if (message.ask_seen && globalThis.seen) socket.send(JSON.stringify({ cmd: "seen", args: globalThis.seen }));
        const reply = message.ok ?? message.err;
        if (reply) waiting.get(reply.re)?.(message);
      };
    }), { room, name });
    const viewer = new Viewer();
    viewer.page = page;
    return viewer;
  }

  /** Asks; the answer, or `{err}`. */
  ask(cmd, args) {
    return this.page.evaluate(([cmd, args]) => globalThis.ask(cmd, args), [cmd, args]);
  }

  /** What this page answers from now on when it is asked what it has. */
  has(seen) {
    return this.page.evaluate((seen) => (globalThis.seen = seen), seen);
  }

  say(text) {
    return this.ask("comment", { nonce: String(Math.random()), text });
  }
}
