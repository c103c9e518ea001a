// A desktop from the click on "open" until the person is back at the list: its display, and the
// next one when that is lost, with the last screen under a short notice.

import { Problem, act, listPools, pause } from "./api.js";
import { hasText, label, say } from "./texts.js";
import { show, view } from "./views.js";

const RETRY_PAUSES_MS = [250, 500, 1000, 2000];
const GIVE_UP_MS = 120_000;
// Of somebody who has had no screen, when no broker can say: longer than a change of the leader.
const GIVE_UP_UNAVAILABLE_MS = 30_000;
// What passes by itself, for somebody whose screen was lost.
const PASSING = ["unavailable", "too-many", "gateway-full"];

const element = (id) => document.getElementById(id);
const placeToTell = () => element(view() === "lost" ? "notice" : "waiting");

// Works on a desktop of `pool`, that people call `name`. Answers with the text to tell at the list,
// as {key, values}, or throws the Problem that there was.
export async function work(pool, name) {
  let novnc = null;
  let display = null;
  // A desktop was given to this page: what is opened elsewhere since then is left alone.
  let given = false;
  // The desktop and session of the last screen that was there.
  let shown = null;
  let left = false;
  let failures = 0;
  let lostSince = 0;

  const leaving = new Promise((resolve) => {
    element("cancel").onclick = element("leave").onclick = () => {
      left = true;
      display?.close();
      resolve();
    };
  });
  element("understood").onclick = () => {
    element("lost-work").hidden = true;
    display.rfb?.focus();
  };
  say(element("waiting"), "asking", { pool: name });
  show("waiting");

  try {
    novnc = await Promise.race([loadNovnc(), leaving]);
    while (!left) {
      display = new novnc.Display(pool, given, element("screen"), onStage, onShown);
      const end = await display.done;
      given ||= display.ready !== null;
      if (left) break;
      if (!isLost(end)) return endOf(end, name, display);
      await Promise.race([becomeLost(end), leaving]);
    }
    show("list");
    // A lost screen may have been opened elsewhere meanwhile: it is not ours to close.
    if (display?.end.how !== "closed" || !display.ready) return { key: "" };
    await act("disconnect", { session: display.ready.session });
    return { key: "left", values: { pool: name } };
  } finally {
    novnc?.bar.close();
    element("last-screen").hidden = true;
    element("lost-work").hidden = true;
    say(element("notice"));
  }

  function isLost({ how, message }) {
    if (how !== "failed") return how === "lost";
    return shown ? PASSING.includes(message.error) : message.error === "unavailable";
  }

  function onStage(message) {
    // A place in the queue has a deadline of its own.
    if (message.stage === "queued") lostSince = 0;
    const [key, values] = stageText(message);
    if (hasText(key)) say(placeToTell(), key, values);
  }

  function onShown() {
    failures = 0;
    lostSince = 0;
    const { session, desktop } = display.ready;
    if (shown && shown.session !== session) {
      say(element("lost-work-text"), shown.desktop === desktop ? "startedAnew" : "newDesktop");
      element("lost-work").hidden = false;
    }
    shown = display.ready;
    say(element("notice"));
    show("desktop", desktop);
    label(display.canvas, "screen", { desktop });
    display.canvas.setAttribute("role", "application");
    novnc.bar.open(display.rfb, desktop);
    hideLastScreenSoon();
  }

  // Waits as long as is decent before the next display, or throws when there shall be none.
  async function becomeLost({ how, message }) {
    lostSince ||= performance.now();
    const giveUpMs = shown || how === "lost" ? GIVE_UP_MS : GIVE_UP_UNAVAILABLE_MS;
    if (performance.now() - lostSince > giveUpMs) {
      throw new Problem(shown ? "lostForLong" : "unavailable");
    }
    if (display.shown) keepLastScreen(display.canvas);
    if (view() === "desktop") show("lost");
    const lost = view() === "lost" ? "lost" : "retrying";
    say(placeToTell(), lost);
    const pauseMs = RETRY_PAUSES_MS[Math.min(failures, RETRY_PAUSES_MS.length - 1)];
    failures += 1;
    const waited = pause(pauseMs);
    const seconds = message?.retry_after_s ?? (display.opened ? 0 : await findHowBusy(pool));
    if (seconds && !left) {
      say(placeToTell(), "retryingLater", { seconds });
      await pause(seconds * 1000);
      if (!left) say(placeToTell(), lost);
    }
    await waited;
  }
}

// Forty files and more, which nobody needs who only signs in.
async function loadNovnc() {
  try {
    const [{ Display }, { bar }] = await Promise.all([import("./display.js"), import("./bar.js")]);
    return { Display, bar };
  } catch {
    throw new Problem("unavailable");
  }
}

// A page cannot read why a socket did not open, but a call says it. Answers with the seconds to
// wait when there are too many, throws a Problem that does not pass by itself.
async function findHowBusy(pool) {
  try {
    const pools = await listPools(false);
    if (!pools.some((row) => row.pool === pool)) throw new Problem("not-found");
  } catch (problem) {
    if (problem.isBusy) return problem.retryAfterS;
    if (problem.code !== "unavailable") throw problem;
  }
  return 0;
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
