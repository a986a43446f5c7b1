// @ts-check
/**
 * What the pages say, in English and Chinese, from one table. A page adds its own part with {@link add}.
 *
 * `{name}` is replaced by the value of that name; a number is written as the language writes it. English
 * forms for one and for more are parted by `|` and chosen by `n`.
 */

/** @typedef {"en" | "zh"} Lang */
/** @typedef {Record<string, [en: string, zh: string]>} Table */

/** @type {Table} */
const TABLE = {
  // people
  host: ["Host", "主播"],
  assistant: ["Assistant", "助理"],
  member: ["Member", "会员"],
  guest: ["Guest {number}", "观众{number}"],
  // doing
  copy: ["Copy", "复制"],
  copied: ["Copied", "已复制"],
  copy_by_hand: ["Selected: copy it with your keyboard or a long press.", "已选中，请用键盘或长按复制。"],
  close: ["Close", "关闭"],
  cancel: ["Cancel", "取消"],
  save: ["Save", "保存"],
  retry: ["Try again", "重试"],
  send: ["Send", "发送"],
  language: ["中文", "English"],
  language_label: ["切换为中文", "Switch to English"],
  // the connection
  connecting: ["Connecting…", "正在连接…"],
  reconnecting: ["Reconnecting…", "正在重新连接…"],
  reconnecting_kept: ["Reconnecting… what you send is kept.", "正在重新连接…你发送的内容会保留。"],
  parked: ["This show has a fault. Those who run it can see it; this page tries again by itself.", "直播间出现故障，管理人员可以看到。页面会自动重试。"],
  // states of a show
  state_draft: ["Draft", "草稿"],
  state_scheduled: ["Scheduled", "待开播"],
  state_live: ["LIVE", "直播中"],
  state_paused: ["Paused", "已暂停"],
  state_ended: ["Ended", "已结束"],
  starting_soon: ["Starting soon", "即将开播"],
  // numbers
  watching: ["{n} watching", "{n} 人在看"],
  entries_n: ["{n} entry|{n} entries", "{n} 人参与"],
  winners_n: ["{n} winner|{n} winners", "{n} 位中奖者"],
  left_of: ["{n} of {total} left", "还剩 {n} / {total}"],
  shown_of: ["shown {k} of {n}", "显示 {n} 条中的 {k} 条"],
  // money off
  off_percent: ["{n}% off", "{n}折"],
  off_free: ["100% off", "免单"],
  off_amount: ["{amount} off", "立减{amount}"],
  // why not: the refusals' codes
  no_not_allowed: ["You are not allowed to do this.", "你没有权限这样做。"],
  no_not_live: ["The show is not live.", "现在没有直播。"],
  no_ended: ["The show has ended.", "直播已结束。"],
  no_bad_text: ["This text cannot be posted.", "这段文字无法发送。"],
  no_bad_field: ["Please check what you filled in.", "请检查填写的内容。"],
  no_slow_mode: ["Slow mode: one comment at a time.", "慢速模式：请稍后再发。"],
  no_rate_limited: ["That was fast. Wait a moment.", "太快了，请稍等。"],
  no_blocked_word: ["This contains a word that is not allowed here.", "内容包含这里不允许的词。"],
  no_muted: ["You are muted for now.", "你已被暂时禁言。"],
  no_comments_off: ["Comments are off at the moment.", "评论暂时关闭。"],
  no_name_taken: ["This name belongs to the staff.", "这个名字属于工作人员。"],
  no_not_open: ["It is not open yet.", "还没有开始。"],
  no_closed: ["It is closed.", "已经结束。"],
  no_locked: ["Too late: the draw is locked.", "来晚了，抽奖已截止。"],
  no_sold_out: ["Sold out.", "已抢光。"],
  no_limit_reached: ["You have your share already.", "你已经领过了。"],
  no_too_many_here: ["Too many from this network address.", "此网络地址参与的人太多了。"],
  no_store_only: ["Only customers known to the store can take part.", "仅限商店会员参与。"],
  no_watch_longer: ["Watch a little longer first.", "再多看一会儿就可以了。"],
  no_phrase_needed: ["Type the phrase to take part.", "发送口令即可参与。"],
  no_not_a_winner: ["You did not win this.", "你没有中这个奖。"],
  no_too_late: ["The deadline has passed.", "已过截止时间。"],
  no_full: ["There is no more room.", "名额已满。"],
  no_wrong_state: ["This cannot be done now.", "现在不能这样做。"],
  no_unknown_comment: ["The comment is gone.", "该评论已不存在。"],
  no_unknown_draw: ["There is no such draw.", "没有这个抽奖。"],
  no_unknown_discount: ["There is no such discount.", "没有这个优惠。"],
  no_undo_over: ["It is too late to undo this.", "已经不能撤销了。"],
  no_busy: ["The room is very busy. Try again in a moment.", "直播间很忙，请稍后重试。"],
  no_restarting: ["The server restarts. Try again in a moment.", "服务器正在重启，请稍后重试。"],
  no_journal_unavailable: ["It could not be saved just now. Try again.", "刚才没能保存，请重试。"],
  no_no_connection: ["There is no connection.", "没有连接。"],
  no_other: ["It did not work. Try again.", "没有成功，请重试。"],
};

