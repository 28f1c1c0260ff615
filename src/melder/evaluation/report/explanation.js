"use strict";
// Colours what a word or a patch matched, and shows one candidate at a time; nothing is fetched, sent or stored.
(() => {
  const LEVELS = 9;
  const LISTED = 3;
  const CLEAR = 1.5; // times an even share, as in heat.py

  function percent(share) {
    return `${(100 * share).toFixed(share >= 0.0995 ? 0 : 1)}\u00a0%`;
  }

  function levels(values, even) { // as heat.py has them
    const above = values.map((value) => Math.max(0, value / even - 1));
    const most = Math.max(1, ...above);
    return above.map((excess) => Math.round((LEVELS * excess) / most));
  }

  function nameOf(place) {
    return place.getAttribute("aria-label") ?? `“${place.textContent}”`;
  }

  // One place of a side can be reached with Tab, the others from there with the arrow keys.
  function walkable(side, places, label, choose) {
    const columns = Number(side.dataset.columns ?? 0);
    side.setAttribute("role", "listbox");
    side.setAttribute("aria-label", label);
    side.removeAttribute("aria-hidden");
    for (const [index, place] of places.entries()) {
      place.setAttribute("role", "option");
      place.setAttribute("aria-selected", "false");
      place.setAttribute("tabindex", index ? "-1" : "0");
    }
    side.addEventListener("keydown", (event) => {
      const at = places.indexOf(document.activeElement);
      const back = getComputedStyle(side).direction === "rtl" ? 1 : -1;
      const line = columns || 1;
      const steps = { ArrowLeft: back, ArrowRight: -back, ArrowUp: -line, ArrowDown: line, Home: -at, End: places.length - 1 - at };
      const target = at < 0 ? undefined : places[at + (steps[event.key] ?? NaN)];
      if (!target) return;
      event.preventDefault();
      for (const place of places) place.setAttribute("tabindex", place === target ? "0" : "-1");
      target.focus();
    });
    side.addEventListener("focusin", (event) => {
      const index = places.indexOf(event.target);
      if (index >= 0) choose(index);
    });
  }

  function compare(compared) {
    const matched = compared.parentElement.querySelector(".matched");
    const even = Number(compared.dataset.even);
    const sides = [...compared.querySelectorAll(".places")];
    const places = sides.map((side) => [...side.querySelectorAll("[data-place]")]);
    if (places.some((each) => !each.length)) return;
    const rest = places.map((each) => each.map((place) => place.dataset.heat));
    const weights = places[1].map((place) => place.dataset.to.split(" ").map((weight) => Number(weight) / 10000));
    const names = [...compared.querySelectorAll("figcaption")].map((caption) => caption.textContent);
    let kept = null; // the side and index that a click or the keyboard chose

    function paint(side, heat, chosen) {
      for (const [index, place] of places[side].entries()) {
        place.dataset.heat = heat[index];
        place.classList.toggle("chosen", index === chosen);
        place.setAttribute("aria-selected", String(index === chosen));
      }
    }

    function show(choice) {
      compared.classList.toggle("choosing", choice !== null);
      if (choice === null) {
        paint(0, rest[0]);
        paint(1, rest[1]);
        matched.textContent = "";
        return;
      }
      const [side, index] = choice;
      const values = side ? weights[index] : weights.map((row) => row[index]);
      const other = places[1 - side];
      paint(side, places[side].map(() => 0), index);
      // A patch that many take from is compared with what they take on average.
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const usual = side ? even : Math.max(even, mean);
      paint(1 - side, levels(values, usual));
      const clear = values.map((value, place) => [value, place]).filter(([value]) => value >= CLEAR * usual);
      const order = clear.sort((one, two) => two[0] - one[0]).slice(0, LISTED);
      const best = order.map(([value, place]) => `${nameOf(other[place])} (${percent(value)})`).join(", ")
        || "nothing more than the rest";
      const verb = side ? "took most from" : "gave most to";
      matched.textContent = `${names[side]}, ${nameOf(places[side][index])} ${verb}: ${best}`;
    }

    const choiceOf = (target) => {
      const place = target.closest("[data-place]");
      const side = place ? places.findIndex((each) => each.includes(place)) : -1;
      return side < 0 ? null : [side, places[side].indexOf(place)];
    };

    for (const [side, element] of sides.entries()) {
      walkable(element, places[side], `${names[side]}: choose with the arrow keys`, (index) => show(kept = [side, index]));
    }
    compared.addEventListener("pointerover", (event) => {
      if (event.pointerType === "mouse") show(choiceOf(event.target) ?? kept);
    });
    compared.addEventListener("pointerleave", () => show(kept));
    compared.addEventListener("click", (event) => show(kept = choiceOf(event.target)));
    compared.addEventListener("focusout", (event) => {
      if (!compared.contains(event.relatedTarget)) show(kept = null);
    });
    compared.addEventListener("keydown", (event) => {
      if (event.key === "Escape") show(kept = null);
    });
  }

  function tabs(nav) {
    const links = [...nav.querySelectorAll("a")];
    const sections = links.map((link) => document.querySelector(link.getAttribute("href")));
    if (links.length < 2) {
      nav.hidden = true;
      return;
    }
    function open(chosen) {
      for (const [index, link] of links.entries()) {
        link.setAttribute("aria-selected", String(index === chosen));
        link.setAttribute("tabindex", index === chosen ? "0" : "-1");
        sections[index].hidden = index !== chosen;
      }
    }
    nav.setAttribute("role", "tablist");
    for (const [index, link] of links.entries()) {
      link.id = `tab-${index + 1}`;
      link.setAttribute("role", "tab");
      link.setAttribute("aria-controls", sections[index].id);
      sections[index].setAttribute("role", "tabpanel");
      sections[index].setAttribute("aria-labelledby", link.id);
      link.addEventListener("click", (event) => {
        event.preventDefault();
        open(index);
      });
    }
    nav.addEventListener("keydown", (event) => {
      const at = links.indexOf(document.activeElement);
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step || at < 0) return;
      event.preventDefault();
      const next = (at + step + links.length) % links.length;
      open(next);
      links[next].focus();
    });
    open(Math.max(0, links.findIndex((link) => link.getAttribute("href") === location.hash)));
  }

  document.documentElement.classList.add("scripted");
  for (const compared of document.querySelectorAll(".compared")) compare(compared);
  const nav = document.querySelector(".tabs");
  if (nav) tabs(nav);
  for (const hint of document.querySelectorAll(".choose")) hint.hidden = false;
})();
