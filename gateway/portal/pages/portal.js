// The portal's page: sign-in, the list of desktops, and what leads from one to the other. The
// sign-in itself is a cookie that this page cannot read; it keeps no secret of its own.

import { act, listPools, pause } from "./api.js";
import { work } from "./desktop.js";
import {
  currentLanguage, hasText, keepLanguage, say, switchLanguage, textOf, translate,
} from "./texts.js";
import { show, showTitle, view } from "./views.js";

// A code is soon too old to be sent again.
const LONGEST_BUSY_S = 10;

const element = (id) => document.getElementById(id);

// What the last answer of the gateway said; the list is drawn from it.
let pools = [];
// When the sign-in ends: {expires_unix_ms, idle_limit_s}, known to who signed in on this page.
let limits = null;
let expiryTimer = 0;

// ---- What went wrong, what is new

function tell(key, values) {
  say(element("problem"));
  say(element("news"), key, values);
}

function complain(problem) {
  if (!problem.code) throw problem;
  const { message: reason, retryAfterS: seconds } = problem;
  tell("");
  if (hasText(problem.code)) {
    const minutes = Math.ceil(seconds / 60);
    say(element("problem"), problem.code, { reason, seconds, minutes, ...problem.values });
  } else {
    say(element("problem"), "other", { reason: reason || problem.code });
  }
  if (problem.explainId) say(element("news"), "refusedHelp", { id: problem.explainId });
}

// Does what a person asked for; a sign-in that is over leads to the form, whatever it was.
async function attempt(action) {
  tell("");
  try {
    await action();
  } catch (problem) {
    complain(problem);
    if (problem.code === "sign-in-first") showSignIn();
    else if (view() !== "sign-in") showList();
  }
}

// ---- Sign-in

function showSignIn() {
  clearTimeout(expiryTimer);
  limits = null;
  pools = [];
  element("sign-out").hidden = true;
  element("notices").replaceChildren();
  say(element("who"));
  show("sign-in");
  element(element("user").value ? "password" : "user").focus();
}

async function signIn() {
  const button = element("sign-in");
  if (button.disabled) return;
  const fields = {
    user: element("user").value.trim(),
    password: element("password").value,
    code: element("code").value.replaceAll(" ", ""),
    language: currentLanguage(),
  };
  let judged = true;
  button.disabled = true;
  say(button, "signingIn");
  try {
    const answer = await signInPatiently(fields);
    limits = answer;
    say(element("who"), "signedIn", {
      name: answer.display_name,
      until: { unixMs: answer.expires_unix_ms },
    });
    showNotices(answer.notices);
    await refresh();
    element("user").value = "";
    showList();
  } catch (problem) {
    // The list may be what is busy, after a sign-in that was judged.
    judged = limits !== null || !problem.isBusy;
    throw problem;
  } finally {
    // What nobody has looked at need not be typed again.
    if (judged) element("password").value = element("code").value = "";
    button.disabled = false;
    say(button, "signIn");
    if (view() === "sign-in") element("password").focus();
  }
}

// Once more when it is busy, after the time that the gateway asks for.
async function signInPatiently(fields) {
  const onRepeat = () => say(element("sign-in"), "noAnswerYet");
  try {
    return await act("sign-in", fields, onRepeat);
  } catch (problem) {
    const { retryAfterS: seconds } = problem;
    if (!problem.isBusy || seconds > LONGEST_BUSY_S) throw problem;
    say(element("sign-in"), "retryingLater", { seconds });
    await pause(seconds * 1000);
    say(element("sign-in"), "signingIn");
    return act("sign-in", fields, onRepeat);
  }
}

function showNotices(notices) {
  element("notices").replaceChildren(...notices.map((notice) => {
    const row = document.createElement("li");
    say(row, "notice", { notice });
    return row;
  }));
}

async function signOut() {
  await act("sign-out");
  keepLanguage();
  element("user").value = "";
  showSignIn();
  tell("signedOut");
}

// ---- The list

function showList() {
  element("sign-out").hidden = false;
  drawPools();
  show("list");
}

