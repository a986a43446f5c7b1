// @ts-check
/**
 * What a viewer's page knows of a room: the fold of the server's messages. Pure: a state and a message give the next
 * state (staff's pages: `backstage.js`), nothing else is touched, and what did not change keeps its identity, so that a page can compare.
 */

/** @typedef {import("../types.js").Message} Message */
/** @typedef {import("../types.js").Stage} Stage */
/** @typedef {import("../types.js").Backstage} Backstage */
/** @typedef {import("../types.js").Comment} Comment */
/** @typedef {import("../types.js").Mine} Mine */
/** @typedef {import("../types.js").ShowCard} ShowCard */
/** @typedef {import("../types.js").DrawCard} DrawCard */
/** @typedef {import("../types.js").FeedEvent} FeedEvent */

/**
 * @typedef {object} RoomState
 * @property {Stage | null} stage
 * @property {Omit<Backstage, "stage"> | null} backstage what staff have besides the stage
 * @property {Mine} mine
 * @property {string | null} viewer who I am
 * @property {any} role for staff
 * @property {import("../types.js").Health | null} health for staff
 * @property {{k: number, n: number, at: number} | null} sample the last busy second: shown k of n
 * @property {{upTo: number} | null} skipped after a jump to a keyframe: so many comments at most were passed over
 * @property {number} keyframes how many were taken: when it grows, everything was replaced
 * @property {number} epoch of the last keyframe
 * @property {number} offset of the last batch
 * @property {number} at server time of the last batch
 */

/** Comments kept in a page. */
export const COMMENTS_MAX = 150;

/** @returns {RoomState} */
export function emptyRoom() {
  return {
    stage: null,
    backstage: null,
    mine: { watched_ms: 0 },
    viewer: null,
    role: null,
    health: null,
    sample: null,
    skipped: null,
    keyframes: 0,
    epoch: 0,
    offset: 0,
    at: 0,
  };
}

/**
 * @param {RoomState} state
 * @param {Message} message one that the cursor rule lets through
 * @returns {RoomState}
 */
export function reduce(state, message) {
  if (message.keyframe) {
    const { at, epoch, offset, state: stage } = message.keyframe;
    const skipped = jumped(state, message.keyframe) || state.skipped;
    return { ...state, stage, epoch, offset, at, sample: null, skipped, keyframes: state.keyframes + 1 };
  }
  if (message.delta) {
    const { at, offset, events } = message.delta;
    let next = { ...state, offset, at };
    for (const event of events) next = applyStage(next, event, at);
    return next;
  }
  if (message.pulse && state.stage) {
    return { ...state, stage: withTotals(state.stage, message.pulse.totals) };
  }
  if (message.joined) {
    const { mine, viewer = null, role = null } = message.joined;
    return { ...state, mine, viewer, role };
  }
  if (message.mine) return { ...state, mine: message.mine.mine };
  if (message.ok) return { ...state, mine: withAnswer(state.mine, message.ok.answer) };
  return state;
}

/**
 * The comments that a jump to a keyframe passed over. Every comment has an offset of its own, and so have other
 * events: how many were comments is not known, only how many they were at most.
 *
 * @param {RoomState} before
 * @param {import("../types.js").Keyframe} keyframe
 * @returns {{upTo: number} | null}
 */
function jumped(before, keyframe) {
  const [first] = keyframe.state.comments;
  if (!before.stage || before.epoch !== keyframe.epoch || !first) return null;
  const upTo = first.id - before.offset - 1;
  return upTo > 0 ? { upTo } : null;
}

/**
 * One event of the stage; one that this page does not know changes nothing.
 *
 * @param {RoomState} state
 * @param {FeedEvent} event
 * @param {number} at server time of the batch
 * @returns {RoomState}
 */
export function applyStage(state, event, at) {
  const [name] = Object.keys(event);
  const of = event[name];
  const change = STAGE[name];
  if (!state.stage || !change) return state;
  const next = { ...state, stage: { ...state.stage, ...change(state.stage, of, at) } };
  if (name === "sampled") next.sample = { k: of.shown, n: of.n, at };
  if (name === "deleted") next.mine = withoutComments(next.mine, of.comments);
  return next;
}

