// @ts-check
// What came of a draw or a discount: winners with their contacts, claims with their codes, files.

import { number, share, time } from "../model/format.js";
import { t } from "../model/strings.js";
import { paths } from "./api.js";
import { badge, button } from "./controls.js";
import { nameOf } from "./desk.js";
import { Loading, PAGE_ROWS, pager, table } from "./loading.js";
import { h } from "./render.js";
import { claims } from "./run-of-show.js";
import { openSheet } from "./sheet.js";

/** @typedef {import("./desk.js").Desk} Desk */

/** @param {Desk} desk @param {"draw" | "discount"} what @param {string} id */
const rowOf = (desk, what, id) => desk.rows.find((row) => row.what === what && row.id === id);

/** @param {Desk} desk @param {string} id */
export function openDrawResults(desk, id) {
  const path = paths(desk.room);
  const row = () => rowOf(desk, "draw", id);
  const revealed = () => row()?.phase === "revealed";
  let phase = row()?.phase;
  let claimed = desk.tally.prizes.get(id);
  const read = async () => {
    if (!revealed()) return [];
    // what winners filled in is for the host alone
    if (desk.may("host")) return (await desk.api.read(path.winners(id))).winners;
    return row()?.card?.phase.revealed?.winners ?? row()?.summary?.winners ?? [];
  };
  const winners = new Loading(read, () => sheet?.paint());
  let after = 0;
  const go = (/** @type {number} */ to) => {
    after = to;
    sheet.paint();
  };
  const markSent = async (/** @type {any} */ winner) => {
    const done = await desk.ask("mark_sent", { draw: id, entry: winner.entry, sent: !winner.sent }, t("mark_sent"));
    if (done) winners.again();
  };
  const body = () => {
    const is = row();
    if (!is) return null;
    // what has changed since the list was read
    if (is.phase !== phase || desk.tally.prizes.get(id) !== claimed) {
      phase = is.phase;
      claimed = desk.tally.prizes.get(id);
      winners.again();
    }
    const count = is.card?.phase.revealed?.count ?? is.card?.entries ?? is.summary?.entries ?? 0;
    return [
      h("p", { key: "entries", class: "numbers" }, [t("entered_n", { n: count }), revealed() ? wonOf(is) : ""].filter(Boolean).join(" · ")),
      revealed() ? deadlineLine(desk, is) : null,
      is.phase === "open" && desk.may("actions") ? strikeForm(desk, id) : null,
      revealed() ? winners.show((all) => {
        const won = is.card?.phase.revealed?.won ?? is.summary?.won ?? 0;
        if (!all.length) return h("p", { class: "empty" }, t("no_entries"));
        const some = all.slice(after, after + PAGE_ROWS);
        return [
          desk.may("host") ? h("p", { key: "state", class: "numbers" }, prizesLine(all)) : null,
          winnersTable(desk, some, markSent),
          pager(after, some.length, all.length, go),
          // without the right to the whole list only those on stage are here
          !desk.may("host") && won > all.length ? h("p", { key: "more", class: "field__hint numbers" }, t("and_more", { n: won - all.length })) : null,
        ];
      }) : null,
      h("div", { class: "actions", key: "actions" },
        revealed() && desk.may("actions") ? button(t("redraw"), () => desk.ask("redraw", { draw: id }, t("redraw_what", { what: nameOf(is) })).then(() => winners.again()), {
          title: t("redraw_hint"),
          disabled: (is.card?.phase.revealed?.claim_until ?? 0) > desk.now,
        }) : null,
        revealed() && desk.may("host") ? button(t("winners_csv"), () => save(desk, path.winnersCsv(id), `winners-${id}.csv`), { icon: "download" }) : null,
        revealed() || is.phase === "cancelled" ? button(t("transcript"), () => save(desk, path.transcript(id), `transcript-${id}.json`), { icon: "download", title: t("transcript_hint") }) : null),
      revealed() ? h("p", { class: "field__hint", key: "proof" }, t("proof_hint")) : null,
      addresses(desk),
    ];
  };
  const sheet = openSheet({ desk, size: "wide", title: () => t("draw_title", { prize: nameOf(row() ?? { no: 0, id, what: "draw", phase: "open" }) }), body });
  return sheet;
}

/** @param {import("./run-of-show.js").Row} row */
function wonOf(row) {
  const won = row.card?.phase.revealed?.won ?? row.summary?.won ?? 0;
  return won ? t("winners_n", { n: won }) : "";
}

/** Until when winners may claim. @param {Desk} desk @param {import("./run-of-show.js").Row} row */
function deadlineLine(desk, row) {
  const until = row.card?.phase.revealed?.claim_until;
  if (until === undefined || !wonOf(row)) return null;
  return h("p", { key: "deadline", class: "field__hint numbers" }, t(until > desk.now ? "prizes_until" : "prizes_were_until", { time: time(until, desk.now) }));
}

/** How far the prizes are; one that was drawn again counts for its new winner. @param {any[]} all */
function prizesLine(all) {
  const held = all.filter((winner) => !winner.redrawn);
  const claimed = held.filter((winner) => winner.claimed_at).length;
  const sent = held.filter((winner) => winner.sent).length;
  const told = [t("prizes_of", { n: claimed, winners: number(held.length) })];
  if (claimed) told.push(t("sent_of", { n: sent, claimed: number(claimed) }));
  return told.join(" · ");
}

/** @param {Desk} desk @param {string} path @param {string} name */
function save(desk, path, name) {
  desk.api.download(path, name).catch((problem) => desk.failed(name, problem));
}

