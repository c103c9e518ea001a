// One display: a WebSocket that first tells the stages on the way to a desktop, then carries its
// screen to noVNC. It never opens again by itself; see desktop.js.

import RFB from "/novnc/core/rfb.js";

const OPENING_MS = 10_000;
// A gateway tells its stage every ten seconds while one waits for a desktop.
const SILENCE_MS = 25_000;
const HEARTBEAT_MS = 5_000;
const NORMAL_CLOSE = 1000;
// RFB: send the first pixel anew. A desktop that is there always answers.
const SEND_ONE_PIXEL = Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 1, 0, 1);

export class Display {
  // `again`: there was one before; what was opened elsewhere since then is left alone. `onStage`
  // hears each message before the screen, `onShown` that the screen is there.
  constructor(pool, again, screen, onStage, onShown) {
    this.opened = false;
    this.ready = null;
    this.shown = false;
    this.screen = screen;
    this.onStage = onStage;
    this.onShown = onShown;
    // How it ended: {how: "closed"} by close(), "ended" by the desktop, "lost", or "refused" and
    // "failed" with the `message` that said so.
    this.done = new Promise((resolve) => { this.resolve = resolve; });

    const url = `${location.origin}/display/${encodeURIComponent(pool)}`.replace(/^http/, "ws");
    this.socket = new WebSocket(again ? `${url}?again` : url, "werkplek.display");
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = (event) => this.hearStage(event.data);
    this.socket.addEventListener("open", () => {
      this.opened = true;
      this.expectStage();
    });
    // Heard before noVNC hears it and takes its canvas away.
    this.socket.addEventListener("close", (event) => {
      const end = this.ready ? "ended" : "silent";
      this.finish({ how: event.code === NORMAL_CLOSE ? end : "lost" });
    });
    this.loseUnless(() => this.opened);
  }

  close() {
    this.finish({ how: "closed" });
  }

  // What does not come in time does not come at all.
  loseUnless(came) {
    setTimeout(() => {
      if (!came()) this.finish({ how: "lost" });
    }, OPENING_MS);
  }

  expectStage() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.finish({ how: "lost" }), SILENCE_MS);
  }

  hearStage(text) {
    if (this.end) return;
    this.expectStage();
    const message = JSON.parse(text);
    if (message.stage === "refused" || message.stage === "failed") {
      this.finish({ how: message.stage, message });
      return;
    }
    if (message.stage === "ready") this.attach(message);
    this.onStage(message);
  }

  // Within the task of the message `ready`: the first bytes of the screen may be right behind it,
  // and noVNC must be the one who hears them.
  attach(ready) {
    this.ready = ready;
    clearTimeout(this.silence);
    this.rfb = new RFB(this.screen, this.socket, { shared: true });
    this.rfb.scaleViewport = true;
    this.loseUnless(() => this.shown);
    this.canvas = this.screen.querySelector("canvas");
    this.rfb.addEventListener("connect", () => {
      if (this.end) return;
      this.shown = true;
      this.listen();
      this.onShown();
    });
    this.rfb.addEventListener("disconnect", () => {
      this.rfb = null;
      // News only when noVNC did not understand the desktop: a closed socket was heard before.
      this.finish({ how: "lost" });
    });
  }

  // A host that loses its power closes no sockets: ask for a sign of life now and then.
  listen() {
    let unanswered = 0;
    this.socket.addEventListener("message", () => { unanswered = 0; });
    this.heartbeat = setInterval(() => {
      if (unanswered === 2) {
        this.finish({ how: "lost" });
        return;
      }
      unanswered += 1;
      this.socket.send(SEND_ONE_PIXEL);
    }, HEARTBEAT_MS);
  }

  // Only the first end counts.
  finish(end) {
    if (this.end) return;
    this.end = end;
    clearTimeout(this.silence);
    clearInterval(this.heartbeat);
    this.resolve(end);
    // In a later task, so that who waits for `done` can still copy the screen.
    setTimeout(() => {
      this.rfb?.disconnect();
      this.socket.close();
    });
  }
}
