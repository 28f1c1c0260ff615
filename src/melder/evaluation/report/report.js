"use strict";
// Filters the mentions of a page; nothing is fetched, sent or stored.
(() => {
  const form = document.getElementById("filter");
  if (!form) return;
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const records = [...document.querySelectorAll(".filtered article")].map((article) => ({
    article,
    words: plain(article.textContent),
    rank: Number(article.dataset.rank),
    groups: (article.dataset.groups ?? "").split(" "),
    confusion: article.dataset.confusion,
  }));
  const chosen = (name) => form.elements[name]?.value ?? "";

  function isShown(record) {
    const [low, high] = chosen("rank").split(" ").map(Number);
    const words = plain(chosen("words")).split(/\s+/);
    return (!chosen("group") || record.groups.includes(chosen("group")))
      && (!chosen("rank") || (record.rank >= low && record.rank <= (high ?? Infinity)))
      && (!chosen("confusion") || record.confusion === chosen("confusion"))
      && words.every((word) => record.words.includes(word));
  }

  function apply() {
    for (const record of records) record.article.hidden = !isShown(record);
    const shown = records.filter((record) => !record.article.hidden).length;
    form.querySelector("output").value = `${shown} of ${records.length} shown`;
  }

  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply)); // once the fields are empty
  for (const button of document.querySelectorAll("button[data-show]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      form.reset();
      form.elements.confusion.value = button.dataset.show;
      apply();
      form.scrollIntoView();
      form.elements.confusion.focus({ preventScroll: true });
    });
  }
  form.hidden = false;
  apply();
})();