/** @param {Desk} desk @param {any[]} winners @param {(winner: any) => void} markSent */
function winnersTable(desk, winners, markSent) {
  const asked = [...new Set(winners.flatMap((winner) => Object.keys(winner.contact ?? {})))];
  const coded = winners.some((winner) => winner.code);
  const host = desk.may("host");
  const heads = [t("entry"), t("winner"), ...(host ? [t("prize_state"), ...(coded ? [t("prize_code")] : []), ...asked.map((one) => t(`ask_${one}`)), t("sent")] : [])];
  return table(t("winners"), heads, winners.map((winner) => h("tr", { key: winner.entry },
    h("td", { class: "numbers" }, String(winner.entry)),
    h("td", null, winner.name),
    host ? hostCells(winner) : null)));

  /** @param {any} winner */
  function prizeBadge(winner) {
    if (winner.claimed_at) return badge(t("prize_claimed"), "good");
    if (winner.redrawn) return badge(t("prize_redrawn"));
    return winner.claim_until > desk.now ? badge(t("prize_waits"), "warn") : badge(t("prize_late"), "bad");
  }

  /** When it was claimed, or until when it may be. @param {any} winner */
  function prizeTime(winner) {
    if (winner.redrawn && !winner.claimed_at) return "";
    return winner.claimed_at ? time(winner.claimed_at, desk.now) : t("until", { time: time(winner.claim_until, desk.now) });
  }

  /** @param {any} winner */
  function hostCells(winner) {
    return [
      h("td", { key: "state" }, prizeBadge(winner), " ", h("span", { class: "field__hint numbers" }, prizeTime(winner))),
      coded ? h("td", { key: "code" }, winner.code ? h("code", null, winner.code) : "") : null,
      ...asked.map((one) => h("td", { key: one }, winner.contact?.[one] ?? "")),
      h("td", { key: "sent" }, h("label", { class: "check" },
        h("input", { type: "checkbox", checked: Boolean(winner.sent), onchange: () => markSent(winner), "aria-label": `${t("sent")}: ${winner.name}` }))),
    ];
  }
}

/** Striking an entry before the lock. @param {Desk} desk @param {string} draw */
function strikeForm(desk, draw) {
  const strike = (/** @type {any} */ event) => {
    event.preventDefault();
    const { entry, reason } = event.target.elements;
    if (!/^\d+$/.test(entry.value.trim()) || reason.value.trim() === "") return;
    desk.ask("strike_entry", { draw, entry: Number(entry.value), reason: reason.value.trim() }, t("strike")).then((done) => {
      if (done) event.target.reset();
    });
  };
  return h("form", { class: "inline-form", key: "strike", onsubmit: strike },
    h("label", { class: "field__label", for: "strike-entry" }, t("strike_label")),
    h("div", { class: "with-unit" },
      h("input", { id: "strike-entry", name: "entry", class: "input input--short", inputmode: "numeric", placeholder: t("entry"), required: true }),
      h("input", { name: "reason", class: "input", placeholder: t("reason"), "aria-label": t("reason"), maxlength: "200", required: true }),
      button(t("strike"), () => {}, { type: "submit", small: false })),
    h("p", { class: "field__hint" }, t("strike_hint")));
}

/** @param {Desk} desk @param {string} id */
export function openDiscountResults(desk, id) {
  const path = paths(desk.room);
  const row = () => rowOf(desk, "discount", id);
  let after = 0;
  // who has which code is for the host alone
  const read = desk.may("host") ? new Loading(() => desk.api.read(`${path.claims(id)}?after=${after}&limit=${PAGE_ROWS}`), () => sheet?.paint()) : null;
  const go = (/** @type {number} */ to) => {
    after = to;
    read?.again();
  };
  const body = () => {
    const is = row();
    if (!is) return null;
    const { claimed, redeemed, quota } = claims(is, desk.stage.totals);
    const used = Math.max(redeemed ?? 0, desk.redeemed.get(id) ?? 0);
    return [
      h("p", { class: "numbers", key: "sum" },
        `${t("claimed_of", { n: claimed, quota: number(quota), share: share(claimed, quota) })} · ${t("redeemed_of", { n: used, claimed: number(claimed) })}`),
      read ? h("div", { class: "actions", key: "actions" },
        button(t("read_again"), () => read.again()),
        button(t("claims_csv"), () => save(desk, path.claimsCsv(id), `claims-${id}.csv`), { icon: "download" }),
        button(t("codes_csv"), () => save(desk, path.codesCsv(id), `codes-${id}.csv`), { icon: "download", title: t("codes_csv_hint") })) : null,
      read?.show(({ claims: some, total }) => (some.length
        ? [claimsTable(desk, some), pager(after, some.length, total, go)]
        : h("p", { class: "empty" }, t("no_claims")))),
      addresses(desk),
    ];
  };
  const sheet = openSheet({ desk, size: "wide", title: () => t("discount_results", { what: nameOf(row() ?? { no: 0, id, what: "discount", phase: "open" }) }), body });
  return sheet;
}

/** @param {Desk} desk @param {any[]} all */
function claimsTable(desk, all) {
  return table(t("claims"), [t("viewer"), t("code"), t("claimed_at"), t("used")], all.map((claim, index) => h("tr", { key: index },
    h("td", null, claim.name),
    h("td", null, h("code", null, claim.code)),
    h("td", { class: "numbers" }, time(claim.at, desk.now)),
    h("td", null, claim.order ? badge(t("used_for", { order: claim.order }), "good") : ""))));
}

/** The addresses with most anonymous claims and entries of the show, as the page last got its whole state. @param {Desk} desk */
function addresses(desk) {
  const most = desk.backstage.addresses.filter((one) => one.count > 1).slice(0, 5);
  if (most.length === 0) return null;
  return h("p", { class: "field__hint numbers", key: "addresses" },
    t("addresses", { list: most.map((one) => `${one.masked}: ${number(one.count)}`).join(t("comma")) }));
}
