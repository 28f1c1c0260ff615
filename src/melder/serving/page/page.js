// The form, the question it asks, and the answer. Offsets of the service count code points, those of a field UTF-16.
import { about } from "./about.js";
import { addressed, questioned } from "./address.js";
import { cards, hasPictures } from "./candidates.js";
import { element, points, sentence } from "./element.js";
import { matched } from "./matched.js";
import { trainLine } from "./mention_lines.js";
import { Options } from "./options.js";
import { Picture } from "./picture.js";
import { forPrograms, post } from "./request.js";
import { Review } from "./review.js";
import { openTab } from "./tabs.js";
import { Teacher } from "./teaching.js";
import { nameOf, verdict } from "./verdict.js";

const find = (id) => document.getElementById(id);
const text = find("text");
const status = find("status");
const picture = new Picture();
const options = new Options();
const teacher = new Teacher();
let base = {}; // what the service says of itself
let chosen = null; // the span selected, [start, end) in UTF-16
let asking = null; // aborts the question that is under way

function choose(span) {
  chosen = span;
  find("chosen").hidden = !span;
  if (span) find("chosen").querySelector("mark").textContent = text.value.slice(...span);
  find("link").textContent = span ? "Link the selected words" : "Find names and link them";
}

function selected() {
  if (document.activeElement !== text) return;
  const words = text.value.slice(text.selectionStart, text.selectionEnd);
  if (!words.trim()) return;
  const start = text.selectionStart + words.length - words.trimStart().length;
  choose([start, start + words.trim().length]);
}

function forget() {
  find("start").hidden = true;
  document.body.classList.remove("answered");
  find("links").hidden = find("error").hidden = true;
  status.textContent = "";
}

function complain(fault) {
  forget();
  find("error").textContent = sentence(fault);
  find("error").hidden = false;
  find("error").scrollIntoView({ block: "nearest" });
}

// What came of a button further down, where people see it.
function say(told) {
  status.textContent = told;
  status.scrollIntoView({ block: "nearest" });
}

// A later question aborts an earlier one.
function askService(address, body) {
  asking?.abort();
  asking = new AbortController();
  return post(address, body, { signal: asking.signal });
}

async function question() {
  const asked = { text: text.value, ...options.fields() };
  const image = await picture.read();
  if (image !== null) asked.image = image;
  if (chosen) {
    const start = points(text.value.slice(0, chosen[0]));
    asked.mentions = [{ start, end: start + points(text.value.slice(...chosen)) }];
  }
  return asked;
}

async function submit(event) {
  event.preventDefault();
  if (!text.value.trim()) {
    complain("Type or paste a text first.");
    text.focus();
    return;
  }
  forget();
  status.textContent = "Linking…";
  find("answer").ariaBusy = "true";
  try {
    const asked = await question();
    history.replaceState(null, "", addressed(asked));
    show(asked, await askService("link?entities=true", asked));
  } catch (error) {
    if (error.name === "AbortError") return;
    complain(error.message);
  }
  find("answer").ariaBusy = "false";
}

function show(asked, { links, entities }) {
  if (!links.length) {
    status.textContent = "The text names no entity of this knowledge base. Select the words to link.";
    return;
  }
  status.textContent = links.length > 1 ? `${links.length} names were found. Choose one to see its candidates.` : "";
  document.body.classList.add("answered");
  const buttons = links.map((link) => {
    const button = element("button", { type: "button" }, element("bdi", { textContent: link.surface }));
    if (links.length > 1) button.append(element("bdi", { className: "under", textContent: verdict(link)[0] ?? "uncertain" }));
    button.addEventListener("click", () => open(link, asked, entities, button, buttons));
    return button;
  });
  find("read").replaceChildren(...marked(links, [...asked.text], buttons));
  find("programs").lastElementChild.replaceChildren(...forPrograms(asked, picture.name, links));
  find("links").hidden = false;
  open(links[0], asked, entities, buttons[0], buttons);
  find("title").focus();
}

function* marked(links, letters, buttons) {
  let before = 0;
  for (const [place, link] of links.entries()) {
    yield letters.slice(before, link.start).join("");
    yield buttons[place];
    before = link.end;
  }
  yield letters.slice(before).join("");
}

