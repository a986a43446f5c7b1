// @ts-check
/** Watching over WHEP (draft-ietf-wish-whep): an offer by POST, the answer back, the stream by WebRTC. */

const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 15_000;
/** Candidates are gathered for at most so long before the offer is sent. */
const GATHER_MS = 1_500;

/**
 * Watches an endpoint until stopped, and comes back by itself after a failure.
 *
 * @param {string} url
 * @param {(stream: MediaStream) => void} onStream
 */
export function watchWhep(url, onStream) {
  let stopped = false;
  let failures = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {RTCPeerConnection | undefined} */
  let peer;
  /** @type {string | null} where the session is ended */
  let session = null;

  const letGo = () => {
    peer?.close();
    peer = undefined;
    if (session) fetch(session, { method: "DELETE" }).catch(() => {});
    session = null;
  };
  const retry = () => {
    if (stopped) return;
    letGo();
    const wait = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** failures);
    failures += 1;
    clearTimeout(timer);
    timer = setTimeout(connect, wait);
  };
  const connect = async () => {
    const one = new RTCPeerConnection();
    peer = one;
    one.addTransceiver("video", { direction: "recvonly" });
    one.addTransceiver("audio", { direction: "recvonly" });
    const stream = new MediaStream();
    one.ontrack = (event) => {
      stream.addTrack(event.track);
      onStream(stream);
    };
    one.onconnectionstatechange = () => {
      if (one !== peer) return;
      if (one.connectionState === "connected") failures = 0;
      if (one.connectionState === "failed") retry();
    };
    try {
      await one.setLocalDescription(await one.createOffer());
      await gathered(one);
      const body = one.localDescription ? one.localDescription.sdp : "";
      const response = await fetch(url, { method: "POST", headers: { "content-type": "application/sdp" }, body });
      if (!response.ok) throw new Error(`the endpoint said ${response.status}`);
      const place = response.headers.get("location");
      session = place ? new URL(place, url).href : null;
      const sdp = await response.text();
      if (one !== peer) return;
      await one.setRemoteDescription({ type: "answer", sdp });
    } catch {
      if (one === peer) retry();
    }
  };
  connect();
  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
      letGo();
    },
  };
}

/** @param {RTCPeerConnection} peer @returns {Promise<void>} */
function gathered(peer) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, GATHER_MS);
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    });
  });
}
