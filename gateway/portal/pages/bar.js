// The bar over the desktop. It hides by itself; the upper edge of the screen, its handle there or
// Ctrl+Alt+Home brings it back.

import { typeInto } from "./typing.js";

const HIDE_AFTER_MS = 4000;
const EDGE_PX = 4;

const element = (id) => document.getElementById(id);
const root = document.documentElement;
let rfb = null;
let timer = 0;

export const bar = {
  // The bar of the desktop that `screen` (noVNC) shows. The keyboard is the desktop's.
  open(screen, desktop) {
    rfb = screen;
    element("desktop-name").textContent = desktop;
    reveal();
    rfb.focus();
  },

  close() {
    rfb = null;
    clearTimeout(timer);
    if (document.fullscreenElement) document.exitFullscreen();
  },
};

function reveal() {
  element("bar").classList.remove("away");
  clearTimeout(timer);
  timer = setTimeout(hide, HIDE_AFTER_MS);
}

function hide() {
  if (element("bar").matches(":hover, :focus-within")) reveal();
  else element("bar").classList.add("away");
}

function backToDesktop() {
  rfb?.focus();
  reveal();
}

async function switchFullScreen() {
  if (document.fullscreenElement) {
    await document.exitFullscreen();
  } else {
    await root.requestFullscreen();
    // Where the browser can: Alt+Tab, Escape and the like are the desktop's, too.
    await navigator.keyboard?.lock?.();
  }
  backToDesktop();
}

// Nobody is caught in the desktop: noVNC takes every key but this one.
function hearWayOut(event) {
  if (!rfb || !(event.ctrlKey && event.altKey && event.key === "Home")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  // noVNC releases Ctrl and Alt at the desktop when the window loses the focus.
  window.dispatchEvent(new Event("blur"));
  reveal();
  element("full-screen").focus();
}

window.addEventListener("keydown", hearWayOut, { capture: true });
window.addEventListener("pointermove", (event) => {
  if (rfb && event.clientY < EDGE_PX) reveal();
}, { capture: true });
element("show-bar").addEventListener("click", () => {
  reveal();
  element("full-screen").focus();
});
element("bar").addEventListener("keydown", (event) => {
  if (event.key === "Escape") backToDesktop();
});
element("full-screen").hidden = !document.fullscreenEnabled;
element("full-screen").addEventListener("click", switchFullScreen);
element("ctrl-alt-del").addEventListener("click", () => {
  rfb?.sendCtrlAltDel();
  backToDesktop();
});
element("type").addEventListener("click", () => element("typing").focus());
typeInto(element("typing"), (keysym) => rfb?.sendKey(keysym));
