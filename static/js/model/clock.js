// @ts-check
/**
 * The server's time on this page, whatever the phone's clock says. It never goes backwards: when a better
 * measurement says that it was ahead, it stands still until the server has caught up.
 */
export class ServerClock {
  /** @param {() => number} [local] a steady local clock in ms */
  constructor(local = () => performance.now()) {
    this.local = local;
    /** @type {number | null} server time minus local time */
    this.ahead = null;
    this.bestRoundTrip = Infinity;
    this.last = 0;
  }

  /** Whether the server's time is known. */
  get known() {
    return this.ahead !== null;
  }

  /**
   * The server said `now` between `sent` and `received` on the local clock: half the round trip is the best
   * guess, and the shortest round trip the best measurement.
   *
   * @param {{now: number, sent: number, received: number}} time
   */
  sync({ now, sent, received }) {
    const roundTrip = received - sent;
    const earliest = now - received;
    const latest = now - sent;
    // Outside what this measurement allows, the old one is wrong (the phone slept): start over.
    const wrong = this.ahead === null || this.ahead < earliest || this.ahead > latest;
    if (!wrong && roundTrip >= this.bestRoundTrip) return;
    this.bestRoundTrip = roundTrip;
    this.ahead = (earliest + latest) / 2;
  }

  /**
   * A message made at the server's time `at` is here: it cannot be earlier than that.
   *
   * @param {number} at
   */
  heard(at) {
    const least = at - this.local();
    if (this.ahead === null || this.ahead < least) this.ahead = least;
  }

  /** The server's time, Unix ms. */
  now() {
    const now = this.ahead === null ? Date.now() : this.local() + this.ahead;
    if (this.ahead === null) return now;
    this.last = Math.max(this.last, now);
    return this.last;
  }
}
