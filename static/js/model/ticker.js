// @ts-check
/** One timer for everything on the page that shows time. It rests while nobody listens or looks. */

const EVERY_MS = 200;

/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {ReturnType<typeof setInterval> | undefined} */
let timer;

function tick() {
  if (document.visibilityState !== "hidden") listeners.forEach((listener) => listener());
}

/**
 * Calls `listener` five times a second until the returned function is called.
 *
 * @param {() => void} listener
 */
export function onTick(listener) {
  listeners.add(listener);
  if (timer === undefined) timer = setInterval(tick, EVERY_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size) return;
    clearInterval(timer);
    timer = undefined;
  };
}
