// @ts-check
// The comments: read at speed, held while one aims, moderated with one press or one key.

import { time } from "../model/format.js";
import { nonce } from "../model/random.js";
import { countCharacters } from "../model/text.js";
import { refusal, t } from "../model/strings.js";
import { badge, button, iconButton } from "./controls.js";
import { icon } from "./icons.js";
import { Part } from "./part.js";
import { h, render } from "./render.js";
import { openWords } from "./words.js";

/** @typedef {import("./desk.js").Desk} Desk */
/** @typedef {import("./comment-flow.js").Line} Line */

const TEXT_MAX = 200;
const SLOW_MODES_S = [0, 3, 5, 10, 30, 60, 120, 300];
/** This near to its end the list follows new comments. */
const NEAR_END_PX = 24;

export class ControlTalk extends Part {
  /** the comment under the pointer or with focus @type {number | undefined} */
  active = undefined;
  draft = "";
  draftNonce = "";
  /** why the draft was refused */
  draftProblem = "";
  /** @type {HTMLElement | undefined} */
  list;

  /** @override */
  connectedCallback() {
    super.connectedCallback();
    this.classList.add("talk");
  }

  /** @override */
  paint() {
    if (!this.desk?.ready) return;
    render(this, this.describe(this.desk));
    if (this.list && !this.desk.flow.held) this.list.scrollTop = this.list.scrollHeight;
  }

  /** @override @param {Desk} desk */
  describe(desk) {
    const may = desk.may("comments");
    return [
      h("header", { class: "part__head" },
        h("h2", { class: "part__title" }, t("comments")),
        h("div", { class: "part__tools" }, may && desk.stage.show.state !== "ended" ? modes(desk) : null)),
      this.pinned(desk, may),
      h("div", {
        class: "lines",
        role: "log",
        "aria-live": "off",
        "aria-label": t("comments"),
        tabindex: "0",
        ref: (/** @type {HTMLElement} */ list) => this.begin(list),
      }, desk.flow.lines.map((line) => this.line(desk, line, may))),
      desk.flow.lines.length === 0 ? h("p", { class: "empty empty--over", key: "empty" }, t("no_comments")) : null,
      this.holdLine(desk),
      this.box(desk),
    ];
  }