/** @type {Record<string, (stage: Stage, of: any, at: number) => Partial<Stage>>} */
const STAGE = {
  comment: (stage, comment, at) => ({ comments: withComments(stage.comments, [comment], at) }),
  sampled: (stage, { comments }, at) => ({ comments: withComments(stage.comments, comments, at) }),
  restored: (stage, { comments }, at) => ({ comments: withComments(stage.comments, comments, at) }),
  deleted: (stage, { comments }) => ({
    comments: stage.comments.filter((comment) => !comments.includes(comment.id)),
    pinned: stage.pinned && comments.includes(stage.pinned.id) ? undefined : stage.pinned,
  }),
  pinned: (_, pinned) => ({ pinned }),
  unpinned: () => ({ pinned: undefined }),
  modes: (_, modes) => ({ modes }),
  summary: (_, summary) => ({ summary }),
  show: (stage, change, at) => ({ show: changedShow(stage.show, change, at) }),
  discount_opened: (stage, card) => ({ discounts: withCard(stage.discounts, card) }),
  discount_closed: (stage, { id, why }) => ({
    discounts: changed(stage.discounts, id, (card) => ({
      ...card,
      closed: why,
      remaining: why === "sold_out" ? 0 : card.remaining,
    })),
  }),
  draw_opened: (stage, card) => ({ draws: withCard(stage.draws, card) }),
  entry_struck: (stage, { id, entry, reason }) => ({
    draws: changed(stage.draws, id, (card) => ({ ...card, struck: [...(card.struck || []), { entry, reason }] })),
  }),
  draw_locked: (stage, { id, count, root, reveal_at }) => ({
    draws: changed(stage.draws, id, (card) => ({
      ...card,
      entries: count,
      phase: { locked: { count, root, reveal_at } },
    })),
  }),
  draw_revealed: (stage, { id, seed, winners, claim_until }) => ({
    draws: changed(stage.draws, id, (card) => {
      const { count, root } = card.phase.locked || { count: card.entries, root: "" };
      return { ...card, phase: { revealed: { count, root, seed, won: winners.length, winners, claim_until } } };
    }),
  }),
  draw_redrawn: (stage, { id, instead_of, winners, claim_until }) => ({
    draws: changed(stage.draws, id, (card) => redrawn(card, instead_of, winners, claim_until)),
  }),
  draw_cancelled: (stage, { id, reason }) => ({
    draws: changed(stage.draws, id, (card) => ({ ...card, phase: { cancelled: { reason } } })),
  }),
};

/**
 * @param {ShowCard} show
 * @param {Record<string, any>} change one key: created, changed, started, paused, resumed, ending, end_undone, ended
 * @param {number} at
 * @returns {ShowCard}
 */
function changedShow(show, change, at) {
  const [name] = Object.keys(change);
  const of = change[name];
  switch (name) {
    case "created":
      return { ...show, details: of, state: of.scheduled_at ? "scheduled" : "draft" };
    case "changed":
      return withDetails(show, of);
    case "started":
      return { ...show, state: "live", started_at: show.started_at || at, live_since: at };
    case "resumed":
      return { ...show, state: "live", live_since: at };
    case "paused":
      return { ...notLive(show, at), state: "paused" };
    case "ending":
      return { ...show, ends_at: of.ends_at };
    case "end_undone":
      return { ...show, ends_at: undefined };
    case "ended":
      return { ...notLive(show, at), state: "ended", ends_at: undefined, ended_at: at, redeem_until: of.redeem_until };
    default:
      return show;
  }
}

/** @param {ShowCard} show @param {number} at @returns {ShowCard} */
function notLive(show, at) {
  return { ...show, live_ms: liveMs(show, at), live_since: undefined };
}

/** @param {ShowCard} show @param {Record<string, any>} change `null` clears @returns {ShowCard} */
function withDetails(show, change) {
  /** @type {Record<string, any>} */
  const details = { ...show.details };
  for (const [field, value] of Object.entries(change)) {
    if (value === null) delete details[field];
    else details[field] = value;
  }
  const waiting = show.state === "draft" || show.state === "scheduled";
  const state = waiting ? (details.scheduled_at ? "scheduled" : "draft") : show.state;
  return { ...show, state, details: /** @type {any} */ (details) };
}

/**
 * Live time without pauses, ms, at the server's time `now`.
 *
 * @param {ShowCard} show
 * @param {number} now
 */
export function liveMs(show, now) {
  return show.live_ms + (show.live_since ? Math.max(0, now - show.live_since) : 0);
}

