"use strict";
(() => {
  const form = document.querySelector("#filters");
  const pairs = [...document.querySelectorAll(".pair")];
  const selects = [...form.querySelectorAll("select")];
  const text = form.querySelector("#text");
  const words = pairs.map((pair) => pair.textContent.toLowerCase());
  const show = () => {
    const sought = text.value.trim().toLowerCase();
    const wanted = selects.filter((select) => select.value);
    let number = 0;
    pairs.forEach((pair, place) => {
      const shown = words[place].includes(sought) && wanted.every(({ id, value }) => {
        const has = pair.dataset[id] || "";
        // Several words stand between blanks.
        return has === value || has.includes(` ${value} `) && id !== "question";
      });
      pair.hidden = !shown;
      number += shown;
    });
    form.querySelector("#number").textContent = `${number} of ${pairs.length} shown`;
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(show));
  form.hidden = false;
  show();
})();
