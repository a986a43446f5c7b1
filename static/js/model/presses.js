// @ts-check
/**
 * What the viewer has pressed and the room has not answered: claims, entries, prizes. It survives a lost
 * connection and a reload, and a repetition carries the same unit or nonce, so that nothing is had twice.
 */

/**
 * @typedef {object} Press
 * @property {string} of what was pressed: `discount ten`
 * @property {string} cmd
 * @property {Record<string, any>} args
 * @property {{code: string, until: number}} [refused] why, and until when it is of no use to press again, server time
 */

export class Presses {
  /** @param {import("./outbox.js").Kept} kept where it survives a reload */
  constructor(kept) {
    this.kept = kept;
    /** At most one of each thing. @type {Press[]} */
    this.all = read(kept.get());
  }

  /** What is to be asked (again). */
  get waiting() {
    return this.all.filter((press) => !press.refused);
  }

  /** @param {string} of */
  find(of) {
    return this.all.find((press) => press.of === of);
  }

  /** @param {string} of */
  isWaiting(of) {
    return this.waiting.some((press) => press.of === of);
  }

  /** A new press takes the place of one that was refused. @param {string} of @param {string} cmd @param {Record<string, any>} args */
  add(of, cmd, args) {
    /** @type {Press} */
    const press = { of, cmd, args };
    this.change([...this.all.filter((other) => other.of !== of), press]);
    return press;
  }

  /** @param {Press} press */
  granted(press) {
    this.change(this.all.filter((other) => other !== press));
  }

  /** @param {Press} press @param {string} code @param {number} until */
  refused(press, code, until) {
    press.refused = { code, until };
    this.change(this.all);
  }

  /** Why the last press was refused; empty if it was not. @param {string} of */
  why(of) {
    return this.find(of)?.refused?.code || "";
  }

  /** @param {Press[]} all */
  change(all) {
    this.all = all;
    this.kept.set(this.waiting.length ? JSON.stringify(this.waiting) : null);
  }
}

/** @param {string | null} text @returns {Press[]} */
function read(text) {
  try {
    const all = JSON.parse(text || "[]");
    return all.filter((/** @type {any} */ one) => typeof one.of === "string" && typeof one.cmd === "string" && one.args);
  } catch {
    return [];
  }
}
