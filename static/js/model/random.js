// @ts-check
/** Ids that work on plain http too, where `crypto.randomUUID` does not exist. */

/** 32 hexadecimal digits: 128 bits. */
export function nonce() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
