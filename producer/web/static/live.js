// Parts of a page that are asked for again and again (`data-every`, in seconds), and questions before an act.
// Only what differs is changed, so that focus, open menus and marked text stay where they are.
"use strict";

/** What a person has changed, and no answer knows of. */
const KEPT = new Set(["open"]);

/** When each part was asked for last, by its id, in milliseconds. */
const lastAsked = {};

function isLive(element) {
  return element instanceof Element && element.dataset.every !== undefined;
}

function isSame(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && (one.id || "") === (other.id || "");
}

/** Make an element, or a text, what a fresh one is. */
function morph(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  // What never changes, and a script may have touched, such as a picture that cannot be shown.
  if (old.dataset.still !== undefined) return;
  for (const { name, value } of [...fresh.attributes]) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !KEPT.has(name)) old.removeAttribute(name);
  }
  const wantedIds = new Set([...fresh.children].map((one) => one.id));
  for (const one of [...old.children]) if (one.id && !wantedIds.has(one.id)) one.remove();
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const known = wanted.id ? [...old.children].find((one) => isSame(one, wanted)) : place && isSame(place, wanted) && place;
    if (!known) {
      old.insertBefore(wanted, place);
      continue;
    }
    if (known === place) place = place.nextSibling;
    else old.insertBefore(known, place);
    morph(known, wanted);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

document.addEventListener("htmx:beforeRequest", (event) => {
  const part = event.target;
  if (!isLive(part)) return;
  // Polls come every two seconds; where nothing goes on, or nobody looks, most of them are left out.
  const isPoll = event.detail.requestConfig.triggeringEvent?.type !== "look";
  const since = (Date.now() - (lastAsked[part.id] ?? 0)) / 1000;
  if (isPoll && (document.hidden || since < Number(part.dataset.every) - 0.5)) event.preventDefault();
  else lastAsked[part.id] = Date.now();
});

document.addEventListener("htmx:beforeSwap", (event) => {
  const part = event.detail.target;
  if (!isLive(part) || !event.detail.shouldSwap) return;
  event.detail.shouldSwap = false;
  const page = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html");
  const fresh = page.getElementById(part.id);
  if (!fresh) return;
  morph(part, document.adoptNode(fresh));
  htmx.process(part);
  forgive();
});

let isFailing = false;

for (const failure of ["htmx:sendError", "htmx:responseError"]) {
  document.addEventListener(failure, (event) => { isFailing ||= isLive(event.target); });
}

/** Take back what was said of a server that did not answer, once it does. */
function forgive() {
  if (isFailing) say("");
  isFailing = false;
}

// Questions before an act.

document.addEventListener("htmx:afterSwap", (event) => {
  const dialog = event.detail.target;
  if (dialog.id === "ask" && !dialog.open) dialog.showModal();
});

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target.matches?.("dialog#ask form")) document.getElementById("ask").close();
  event.target.closest?.("details.more")?.removeAttribute("open");
});

ACTS.leave = (button, event) => {
  const dialog = button.closest("dialog");
  if (!dialog) return;
  event.preventDefault();
  dialog.close();
};

KEYS["/"] = "find";
ACTS.find = () => document.querySelector("input[type=search]")?.focus();

// A menu closes as menus do.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.more[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.more[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});