const KEPT = "hubbub.lang";

/** @type {Lang} */
let lang = chosen();

/** @returns {Lang} */
function chosen() {
  if (typeof navigator === "undefined" || typeof window === "undefined") return "en";
  try {
    const kept = localStorage.getItem(KEPT);
    if (kept === "en" || kept === "zh") return kept;
  } catch {
    // storage is forbidden: the browser's language it is
  }
  const wanted = (navigator.languages || [navigator.language]).find((one) => /^(en|zh)\b/i.test(one));
  return wanted && /^zh/i.test(wanted) ? "zh" : "en";
}

/** Adds a page's own strings. @param {Table} table */
export function add(table) {
  Object.assign(TABLE, table);
}

/** The language that is spoken. */
export function language() {
  return lang;
}

/** The language as a BCP 47 tag: for `lang` attributes and `Intl`. */
export function locale() {
  return lang === "zh" ? "zh-CN" : typeof navigator !== "undefined" && /^en-/.test(navigator.language) ? navigator.language : "en";
}

/**
 * Speaks another language from now on, and remembers it. The page translates itself and renders anew.
 *
 * @param {Lang} next
 * @param {boolean} [remember]
 */
export function speak(next, remember = true) {
  lang = next;
  if (!remember) return;
  try {
    localStorage.setItem(KEPT, next);
  } catch {
    // it lasts as long as the page
  }
}

/**
 * The words for a key; the key itself if there are none, which a test finds.
 *
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  const words = TABLE[key];
  if (!words) return key;
  const text = lang === "zh" ? words[1] : plural(words[0], values.n);
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? new Intl.NumberFormat(locale()).format(value) : value;
  });
}

/** @param {string} text @param {string | number | undefined} n */
function plural(text, n) {
  const bar = text.indexOf("|");
  if (bar < 0) return text;
  return n === 1 ? text.slice(0, bar) : text.slice(bar + 1);
}

/**
 * The sentence for a refusal's code.
 *
 * @param {string} code
 */
export function refusal(code) {
  const key = `no_${code}`;
  return t(TABLE[key] ? key : "no_other");
}

/**
 * Translates what stands in the document: `data-t` is an element's text, `data-t-label` its `aria-label`,
 * `data-t-placeholder` and `data-t-title` these attributes.
 *
 * @param {ParentNode} root
 */
export function translate(root) {
  for (const element of root.querySelectorAll("[data-t]")) {
    element.textContent = t(/** @type {HTMLElement} */ (element).dataset.t || "");
  }
  for (const [data, attribute] of ATTRIBUTES) {
    for (const element of root.querySelectorAll(`[${data}]`)) {
      element.setAttribute(attribute, t(element.getAttribute(data) || ""));
    }
  }
}

const ATTRIBUTES = [
  ["data-t-label", "aria-label"],
  ["data-t-placeholder", "placeholder"],
  ["data-t-title", "title"],
];

/** All keys and words, for the tests. @returns {Readonly<Table>} */
export function table() {
  return TABLE;
}
