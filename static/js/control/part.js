// @ts-check
import { render } from "./render.js";

/** @typedef {import("./desk.js").Desk} Desk */

/** A part of the control page: it watches the desk while it is in the document. */
export class Part extends HTMLElement {
  /** @type {Desk | undefined} */
  #desk;
  /** @type {(() => void) | undefined} */
  #unwatch;

  /** @returns {Desk} */
  get desk() {
    return /** @type {Desk} */ (this.#desk);
  }

  set desk(desk) {
    this.#unwatch?.();
    this.#desk = desk;
    if (this.isConnected) this.connectedCallback();
  }

  connectedCallback() {
    if (!this.#desk) return;
    this.#unwatch?.();
    this.#unwatch = this.#desk.watch(() => this.paint());
    this.paint();
  }

  disconnectedCallback() {
    this.#unwatch?.();
    this.#unwatch = undefined;
  }

  paint() {
    if (this.#desk?.ready) render(this, this.describe(this.#desk));
  }

  /**
   * What it looks like.
   *
   * @param {Desk} _desk
   * @returns {any}
   */
  describe(_desk) {
    return [];
  }
}