async function refresh() {
  pools = await listPools();
  drawPools();
  clearTimeout(expiryTimer);
  const leftMs = limits
    ? Math.min(limits.idle_limit_s * 1000, limits.expires_unix_ms - Date.now()) : 0;
  // At its end the gateway is asked whether it is: something else may have used the sign-in.
  if (leftMs > 0) expiryTimer = setTimeout(refreshQuietly, leftMs + 2000);
}

// Without a person who asked: what stands on the page stays.
async function refreshQuietly() {
  if (view() !== "list") return;
  try {
    await refresh();
  } catch (problem) {
    if (problem.code !== "sign-in-first") return;
    complain(problem);
    showSignIn();
  }
}

// Draws the list anew; the focus stays where it was.
function drawPools() {
  const focused = document.activeElement;
  const pool = focused.closest("[data-pool]")?.dataset.pool;
  const button = focused.classList.contains("end") ? ".end" : ".open";
  element("pools").replaceChildren(...pools.map(poolRow));
  element("no-pools").hidden = pools.length > 0;
  if (pool) element("pools").querySelector(`[data-pool="${CSS.escape(pool)}"] ${button}`)?.focus();
}

function poolRow(row) {
  const { pool, description, available, session } = row;
  const item = document.createElement("li");
  item.dataset.pool = pool;

  const name = add(item, "h2", "name");
  name.textContent = description || pool;
  const state = add(item, "p", "state");
  if (session && hasText(session.state)) say(state, session.state, { desktop: session.desktop });
  else if (available) say(state, "available");
  else say(state, ...whyNotAvailable(row.unavailable_rule));

  const actions = add(item, "div", "actions");
  const open = addButton(actions, "open", session ? "resume" : "open", name);
  open.disabled = !available && !session;
  open.onclick = () => attempt(() => openDesktop(pool, name.textContent));
  if (session) {
    const end = addButton(actions, "end", "end", name);
    end.classList.add("quiet");
    end.disabled = session.state === "ending";
    end.onclick = () => attempt(() => endSession(session.session, name.textContent));
  }
  return item;
}

function whyNotAvailable(rule) {
  return hasText(rule) ? ["notAvailable", { reason: { key: rule } }] : ["notAvailableNow"];
}

function add(parent, tag, className) {
  const child = document.createElement(tag);
  child.className = className;
  return parent.appendChild(child);
}

// A button that says what it is for: "Open, Office".
function addButton(parent, className, key, name) {
  const button = add(parent, "button", className);
  button.type = "button";
  say(button, key);
  button.setAttribute("aria-label", `${textOf(key)}, ${name.textContent}`);
  return button;
}

async function openDesktop(pool, name) {
  const { key, values } = await work(pool, name).finally(refreshSoon);
  showList();
  tell(key, values);
}

async function endSession(session, name) {
  if (!await confirmEnd(name)) return;
  await act("end", { session });
  tell("ended", { pool: name });
  await refresh();
  // A desktop takes a moment to end.
  for (let turn = 0; turn < 5 && pools.some((row) => row.session?.state === "ending"); ++turn) {
    await pause(2000);
    await refreshQuietly();
  }
}

function confirmEnd(name) {
  const dialog = element("confirm");
  say(element("confirm-question"), "confirmEnd", { pool: name });
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
  });
}

// The list that a person comes back to shows what is so now.
function refreshSoon() {
  setTimeout(refreshQuietly);
}

// ---- The page

element("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(signIn);
});
element("sign-out").addEventListener("click", () => attempt(signOut));
element("refresh").addEventListener("click", () => attempt(refresh));
element("confirm-yes").addEventListener("click", () => element("confirm").close("yes"));
element("confirm-no").addEventListener("click", () => element("confirm").close());
element("language").addEventListener("click", () => {
  switchLanguage();
  drawPools();
  showTitle();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refreshQuietly();
});

async function begin() {
  element("loading").remove();
  say(element("language"), "language");
  translate();
  try {
    await refresh();
    showList();
  } catch (problem) {
    // Not being signed in is no problem yet.
    if (problem.code !== "sign-in-first") complain(problem);
    showSignIn();
  }
}

begin();
