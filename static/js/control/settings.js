// @ts-check
import { refusal, t } from "../model/strings.js";
import { ApiError, paths } from "./api.js";
import { button, form, formProblem, showFirstProblem } from "./controls.js";
import { changeOf, detailsOf, detailsValues } from "./details.js";
import { refused } from "./draw-form.js";
import { h } from "./render.js";
import { openSheet } from "./sheet.js";
import { coverField, mainFields, moreFields } from "./show-form.js";

/** Everything about the show that can be changed at any time. @param {import("./desk.js").Desk} desk */
export function openSettings(desk) {
  const { details } = desk.stage.show;
  const before = { ...details, goals: desk.backstage.goals };
  const values = form(detailsValues(details, before.goals), () => sheet.paint());
  /** @type {any} */
  const cover = {};
  let problem = "";
  const save = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const { details: after, problems } = detailsOf(values.values, { now: desk.now, before });
    values.problems = problems;
    problem = Object.keys(problems).length || cover.problem ? t("check_fields") : "";
    sheet.paint();
    if (problem) return showFirstProblem(sheet.element);
    try {
      const change = changeOf(before, after);
      if (cover.file) await desk.api.ask("PUT", paths(desk.room).cover, { file: cover.file });
      if (cover.remove && details.cover) change.cover = null;
      if (Object.keys(change).length) await desk.askOrThrow("change", change, t("settings_panel"));
      sheet.close();
      desk.tell(t("saved"), { ms: 4000 });
    } catch (failed) {
      problem = failed instanceof ApiError ? `${t("cover")}: ${refusal(failed.code)} (${failed.message})` : refused(failed);
      sheet.paint();
    }
  };
  const sheet = openSheet({
    size: "wide",
    title: () => t("settings_panel"),
    body: () => h("form", { class: "form", novalidate: true, onsubmit: save },
      mainFields(values),
      coverField(cover, details.cover && `/covers/${details.cover.file}`, () => sheet.paint()),
      moreFields(values),
      formProblem(problem),
      h("div", { class: "actions" },
        button(t("cancel"), () => sheet.close(), { small: false }),
        button(t("save"), () => {}, { kind: "main", type: "submit", small: false }))),
  });
  return sheet;
}
