// Cards of ranked candidates. Names, ids and descriptions come from outside: they are set as text, never as markup.
import { copyButton, element } from "./element.js";

const WORDS = { lexical: "name", text: "text", image: "picture", cross: "text and picture", fusion: "text and picture" };
const ALIASES = 5; // of an entity that are shown

// `entities`: what is known of each candidate, by id. `base`: what the service says of itself.
// `confirm(candidate)` is called by a button of each card; without it there is none.
export function cards(candidates, entities, base, confirm) {
  const units = Object.keys(candidates[0]?.units ?? {}).filter((name) =>
    candidates.some((candidate) => rounded(candidate.units[name]) !== "0.00")); // what says nothing of anybody is left out
  const most = Math.max(...candidates.flatMap((candidate) => units.map((name) => Math.abs(candidate.units[name]))), 1e-9);
  const pictured = hasPictures(candidates, entities);
  return candidates.map((candidate, rank) => {
    const entity = entities[candidate.id] ?? {};
    // The first is open: one shows what there is to see of the others.
    const evidence = element("details", { className: "evidence", open: rank === 0 },
      element("summary", { textContent: "Evidence" }), bars(candidate.units, units, most));
    const confirming = confirm ? [confirmButton(candidate, rank, confirm)] : [];
    return element("li", {}, ...(pictured ? [picture(candidate, entity)] : []),
      described(candidate, entity, base, confirming), evidence);
  });
}

export const hasPictures = (candidates, entities) => candidates.some((candidate) => entities[candidate.id]?.picture);

export const addressOf = (identity) => `entities/${encodeURIComponent(identity)}`;

export function picture(candidate, entity) {
  const frame = element("div", { className: "picture" });
  if (entity.picture) frame.append(element("img", { alt: "", loading: "lazy", src: `${addressOf(candidate.id)}/picture` }));
  else frame.textContent = "no picture";
  return frame;
}

function described(candidate, entity, base, confirming) {
  const note = (...parts) => element("p", { className: "note", dir: "auto" }, ...parts);
  const external = /^https?:/.test(base.entity_uri ?? "");
  const address = external ? base.entity_uri + encodeURIComponent(candidate.id) : addressOf(candidate.id);
  const link = element("a", { href: address, target: "_blank", rel: "noreferrer", textContent: external ? "Open" : "Record" });
  link.ariaLabel = `${link.textContent} of ${candidate.name || candidate.id}, in a new tab`;
  const kinds = entity.types?.length ? [` · ${entity.types.join(", ")}`] : [];
  return element("div", {},
    element("h3", {}, element("bdi", { textContent: candidate.name || candidate.id })),
    note(element("bdi", { textContent: candidate.id }), ...kinds, ` · score ${candidate.score.toFixed(2)}`),
    ...(entity.description ? [element("p", { className: "description", dir: "auto", textContent: entity.description })] : []),
    ...(entity.aliases?.length ? [note(`Also: ${entity.aliases.slice(0, ALIASES).join(", ")}`)] : []),
    element("p", { className: "actions small" }, ...confirming,
      ...copyButton("Copy id", () => candidate.id, `Copy the id ${candidate.id}`), link));
}

function confirmButton(candidate, rank, confirm) {
  const button = element("button", { type: "button", className: "confirm", textContent: rank ? "This one instead" : "This is right" });
  button.ariaLabel = `${button.textContent}: ${candidate.name || candidate.id}`;
  button.addEventListener("click", () => confirm(candidate));
  return button;
}

function rounded(value) { // without the sign of −0.00
  return (Math.round(100 * value) / 100 || 0).toFixed(2).replace("-", "\u2212");
}

function bars(values, units, most) {
  const list = element("dl", { className: "units" });
  for (const name of units) {
    const value = values[name];
    const filled = element("i", { className: value < 0 ? "against" : "" });
    filled.style.width = `${(100 * Math.abs(value)) / most}%`;
    const bar = element("div", { className: "bar", ariaHidden: "true" }, filled);
    const number = element("span", { className: value < 0 ? "against" : "", textContent: rounded(value) });
    const row = element("div", {}, element("dt", { textContent: WORDS[name] ?? name.replaceAll("_", " ") }), element("dd", {}, bar, number));
    list.append(row);
  }
  return list;
}