function open(link, asked, entities, button, buttons) {
  for (const other of buttons) other.ariaPressed = String(other === button);
  const [answer, sure] = verdict(link);
  find("title").replaceChildren("“", element("bdi", { textContent: link.surface }), "”: ",
    ...(answer === null ? [] : [element("bdi", { textContent: answer }), ", "]), sure);
  const listed = cards(link.candidates, entities, base, base.learns ? (candidate) => teach(link, asked, candidate) : null);
  find("candidates").replaceChildren(...listed);
  find("candidates").classList.toggle("plain", !hasPictures(link.candidates, entities));
  find("why").hidden = !listed.length || !base.explains;
  find("why").onclick = () => explain(link, asked, listed);
  find("none").hidden = !base.learns;
  find("none").onclick = () => none(link, asked);
}

// Nothing can be learned from it, but a data set can hold it.
function none(link, asked) {
  const mention = { ...asked, id: "1", start: link.start, end: link.end, surface: link.surface, image: null };
  const address = URL.createObjectURL(new Blob([trainLine(mention, null)], { type: "application/x-ndjson" }));
  say(`“${link.surface}” is none of these. A knowledge base learns nothing from that; add the entity, or keep the mention: `);
  status.append(element("a", { href: address, download: "train.jsonl", textContent: "train.jsonl" }));
}

async function teach(link, asked, candidate) {
  const exemplar = { text: asked.text, start: link.start, end: link.end, image: asked.image };
  try {
    const learned = await teacher.learn(candidate.id, [exemplar]);
    if (learned) say(`Learned: “${link.surface}” means ${nameOf(candidate)} (${candidate.id}). Link again to see it.`);
  } catch (error) {
    say(sentence(error.message));
  }
}

async function explain(link, asked, listed) {
  find("why").hidden = true;
  status.textContent = "Looking at what matched…";
  try {
    const { explanation } = await askService("explain", { ...asked, mentions: [{ start: link.start, end: link.end }] });
    const compared = explanation.candidates.filter((candidate) => Object.keys(candidate.aligned).length);
    for (const explained of compared) {
      const place = link.candidates.findIndex((candidate) => candidate.id === explained.id);
      listed[place]?.querySelector(".evidence").append(matched(explained, explanation.read, asked.image));
    }
    status.textContent = compared.length
      ? "The evidence of each candidate now has what matched."
      : "There is nothing to show: no words or patches of these were compared.";
  } catch (error) {
    if (error.name !== "AbortError") status.textContent = sentence(error.message);
  }
}

// Fill in what an address asks, and ask it. Whether there was anything.
function followAddress() {
  if (location.hash === "#review") openTab("tab-review");
  const asked = questioned(location.hash);
  if (!asked) return false;
  openTab("tab-link");
  text.value = asked.text;
  const letters = [...text.value]; // a field turns \r\n into \n, and then a span may lie elsewhere
  options.set(asked.types, asked.k);
  choose(asked.mention && text.value === asked.text ? asked.mention.map((end) => letters.slice(0, end).join("").length) : null);
  find("ask").requestSubmit();
  return true;
}

find("ask").addEventListener("submit", submit);
find("clear").addEventListener("click", () => {
  choose(null);
  text.setSelectionRange(text.value.length, text.value.length);
  text.focus();
});
document.addEventListener("selectionchange", selected);
text.addEventListener("select", selected); // where the other event leaves fields out
text.addEventListener("input", () => choose(null));
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) find("ask").requestSubmit();
});
find("edit").addEventListener("click", () => {
  document.body.classList.remove("answered");
  text.focus();
});
window.addEventListener("hashchange", followAddress);
choose(null);
about((example) => {
  choose(null);
  text.value = example;
  find("ask").requestSubmit();
}).then((told) => {
  base = told;
  options.offer(base);
  new Review(teacher, base);
}).catch(() => {}).finally(() => { // without what the knowledge base is, the page still links
  // Who asked before that is not asked for again: the address is that of their question by now.
  if (asking !== null || !followAddress()) find("start").hidden = asking !== null || !find("examples").childElementCount;
});
