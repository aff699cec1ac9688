// One item: deciding and going on, editing, and pictures in full size.
"use strict";

const one = () => document.querySelector(".one");
const way = (name) => document.querySelector(`.way [data-way="${name}"]`);
// Held, so that the browser does not let go of what it has loaded ahead.
let pictures = [];

/** Ask for an item and its pictures before anybody wants to see them, and for so many behind it. */
async function prefetch(address, depth) {
  const text = await ahead(address, "item").catch(() => null);
  if (text === null) return;
  const page = new DOMParser().parseFromString(text, "text/html");
  for (const image of page.querySelectorAll(".view img")) {
    const picture = new Image();
    picture.src = image.getAttribute("src");
    pictures.push(picture);
  }
  pictures = pictures.slice(-12);
  const next = page.querySelector('[data-way="next"]');
  if (depth > 1 && next) await prefetch(next.getAttribute("href"), depth - 1);
}

function settle(isNew) {
  document.title = one().dataset.title;
  if (isNew) scrollTo(0, 0);
  const next = way("next");
  if (next) prefetch(next.href, 2);
  const previous = way("previous");
  if (previous) prefetch(previous.href, 1);
}

/** Put what came back in the place of the item, if that is still looked at. */
function putOne(answer, item) {
  if (one().dataset.item !== item) return;
  answer.querySelector(".view img")?.replaceWith(document.querySelector(".view img") || "");
  document.getElementById("item").replaceChildren(answer.querySelector(".one"));
  window.htmx?.process(document.getElementById("item"));
  document.title = one().dataset.title;
}

async function decide(fields) {
  const here = one();
  if (!here.querySelector(".deciding")) {
    say("There is nothing to decide here.");
    return;
  }
  const { item } = here.dataset;
  const address = location.href;
  const next = way("next");
  const goesOn = "decision" in fields && fields.decision && document.getElementById("goes-on").checked;
  const sent = review(here, fields, "item");
  if (goesOn && next) go(next.href, "item");
  try {
    const answer = await sent;
    // What was not stored has to be seen.
    if (answer.dataset.refused && one().dataset.item !== item) await go(address, "item");
    else putOne(answer, item);
    if (goesOn && !next && !answer.dataset.refused) say(`${answer.dataset.said} That was the last one.`);
  } catch (error) {
    if (one().dataset.item !== item) await go(address, "item");
    failed(error);
  }
}

function deciding(fields) {
  return (button, event) => {
    event?.preventDefault();
    decide(typeof fields === "function" ? fields() : fields);
  };
}

Object.assign(KEYS, { a: "accept", r: "reject", s: "star", e: "edit", n: "note", f: "full", 1: "full" });
ACTS.accept = deciding({ decision: "accepted" });
ACTS.reject = deciding({ decision: "rejected" });
ACTS.open = deciding({ decision: "" });
ACTS.star = deciding(() => ({ starred: one().dataset.starred === "1" ? "0" : "1" }));
ACTS.original = deciding({ answer: "" });
ACTS.edit = () => write("edit");
ACTS.note = () => write("note");
ACTS.leave = (button) => leave(button.closest("form"));
ACTS.goesOn = (box) => remember("goes-on", box.checked ? "yes" : "no");

/** Open the field of an edit or a note. */
function write(name) {
  const form = document.getElementById(name);
  if (!form) return;
  form.hidden = false;
  document.querySelector(`[data-act="${name}"]`).setAttribute("aria-expanded", "true");
  const field = form.querySelector("textarea");
  field.focus();
  field.setSelectionRange(field.value.length, field.value.length);
}

/** Leave a field as it was. */
function leave(form) {
  form.reset();
  form.hidden = form.id === "edit" || !form.querySelector("textarea").value;
  document.querySelector(`[data-act="${form.id}"]`)?.setAttribute("aria-expanded", String(!form.hidden));
  document.activeElement?.blur();
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.id !== "edit" && form.id !== "note") return;
  event.preventDefault();
  const field = form.querySelector("textarea");
  decide({ [field.name]: field.value });
});

document.addEventListener("keydown", (event) => {
  const form = event.target.closest?.("#edit, #note");
  if (form && event.key === "Escape") leave(form);
  if (form && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit();
  }
});

// Pictures: fitted, or pixel for pixel.

ACTS.full = () => {
  const button = document.querySelector('[data-act="full"]');
  if (!button) return;
  const isFull = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(isFull));
  button.textContent = isFull ? "Fitted" : "Full size";
  for (const view of document.querySelectorAll(".view")) {
    view.classList.toggle("full", isFull);
    const image = view.querySelector("img");
    // The larger one is loaded once, and stays.
    if (isFull && image && image.getAttribute("src") !== image.dataset.full) image.src = image.dataset.full;
  }
};

let drag = null;
document.addEventListener("pointerdown", (event) => {
  const view = event.target.closest?.(".view.full");
  if (!view || event.pointerType !== "mouse") return;
  drag = { view, x: event.clientX + view.scrollLeft, y: event.clientY + view.scrollTop };
  view.setPointerCapture(event.pointerId);
});
document.addEventListener("pointermove", (event) => {
  if (drag) drag.view.scrollTo(drag.x - event.clientX, drag.y - event.clientY);
});
document.addEventListener("pointerup", () => {
  drag = null;
});
// In a picture in full size, arrows move the picture.
document.addEventListener(
  "keydown",
  (event) => {
    if (event.key.startsWith("Arrow") && event.target.matches?.(".view.full")) event.stopPropagation();
  },
  true,
);

document.addEventListener("persqa:shown", (event) => settle(event.detail.isNew));
document.addEventListener("persqa:undone", (event) => {
  const { item } = event.detail;
  forgetAhead();
  const address = item ? `/runs/${runName()}/items/${item}${location.search}` : location.href;
  go(address, "item", { push: item !== one().dataset.item });
});
settle(false);
