// @ts-check
import { time } from "../model/format.js";
import { refusal, t } from "../model/strings.js";
import { area, button, form, formProblem } from "./controls.js";
import { h } from "./render.js";
import { openSheet } from "./sheet.js";
import { wordsOf } from "./terms.js";

const WORDS_MAX = 500;

/** The room's blocked words, and who is muted. @param {import("./desk.js").Desk} desk */
export function openWords(desk) {
  const { blocked_words } = desk.backstage;
  const values = form({ words: blocked_words.join("\n") }, () => sheet.paint());
  let problem = "";
  const save = async () => {
    const words = wordsOf(values.values.words);
    if (words.length > WORDS_MAX) values.problems.words = "wrong_words_many";
    else if (words.some((word) => word.length > 50)) values.problems.words = "wrong_word_long";
    if (values.problems.words) return sheet.paint();
    try {
      await desk.askOrThrow("set_blocked_words", { words }, t("words"));
      sheet.close();
    } catch (failed) {
      problem = refusal(/** @type {any} */ (failed).code);
      sheet.paint();
    }
  };
  const sheet = openSheet({
    desk,
    title: () => t("words"),
    body: () => [
      area(values, "words", t("words_label"), { rows: 8, hint: t("words_hint") }),
      formProblem(problem),
      h("div", { class: "actions" },
        button(t("cancel"), () => sheet.close(), { small: false }),
        button(t("save"), save, { kind: "main", small: false })),
      h("h3", { class: "dialog__part" }, t("muted_viewers")),
      mutedList(desk),
      h("h3", { class: "dialog__part" }, t("last_acts")),
      actList(desk),
    ],
  });
  return sheet;
}

/** What was done lately, newest first: the room's journal keeps all of it. @param {import("./desk.js").Desk} desk */
function actList(desk) {
  const acts = [...desk.backstage.acts].reverse().slice(0, 20);
  if (acts.length === 0) return h("p", { class: "field__hint", key: "no-acts" }, t("acts_none"));
  return h("ul", { class: "list", key: "acts" }, acts.map((act) => {
    const [[what, more]] = Object.entries(act.what);
    const by = typeof act.by === "string" ? act.by : Object.keys(act.by)[0];
    return h("li", { class: "list__row", key: act.id },
      h("span", { class: "list__more numbers" }, time(act.at, desk.now)),
      h("span", { class: "list__words" }, t(`act_${what}`, { n: more.comments?.length ?? more.count ?? 1 }), more.reason ? `: ${more.reason}` : ""),
      h("span", { class: "field__hint" }, t(`by_${by}`)));
  }));
}

/** @param {import("./desk.js").Desk} desk */
function mutedList(desk) {
  const muted = desk.backstage.muted.filter((one) => one.until > desk.now);
  if (muted.length === 0) return h("p", { class: "field__hint", key: "none" }, t("muted_nobody"));
  return h("ul", { class: "list", key: "list" }, muted.map((one) => h("li", { class: "list__row", key: one.viewer },
    h("span", { class: "list__words" }, one.name || `#${one.viewer}`),
    h("span", { class: "list__more numbers" }, t("muted_left", { n: Math.ceil((one.until - desk.now) / 60_000) })),
    button(t("unmute"), () => desk.ask("unmute", { viewer: one.viewer }, t("unmute_what", { name: one.name })), {}))));
}
