// @ts-check
/** `<hub-top>`: the host, whether it is live and for how long, and how many watch. */

import { h, icon, later, setText } from "../dom.js";
import { clock, compact } from "../model/format.js";
import { liveMs } from "../model/room.js";
import { t } from "../model/strings.js";
import { initial } from "../model/text.js";
import { onTick } from "../model/ticker.js";

export class Top extends HTMLElement {
  constructor() {
    super();
    /** @type {import("../viewer/app.js").App} */
    this.app = later;
    this.avatar = h("span", { class: "avatar", "aria-hidden": "true" });
    this.hostName = h("span", { class: "pill__name" });
    this.badge = h("span", { class: "badge" });
    this.elapsed = h("span", { class: "pill__elapsed numbers" });
    this.count = h("span", { class: "numbers" });
    this.watching = h("span", { class: "pill pill--count" }, icon("eye"), this.count);
    this.pill = h(
      "button",
      { class: "pill pill--host", type: "button" },
      this.avatar,
      h("span", { class: "pill__lines" }, this.hostName, h("span", { class: "pill__state" }, this.badge, this.elapsed)),
    );
  }

  /** @param {import("../viewer/app.js").App} app @param {() => void} about */
  start(app, about) {
    this.app = app;
    this.pill.addEventListener("click", about);
    this.replaceChildren(this.pill, this.watching);
    onTick(() => this.tick());
  }

  update() {
    const { stage } = this.app.room;
    this.hidden = !stage;
    if (!stage) return;
    const { details, state } = stage.show;
    setText(this.avatar, initial(details.host));
    setText(this.hostName, details.host);
    setText(this.badge, t(`state_${state}`));
    this.badge.className = state === "live" ? "badge badge--on-air" : "badge badge--glass";
    setText(this.count, compact(stage.totals.watching));
    this.watching.setAttribute("aria-label", t("watching", { n: stage.totals.watching }));
    this.watching.setAttribute("role", "img");
    this.watching.hidden = state === "ended";
    this.pill.setAttribute("aria-label", `${details.host}, ${t("host")}. ${t(`state_${state}`)}. ${t("about_show")}`);
    this.tick();
  }

  tick() {
    const show = this.app.room.stage?.show;
    if (!show) return;
    const running = show.state === "live" || show.state === "paused";
    setText(this.elapsed, running ? clock(liveMs(show, this.app.clock.now())) : "");
  }
}

customElements.define("hub-top", Top);
