// The form, the question it asks, and the answer. Offsets of the service count code points, those of a field UTF-16.
import { about } from "./about.js";
import { cards, element } from "./candidates.js";
import { matched } from "./matched.js";
import { Picture } from "./picture.js";
import { verdict } from "./verdict.js";

const find = (id) => document.getElementById(id);
const text = find("text");
const status = find("status");
let chosen = null; // the span selected, [start, end) in UTF-16
let asking = null; // aborts the question that is under way

const points = (string) => [...string].length;

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

function complain(sentence) {
  forget();
  find("error").textContent = sentence.charAt(0).toUpperCase() + sentence.slice(1);
  find("error").hidden = false;
}

// The answer of the service at an address; a later question aborts it.
async function post(address, body) {
  asking?.abort();
  const own = (asking = new AbortController());
  const headers = { "Content-Type": "application/json" };
  const sent = { method: "POST", headers, body: JSON.stringify(body), signal: own.signal };
  const answer = await fetch(address, sent).catch((error) => {
    throw own.signal.aborted ? error : new Error("The service cannot be reached. Is it still running?");
  });
  const found = await answer.json().catch(() => ({ error: `The service answered with status ${answer.status}.` }));
  if (!answer.ok) throw new Error(found.error);
  return found;
}

async function ask() {
  const body = { text: text.value, image: await picture.read() };
  if (chosen) {
    const start = points(text.value.slice(0, chosen[0]));
    body.mentions = [{ start, end: start + points(text.value.slice(...chosen)) }];
  }
  return [(await post("link", body)).links, body];
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
    show(...(await ask()));
  } catch (error) {
    if (error.name === "AbortError") return;
    complain(error.message);
  }
  find("answer").ariaBusy = "false";
}

function show(links, asked) {
  if (!links.length) {
    status.textContent = "The text names no entity of this knowledge base. Select the words to link.";
    return;
  }
  status.textContent = links.length > 1 ? `${links.length} names were found. Choose one to see its candidates.` : "";
  document.body.classList.add("answered");
  const buttons = links.map((link) => {
    const button = element("button", { type: "button" }, element("bdi", { textContent: link.surface }));
    if (links.length > 1) button.append(element("bdi", { className: "under", textContent: verdict(link)[0] ?? "uncertain" }));
    button.addEventListener("click", () => open(link, asked, button, buttons));
    return button;
  });
  find("read").replaceChildren(...marked(links, [...asked.text], buttons));
  find("links").hidden = false;
  open(links[0], asked, buttons[0], buttons);
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

function open(link, asked, button, buttons) {
  for (const other of buttons) other.ariaPressed = String(other === button);
  const [answer, sure] = verdict(link);
  find("title").replaceChildren("“", element("bdi", { textContent: link.surface }), "”: ",
    ...(answer === null ? [] : [element("bdi", { textContent: answer }), ", "]), sure);
  const listed = cards(link.candidates);
  find("candidates").replaceChildren(...listed);
  find("why").hidden = !listed.length;
  find("why").onclick = () => explain(link, asked, listed);
}

async function explain(link, asked, listed) {
  find("why").hidden = true;
  status.textContent = "Looking at what matched…";
  try {
    const { explanation } = await post("explain", { ...asked, mentions: [{ start: link.start, end: link.end }] });
    for (const explained of explanation.candidates) {
      const place = link.candidates.findIndex((candidate) => candidate.id === explained.id);
      listed[place]?.querySelector(".evidence").append(matched(explained, explanation.read, asked.image));
    }
    status.textContent = "The evidence of each candidate now has what matched.";
  } catch (error) {
    if (error.name !== "AbortError") status.textContent = error.message.charAt(0).toUpperCase() + error.message.slice(1);
  }
}

const picture = new Picture();
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
about((example) => {
  choose(null);
  text.value = example;
  find("ask").requestSubmit();
}).catch(() => {}); // without what the knowledge base is, the page still links
choose(null);
