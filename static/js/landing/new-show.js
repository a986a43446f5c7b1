// @ts-check
// Making a show: the form, then the control page, where the links wait.

import { refusal, t } from "../model/strings.js";
import { ApiError, paths } from "../control/api.js";
import { button, form, formProblem, showFirstProblem } from "../control/controls.js";
import { NEW_SHOW, detailsOf, linkName } from "../control/details.js";
import { h } from "../control/render.js";
import { openSheet } from "../control/sheet.js";
import { coverField, linkNameField, mainFields, moreFields } from "../control/show-form.js";

/** @param {import("../control/api.js").Api} api */
export function openNewShow(api) {
  const values = form(NEW_SHOW, () => sheet.paint());
  values.values.links = [];
  /** @type {any} */
  const cover = {};
  // chosen once: pressing again after a lost answer does not make a second show
  const id = newRoomId();
  let problem = "";
  let busy = false;
  let more = false;
  /** @type {string | undefined} the room, once it is made */
  let room;
  const save = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (busy) return;
    const { details, problems } = detailsOf(values.values, { now: Date.now() });
    const named = details.access === "public" ? linkName(values.values.link_name) : {};
    if (named.problem) problems.link_name = named.problem;
    values.problems = problems;
    problem = Object.keys(problems).length || cover.problem ? t("check_fields") : "";
    if (["source_url", "links", "description"].some((field) => problems[field])) more = true;
    sheet.paint();
    if (problem) return showFirstProblem(sheet.element);
    busy = true;
    try {
      room ??= await make(api, details, named.name ?? id);
      if (cover.file) await api.ask("PUT", paths(room).cover, { file: cover.file });
      location.assign(`/c/${encodeURIComponent(room)}#new`);
    } catch (failed) {
      const { code, field } = /** @type {any} */ (failed);
      const taken = code === "room_exists" || code === "idempotency_conflict";
      if (named.name && !room && (taken || field === "id")) {
        values.problems.link_name = taken ? "wrong_link_taken" : "wrong_link_name";
        problem = t("check_fields");
        sheet.paint();
        return showFirstProblem(sheet.element);
      }
      const why = `${refusal(/** @type {any} */ (failed).code)}${failed instanceof ApiError && failed.code === "bad_field" ? ` (${failed.message})` : ""}`;
      problem = room ? t("cover_failed", { why }) : `${why} ${t("kept_in_form")}`;
      if (room) cover.file = undefined;
      sheet.paint();
    } finally {
      busy = false;
    }
  };
  const sheet = openSheet({
    size: "wide",
    title: () => t("new_show"),
    body: () => h("form", { class: "form", novalidate: true, onsubmit: save },
      mainFields(values),
      linkNameField(values),
      coverField(cover, undefined, () => sheet.paint()),
      h("details", { class: "field", key: "more", open: more, ontoggle: (/** @type {any} */ event) => (more = event.target.open) },
        h("summary", { class: "field__label" }, t("more_settings")),
        moreFields(values)),
      formProblem(problem),
      h("div", { class: "actions" },
        button(t("cancel"), () => sheet.close(), { small: false }),
        button(t("make_show"), () => {}, { kind: "main", type: "submit", small: false }))),
  });
  return sheet;
}

/** @param {import("../control/api.js").Api} api @param {any} details @param {string} id @returns {Promise<string>} the room */
async function make(api, details, id) {
  return (await api.send("/rooms", { id, details })).room;
}

/** Ten letters and digits that cannot be confused, as the server would choose them: 50 bits. */
function newRoomId() {
  const letters = "abcdefghjkmnpqrstuvwxyz023456789";
  return Array.from(crypto.getRandomValues(new Uint8Array(10)), (byte) => letters[byte % 32]).join("");
}
