// What people decide: it is sent at once, and the last of it can be undone.
"use strict";

const MOST_UNDONE = 100;

function runName() {
  return document.querySelector("[data-run]").dataset.run;
}

/** Send fields; gives the part of a page that comes back, with what was said in its `dataset`. */
async function send(address, fields, item) {
  const body = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    for (const one of Array.isArray(value) ? value : [value]) body.append(name, one);
  }
  const answer = await fetch(address, { method: "POST", body, headers: { "HX-Request": "true" } });
  const text = await answer.text();
  if (!answer.ok) throw new Error(wordsOf(text) || `The gallery answered ${answer.status}`);
  forgetAhead(item);
  return new DOMParser().parseFromString(text, "text/html").querySelector("[data-said]");
}

function undoables() {
  try {
    return JSON.parse(localStorage.getItem(`persqa-done-${runName()}`)) || [];
  } catch {
    return [];
  }
}

function keepUndoables(list) {
  localStorage.setItem(`persqa-done-${runName()}`, JSON.stringify(list.slice(-MOST_UNDONE)));
}

/** Remember what was done, so that `z` undoes it. */
function done(action, item) {
  if (action) keepUndoables([...undoables(), { action, item }]);
}

/** Review one item. `as` says which part comes back. */
async function review(element, fields, as) {
  const { item, seen, was } = element.dataset;
  const address = `/runs/${runName()}/items/${item}/review${location.search}`;
  const answer = await send(address, { ...fields, seen, was, as }, item);
  done(answer.dataset.action, item);
  say(answer.dataset.said);
  return answer;
}

KEYS.z = "undo";
ACTS.undo = async () => {
  const list = undoables();
  const last = list.pop();
  if (!last) {
    say("There is nothing to undo.");
    return;
  }
  try {
    const answer = await send(`/runs/${runName()}/reviews/undo`, { action: last.action });
    keepUndoables(list);
    say(answer.dataset.said);
    document.dispatchEvent(new CustomEvent("persqa:undone", { detail: last }));
  } catch (error) {
    failed(error);
  }
};

document.addEventListener("change", (event) => {
  if (event.target.id === "reviewer") {
    remember("reviewer", event.target.value.trim());
    say(event.target.value.trim() ? `You review as ${event.target.value.trim()}.` : "You review under your login name.");
  }
});