  /** @param {HTMLElement} list */
  begin(list) {
    this.list = list;
    const hold = (/** @type {string} */ why, /** @type {boolean} */ on) => {
      this.desk.flow.hold(why, on);
      this.desk.touch(true);
    };
    list.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && hold("pointer", true));
    list.addEventListener("pointerleave", () => {
      this.activate(undefined);
      hold("pointer", false);
    });
    list.addEventListener("pointerover", (event) => this.activate(lineOf(event.target)));
    list.addEventListener("click", (event) => this.activate(lineOf(event.target)));
    list.addEventListener("focusin", (event) => {
      this.activate(lineOf(event.target));
      if (list.matches(":focus-within") && event.target !== list) hold("key", true);
    });
    list.addEventListener("focusout", (event) => {
      if (!(event.relatedTarget instanceof Node) || !list.contains(event.relatedTarget)) hold("key", false);
    });
    list.addEventListener("keydown", (event) => this.move(event));
    list.addEventListener("scroll", () => {
      const away = list.scrollHeight - list.scrollTop - list.clientHeight > NEAR_END_PX;
      if (away !== this.desk.flow.isHeldBy("scroll")) hold("scroll", away);
    }, { passive: true });
  }

  /** @param {number | undefined} id */
  activate(id) {
    if (id === this.active) return;
    this.active = id;
    this.paint();
  }

  /** The arrows go from comment to comment. @param {KeyboardEvent} event */
  move(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step || !this.list) return;
    event.preventDefault();
    const rows = [...this.list.querySelectorAll(".line")];
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    const row = at < 0 ? rows[rows.length - 1] : rows[Math.max(0, Math.min(rows.length - 1, at + step))];
    if (row instanceof HTMLElement) row.focus();
  }

  /** Goes into the comments: the newest gets the focus. */
  enter() {
    const rows = this.list?.querySelectorAll(".line");
    const last = rows?.[rows.length - 1];
    if (last instanceof HTMLElement) last.focus();
    else this.list?.focus();
  }

  /** The comment that keys act on. @returns {Line | undefined} */
  get chosen() {
    const focused = lineOf(document.activeElement);
    return focused === undefined ? undefined : this.desk.flow.find(focused);
  }

  /** @param {Desk} desk @param {boolean} may */
  pinned(desk, may) {
    const { pinned } = desk.stage;
    if (!pinned) return null;
    return h("p", { class: "pinned", key: "pinned" }, icon("pin"),
      h("span", { class: "pinned__text" }, h("strong", null, pinned.name), ` ${pinned.text}`),
      may ? iconButton("close", t("unpin"), () => desk.unpin()) : null);
  }

  /** @param {Desk} desk @param {Line} line @param {boolean} may */
  line(desk, line, may) {
    const active = may && this.active === line.id && !line.deleted;
    return h("div", {
      key: line.id,
      memo: `${line.deleted}${line.offstage}${active}${document.documentElement.lang}`,
      class: `line${line.offstage ? " line--offstage" : ""}${line.deleted ? " line--deleted" : ""}`,
      "data-line": line.id,
      tabindex: "-1",
      title: time(line.at, desk.now),
    },
      h("p", { class: "line__words" },
        h("strong", { class: "line__name" }, line.name),
        line.badge ? badge(t(line.badge), line.badge === "host" ? "live" : "") : null,
        line.offstage && !line.deleted ? badge(t("offstage")) : null,
        line.deleted ? badge(t("deleted"), "bad") : null,
        " ",
        h("span", { class: "line__text" }, line.deleted ? h("s", null, line.text) : line.text)),
      active ? h("div", { class: "line__tools" },
        iconButton("pin", `${t("pin")} (p)`, () => desk.pin(line), { key: "pin" }),
        line.by === undefined ? null : iconButton("mute", `${t("mute")} (m)`, () => desk.mute(line), { key: "mute" }),
        iconButton("trash", `${t("delete")} (d)`, () => desk.remove(line), { key: "delete" }),
        line.by === undefined ? null : iconButton("trash_all", `${t("delete_all")} (D)`, () => desk.removeAll(line), { key: "all" })) : null);
  }

  /** What waits, and Hold: always there, so that nothing moves. @param {Desk} desk */
  holdLine(desk) {
    const { flow, state } = desk;
    const byButton = flow.isHeldBy("button");
    const sample = state.sample && desk.now - state.sample.at < 5000 ? state.sample : null;
    return h("div", { class: "hold", key: "hold" },
      h("button", {
        type: "button",
        class: `button button--small${byButton ? " button--main" : ""}`,
        "aria-pressed": String(byButton),
        onclick: () => {
          if (byButton) flow.letGo();
          else flow.hold("button", true);
          desk.touch(true);
        },
      }, icon("pause"), t("hold")),
      flow.unseen > 0
        ? button(t("new_n", { n: flow.unseen }), () => this.follow(), { key: "new", kind: "main" })
        : h("span", { class: "hold__words" }, flow.held ? t("held") : sample ? t("shown_of", { k: sample.k, n: sample.n }) : ""),
    );
  }

  /** Shows what waited and follows again. */
  follow() {
    this.activate(undefined);
    this.desk.flow.letGo();
    this.paint();
    if (this.list) this.list.scrollTop = this.list.scrollHeight;
  }

  /** @param {Desk} desk */
  box(desk) {
    const left = TEXT_MAX - countCharacters(this.draft);
    const ended = desk.stage.show.state === "ended";
    const role = desk.state.role === "host" ? t("as_host", { name: desk.stage.show.details.host }) : t("as_assistant");
    return h("form", { class: "say", onsubmit: (/** @type {Event} */ event) => this.send(event) },
      h("label", { class: "visually-hidden", for: "say" }, role),
      h("input", {
        id: "say",
        class: "input say__text",
        placeholder: role,
        autocomplete: "off",
        enterkeyhint: "send",
        disabled: ended || !desk.may("comments"),
        value: this.draft,
        "aria-describedby": "say-note",
        oninput: (/** @type {any} */ event) => this.write(event.target.value),
        onkeydown: (/** @type {KeyboardEvent} */ event) => {
          // an input method's Enter takes its suggestion
          if (event.key === "Enter" && (event.isComposing || event.keyCode === 229)) event.preventDefault();
        },
      }),
      h("button", { class: "button button--small button--main", disabled: this.draft.trim() === "" || left < 0 || ended }, t("send")),
      h("p", { id: "say-note", class: `say__note${left < 0 || this.draftProblem ? " say__note--bad" : ""}`, role: "status" },
        this.draftProblem || (left <= 20 ? t("left_n", { n: left }) : "")));
  }

  /** @param {string} text */
  write(text) {
    this.draft = text;
    this.draftNonce = nonce();
    this.draftProblem = "";
    this.paint();
  }

  /** The text goes away only when the room has it. @param {Event} event */
  async send(event) {
    event.preventDefault();
    const text = this.draft.trim();
    if (text === "" || countCharacters(text) > TEXT_MAX) return;
    this.draft = "";
    this.paint();
    try {
      await this.desk.say(text, this.draftNonce || nonce());
    } catch (problem) {
      if (this.draft === "") this.draft = text;
      this.draftProblem = refusal(/** @type {any} */ (problem).code);
      this.paint();
    }
  }
}

/** The comment that an element belongs to. @param {EventTarget | null} target */
function lineOf(target) {
  const row = target instanceof Element ? target.closest("[data-line]") : null;
  return row ? Number(row.getAttribute("data-line")) : undefined;
}

/** @param {Desk} desk */
function modes(desk) {
  const { slow_ms, comments_off } = desk.stage.modes;
  const slow = Math.round((slow_ms ?? 0) / 1000);
  const choices = SLOW_MODES_S.includes(slow) ? SLOW_MODES_S : [...SLOW_MODES_S, slow].sort((a, b) => a - b);
  return [
    h("select", {
      key: "slow",
      class: `input input--small${slow ? " is-on" : ""}`,
      "aria-label": t("slow_mode"),
      value: String(slow),
      onchange: (/** @type {any} */ event) => desk.ask("set_modes", { slow_ms: Number(event.target.value) * 1000 }, t("slow_mode")),
    }, choices.map((s) => h("option", { key: s, value: String(s) }, s ? t("slow_n", { n: s }) : t("slow_off")))),
    iconButton("list", t("words"), () => openWords(desk), { key: "words" }),
    button(comments_off ? t("comments_on_again") : t("comments_off"), () => desk.ask("set_modes", { comments_off: !comments_off }, comments_off ? t("comments_on_again") : t("comments_off")), {
      key: "off",
      kind: comments_off ? "live" : "danger",
      title: t("comments_off_hint"),
    }),
  ];
}
