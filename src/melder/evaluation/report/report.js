"use strict";
// Filters and pages the articles of a page; nothing is fetched, sent or stored.
(() => {
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

  // Shows some of the articles at a time, fewer on a phone, where each is four times as high; what it gives shows
  // others from the first on.
  function pages(container) {
    const size = Number(container.dataset.size) / (matchMedia("(max-width: 48rem)").matches ? 4 : 1);
    const all = [...container.children];
    const bar = document.createElement("nav");
    const [previous, place, next] = ["button", "span", "button"].map((name) => bar.appendChild(document.createElement(name)));
    let listed = all;
    let first = 0;
    bar.className = "pages";
    bar.setAttribute("aria-label", "Pages");
    place.setAttribute("role", "status");
    previous.type = next.type = "button";
    previous.textContent = "Previous";
    next.textContent = "Next";
    container.after(bar);

    function turn(to) {
      first = to;
      const open = new Set(listed.slice(first, first + size));
      for (const article of all) article.hidden = !open.has(article);
      place.textContent = `${first + 1}–${first + open.size} of ${listed.length}`;
      previous.disabled = first === 0;
      next.disabled = first + size >= listed.length;
      bar.hidden = listed.length <= size;
    }

    function step(by) {
      turn(first + by);
      container.scrollIntoView();
    }

    previous.addEventListener("click", () => step(-size));
    next.addEventListener("click", () => step(size));
    // On paper everything is there.
    addEventListener("beforeprint", () => { for (const article of listed) article.hidden = false; });
    addEventListener("afterprint", () => turn(first));
    turn(0);
    return (articles) => { listed = articles; turn(0); };
  }

  const shows = new Map([...document.querySelectorAll(".paged")].map((container) => [container, pages(container)]));
  const form = document.getElementById("filter");
  if (!form) return;
  const container = document.querySelector(".filtered");
  const records = [...container.children].map((article) => ({
    article,
    words: plain(article.textContent),
    rank: Number(article.dataset.rank),
    groups: (article.dataset.groups ?? "").split(" "),
    confusion: article.dataset.confusion,
  }));
  const chosen = (name) => form.elements[name]?.value ?? "";

  function matches(record) {
    const [low, high] = chosen("rank").split(" ").map(Number);
    const words = plain(chosen("words")).split(/\s+/);
    return (!chosen("group") || record.groups.includes(chosen("group")))
      && (!chosen("rank") || (record.rank >= low && record.rank <= (high ?? Infinity)))
      && (!chosen("confusion") || record.confusion === chosen("confusion"))
      && words.every((word) => record.words.includes(word));
  }

  function apply() {
    const left = records.filter(matches);
    shows.get(container)(left.map((record) => record.article));
    form.querySelector("output").value = `${left.length} of ${records.length}`;
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
