// @ts-check
// End asks once: how long codes still work, and what becomes of an open draw. It can be undone for 10 s.

import { t } from "../model/strings.js";
import { button, form, formProblem, radios, select } from "./controls.js";
import { h } from "./render.js";
import { drawPhase } from "./run-of-show.js";
import { openSheet } from "./sheet.js";

const GRACES_MIN = [0, 5, 10, 15, 30];

/** @param {import("./desk.js").Desk} desk */
export function openEnd(desk) {
  const values = form({ grace: "0", open_draw: "draw" }, () => sheet.paint());
  const openDraw = () => desk.stage.draws.find((card) => drawPhase(card) === "open");
  const end = () => {
    const args = {
      grace_ms: Number(values.values.grace) * 60_000,
      ...(openDraw() ? { open_draw: values.values.open_draw } : {}),
    };
    sheet.close();
    desk.ask("end", args, t("end"));
  };
  const sheet = openSheet({
    desk,
    size: "small",
    title: () => t("end_title"),
    body: () => [
      h("p", null, t("end_what")),
      select(values, "grace", t("end_grace"), GRACES_MIN.map((min) => [String(min), min ? t("minutes_n", { n: min }) : t("end_grace_none")]), { hint: t("end_grace_hint") }),
      openDraw() ? radios(values, "open_draw", t("end_draw", { prize: openDraw()?.rules.prize ?? "" }), [["draw", t("end_draw_now")], ["cancel", t("end_draw_cancel")]]) : null,
      formProblem(undefined),
      h("div", { class: "actions" },
        button(t("keep_going"), () => sheet.close(), { small: false }),
        button(t("end_now"), end, { kind: "danger", small: false })),
    ],
  });
  return sheet;
}
