// In place of a picture that cannot be shown stands the sentence that says why, which the server answers.
"use strict";

function isOfItem(picture) {
  return picture instanceof HTMLImageElement && new URL(picture.src, location.href).pathname.includes("/pictures/");
}

function explain(picture) {
  if (!isOfItem(picture) || picture.hidden) return;
  const said = document.createElement("span");
  said.className = "no-picture";
  said.textContent = "This picture cannot be shown.";
  picture.hidden = true;
  picture.after(said);
  fetch(picture.src).then(async (answer) => {
    if (!answer.ok) said.textContent = await answer.text();
  }).catch(() => {
    said.textContent = "The gallery does not answer.";
  });
}

document.addEventListener("error", (event) => explain(event.target), true);

// The same element may get another picture, which can be shown.
document.addEventListener("load", (event) => {
  const picture = event.target;
  if (!isOfItem(picture) || !picture.hidden) return;
  picture.hidden = false;
  if (picture.nextElementSibling?.className === "no-picture") picture.nextElementSibling.remove();
}, true);

for (const picture of document.images) {
  if (picture.complete && !picture.naturalWidth) explain(picture);
}
