// Which part of the page is seen.

import { textOf } from "./texts.js";

const TITLES = { "sign-in": "signInTitle", list: "listTitle", waiting: "waitingTitle" };

export function view() {
  return document.body.dataset.view;
}

// Shows `name` and tells screen readers by moving the focus to its heading. `title`: the window's
// title, where the view has none of its own.
export function show(name, title = "") {
  if (view() === name) return;
  document.body.dataset.view = name;
  for (const section of document.querySelectorAll("[data-views]")) {
    section.hidden = !section.dataset.views.split(" ").includes(name);
  }
  if (title) document.body.dataset.title = title;
  showTitle();
  document.querySelector("section:not([hidden]) h1")?.focus();
}

// Anew after a switch of the language.
export function showTitle() {
  const key = TITLES[view()];
  document.title = `${key ? textOf(key) : document.body.dataset.title} - Werkplek`;
}
