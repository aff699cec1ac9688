// Keys, and the few things that pages remember. Everything else is the server's: pages work without this file, by mouse.
"use strict";

const YEAR_SECONDS = 31536000;

/** Remember a choice of this browser, so that the next page is made with it. */
function remember(name, value) {
  document.cookie = `persqa-${name}=${encodeURIComponent(value)}; path=/; max-age=${YEAR_SECONDS}; samesite=lax`;
}

/** Say something in the corner, and to screen readers. */
function say(text) {
  const corner = document.getElementById("said");
  corner.textContent = text;
  clearTimeout(say.timer);
  // Long enough to be read, and then out of the way.
  say.timer = setTimeout(() => corner.replaceChildren(), 4000 + 60 * text.length);
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** What buttons with `data-act` and keys with the same names do; pages add their own. */
const ACTS = {
  theme() {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    remember("theme", document.documentElement.dataset.theme);
  },
  keys() {
    const dialog = document.getElementById("keys");
    if (dialog.open) dialog.close();
    else dialog.showModal();
  },
};

/** Keys of every page; an element with `data-key` is clicked by its own key. */
const KEYS = { "?": "keys", t: "theme" };

function isTyping(target) {
  // Boxes to tick take no letters.
  return target.isContentEditable || target.matches?.("input:not([type=checkbox], [type=radio]), textarea, select");
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (button && ACTS[button.dataset.act]) ACTS[button.dataset.act](button, event);
});

document.addEventListener("keydown", (event) => {
  if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const dialog = document.querySelector("dialog[open]");
  const key = event.key === " " ? "Space" : event.key;
  if (dialog && key !== "?") return;
  if (KEYS[key]) {
    event.preventDefault();
    ACTS[KEYS[key]](null, event);
    return;
  }
  const wanted = [...document.querySelectorAll(`[data-key~="${CSS.escape(key)}"]`)].find((one) => !one.disabled);
  if (wanted) {
    event.preventDefault();
    wanted.click();
  }
});

// A page that is polled says itself that the server is gone.
document.addEventListener("htmx:sendError", () => say("The gallery does not answer: is `persqa ui` still running?"));
document.addEventListener("htmx:responseError", (event) => {
  const part = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html");
  say(part.body.textContent.trim().slice(0, 400) || `The gallery answered ${event.detail.xhr.status}`);
});
