// @ts-check
// Making an invitation: a link whose code works once.

import { time } from "../model/format.js";
import { nonce } from "../model/random.js";
import { t } from "../model/strings.js";
import { paths } from "./api.js";
import { newKey } from "./run-of-show.js";

/** @param {any} role @returns {string} */
export function roleName(role) {
  if (role === "host" || role === "store") return t(`role_${role}`);
  return t(`role_${role.assistant}`);
}

/**
 * @param {import("./desk.js").Desk} desk
 * @param {string} name
 * @param {any} role
 * @returns {Promise<{name: string, url: string, svg?: string, note: string}>} what a link box shows
 */
export async function inviteLink(desk, name, role) {
  const id = newKey(desk.now, nonce().slice(0, 6));
  const made = await desk.api.send(paths(desk.room).invitations, { id, role, name });
  return {
    name: `${name} · ${roleName(role)}`,
    url: made.link,
    svg: made.qr,
    note: t("invite_once", { time: time(made.expires_at, desk.now) }),
  };
}