/** @param {Stage} stage @param {import("../types.js").Totals} totals @returns {Stage} */
function withTotals(stage, totals) {
  const remaining = totals.remaining || {};
  const entries = totals.entries || {};
  return {
    ...stage,
    totals: { ...totals, likes: Math.max(totals.likes, stage.totals.likes) },
    discounts: counted(stage.discounts, "remaining", remaining, (card) => !card.closed),
    draws: counted(stage.draws, "entries", entries, (card) => "open" in card.phase),
  };
}

/**
 * A pulse may come after the delta that closed a card, and be older: what that says of the card is final.
 *
 * @template {{id: string}} Card
 * @param {Card[]} cards
 * @param {keyof Card} field
 * @param {Record<string, number>} counts
 * @param {(card: Card) => boolean} isOpen
 * @returns {Card[]}
 */
function counted(cards, field, counts, isOpen) {
  const moves = (/** @type {Card} */ card) => isOpen(card) && counts[card.id] !== undefined && counts[card.id] !== card[field];
  if (!cards.some(moves)) return cards;
  return cards.map((card) => (moves(card) ? { ...card, [field]: counts[card.id] } : card));
}

/** @param {DrawCard} card @param {number[]} insteadOf @param {import("../types.js").Winner[]} winners @param {number} claimUntil @returns {DrawCard} */
function redrawn(card, insteadOf, winners, claimUntil) {
  const revealed = card.phase.revealed;
  if (!revealed) return card;
  const instead = new Map(insteadOf.map((entry, i) => [entry, winners[i]]));
  const holders = revealed.winners.map((winner) => instead.get(winner.entry) || winner);
  return { ...card, phase: { revealed: { ...revealed, winners: holders, claim_until: claimUntil } } };
}

/**
 * Comments put in their places by id; the newest {@link COMMENTS_MAX} stay.
 *
 * @param {Comment[]} comments oldest first
 * @param {Comment[]} more
 * @param {number} at for those that carry no time of their own
 * @returns {Comment[]}
 */
function withComments(comments, more, at) {
  const have = new Set(comments.map((comment) => comment.id));
  const fresh = more.filter((comment) => !have.has(comment.id)).map((comment) => ({ ...comment, at: comment.at || at }));
  if (!fresh.length) return comments;
  const all = comments.concat(fresh);
  const inOrder = !comments.length || fresh[0].id > comments[comments.length - 1].id;
  if (!inOrder || fresh.length > 1) all.sort((one, other) => one.id - other.id);
  return all.slice(-COMMENTS_MAX);
}

/** @param {Mine} mine @param {number[]} ids @returns {Mine} */
function withoutComments(mine, ids) {
  if (!mine.offstage || !mine.offstage.some((comment) => ids.includes(comment.id))) return mine;
  return { ...mine, offstage: mine.offstage.filter((comment) => !ids.includes(comment.id)) };
}

/**
 * An answer brings forward what is mine before the next `mine` says the same.
 *
 * @param {Mine} mine
 * @param {Record<string, any>} answer
 * @returns {Mine}
 */
function withAnswer(mine, answer) {
  if (answer.claim) {
    const { discount, unit } = answer.claim;
    const others = (mine.claims || []).filter((claim) => claim.discount !== discount || claim.unit !== unit);
    return { ...mine, claims: [...others, answer.claim] };
  }
  if (answer.entry) {
    const others = (mine.entries || []).filter((entry) => entry.draw !== answer.entry.draw);
    return { ...mine, entries: [...others, answer.entry] };
  }
  if (answer.prize) {
    const { draw, entry, code } = answer.prize;
    const wins = (mine.wins || []).map((win) =>
      win.draw === draw && win.entry === entry ? { ...win, claimed: true, code } : win,
    );
    return { ...mine, wins };
  }
  if (answer.comment && answer.comment.by !== undefined) return { ...mine, number: answer.comment.by };
  return mine;
}

/** The card put in the place of the one of its id, or last. @template {{id: string}} Card @param {Card[]} cards @param {Card} card @returns {Card[]} */
export function withCard(cards, card) {
  const known = cards.some((one) => one.id === card.id);
  return known ? changed(cards, card.id, () => card) : [...cards, card];
}

/** One card changed. @template {{id: string}} Card @param {Card[]} cards @param {string} id @param {(card: Card) => Card} change @returns {Card[]} */
export function changed(cards, id, change) {
  return cards.map((card) => (card.id === id ? change(card) : card));
}
