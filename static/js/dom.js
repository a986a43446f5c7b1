// @ts-check
/** Building and changing the document. Text goes in as text, never as HTML. */

/**
 * An element with its attributes and children. `class`, `text` and `on...` (event handlers) are meant as they
 * read; `false`, `null` and `undefined` leave an attribute out, `true` sets it empty.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child) element.append(child);
  return element;
}

/** What an element is given when it starts, before anything else of it is called. @type {any} */
export const later = undefined;

/** The pictures on buttons: paths on a field of 24 by 24. */
const ICONS = {
  close: "M6 6l12 12M18 6L6 18",
  down: "M6 9l6 6 6-6",
  next: "M9 6l6 6-6 6",
  back: "M15 6l-6 6 6 6",
  send: "M4 12l16-7-6 16-3-6-7-3z",
  heart: "M12 20s-7.5-4.6-7.5-10.2A4.2 4.2 0 0 1 12 7.4a4.2 4.2 0 0 1 7.5 2.4C19.5 15.4 12 20 12 20z",
  gift: "M4 11h16v9H4zM3 7h18v4H3zM12 7v13M12 7c-2 0-5-.5-5-2.5S10 2 12 7zm0 0c2 0 5-.5 5-2.5S14 2 12 7z",
  share: "M12 15V3m0 0L8 7m4-4l4 4M5 12v8h14v-8",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  eye: "M2 12s3.6-6.5 10-6.5S22 12 22 12s-3.6 6.5-10 6.5S2 12 2 12zm10 2.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6z",
  sound: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 9a4.5 4.5 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11",
  mute: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM16 9.5l5 5m0-5l-5 5",
  play: "M8 5.5v13l10.5-6.5z",
  check: "M5 12.5l4.5 4.5L19 7.5",
  clock: "M12 7v5l3 2m6-2a9 9 0 1 1-18 0 9 9 0 0 1 18 0z",
  pin: "M9 3h6l-1 7 3 3v2H7v-2l3-3zM12 15v6",
  edit: "M4 20h4L19 9l-4-4L4 16z",
  calendar: "M4 6h16v14H4zM4 10h16M8 3v4m8-4v4",
  tag: "M3 11V4h7l10 10-7 7zM7.5 8.5h.01",
};

/** A picture for a button that has its own words. @param {keyof typeof ICONS} name */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Sets a text where it differs: what did not change is not announced and not painted again. @param {Node} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets an attribute where it differs; `null` takes it away. @param {Element} element @param {string} name @param {string | null} value */
export function setAttribute(element, name, value) {
  if (element.getAttribute(name) === value) return;
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
}

/**
 * Makes a parent's children those of `items`, in order, keeping the elements of known keys.
 *
 * @template Item
 * @template {HTMLElement} Child
 * @param {HTMLElement} parent
 * @param {Item[]} items
 * @param {(item: Item) => string} keyOf
 * @param {(item: Item) => Child} create
 * @param {(child: Child, item: Item) => void} [update]
 */
export function patchList(parent, items, keyOf, create, update) {
  /** @type {Map<string, Child>} */
  const known = new Map();
  for (const child of parent.children) {
    const one = /** @type {Child} */ (child);
    known.set(one.dataset.key || "", one);
  }
  const keys = new Set(items.map(keyOf));
  for (const [key, child] of known) if (!keys.has(key)) child.remove();
  let before = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let child = known.get(key);
    if (!child) {
      child = create(item);
      child.dataset.key = key;
    }
    if (update) update(child, item);
    if (child === before) before = before.nextElementSibling;
    else parent.insertBefore(child, before);
  }
}

/** The browser's storage, where there is one: private windows may forbid it. */
export const kept = {
  /** @param {string} key @param {"session"} [where] */
  get(key, where) {
    try {
      return (where === "session" ? sessionStorage : localStorage).getItem(key);
    } catch {
      return null;
    }
  },
  /** @param {string} key @param {string | null} value `null` removes it @param {"session"} [where] */
  set(key, value, where) {
    try {
      const storage = where === "session" ? sessionStorage : localStorage;
      if (value === null) storage.removeItem(key);
      else storage.setItem(key, value);
    } catch {
      // it lasts as long as the page
    }
  },
};
