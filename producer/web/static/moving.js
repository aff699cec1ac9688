// Going from page to page without loading anew: parts of pages are asked for ahead, and put in the place of the old ones.
"use strict";

/** Parts that were asked for, by address and part: a promise of the text, and when that was. */
const AHEAD = new Map();
const FRESH_MS = 30000;
const MOST_AHEAD = 16;
let turn = 0;

async function ask(address, part) {
  const answer = await fetch(address, { headers: { "HX-Request": "true", "HX-Target": part } });
  const text = await answer.text();
  if (!answer.ok) throw new Error(wordsOf(text) || `The gallery answered ${answer.status}`);
  return text;
}

function wordsOf(html) {
  return new DOMParser().parseFromString(html, "text/html").body.textContent.trim().replace(/\s+/g, " ").slice(0, 400);
}

/** Ask for a part before anybody wants to see it. */
function ahead(address, part) {
  const key = `${part} ${new URL(address, location).href}`;
  const kept = AHEAD.get(key);
  if (kept && Date.now() - kept.at < FRESH_MS) return kept.text;
  const text = ask(address, part);
  text.catch(() => AHEAD.delete(key));
  AHEAD.set(key, { text, at: Date.now() });
  if (AHEAD.size > MOST_AHEAD) AHEAD.delete(AHEAD.keys().next().value);
  return text;
}

/** What was asked for ahead is of the past, as something was decided: of one item, or of all. */
function forgetAhead(item) {
  for (const key of AHEAD.keys()) {
    if (!item || !key.startsWith("item ") || key.includes(`/items/${item}`)) AHEAD.delete(key);
  }
}

function failed(error) {
  const gone = error instanceof TypeError;
  say(gone ? "The gallery does not answer: is `persqa ui` still running?" : error.message);
}

/** Show an address in a part of this page. */
async function go(address, part, { push = true } = {}) {
  const mine = ++turn;
  let text;
  try {
    // Who chooses anew wants to see what is there now.
    if (part === "gallery") forgetAhead();
    text = await ahead(address, part);
  } catch (error) {
    failed(error);
    return;
  }
  // Who has pressed a key again meanwhile wants to see only the last one.
  if (mine !== turn) return;
  const place = document.querySelector(`[data-part="${part}"]`);
  if (!place) {
    location.assign(address);
    return;
  }
  put(place, text);
  if (push) history.pushState({ part: place.closest("[data-part]:not(#tiles)").dataset.part }, "", address);
  shown(part, push);
}

/** Put a text in the place of what a part has, and keep what the person has in hand. */
function put(place, text) {
  const facets = place.querySelector(".facets");
  const scrolled = facets?.scrollTop;
  const isClosed = facets && !facets.open;
  const name = document.activeElement?.dataset?.name;
  const search = document.activeElement?.id === "search" ? document.activeElement : null;
  place.innerHTML = text;
  window.htmx?.process(place);
  const after = place.querySelector(".facets");
  if (after && facets) {
    after.open = !isClosed;
    after.scrollTop = scrolled;
  }
  if (search) place.querySelector("#search")?.replaceWith(search);
  search?.focus();
  if (name) place.querySelector(`[data-name="${CSS.escape(name)}"]`)?.focus({ preventScroll: true });
}

// Who types is not disturbed by what comes meanwhile.
document.addEventListener("htmx:beforeSwap", (event) => {
  const place = event.detail.target;
  if (!place.matches("[data-part]") || !event.detail.shouldSwap) return;
  event.detail.shouldSwap = false;
  put(place, event.detail.serverResponse);
  shown(place.dataset.part, false);
});

function shown(part, isNew) {
  document.dispatchEvent(new CustomEvent("persqa:shown", { detail: { part, isNew } }));
}

/** Follow a link that finds something, and say so where it finds nothing. */
async function find(address, part) {
  try {
    const answer = await fetch(address, { headers: { "HX-Request": "true" } });
    const to = answer.headers.get("x-go");
    if (to) await go(to, part);
    else say(wordsOf(await answer.text()));
  } catch (error) {
    failed(error);
  }
}

document.addEventListener("click", (event) => {
  if (event.button || event.ctrlKey || event.metaKey || event.altKey) return;
  const link = event.target.closest("a[data-go], a[data-find]");
  if (!link) return;
  event.preventDefault();
  if (link.hasAttribute("data-find")) {
    find(link.href, mainPart());
    return;
  }
  const other = event.shiftKey && link.classList.contains("keep") ? link.parentElement.querySelector(".not") : link;
  go(other.href, link.dataset.go);
});

/** The part that stands for the whole page. */
function mainPart() {
  return document.querySelector("main [data-part]").dataset.part;
}

addEventListener("popstate", (event) => {
  if (event.state?.part) go(location.pathname + location.search, event.state.part, { push: false });
});

history.replaceState({ part: mainPart() }, "");

KEYS.g = "jump";
ACTS.jump = () => {
  const dialog = document.getElementById("jump");
  dialog.showModal();
  dialog.querySelector("input").select();
};
ACTS.close = (button) => button.closest("dialog").close();
KEYS["/"] = "search";
ACTS.search = () => document.getElementById("search")?.select();

document.querySelector("#jump form").addEventListener("submit", (event) => {
  const form = event.target;
  const inside = form.dataset.inside;
  const query = new URLSearchParams(location.search);
  for (const name of ["at", "focus"]) query.delete(name);
  query.set("place", form.elements.place.value);
  query.set("inside", inside);
  find(`/runs/${document.querySelector("[data-run]").dataset.run}/find?${query}`, mainPart());
});
