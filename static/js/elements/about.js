// @ts-check
/** About the show, and about me in it: name, language, whether comments are read aloud. */

import { h } from "../dom.js";
import { date } from "../model/format.js";
import { language, refusal, t } from "../model/strings.js";
import { countCharacters } from "../model/text.js";
import { toast } from "./announce.js";
import { tagsAndLinks } from "./panel.js";
import { openSheet } from "./sheet.js";

/** @typedef {import("../viewer/app.js").App} App */
const NAME_MAX = 20;

/**
 * @param {App} app
 * @param {{aloud: boolean, setAloud: (aloud: boolean) => void}} comments
 * @param {(lang: "en" | "zh") => void} speak
 */
export function openAbout(app, comments, speak) {
  const details = app.room.stage?.show.details;
  if (!details) return;
  const aloud = h("input", { type: "checkbox" });
  aloud.checked = comments.aloud;
  aloud.addEventListener("change", () => comments.setAloud(aloud.checked));
  const other = language() === "zh" ? "en" : "zh";
  const sheet = openSheet(t("about_show"), [
    h("p", { class: "about__title", text: details.title }),
    h("p", { class: "about__host", text: `${t("host")}: ${details.host}${details.scheduled_at ? ` · ${date(details.scheduled_at)}` : ""}` }),
    details.description ? h("p", { class: "about__text", text: details.description }) : null,
    ...tagsAndLinks(details),
    app.preview ? null : nameForm(app),
    h("label", { class: "check" }, aloud, h("span", { text: t("announce_comments") })),
    h("button", {
      class: "button",
      type: "button",
      lang: other,
      text: t("language"),
      onclick: () => {
        sheet.close();
        speak(other);
      },
    }),
  ]);
}

/** @param {App} app */
function nameForm(app) {
  const input = h("input", { class: "input", value: app.myName, autocomplete: "nickname", "aria-describedby": "name-hint" });
  const save = h("button", { class: "button", type: "submit", text: t("save") });
  const error = h("span", { class: "field__error", role: "alert" });
  const form = h(
    "form",
    { class: "field name-form" },
    h("label", {}, h("span", { class: "field__label", text: t("my_name") }), input),
    save,
    h("span", { class: "field__hint", id: "name-hint", text: t("name_hint") }),
    error,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = input.value.trim();
    const length = countCharacters(name);
    if (length < 1 || length > NAME_MAX) {
      error.textContent = t("name_hint");
      return;
    }
    save.disabled = true;
    error.textContent = "";
    try {
      await app.rename(name);
      toast(t("name_saved"));
    } catch (refused) {
      error.textContent = refusal(/** @type {import("../net/connection.js").Refused} */ (refused).code);
    }
    save.disabled = false;
  });
  return form;
}
