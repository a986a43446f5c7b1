// @ts-check
// Who works on the show: inviting, links, the list, taking away, and the shop's token.

import { time } from "../model/format.js";
import { refusal, t } from "../model/strings.js";
import { paths } from "./api.js";
import { badge, button, copyable, form, formProblem, select, showFirstProblem, text } from "./controls.js";
import { inviteLink, roleName } from "./invite.js";
import { linkBox, loopbackHint } from "./links.js";
import { Loading } from "./loading.js";
import { h } from "./render.js";
import { openSheet } from "./sheet.js";
import { countCharacters } from "../model/text.js";

/** @typedef {import("./desk.js").Desk} Desk */

/** @type {[string, any][]} */
const ROLES = [
  ["all", { assistant: "all" }],
  ["comments", { assistant: "comments" }],
  ["actions", { assistant: "actions" }],
  ["host", "host"],
];

/** @param {Desk} desk */
export function openStaff(desk) {
  const path = paths(desk.room);
  let changes = desk.staffChanges;
  const read = new Loading(() => desk.api.read(path.staff), () => sheet?.paint());
  const values = form({ name: "", role: "all" }, () => sheet.paint());
  const store = form({ store: "" }, () => sheet.paint());
  let problem = "";
  let storeProblem = "";
  /** @type {any} */
  let invited;
  /** @type {{name: string, token: string, curl: string} | undefined} */
  let shop;
  /** @type {{loopback: boolean, hint?: string} | undefined} */
  let share;

  const invite = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (wrongName(values, "name")) return showFirstProblem(sheet.element);
    const role = /** @type {any} */ (ROLES.find(([name]) => name === values.values.role))[1];
    try {
      share ??= await desk.api.read(path.share);
      invited = await inviteLink(desk, values.values.name.trim(), role);
      values.values.name = "";
      problem = "";
      read.again();
    } catch (failed) {
      problem = refusal(/** @type {any} */ (failed).code);
    }
    sheet.paint();
  };
  const addStore = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (wrongName(store, "store")) return showFirstProblem(sheet.element);
    const name = store.values.store.trim();
    try {
      const made = await desk.api.send(path.stores, { name });
      shop = { name, token: made.token, curl: made.curl };
      store.values.store = "";
      storeProblem = "";
      read.again();
    } catch (failed) {
      storeProblem = refusal(/** @type {any} */ (failed).code);
    }
    sheet.paint();
  };
  const sheet = openSheet({
    desk,
    size: "wide",
    title: () => t("staff_panel"),
    body: () => {
      if (changes !== desk.staffChanges) {
        changes = desk.staffChanges;
        read.again();
      }
      return [
        h("form", { class: "form", key: "invite", novalidate: true, onsubmit: invite },
          h("h3", { class: "dialog__part" }, t("invite")),
          h("div", { class: "form__pair" },
            text(values, "name", t("invite_name"), { hint: t("invite_name_hint") }),
            select(values, "role", t("invite_role"), ROLES.map(([name]) => [name, t(`role_${name}`)]), { hint: t(`role_${values.values.role}_hint`) })),
          formProblem(problem),
          h("div", { class: "actions" }, button(t("make_link"), () => {}, { kind: "main", type: "submit", small: false }))),
        invited ? h("div", { class: "made", key: "invited" },
          share?.loopback ? loopbackHint(share.hint) : null,
          linkBox({ ...invited, loopback: share?.loopback })) : null,
        h("h3", { class: "dialog__part", key: "list-title" }, t("staff_list")),
        read.show((staff) => staffList(desk, staff)),
        h("form", { class: "form", key: "store", novalidate: true, onsubmit: addStore },
          h("h3", { class: "dialog__part" }, t("store_title")),
          h("p", { class: "field__hint" }, t("store_what")),
          text(store, "store", t("store_name")),
          formProblem(storeProblem),
          h("div", { class: "actions" }, button(t("make_token"), () => {}, { kind: "main", type: "submit", small: false }))),
        shop ? h("div", { class: "made", key: "shop" },
          h("p", null, t("token_once", { name: shop.name })),
          copyable(shop.token, t("token")),
          copyable(shop.curl, t("curl"))) : null,
      ];
    },
  });
  return sheet;
}

/** @param {import("./controls.js").Form} values @param {string} field */
function wrongName(values, field) {
  const name = values.values[field].trim();
  if (name === "") values.problems[field] = "wrong_empty";
  else if (countCharacters(name) > 20) values.problems[field] = "wrong_long";
  values.changed();
  return Boolean(values.problems[field]);
}

/** @param {Desk} desk @param {{members: any[], invitations: any[]}} staff */
function staffList(desk, staff) {
  const members = staff.members;
  const waiting = staff.invitations.filter((/** @type {any} */ one) => !one.accepted && !one.revoked && one.expires_at > desk.now);
  if (members.length + waiting.length === 0) return h("p", { class: "empty" }, t("staff_nobody"));
  return h("ul", { class: "list" },
    members.map((one) => h("li", { class: "list__row", key: one.person },
      h("span", { class: "list__words" }, one.name),
      badge(roleName(one.role)),
      h("span", { class: "list__more" }, one.since ? t("since", { time: time(one.since, desk.now) }) : ""),
      button(t("remove"), () => desk.ask("remove_staff", { person: one.person }, t("remove_what", { what: one.name })), { kind: "danger", name: `${t("remove")}: ${one.name}` }))),
    waiting.map((one) => h("li", { class: "list__row", key: one.id },
      h("span", { class: "list__words" }, one.name),
      badge(roleName(one.role)),
      h("span", { class: "list__more" }, t("invited_until", { time: time(one.expires_at, desk.now) })),
      button(t("revoke"), () => desk.ask("revoke_invitation", { id: one.id }, t("revoke_what", { what: one.name })), { name: `${t("revoke")}: ${one.name}` }))));
}
