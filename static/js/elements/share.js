// @ts-check
/** Sharing the show: the system's sheet where there is one, else the link is copied. */

import { h } from "../dom.js";
import { t } from "../model/strings.js";
import { toast } from "./announce.js";
import { copyLink } from "./copy.js";
import { openSheet } from "./sheet.js";

/** @param {string} room @param {string} title */
export async function share(room, title) {
  const url = `${location.origin}/r/${encodeURIComponent(room)}?src=friend`;
  if (/MicroMessenger/i.test(navigator.userAgent)) {
    toast(t("share_wechat"));
    return;
  }
  if (typeof navigator.share === "function") {
    try {
      await navigator.share({ title, url });
      return;
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return;
    }
  }
  if (await copyLink(url)) return;
  openSheet(t("share"), [h("p", { class: "field__hint", text: t("copy_by_hand") }), h("span", { class: "code", text: url })]);
}
