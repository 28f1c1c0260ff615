// What matched of the mention and of a candidate: words with a ground, patches with a veil, the stronger the better.
import { element } from "./element.js";

const LISTED = 3; // pairs of words
const CLEAR = 1.5; // times an even share: what is less is noise, as on the pages of explanations

export function matched(explained, read, picture) {
  const parts = Object.entries(explained.aligned).map(([name, unit]) => {
    const heading = element("h4", { textContent: unit.modality === "text" ? "Words that matched" : "Parts of the pictures that matched" });
    heading.title = name.replaceAll("_", " ");
    const best = unit.weights.map((row) => Math.max(...row));
    const received = shares(unit.received, 1 / (unit.received.length + 1));
    const given = shares(best, best.reduce((sum, value) => sum + value, 0) / best.length);
    const sides = unit.modality === "text"
      ? [words(read, received), words(explained.read, given), pairs(unit, read, explained.read)]
      : [element("div", { className: "pictures" },
          veiled(picture, read.grid, received),
          veiled(`entities/${encodeURIComponent(explained.id)}/picture`, explained.read.grid, given))];
    return element("section", {}, heading, ...sides);
  });
  return element("div", { className: "matched" }, ...parts);
}

// 0 for the usual value, or less; 1 for the largest, if it is at least twice the usual one.
function shares(values, usual) {
  const above = values.map((value) => Math.max(0, value / usual - 1));
  const most = Math.max(1, ...above);
  return above.map((value) => value / most);
}

function words(read, strengths) {
  const letters = [...read.text];
  const shown = element("p", { className: "words", dir: "auto" });
  let before = 0;
  for (const [place, [start, end]] of read.words.entries()) {
    const word = element("span", { textContent: letters.slice(start, end).join("") });
    word.style.setProperty("--share", strengths[place].toFixed(3));
    shown.append(letters.slice(before, start).join(""), word);
    before = end;
  }
  shown.append(letters.slice(before).join(""));
  return shown;
}

function pairs(unit, read, candidate) {
  const all = unit.weights.flatMap((row, one) => row.map((weight, other) => [weight, one, other]));
  const even = 1 / (unit.received.length + 1);
  const clear = all.filter(([weight]) => weight >= CLEAR * even);
  const best = clear.sort((first, second) => second[0] - first[0]).slice(0, LISTED);
  if (!best.length) return element("p", { className: "note", textContent: "No words stand out." });
  const word = (side, place) => [...side.text].slice(...side.words[place]).join("");
  const said = best.map(([weight, one, other]) =>
    `“${word(candidate, one)}” with “${word(read, other)}” (${(100 * weight).toFixed(0)}\u00a0%)`);
  return element("p", { className: "note", dir: "auto", textContent: `Strongest: ${said.join(", ")}` });
}

function veiled(address, grid, strengths) {
  const veil = element("div", { className: "veil", ariaHidden: "true" });
  veil.style.gridTemplateColumns = `repeat(${grid?.[1] ?? 1}, 1fr)`;
  for (const strength of grid ? strengths : []) {
    const patch = element("i");
    patch.style.setProperty("--share", strength.toFixed(3));
    veil.append(patch);
  }
  return element("div", { className: "veiled" }, element("img", { alt: "", src: address }), veil);
}
