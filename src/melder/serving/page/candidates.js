// Cards of ranked candidates. Names, ids and descriptions come from outside: they are set as text, never as markup.
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function cards(candidates) {
  const most = Math.max(...candidates.flatMap((candidate) => Object.values(candidate.units).map(Math.abs)), 1e-9);
  return candidates.map((candidate, rank) => card(candidate, most, rank));
}

const WORDS = { lexical: "name", text: "text", image: "picture", cross: "text and picture", fusion: "text and picture" };

function card(candidate, most, rank) {
  const name = candidate.name || candidate.id;
  const address = `entities/${encodeURIComponent(candidate.id)}`;
  const text = element("div", {},
    element("h3", {}, element("bdi", { textContent: name })),
    element("p", { className: "note" }, element("bdi", { textContent: candidate.id }), ` · score ${candidate.score.toFixed(2)}`));
  describe(address, text);
  // The first is open: one shows what there is to see of the others.
  const evidence = element("details", { className: "evidence", open: rank === 0 },
    element("summary", { textContent: "Evidence" }), units(candidate.units, most));
  return element("li", {}, picture(`${address}/picture`), text, evidence);
}

function picture(address) {
  const frame = element("div", { className: "picture" });
  const photo = element("img", { alt: "", loading: "lazy", src: address });
  photo.addEventListener("error", () => frame.replaceChildren("no picture"));
  frame.append(photo);
  return frame;
}

async function describe(address, text) {
  try {
    const answer = await fetch(address);
    const record = answer.ok ? await answer.json() : {};
    if (record.description) text.append(element("p", { className: "description", dir: "auto", textContent: record.description }));
  } catch {
    // A candidate without its description is still an answer.
  }
}

function rounded(value) { // without the sign of −0.00
  return (Math.round(100 * value) / 100 || 0).toFixed(2).replace("-", "\u2212");
}

function units(parts, most) {
  const list = element("dl", { className: "units" });
  for (const [name, value] of Object.entries(parts)) {
    const filled = element("i", { className: value < 0 ? "against" : "" });
    filled.style.width = `${(100 * Math.abs(value)) / most}%`;
    const bar = element("div", { className: "bar", ariaHidden: "true" }, filled);
    const number = element("span", { className: value < 0 ? "against" : "", textContent: rounded(value) });
    const row = element("div", {}, element("dt", { textContent: WORDS[name] ?? name.replaceAll("_", " ") }), element("dd", {}, bar, number));
    list.append(row);
  }
  return list;
}
