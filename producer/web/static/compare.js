// Keys of a comparison: up and down the list. Enter opens what has the focus, as everywhere.
"use strict";

function goBy(step) {
  const pairs = [...document.querySelectorAll("[data-pair]")];
  if (!pairs.length) return;
  const at = pairs.findIndex((one) => one.closest(".pair").contains(document.activeElement));
  const next = pairs[at < 0 ? (step > 0 ? 0 : pairs.length - 1) : Math.max(0, Math.min(at + step, pairs.length - 1))];
  next.focus();
  next.closest(".pair").scrollIntoView({ block: "nearest" });
}

ACTS.nextPair = () => goBy(1);
ACTS.pairBefore = () => goBy(-1);
Object.assign(KEYS, { j: "nextPair", ArrowDown: "nextPair", k: "pairBefore", ArrowUp: "pairBefore" });
