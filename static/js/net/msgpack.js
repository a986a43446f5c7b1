// @ts-check
/**
 * MessagePack as the protocol uses it (https://github.com/msgpack/msgpack/blob/master/spec.md): nil, booleans,
 * integers up to 2^53, floats, text, arrays, and maps with text keys. Extension types are not used.
 */

const TEXT = new TextEncoder();

/** For a connection that is to speak it. @type {import("./connection.js").Codec} */
export const MSGPACK = { protocol: "hubbub.v1.msgpack", encode, decode };

/**
 * Reads one value.
 *
 * @param {ArrayBuffer | Uint8Array} input
 * @returns {any}
 * @throws {RangeError} when the bytes end too early or are not of the kinds above
 */
export function decode(input) {
  const bytes = input instanceof Uint8Array ? input : new Uint8Array(input);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const utf8 = new TextDecoder();
  let at = 0;

  /** @param {number} length */
  const take = (length) => {
    const start = at;
    at += length;
    if (at > bytes.length) throw new RangeError("the message ends too early");
    return start;
  };
  /** @param {number} width 1, 2, 4 or 8 bytes */
  const unsigned = (width) => {
    const start = take(width);
    if (width === 1) return view.getUint8(start);
    if (width === 2) return view.getUint16(start);
    if (width === 4) return view.getUint32(start);
    return view.getUint32(start) * 0x100000000 + view.getUint32(start + 4);
  };
  /** @param {number} width 1, 2, 4 or 8 bytes */
  const signed = (width) => {
    const start = take(width);
    if (width === 1) return view.getInt8(start);
    if (width === 2) return view.getInt16(start);
    if (width === 4) return view.getInt32(start);
    return view.getInt32(start) * 0x100000000 + view.getUint32(start + 4);
  };
  /** @param {number} length */
  const text = (length) => {
    const start = take(length);
    return utf8.decode(bytes.subarray(start, start + length));
  };
  /** @param {number} length */
  const binary = (length) => {
    const start = take(length);
    return bytes.slice(start, start + length);
  };
  /** @param {number} length @returns {any[]} */
  const array = (length) => {
    const values = [];
    for (let i = 0; i < length; i += 1) values.push(value());
    return values;
  };
  /** @param {number} length @returns {Record<string, any>} */
  const map = (length) => {
    /** @type {Record<string, any>} */
    const object = {};
    for (let i = 0; i < length; i += 1) {
      const key = String(value());
      Object.defineProperty(object, key, { value: value(), enumerable: true, writable: true, configurable: true });
    }
    return object;
  };
  /** @returns {any} */
  function value() {
    const kind = unsigned(1);
    if (kind < 0x80) return kind;
    if (kind < 0x90) return map(kind & 0x0f);
    if (kind < 0xa0) return array(kind & 0x0f);
    if (kind < 0xc0) return text(kind & 0x1f);
    if (kind >= 0xe0) return kind - 0x100;
    switch (kind) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return binary(unsigned(1 << (kind - 0xc4)));
      case 0xca:
        return view.getFloat32(take(4));
      case 0xcb:
        return view.getFloat64(take(8));
      case 0xcc:
      case 0xcd:
      case 0xce:
      case 0xcf:
        return unsigned(1 << (kind - 0xcc));
      case 0xd0:
      case 0xd1:
      case 0xd2:
      case 0xd3:
        return signed(1 << (kind - 0xd0));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return text(unsigned(1 << (kind - 0xd9)));
      case 0xdc:
      case 0xdd:
        return array(unsigned(2 << (kind - 0xdc)));
      case 0xde:
      case 0xdf:
        return map(unsigned(2 << (kind - 0xde)));
      default:
        throw new RangeError(`a kind that is not used here: 0x${kind.toString(16)}`);
    }
  }

  const result = value();
  if (at !== bytes.length) throw new RangeError("something stands after the message");
  return result;
}

/**
 * Writes one value: what the page sends.
 *
 * @param {any} value
 * @returns {Uint8Array}
 */
export function encode(value) {
  /** @type {number[]} */
  const out = [];
  /** @param {number} number @param {number} width */
  const big = (number, width) => {
    for (let shift = width - 1; shift >= 0; shift -= 1) out.push(Math.floor(number / 256 ** shift) % 256);
  };
  /** @param {number} length @param {number} fixed @param {number} fixedMax @param {[number, number][]} kinds [width, kind] */
  const head = (length, fixed, fixedMax, kinds) => {
    if (length <= fixedMax) return out.push(fixed | length);
    const kind = kinds.find(([width]) => length < 256 ** width);
    if (!kind) throw new RangeError("too long");
    out.push(kind[1]);
    return big(length, kind[0]);
  };
  /** @param {number} number */
  const float = (number) => {
    out.push(0xcb);
    const bytes = new DataView(new ArrayBuffer(8));
    bytes.setFloat64(0, number);
    for (let i = 0; i < 8; i += 1) out.push(bytes.getUint8(i));
  };
  /** @param {number} number */
  const negative = (number) => {
    if (number >= -32) return out.push(number + 256);
    const bytes = new DataView(new ArrayBuffer(8));
    bytes.setBigInt64(0, BigInt(number));
    out.push(0xd3);
    for (let i = 0; i < 8; i += 1) out.push(bytes.getUint8(i));
    return undefined;
  };
  /** @param {any} one */
  const write = (one) => {
    if (one === null || one === undefined) out.push(0xc0);
    else if (typeof one === "boolean") out.push(one ? 0xc3 : 0xc2);
    else if (typeof one === "number") {
      if (!Number.isSafeInteger(one)) float(one);
      else if (one < 0) negative(one);
      else head(one, 0, 0x7f, [[1, 0xcc], [2, 0xcd], [4, 0xce], [8, 0xcf]]);
    } else if (typeof one === "string") {
      const bytes = TEXT.encode(one);
      head(bytes.length, 0xa0, 31, [[1, 0xd9], [2, 0xda], [4, 0xdb]]);
      bytes.forEach((byte) => out.push(byte));
    } else if (Array.isArray(one)) {
      head(one.length, 0x90, 15, [[2, 0xdc], [4, 0xdd]]);
      one.forEach(write);
    } else {
      const entries = Object.entries(one).filter(([, inner]) => inner !== undefined);
      head(entries.length, 0x80, 15, [[2, 0xde], [4, 0xdf]]);
      for (const [key, inner] of entries) {
        write(key);
        write(inner);
      }
    }
  };
  write(value);
  return Uint8Array.from(out);
}
