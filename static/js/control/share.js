// @ts-check
import { refusal, t } from "../model/strings.js";
import { paths } from "./api.js";
import { button } from "./controls.js";
import { inviteLink } from "./invite.js";
import { linkBox, loopbackHint } from "./links.js";
import { Loading } from "./loading.js";
import { h } from "./render.js";
import { openSheet } from "./sheet.js";

/** The links for viewers; right after the show was made, also one for an assistant.
 *  @param {import("./desk.js").Desk} desk @param {boolean} [made] */
export function openShare(desk, made = false) {
  const read = new Loading(() => desk.api.read(paths(desk.room).share), () => sheet?.paint());
  /** @type {any} */
  let invited;
  let problem = "";
  const invite = async () => {
    try {
      invited = await inviteLink(desk, t("assistant"), { assistant: "all" });
      problem = "";
    } catch (failed) {
      problem = refusal(/** @type {any} */ (failed).code);
    }
    sheet.paint();
  };
  const assistant = (/** @type {boolean} */ loopback) => invited
    ? linkBox({ ...invited, loopback })
    : h("div", { class: "link-box", key: "invite" },
      h("div", { class: "link-box__words" },
        h("h3", { class: "link-box__name" }, t("link_assistant")),
        h("p", { class: "field__hint" }, t("share_staff_hint")),
        problem ? h("p", { class: "note note--bad", role: "alert" }, problem) : null),
      button(t("make_link"), invite, {}));
  const sheet = openSheet({
    title: () => t(made ? "show_made" : "share_panel"),
    body: () => read.show((share) => [
      share.loopback ? loopbackHint(share.hint) : null,
      linkBox({ name: t("link_viewers"), url: share.viewer, loopback: share.loopback, qr: `/api/v1${paths(desk.room).qr}`, note: t("link_viewers_note") }),
      linkBox({ name: t("link_poster"), url: `${share.viewer}?src=poster`, loopback: share.loopback, note: t("link_poster_note") }),
      desk.may("host") ? assistant(share.loopback) : null,
      location.protocol === "http:" ? h("p", { class: "field__hint", key: "http" }, t("plain_http")) : null,
    ]),
  });
  return sheet;
}
