// @ts-check
// The REST interface, for what has no place on a socket: sign-in, lists, files. All paths stand here.

/** A busy server is asked again so many times, this long after the last time unless it says otherwise. */
const BUSY_AGAIN = 5;
const BUSY_MS = 500;

/** A request was refused, or did not arrive (`code` is then `unreachable`). */
export class ApiError extends Error {
  /** @param {{code: string, message: string, field?: string, retry_after_ms?: number}} problem */
  constructor(problem) {
    super(problem.message);
    this.name = "ApiError";
    this.code = problem.code;
    this.field = problem.field;
    this.retryAfterMs = problem.retry_after_ms;
  }
}

export class Api {
  /** @param {() => string | undefined} token who asks, read at every request */
  constructor(token) {
    this.token = token;
  }

  /**
   * Asks; a server that is too busy to begin is asked again a few times, at the pace that it names.
   *
   * @param {string} method
   * @param {string} path below `/api/v1`
   * @param {{json?: any, file?: Blob}} [body]
   * @returns {Promise<Response>} one with a good status
   * @throws {ApiError}
   */
  async ask(method, path, body = {}) {
    for (let again = 0; ; again += 1) {
      try {
        return await this.#once(method, path, body);
      } catch (problem) {
        if (!(problem instanceof ApiError) || problem.code !== "busy" || again === BUSY_AGAIN) throw problem;
        await new Promise((resolve) => setTimeout(resolve, problem.retryAfterMs ?? BUSY_MS));
      }
    }
  }

  /** @param {string} method @param {string} path @param {{json?: any, file?: Blob}} body */
  async #once(method, path, body) {
    /** @type {Record<string, string>} */
    const headers = {};
    const token = this.token();
    if (token) headers.Authorization = `Bearer ${token}`;
    if (body.json !== undefined) headers["Content-Type"] = "application/json";
    if (body.file) headers["Content-Type"] = body.file.type;
    const sent = body.file ?? (body.json === undefined ? undefined : JSON.stringify(body.json));
    let response;
    try {
      response = await fetch(`/api/v1${path}`, { method, headers, body: sent });
    } catch {
      throw new ApiError({ code: "unreachable", message: "the server cannot be reached" });
    }
    if (response.ok) return response;
    const told = await response.json().catch(() => undefined);
    throw new ApiError(told?.error ?? { code: "other", message: `status ${response.status}` });
  }

  /** @param {string} path */
  async read(path) {
    return (await this.ask("GET", path)).json();
  }

  /** @param {string} path @param {any} json @param {string} [method] */
  async send(path, json, method = "POST") {
    const response = await this.ask(method, path, { json });
    return response.status === 204 ? undefined : response.json();
  }

  /**
   * Saves an answer as a file. The token is in a header, so that a plain link would not do.
   *
   * @param {string} path
   * @param {string} name
   */
  async download(path, name) {
    const blob = await (await this.ask("GET", path)).blob();
    const address = URL.createObjectURL(blob);
    const link = document.createElement("a");
    link.href = address;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  }
}

/** Paths below `/api/v1`. @param {string} room */
export function paths(room) {
  const base = `/rooms/${encodeURIComponent(room)}`;
  return {
    room: base,
    copy: `${base}/copy`,
    cover: `${base}/cover`,
    share: `${base}/share`,
    qr: `${base}/qr.svg`,
    staff: `${base}/staff`,
    invitations: `${base}/invitations`,
    accept: `${base}/invitations/accept`,
    stores: `${base}/stores`,
    results: `${base}/results`,
    resultsCsv: `${base}/results.csv`,
    /** @param {string} draw */
    winners: (draw) => `${base}/draws/${draw}/winners`,
    /** @param {string} draw */
    winnersCsv: (draw) => `${base}/draws/${draw}/winners.csv`,
    /** @param {string} draw */
    transcript: (draw) => `${base}/draws/${draw}/transcript`,
    /** @param {string} discount */
    claims: (discount) => `${base}/discounts/${discount}/claims`,
    /** @param {string} discount */
    claimsCsv: (discount) => `${base}/discounts/${discount}/claims.csv`,
    /** @param {string} discount */
    codesCsv: (discount) => `${base}/discounts/${discount}/codes.csv`,
  };
}
