// The grid: a tile in hand that keys move and act on, a selection, and acts on everything that is shown.
"use strict";

let current = null;
const selected = new Map();
// Where the hand goes when the next tiles are shown, if not to the first one.
let coming = null;

const tiles = () => [...document.querySelectorAll(".tile")];
const tile = () => document.getElementById(`tile-${current}`) || tiles()[0];

/** Take a tile in hand. */
function take(one, { focus = true } = {}) {
  if (!one) return;
  document.querySelector(".tile.current")?.classList.remove("current");
  one.classList.add("current");
  current = one.dataset.item;
  if (!focus) return;
  one.querySelector(".look").focus({ preventScroll: true });
  one.scrollIntoView({ block: "nearest" });
  // So that going back leads to the same place.
  const address = new URL(location.href);
  address.searchParams.set("focus", current);
  history.replaceState(history.state, "", address);
}

function columns() {
  const all = tiles();
  const next = all.findIndex((one) => one.offsetTop !== all[0].offsetTop);
  return next < 0 ? all.length : next;
}

function move(steps) {
  const all = tiles();
  if (!all.length) return;
  const here = all.indexOf(tile());
  const there = here + steps;
  if (there >= 0 && there < all.length) {
    take(all[there]);
    return;
  }
  if (Math.abs(steps) === 1) turnPage(steps > 0 ? "next" : "previous");
  else if (steps > 0 && here < all.length - 1 && Math.floor(here / steps) < Math.floor((all.length - 1) / steps)) take(all.at(-1));
  else turnPage(steps > 0 ? "next" : "previous");
}

function turnPage(way) {
  const link = document.querySelector(`.pager [data-way="${way}"]`);
  if (!link) return;
  // Who goes on tile by tile comes from the end of a page, backwards.
  coming = way === "previous" ? "last" : null;
  link.click();
}

for (const [keys, act, steps] of [
  [["ArrowLeft", "h"], "left", () => -1],
  [["ArrowRight", "l"], "right", () => 1],
  [["ArrowUp", "k"], "up", () => -columns()],
  [["ArrowDown", "j"], "down", () => columns()],
]) {
  for (const key of keys) KEYS[key] = act;
  ACTS[act] = () => move(steps());
}

/** The tile that a button is on, or the one in hand. */
function meant(button) {
  return button?.closest(".tile") || tile();
}

async function decide(button, fields, { goOn = false } = {}) {
  const one = meant(button);
  if (!one?.querySelector(".acts")) {
    if (one) say("There is nothing to decide here.");
    return;
  }
  if (goOn && !button) move(1);
  else take(one, { focus: !button });
  try {
    const answer = await review(one, fields, "tile");
    putTile(answer.querySelector(".tile"));
  } catch (error) {
    failed(error);
  }
}

/** Put a tile in the place of the old one, without moving anything. */
function putTile(fresh) {
  const old = fresh && document.getElementById(fresh.id);
  if (!old) return;
  const hasFocus = old.contains(document.activeElement);
  const picture = old.querySelector("img");
  // The picture that is there need not be drawn again.
  if (picture) fresh.querySelector("img")?.replaceWith(picture);
  old.replaceWith(fresh);
  if (fresh.dataset.item === current) take(fresh, { focus: hasFocus });
  showSelected();
}

KEYS.a = "accept";
KEYS.r = "reject";
KEYS.s = "star";
ACTS.accept = (button) => decide(button, { decision: "accepted" }, { goOn: true });
ACTS.reject = (button) => decide(button, { decision: "rejected" }, { goOn: true });
ACTS.star = (button) => decide(button, { starred: meant(button)?.dataset.starred === "1" ? "0" : "1" });

KEYS.x = "pick";
ACTS.pick = (box) => {
  const one = meant(box);
  if (!one?.querySelector(".pick")) return;
  if (selected.has(one.dataset.item)) selected.delete(one.dataset.item);
  else selected.set(one.dataset.item, one.dataset.seen);
  take(one, { focus: !box });
  showSelected();
};

function showSelected() {
  for (const one of tiles()) {
    const isSelected = selected.has(one.dataset.item);
    one.classList.toggle("is-selected", isSelected);
    const box = one.querySelector(".pick input");
    if (box) box.checked = isSelected;
  }
  for (const button of document.querySelectorAll('[data-act="batch"]')) {
    const verb = button.dataset.decision === "accepted" ? "Accept" : "Reject";
    button.textContent = selected.size ? `${verb} ${selected.size} selected` : `${verb} all …`;
  }
}

KEYS.A = "acceptMany";
KEYS.R = "rejectMany";
ACTS.acceptMany = () => many("accepted");
ACTS.rejectMany = () => many("rejected");
ACTS.batch = (button) => many(button.dataset.decision);

async function many(decision) {
  if (!document.querySelector('[data-act="batch"]')) return;
  if (selected.size) {
    try {
      const fields = { decision, item: [...selected.keys()], seen: [...selected.values()] };
      const answer = await send(`/runs/${runName()}/reviews/selected`, fields);
      done(answer.dataset.action, null);
      selected.clear();
      await refresh();
      say(answer.dataset.said);
    } catch (error) {
      failed(error);
    }
    return;
  }
  const query = new URLSearchParams(location.search);
  for (const name of ["at", "focus"]) query.delete(name);
  query.set("decision", decision);
  const body = document.getElementById("batch-body");
  body.innerHTML = '<h2 id="batch-title">Counting …</h2>';
  document.getElementById("batch").showModal();
  window.htmx.ajax("GET", `/runs/${runName()}/reviews/shown?${query}`, { target: body, swap: "innerHTML" });
}

/** Show this page again, as it is now. */
function refresh() {
  forgetAhead();
  return go(location.pathname + location.search, "gallery", { push: false });
}

document.addEventListener("htmx:afterSwap", (event) => {
  const started = event.target.querySelector?.("[data-begun]");
  if (started && !undoables().some((one) => one.action === started.dataset.begun)) done(started.dataset.begun, null);
  if (event.target.querySelector?.("[data-ended]")) refresh();
});
document.addEventListener("persqa:undone", () => {
  document.getElementById("batch").close();
  refresh();
});

KEYS.d = "density";
ACTS.density = () => {
  const root = document.documentElement;
  root.dataset.density = root.dataset.density === "large" ? "small" : "large";
  remember("density", root.dataset.density);
  tile()?.scrollIntoView({ block: "nearest" });
};

document.addEventListener("change", (event) => {
  if (event.target.id === "order") event.target.form.requestSubmit();
});

/** After tiles were shown: which one is in hand, and what may be wanted next. */
function settle(isNew, part) {
  if (isNew) scrollTo(0, 0);
  const all = tiles();
  if (isNew && part === "tiles" && all.length) take(coming === "last" ? all.at(-1) : all[0]);
  else if (focused()) take(focused());
  else if (all.length) take(document.getElementById(`tile-${current}`) || all[0], { focus: false });
  coming = null;
  showSelected();
  const next = document.querySelector('.pager [data-way="next"]');
  if (next) ahead(next.href, "tiles").catch(() => {});
}

function focused() {
  const wanted = document.querySelector(".grid")?.dataset.focus;
  return wanted && document.getElementById(`tile-${wanted}`);
}

document.addEventListener("persqa:shown", (event) => settle(event.detail.isNew, event.detail.part));
if (matchMedia("(max-width: 700px)").matches) document.querySelector(".facets")?.removeAttribute("open");
settle(false, null);
