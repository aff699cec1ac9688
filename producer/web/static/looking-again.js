// A page of what may pass, such as a database that is away, looks every few seconds whether it has.
"use strict";

const AGAIN_SECONDS = 3;

setInterval(async () => {
  if (document.hidden) return;
  const answer = await fetch(location.href, { method: "HEAD" }).catch(() => null);
  if (answer?.ok) location.reload();
}, 1000 * AGAIN_SECONDS);
