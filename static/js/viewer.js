// @ts-check
/** The viewer page: puts its parts together and hands them the state once per frame. */

import "./viewer/strings.js";
import { setText } from "./dom.js";
import { openAbout } from "./elements/about.js";
import { Cards } from "./elements/cards.js";
import { Comments } from "./elements/comments.js";
import { Composer } from "./elements/composer.js";
import { Gate } from "./elements/gate.js";
import { Hearts } from "./elements/hearts.js";
import { keep, openMine, waitingCount } from "./elements/mine.js";
import { Panel } from "./elements/panel.js";
import { PictureArea } from "./elements/picture.js";
import { share } from "./elements/share.js";
import { Top } from "./elements/top.js";
import { compact } from "./model/format.js";
import { locale, speak, t, translate } from "./model/strings.js";
import { App } from "./viewer/app.js";

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

const query = new URLSearchParams(location.search);
const fragment = new URLSearchParams(location.hash.slice(1));

/** @param {import("./net/connection.js").Codec} [codec] */
function begin(codec) {
  const room = decodeURIComponent(location.pathname.split("/")[2] || "");
  const app = new App(room, query, fragment, codec);

  const page = byId("show");
  const picture = /** @type {PictureArea} */ (byId("picture"));
  const top = /** @type {Top} */ (byId("top"));
  const panel = /** @type {Panel} */ (byId("panel"));
  const comments = /** @type {Comments} */ (byId("comments"));
  const cards = /** @type {Cards} */ (byId("cards"));
  const composer = /** @type {Composer} */ (byId("composer"));
  const hearts = /** @type {Hearts} */ (byId("hearts"));
  const gate = /** @type {Gate} */ (byId("gate"));
  const strip = byId("strip");
  const mineButton = byId("mine");
  const mineCount = byId("mine-count");

  /** @type {{refresh: () => void} | null} */
  let mine = null;

  function showMine() {
    mine = openMine(app, () => (mine = null));
  }

  function showAbout() {
    openAbout(app, { aloud: comments.aloud === true, setAloud: (aloud) => comments.setAloud(aloud) }, (lang) => {
      speak(lang);
      inLanguage();
      render();
    });
  }

  function inLanguage() {
    document.documentElement.lang = locale();
    translate(document);
  }

  function render() {
    const { stage } = app.room;
    const { phase, why } = app.standing;
    const cutOff = phase === "reconnecting" || why === "offline";
    page.dataset.phase = phase;
    page.dataset.state = stage ? stage.show.state : "none";
    const words = stripWords(phase, cutOff, why);
    strip.hidden = !words;
    setText(strip, words);
    strip.classList.toggle("strip--calm", !cutOff);
    if (stage) setText(/** @type {Element} */ (document.querySelector("title")), `${stage.show.details.title} · Hubbub`);
    for (const part of [picture, top, panel, comments, cards, composer, hearts, gate]) part.update();
    const waiting = waitingCount(app);
    mineCount.hidden = !waiting;
    setText(mineCount, waiting ? compact(waiting) : "");
    if (mine) mine.refresh();
  }

  /** What the thin bar says; nothing while all is as usual. @param {string} phase @param {boolean} cutOff @param {string} [why] */
  function stripWords(phase, cutOff, why) {
    const { stage } = app.room;
    if (why === "parked") return t("parked");
    if (cutOff) return t(app.connection.waiting || composer.text ? "reconnecting_kept" : "reconnecting");
    if (phase === "connecting" && stage === null) return t("connecting");
    // the host may still undo it, then the words go again
    return phase === "live" && stage?.show.ends_at ? t("about_to_end") : "";
  }

  let drawing = false;
  app.changed = () => {
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(() => {
      drawing = false;
      render();
    });
  };

  picture.start(app);
  top.start(app, showAbout);
  panel.start(app);
  comments.start(app);
  cards.start(app, byId("skip"), showMine);
  composer.start(app);
  hearts.start(app, byId("air"), picture);
  gate.start(app);
  mineButton.addEventListener("click", showMine);
  // the field keeps the focus, and its room, until the press is over: nothing moves under it
  mineButton.addEventListener("mousedown", (event) => event.preventDefault());
  byId("share").addEventListener("click", () => share(room, document.title));
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    const button = cards.querySelector(".card__body button:not([hidden]):not(:disabled)");
    (button instanceof HTMLElement ? button : byId("card-action")).focus();
  });
  document.documentElement.classList.add("js");
  if (app.preview) page.dataset.preview = "";
  inLanguage();
  app.start();
  render();
  if (fragment.has("keep")) keep(app, fragment.get("keep"));
  // such a link opened in this very tab
  addEventListener("hashchange", () => /^#(keep|token)=/.test(location.hash) && location.reload());
}

if (query.get("encoding") === "msgpack") import("./net/msgpack.js").then(({ MSGPACK }) => begin(MSGPACK));
else begin();
