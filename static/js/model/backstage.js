// @ts-check
/** What a page of the staff knows of a room: the stage, as `room.js` folds it, and what only staff see. */

import { applyStage, changed, reduce as reduceStage, withCard } from "./room.js";

/** @typedef {import("../types.js").Message} Message */
/** @typedef {import("../types.js").Backstage} Backstage */
/** @typedef {import("../types.js").FeedEvent} FeedEvent */
/** @typedef {import("./room.js").RoomState} RoomState */

/** Comments off stage and moderation acts kept, as in a keyframe. */
const BACKSTAGE_MAX = 50;

/**
 * @param {RoomState} state
 * @param {Message} message one that the cursor rule lets through
 * @returns {RoomState}
 */
export function reduce(state, message) {
  if (message.backstage_keyframe) {
    const { at, state: whole } = message.backstage_keyframe;
    const { stage, ...backstage } = whole;
    return { ...state, stage, backstage, at, sample: null, keyframes: state.keyframes + 1 };
  }
  if (message.backstage_delta) {
    const { at, events } = message.backstage_delta;
    let next = { ...state, at };
    for (const event of events) next = applyBackstage(applyStage(next, event, at), event);
    return next;
  }
  if (message.health) return { ...state, health: message.health };
  return reduceStage(state, message);
}

/** @param {RoomState} state @param {FeedEvent} event @returns {RoomState} */
function applyBackstage(state, event) {
  const [name] = Object.keys(event);
  const change = BACKSTAGE[name];
  if (!state.backstage || !change) return state;
  return { ...state, backstage: { ...state.backstage, ...change(state.backstage, event[name], state) } };
}

/** @typedef {Omit<Backstage, "stage">} Rest */
/** @type {Record<string, (backstage: Rest, of: any, state: RoomState) => Partial<Rest>>} */
const BACKSTAGE = {
  offstage: (backstage, comment, state) => ({
    offstage: [...backstage.offstage, { at: state.at, ...comment }].slice(-BACKSTAGE_MAX),
  }),
  deleted: (backstage, { comments }) => ({
    offstage: backstage.offstage.filter((comment) => !comments.includes(comment.id)),
  }),
  act: (backstage, act, state) => ({
    acts: [...backstage.acts, act].slice(-BACKSTAGE_MAX),
    muted: withMuteAct(backstage.muted, act, state),
  }),
  blocked_words: (_, { words }) => ({ blocked_words: words }),
  draw_prepared: (backstage, draw) => ({ draws: withCard(backstage.draws, draw) }),
  discount_prepared: (backstage, discount) => ({ discounts: withCard(backstage.discounts, discount) }),
  removed: (backstage, { what, id }) =>
    what === "draw" ? { draws: without(backstage.draws, id) } : { discounts: without(backstage.discounts, id) },
  draw_opened: (backstage, { id }) => ({ draws: without(backstage.draws, id) }),
  discount_opened: (backstage, { id }) => ({ discounts: without(backstage.discounts, id) }),
  codes_added: (backstage, { id, count }) => ({
    discounts: changed(backstage.discounts, id, (one) => ({ ...one, codes: (one.codes || 0) + count })),
  }),
  summary: (_, summary) => ({ summary }),
  unattended: (_, { since }) => ({ unattended: { since } }),
  attended: ({ unattended }, _, { at }) => ({ unattended: unattended && { until: at, ...unattended } }),
  goals: (_, goals) => ({ goals }),
  display_budget: (_, { per_second }) => ({ display_budget: per_second }),
};

/** @param {import("../types.js").MutedViewer[]} muted @param {import("../types.js").Act} act @param {RoomState} state */
function withMuteAct(muted, act, state) {
  const { muted: one, unmuted } = act.what;
  const viewer = (one || unmuted || {}).viewer;
  if (viewer === undefined) return muted;
  const others = muted.filter((other) => other.viewer !== viewer);
  if (!one) return others;
  const said = [...(state.stage ? state.stage.comments : []), ...(state.backstage ? state.backstage.offstage : [])];
  const last = said.reverse().find((comment) => comment.by === viewer);
  return [...others, { viewer, name: last ? last.name : "", until: one.until }];
}

/** @template {{id: string}} Card @param {Card[]} cards @param {string} id @returns {Card[]} */
function without(cards, id) {
  return cards.filter((card) => card.id !== id);
}
