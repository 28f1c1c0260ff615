// What the knowledge base is, and examples to click, on a page that has not been asked anything yet.
import { element } from "./element.js";

const counted = (number, one, more) => `${number.toLocaleString("en")} ${number === 1 ? one : more}`;

// What the service says of itself. `tryOut(text)` is called with the example that somebody has clicked.
export async function about(tryOut) {
  const answer = await fetch("page/about");
  if (!answer.ok) throw new Error("the service does not say what it serves");
  const base = await answer.json();
  const facts = [
    counted(base.entities, "entity", "entities"),
    ...(base.types ? [counted(base.types, "type", "types")] : []),
    base.pictures ? "compares texts and pictures" : "compares texts only",
  ];
  const kind = base.pictures ? "a mention, in a text and a picture," : "a mention in a text";
  document.getElementById("base").replaceChildren(
    `Links ${kind} to an entity of `, element("bdi", { textContent: base.name }), `: ${facts.join(" · ")}.`);
  document.getElementById("drop").hidden = !base.pictures;
  const examples = base.examples.map((text) => {
    const button = element("button", { type: "button", dir: "auto", textContent: text });
    button.addEventListener("click", () => tryOut(text));
    return button;
  });
  document.getElementById("examples").append(...examples);
  return base;
}
