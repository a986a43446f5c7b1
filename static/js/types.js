// @ts-check
/**
 * The protocol's types as the pages know them (`src/protocol`, `src/room/stage.rs`). This file holds nothing
 * that runs: import its types with `import("../types.js").Stage`. Times are Unix milliseconds, `...Ms` and
 * `..._ms` are milliseconds, offsets count events of a room.
 *
 * @typedef {{epoch: number, offset: number}} Cursor
 *
 * @typedef {"draft" | "scheduled" | "live" | "paused" | "ended"} ShowState
 * @typedef {{hls: {url: string}} | {whep: {url: string}} | {file: {url: string}}} Source
 * @typedef {{file: string, width: number, height: number}} Cover its address is `/covers/{file}`
 * @typedef {{label: string, url: string}} Link
 * @typedef {{viewers?: number, comments?: number, likes?: number, claims?: number}} Goals
 *
 * @typedef {object} Details
 * @property {string} title
 * @property {string} [description]
 * @property {string} host
 * @property {"video" | "audio"} kind
 * @property {"public" | "unlisted"} access
 * @property {string[]} [tags]
 * @property {number} [scheduled_at]
 * @property {Source} [source]
 * @property {Cover} [cover]
 * @property {Link[]} [links]
 * @property {Goals} [goals]
 * @property {boolean} [test]
 *
 * @typedef {object} ShowCard
 * @property {Details} details
 * @property {ShowState} state
 * @property {number} [started_at]
 * @property {number} live_ms
 * @property {number} [live_since]
 * @property {number} [ends_at]
 * @property {number} [ended_at]
 * @property {number} [redeem_until]
 *
 * @typedef {{slow_ms?: number, comments_off?: boolean}} Modes
 * @typedef {"host" | "assistant" | "member"} Badge
 *
 * @typedef {object} Comment
 * @property {number} id
 * @property {number} [by] the author's number; absent for staff
 * @property {string} name
 * @property {Badge} [badge]
 * @property {string} text
 * @property {number} [at]
 *
 * @typedef {{percent: number} | {amount: {minor: number, currency: string}}} Off
 * @typedef {{watched: {ms: number}}} Gate
 * @typedef {"anyone" | "store_only" | {address_ceiling: number}} WhoCounts
 * @typedef {{after_ms: number} | {at: number} | "with_show"} Closes
 *
 * @typedef {object} Terms
 * @property {string} title
 * @property {Off} off
 * @property {string} [items]
 * @property {number} quota
 * @property {number} [per_viewer] 1 if absent
 * @property {Closes} closes
 * @property {number} [use_before]
 * @property {Gate} [gate]
 * @property {WhoCounts} [who]
 * @property {string} [link]
 *
 * @typedef {"sold_out" | "expired" | "by_host" | "show_ended"} Closed
 *
 * @typedef {object} DiscountCard
 * @property {string} id
 * @property {Terms} terms
 * @property {number} opened_at
 * @property {number} [closes_at]
 * @property {number} remaining
 * @property {Closed} [closed]
 *
 * @typedef {{present: {}} | {phrase: {phrase: string}} | {watched: {ms: number}}} Eligibility
 * @typedef {"name" | "phone" | "address" | "email" | "note"} Ask
 *
 * @typedef {object} Rules
 * @property {string} prize
 * @property {number} winners
 * @property {number} open_ms
 * @property {Eligibility} eligibility
 * @property {boolean} [exclude_earlier_winners]
 * @property {WhoCounts} [who]
 * @property {Ask[]} [ask]
 * @property {string} [readers]
 * @property {number} [claim_ms]
 *
 * @typedef {{entry: number, by: number, name: string}} Winner
 * @typedef {{reveal_at: number, count: number, root: string}} Locked
 * @typedef {{count: number, root: string, seed: string, won: number, winners: Winner[], claim_until: number}} Revealed `winners`: the first of `won`
 *
 * @typedef {object} Phase exactly one of these
 * @property {{}} [open]
 * @property {Locked} [locked]
 * @property {Revealed} [revealed]
 * @property {{reason: string}} [cancelled]
 *
 * @typedef {object} DrawCard
 * @property {string} id
 * @property {Rules} rules
 * @property {number} opened_at
 * @property {number} closes_at
 * @property {string} commitment
 * @property {number} entries
 * @property {Phase} phase
 * @property {{entry: number, reason: string}[]} [struck] entries struck since the page came
 *
 * @typedef {object} Totals
 * @property {number} watching
 * @property {number} viewers
 * @property {number} likes
 * @property {Record<string, number>} [remaining]
 * @property {Record<string, number>} [entries]
 *
 * @typedef {{id: string, title: string, off: Off, claimed: number, redeemed: number, quota: number}} DiscountSummary
 * @typedef {{id: string, prize: string, entries: number, winners: Winner[], won: number, claimed: number, cancelled?: boolean}} DrawSummary
 *
 * @typedef {object} Summary
 * @property {number} live_ms
 * @property {number} viewers
 * @property {{viewers: number, at: number}} [peak]
 * @property {number} comments
 * @property {number} likes
 * @property {number} watched_ms
 * @property {DiscountSummary[]} discounts
 * @property {DrawSummary[]} draws
 *
 * @typedef {object} Stage
 * @property {ShowCard} show
 * @property {Modes} modes
 * @property {Comment[]} comments oldest first
 * @property {Comment} [pinned]
 * @property {DiscountCard[]} discounts newest last
 * @property {DrawCard[]} draws newest last
 * @property {Totals} totals
 * @property {Summary} [summary]
 *
 * @typedef {{id: string, rules: Rules}} PreparedDraw
 * @typedef {{id: string, terms: Terms, source: "shared" | "pasted" | "generated", codes?: number}} PreparedDiscount
 * @typedef {Record<string, any>} ActKind one key: deleted, restored, muted, unmuted, pinned, unpinned, modes, blocked_words, struck, removed
 * @typedef {{id: number, at: number, by: any, what: ActKind}} Act
 * @typedef {{viewer: number, name: string, until: number}} MutedViewer
 *
 * @typedef {object} Backstage
 * @property {Stage} stage
 * @property {Goals} goals
 * @property {PreparedDraw[]} draws
 * @property {PreparedDiscount[]} discounts
 * @property {Summary} summary
 * @property {string[]} blocked_words
 * @property {Comment[]} offstage
 * @property {Act[]} acts
 * @property {MutedViewer[]} muted
 * @property {{masked: string, count: number}[]} addresses
 * @property {number} [display_budget]
 * @property {{since: number, until?: number}} [unattended] on air without staff for so long that it was a warning
 *
 * @typedef {object} MyClaim
 * @property {string} discount
 * @property {number} unit
 * @property {string} code
 * @property {string} title
 * @property {Off} off
 * @property {string} [items]
 * @property {string} [link]
 * @property {number} [use_before]
 * @property {boolean} [used]
 *
 * @typedef {{draw: string, number: number, salt: string, hash: string}} EntryReceipt
 *
 * @typedef {object} MyWin
 * @property {string} draw
 * @property {number} entry
 * @property {string} prize
 * @property {Ask[]} [ask] empty: a prize code
 * @property {string} [readers]
 * @property {number} claim_until
 * @property {boolean} [claimed]
 * @property {string} [code]
 * @property {boolean} [redrawn]
 *
 * @typedef {object} Mine
 * @property {number} [number]
 * @property {string} [name]
 * @property {MyClaim[]} [claims]
 * @property {EntryReceipt[]} [entries]
 * @property {MyWin[]} [wins]
 * @property {number} [muted_until]
 * @property {number} [next_comment_at]
 * @property {Comment[]} [offstage]
 * @property {number} watched_ms
 *
 * @typedef {Record<string, any>} FeedEvent one key, the event's name: `{"comment": {...}}`
 * @typedef {{epoch: number, offset: number, at: number, state: any}} Keyframe
 * @typedef {{follows: number, offset: number, at: number, events: FeedEvent[]}} Delta
 *
 * @typedef {object} Joined
 * @property {number} re
 * @property {string} room
 * @property {number} now
 * @property {number} epoch
 * @property {boolean} resumed
 * @property {string} [viewer]
 * @property {string} [token]
 * @property {any} [role]
 * @property {Mine} mine
 *
 * @typedef {object} Problem
 * @property {number} [re]
 * @property {string} code
 * @property {string} message
 * @property {number} [retry_after_ms]
 * @property {string} [text]
 *
 * @typedef {object} Health
 * @property {number} connections
 * @property {number} asked
 * @property {number} answered
 * @property {number} playing
 * @property {number} stalled
 * @property {number} newest
 * @property {number} [behind_ms] how far the picture is behind its live edge: the median
 * @property {number} p95_ms
 * @property {number} commit_ms
 * @property {boolean} journal_ok
 * @property {boolean} thinned fewer comments are shown than usual: the server is at its limit
 *
 * @typedef {object} Message exactly one of these
 * @property {Joined} [joined]
 * @property {{re: number, after: number, answer: Record<string, any>}} [ok]
 * @property {Problem} [err]
 * @property {{re: number, now: number}} [pong]
 * @property {Keyframe} [keyframe]
 * @property {Keyframe} [backstage_keyframe]
 * @property {Delta} [delta]
 * @property {Delta} [backstage_delta]
 * @property {{as_of: number, at: number, totals: Totals}} [pulse]
 * @property {{after: number, mine: Mine}} [mine]
 * @property {{from: number, to: number}} [skipped]
 * @property {{}} [ask_seen]
 * @property {Health} [health]
 * @property {{retry_after_ms: number}} [bye]
 *
 * @typedef {"playing" | "stalled" | "none" | "hidden"} Picture
 */
export {};
