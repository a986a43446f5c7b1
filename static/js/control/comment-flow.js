// @ts-check
// The comments of the control page: what is shown, what waits while the host reads, nothing that moves
// under the pointer. Pure: the panel calls it and paints the answer.

/** Rows kept in the page. */
export const ROWS_MAX = 200;
/** Rows kept waiting while the flow is held; older ones are passed over, and the count says so. */
export const WAITING_MAX = 200;

/**
 * @typedef {object} Line
 * @property {number} id the comment's offset
 * @property {number} [by] the author's number; absent for staff
 * @property {string} name
 * @property {"host"|"assistant"|"member"} [badge]
 * @property {string} text
 * @property {number} at
 * @property {boolean} offstage viewers do not see it
 * @property {boolean} deleted
 */

export class CommentFlow {
  /** @type {Line[]} shown, oldest first */
  lines = [];
  /** @type {Line[]} arrived while held, oldest first */
  waiting = [];
  /** How many of those that arrived while held are no longer kept. */
  passed = 0;
  /** @type {Set<string>} why the flow is held */
  #reasons = new Set();

  /** Whether new comments wait. */
  get held() {
    return this.#reasons.size > 0;
  }

  /** How many wait or were passed over. */
  get unseen() {
    return this.waiting.length + this.passed;
  }

  /**
   * @param {string} reason `pointer`, `scroll`, `key` or `button`
   */
  isHeldBy(reason) {
    return this.#reasons.has(reason);
  }

  /**
   * Holds the flow, or lets go of one reason; when the last one goes, what waited is shown.
   * @param {string} reason
   * @param {boolean} on
   */
  hold(reason, on) {
    if (on) this.#reasons.add(reason);
    else this.#reasons.delete(reason);
    if (!this.held) this.#release();
  }

  /** Lets go of every reason. */
  letGo() {
    this.#reasons.clear();
    this.#release();
  }

  /**
   * Starts anew from a keyframe: what is shown stays where the flow is held.
   * @param {any[]} onStage comments with their own `at`
   * @param {any[]} offstage
   * @param {number} at for those without a time
   */
  reset(onStage, offstage, at) {
    const fresh = [
      ...onStage.map((shown) => line(shown, at, false)),
      ...offstage.map((shown) => line(shown, at, true)),
    ].sort((a, b) => a.id - b.id);
    if (!this.held) {
      this.lines = fresh;
      this.waiting = [];
      this.passed = 0;
      return;
    }
    const shownIds = new Set(this.lines.map((one) => one.id));
    const freshIds = new Set(fresh.map((one) => one.id));
    const oldest = fresh.length > 0 ? fresh[0].id : Infinity;
    for (const one of this.lines) if (one.id >= oldest && !freshIds.has(one.id)) one.deleted = true;
    this.waiting = fresh.filter((one) => !shownIds.has(one.id));
    this.passed = 0;
  }

  /**
   * One event of the backstage feed.
   * @param {any} event
   * @param {number} at time of its batch
   */
  apply(event, at) {
    const [kind, body] = /** @type {[string, any]} */ (Object.entries(event)[0]);
    if (kind === "comment") this.#add(line(body, at, false));
    else if (kind === "offstage") this.#add(line(body, at, true));
    else if (kind === "sampled") body.comments.forEach((/** @type {any} */ shown) => this.#add(line(shown, at, false)));
    else if (kind === "deleted") body.comments.forEach((/** @type {number} */ id) => this.#mark(id, true));
    else if (kind === "restored") body.comments.forEach((/** @type {any} */ shown) => this.#restore(shown, at));
  }

  /** @param {number} id */
  find(id) {
    return this.lines.find((one) => one.id === id) ?? this.waiting.find((one) => one.id === id);
  }

  /** @param {Line} one */
  #add(one) {
    const known = this.find(one.id);
    if (known) {
      known.offstage = known.offstage && one.offstage;
      return;
    }
    if (!this.held) {
      place(this.lines, one);
      this.lines.splice(0, this.lines.length - ROWS_MAX);
      return;
    }
    place(this.waiting, one);
    const over = Math.max(0, this.waiting.length - WAITING_MAX);
    this.waiting.splice(0, over);
    this.passed += over;
  }

  /** @param {number} id @param {boolean} deleted */
  #mark(id, deleted) {
    const one = this.find(id);
    if (one) one.deleted = deleted;
  }

  /** @param {any} shown @param {number} at */
  #restore(shown, at) {
    const one = this.find(shown.id);
    if (!one) {
      this.#add(line(shown, at, false));
      return;
    }
    one.deleted = false;
    one.text = shown.text;
  }

  #release() {
    for (const one of this.waiting) place(this.lines, one);
    this.lines.splice(0, this.lines.length - ROWS_MAX);
    this.waiting = [];
    this.passed = 0;
  }
}

/**
 * @param {any} shown `Shown` of the protocol
 * @param {number} at
 * @param {boolean} offstage
 * @returns {Line}
 */
function line(shown, at, offstage) {
  const { id, by, name, badge, text } = shown;
  return { id, by, name, badge, text, at: shown.at ?? at, offstage, deleted: false };
}

/** Puts a line at its place by id; nearly always the end. @param {Line[]} lines @param {Line} one */
function place(lines, one) {
  let index = lines.length;
  while (index > 0 && lines[index - 1].id > one.id) index -= 1;
  lines.splice(index, 0, one);
}
