// @ts-check
// The fields of a show, for a new one and for settings.

import { t } from "../model/strings.js";
import { area, button, iconButton, radios, select, text } from "./controls.js";
import { linkName } from "./details.js";
import { h } from "./render.js";

/** @typedef {import("./controls.js").Form} Form */

/** The largest cover, as the server takes it. */
export const COVER_BYTES_MAX = 5 * 1024 * 1024;
const COVER_TYPES = ["image/jpeg", "image/png", "image/webp"];

/** What is usually asked. @param {Form} values */
export function mainFields(values) {
  return [
    h("div", { class: "form__pair", key: "title" },
      text(values, "title", t("show_title")),
      text(values, "host", t("host_name"), { hint: t("host_name_hint") })),
    h("div", { class: "form__pair", key: "when" },
      text(values, "scheduled_at", t("starts_at"), { type: "datetime-local", hint: t("starts_at_hint") }),
      text(values, "tags", t("tags"), { placeholder: "#beauty #autumn", hint: t("tags_hint") })),
    h("div", { class: "form__pair", key: "kinds" },
      radios(values, "kind", t("kind"), [["video", t("kind_video")], ["audio", t("kind_audio")]]),
      radios(values, "access", t("access"), [["public", t("access_public")], ["unlisted", t("access_unlisted")]])),
  ];
}

/** A name for the link: rooms that are not listed have none, so that nobody guesses them. @param {Form} values */
export function linkNameField(values) {
  if (values.values.access !== "public") return null;
  const name = linkName(values.values.link_name).name;
  return text(values, "link_name", t("link_name"), {
    placeholder: "autumn-lips",
    hint: name ? `${location.host}/r/${name}` : t("link_name_hint"),
  });
}

/** The rest. @param {Form} values */
export function moreFields(values) {
  return [
    area(values, "description", t("description"), { rows: 3 }),
    select(values, "source", t("source"), [["none", t("source_none")], ["hls", t("source_hls")], ["whep", t("source_whep")], ["file", t("source_file")]]),
    values.values.source === "none" ? null : text(values, "source_url", t("source_url"), { type: "url", inputmode: "url", placeholder: "https://" }),
    linkFields(values),
    h("fieldset", { class: "field", key: "goals" },
      h("legend", { class: "field__label" }, t("goals")),
      h("div", { class: "form__quad" }, ["viewers", "comments", "likes", "claims"].map((goal) => text(values, `goal_${goal}`, t(`goal_${goal}`), { inputmode: "numeric" })))),
  ];
}

/** The menu of links. @param {Form} values */
function linkFields(values) {
  const { links } = values.values;
  const put = (/** @type {number} */ index, /** @type {string} */ field, /** @type {string} */ value) => {
    links[index][field] = value;
    delete values.problems.links;
    values.changed();
  };
  return h("fieldset", { class: "field", key: "links" },
    h("legend", { class: "field__label" }, t("menu_links")),
    h("div", { class: "link-rows" }, links.map((/** @type {any} */ link, /** @type {number} */ index) => h("div", { class: "with-unit", key: index },
      h("input", { class: "input", value: link.label, placeholder: t("link_label"), "aria-label": t("link_label"), maxlength: "40", oninput: (/** @type {any} */ event) => put(index, "label", event.target.value) }),
      h("input", { class: "input", value: link.url, type: "url", placeholder: "https://", "aria-label": t("link_url"), "aria-invalid": values.problems.links ? "true" : undefined, oninput: (/** @type {any} */ event) => put(index, "url", event.target.value) }),
      iconButton("trash", t("remove"), () => {
        links.splice(index, 1);
        values.changed();
      })))),
    values.problems.links ? h("span", { class: "field__error", key: "error" }, t(values.problems.links)) : null,
    links.length < 8 ? button(t("add_link"), () => {
      links.push({ label: "", url: "" });
      values.changed();
    }, { icon: "plus" }) : null);
}

/**
 * The cover: what is there, a new one, or none.
 *
 * @param {{file?: File, remove?: boolean, problem?: string, shown?: string}} cover
 * @param {string | undefined} current its address
 * @param {() => void} changed
 */
export function coverField(cover, current, changed) {
  const address = cover.shown ?? (cover.remove ? undefined : current);
  const pick = (/** @type {any} */ event) => {
    const file = event.target.files[0];
    if (!file) return;
    cover.problem = !COVER_TYPES.includes(file.type) ? "wrong_cover_type" : file.size > COVER_BYTES_MAX ? "wrong_cover_size" : undefined;
    if (!cover.problem) {
      if (cover.shown) URL.revokeObjectURL(cover.shown);
      Object.assign(cover, { file, remove: false, shown: URL.createObjectURL(file) });
    }
    changed();
  };
  return h("div", { class: "field cover-field", key: "cover" },
    h("div", { class: "cover-field__picture" }, address ? h("img", { src: address, alt: t("cover") }) : h("span", { class: "cover-field__none" }, t("cover_none"))),
    h("div", { class: "cover-field__words" },
      h("span", { class: "field__label", id: "cover-label" }, t("cover")),
      h("div", { class: "actions actions--start" },
        h("label", { class: "button button--small file" }, t(address ? "cover_other" : "cover_pick"),
          h("input", { type: "file", class: "visually-hidden", accept: COVER_TYPES.join(","), "aria-labelledby": "cover-label", "aria-describedby": "cover-hint", onchange: pick })),
        address ? button(t("remove"), () => {
          Object.assign(cover, { file: undefined, shown: undefined, remove: true });
          changed();
        }) : null),
      h("span", { class: "field__hint", id: "cover-hint" }, t("cover_hint")),
      cover.problem ? h("span", { class: "field__error", role: "alert" }, t(cover.problem)) : null));
}
