// @ts-check
// Describes what a part of the page looks like, and brings the document there with as few changes as it
// takes: what has focus keeps it, what is under the pointer stays the same element.
//
// A description is `h(tag, props, ...children)`. Children with a `key` keep their element wherever they go;
// others keep it by their place, for which an absent child (`null`, `false`) holds the room.

/**
 * @typedef {object} Described
 * @property {string} tag
 * @property {Record<string, any>} props
 * @property {Child[]} children
 * @property {any} [node] its node, once it is in the document
 * @typedef {Described | string | number | null | undefined | false} Child
 */

const SVG = "http://www.w3.org/2000/svg";
const AS_PROPERTY = new Set(["value", "checked", "disabled", "hidden", "indeterminate", "textContent"]);

/**
 * - `key`: keeps the element among its siblings
 * - `memo`: while it is the same, the element is left alone with all that is in it
 * - `vars`: CSS variables (a `style` attribute would break the page's policy)
 * - `ref`: is called with the element when it is made
 * - `on...`: a listener; everything else: an attribute, absent when `false`, `null` or `undefined`
 *
 * @param {string} tag
 * @param {Record<string, any> | null} [props]
 * @param {...(Child | Child[])} children
 * @returns {Described}
 */
export function h(tag, props, ...children) {
  return { tag, props: props ?? {}, children: /** @type {Child[]} */ (children.flat(2)) };
}

/** What stands in an element now. @type {WeakMap<Node, Map<string, Described>>} */
const standing = new WeakMap();

/**
 * Makes an element's children look as described.
 *
 * @param {Element} parent
 * @param {...(Child | Child[])} children
 */
export function render(parent, ...children) {
  patch(parent, /** @type {Child[]} */ (children.flat(2)));
}

/** @param {Element} parent @param {Child[]} children */
function patch(parent, children) {
  const before = standing.get(parent) ?? new Map();
  /** @type {Map<string, Described>} */
  const after = new Map();
  children.forEach((child, index) => {
    if (child === null || child === undefined || child === false) return;
    const described = typeof child === "object" ? child : { tag: "#text", props: { text: String(child) }, children: [] };
    const { key } = described.props;
    after.set(key === undefined ? `${index}:${described.tag}` : `=${key}`, described);
  });
  for (const [name, was] of before) {
    const is = after.get(name);
    if (!is || is.tag !== was.tag) was.node.remove();
  }
  let place = parent.firstChild;
  for (const [name, is] of after) {
    const was = before.get(name);
    if (was && was.tag === is.tag) update(was, is);
    else create(is);
    if (place !== null && is.node === place) place = place.nextSibling;
    else parent.insertBefore(is.node, place);
  }
  standing.set(parent, after);
}

/** @param {Described} is */
function create(is) {
  if (is.tag === "#text") {
    is.node = document.createTextNode(is.props.text);
    return;
  }
  const svg = is.tag === "svg" || is.tag === "path" || is.tag === "circle" || is.tag === "polyline";
  is.node = svg ? document.createElementNS(SVG, is.tag) : document.createElement(is.tag);
  for (const [name, value] of Object.entries(is.props)) set(is.node, name, value, undefined);
  patch(is.node, is.children);
  // a select's value can only be set when its options are there
  if (is.tag === "select") is.node.value = is.props.value;
  is.props.ref?.(is.node);
}

/** @param {Described} was @param {Described} is */
function update(was, is) {
  is.node = was.node;
  if (is.tag === "#text") {
    if (was.props.text !== is.props.text) is.node.data = is.props.text;
    return;
  }
  if (is.props.memo !== undefined && is.props.memo === was.props.memo) {
    is.props = was.props;
    return;
  }
  for (const name of Object.keys(was.props)) if (!(name in is.props)) set(is.node, name, undefined, was.props[name]);
  for (const [name, value] of Object.entries(is.props)) set(is.node, name, value, was.props[name]);
  patch(is.node, is.children);
  if (is.tag === "select") set(is.node, "value", is.props.value, undefined);
}

/** @param {any} node @param {string} name @param {any} value @param {any} was */
function set(node, name, value, was) {
  if (name === "key" || name === "memo" || name === "ref") return;
  if (name === "vars") {
    for (const [variable, is] of Object.entries(value ?? {})) node.style.setProperty(variable, String(is));
  } else if (name.startsWith("on")) {
    node[name] = value ?? null;
  } else if (AS_PROPERTY.has(name)) {
    const is = value ?? (name === "value" || name === "textContent" ? "" : false);
    if (node[name] !== is) node[name] = is;
  } else if (value !== was) {
    if (value === undefined || value === null || value === false) node.removeAttribute(name);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
}
