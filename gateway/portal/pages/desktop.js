// A desktop from the click on "open" until the person is back at the list: its display, and the
// next one when the gateway is lost, with the last screen under a short notice.

import { Problem, act, listPools, pause } from "./api.js";
import { Display } from "./display.js";
import { bar } from "./bar.js";
import { hasText, label, say } from "./texts.js";
import { show, view } from "./views.js";

const RETRY_PAUSES_MS = [250, 500, 1000, 2000];
const GIVE_UP_MS = 120_000;
const TOO_MANY = ["too-many", "network-busy"];

const element = (id) => document.getElementById(id);

// Works on a desktop of `pool`, that people call `name`. Answers with the text to tell at the list,
// as {key, values}, or throws the Problem that there was.
export async function work(pool, name) {
  let display = null;
  let session = null;
  let left = false;
  let failures = 0;
  let lostSince = 0;

  const leaving = new Promise((resolve) => {
    element("cancel").onclick = element("leave").onclick = () => {
      left = true;
      display.close();
      resolve();
    };
  });
  say(element("waiting"), "asking", { pool: name });
  show("waiting");

  try {
    while (!left) {
      display = new Display(pool, element("screen"), onStage, onShown);
      const end = await display.done;
      session = display.ready?.session ?? session;
      if (left) break;
      if (end.how !== "lost" && !(session && end.message?.error === "unavailable")) {
        return endOf(end, name, display);
      }
      await Promise.race([becomeLost(), leaving]);
    }
    show("list");
    if (session) await act("disconnect", { session });
    return session ? { key: "left", values: { pool: name } } : { key: "" };
  } finally {
    bar.close();
    element("last-screen").hidden = true;
    say(element("notice"));
  }

  function onStage(message) {
    if (view() !== "lost") say(element("waiting"), ...stageText(message));
  }

  function onShown() {
    failures = 0;
    lostSince = 0;
    const desktop = display.ready.desktop;
    say(element("notice"));
    show("desktop", desktop);
    label(display.canvas, "screen", { desktop });
    display.canvas.setAttribute("role", "application");
    bar.open(display.rfb, desktop);
    hideLastScreenSoon();
  }

  // Waits as long as is decent before the next display, or throws when there shall be none.
  async function becomeLost() {
    lostSince ||= performance.now();
    if (performance.now() - lostSince > GIVE_UP_MS) throw new Problem("lostForLong");
    if (display.shown) keepLastScreen(display.canvas);
    if (view() === "waiting") {
      say(element("waiting"), "retrying");
    } else if (view() !== "lost") {
      say(element("notice"), "lost");
      show("lost");
    }
    const pauseMs = RETRY_PAUSES_MS[Math.min(failures, RETRY_PAUSES_MS.length - 1)];
    failures += 1;
    const waited = pause(pauseMs);
    const busy = display.opened ? null : await findOutWhy(pool);
    if (busy && !left) {
      const { retryAfterS: seconds } = busy;
      say(element(view() === "lost" ? "notice" : "waiting"), "retryingLater", { seconds });
      await pause(seconds * 1000);
      if (!left && view() === "lost") say(element("notice"), "lost");
    }
    await waited;
  }
}

// A page cannot read why a socket did not open, but a call says it. Answers with the Problem that
// there are too many, throws one that does not pass by itself.
async function findOutWhy(pool) {
  try {
    const pools = await listPools(false);
    if (!pools.some((row) => row.pool === pool)) throw new Problem("not-found");
  } catch (problem) {
    if (TOO_MANY.includes(problem.code)) return problem;
    if (problem.code !== "unavailable") throw problem;
  }
  return null;
}

function stageText(message) {
  const { stage, desktop } = message;
  if (stage === "ready") return [message.resumed ? "resumed" : "opening", { desktop }];
  if (stage !== "queued") return [stage];
  const { position, deadline_unix_ms: unixMs } = message;
  return ["queued", { position, until: { unixMs } }];
}

function endOf({ how, message }, name, display) {
  if (how === "ended") {
    return { key: "displayEnded", values: { desktop: display.ready.desktop } };
  }
  if (how === "silent") throw new Problem("stream-ended");
  if (how === "failed") throw new Problem(message.error, message.message, message.retry_after_s);
  const { rule, reasons, explain_id: id } = message;
  const problem = new Problem("refused");
  problem.values = { pool: name, reason: hasText(rule) ? { key: rule } : reasons[0] };
  problem.explainId = id;
  throw problem;
}

function keepLastScreen(canvas) {
  const last = element("last-screen");
  last.width = canvas.width;
  last.height = canvas.height;
  last.getContext("2d").drawImage(canvas, 0, 0);
  last.hidden = false;
}

// noVNC begins with an empty canvas: give its first picture the time to come.
async function hideLastScreenSoon() {
  await pause(300);
  if (view() === "desktop") element("last-screen").hidden = true;
}
