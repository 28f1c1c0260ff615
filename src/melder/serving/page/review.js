// Review: one mention after another, answered by a key, and what comes of the answers.
import { hasPictures, picture } from "./candidates.js";
import { element, sentence } from "./element.js";
import { linkAll } from "./linked.js";
import { readMentions, trainLine } from "./mention_lines.js";
import { nameOf } from "./verdict.js";

const LISTED = 3; // faults that are shown in full
const find = (id) => document.getElementById(id);
const counted = (number, one, more) => `${number} ${number === 1 ? one : more}`;

export class Review {
  constructor(teacher, base) {
    Object.assign(this, { teacher, base, cases: [], place: 0, reading: 0 });
    this.answers = new Map(); // a case's place → the id that it means, or null for none; skipped ones are not there
    this.taught = new Map(); // a case's place → the id that the knowledge base has learned of it
    find("from-log").hidden = !base.logs;
    find("apply").hidden = !base.learns;
    find("records").addEventListener("change", () => this.read(find("records").files[0]));
    find("from-log").addEventListener("click", () => this.readLog());
    find("case-none").addEventListener("click", () => this.answer(null));
    find("case-skip").addEventListener("click", () => this.skip());
    find("case-undo").addEventListener("click", () => this.undo());
    find("apply").addEventListener("click", () => this.apply());
    document.addEventListener("keydown", (event) => this.press(event));
    window.addEventListener("beforeunload", (event) => {
      if (this.unsaved) event.preventDefault(); // answers that nobody has downloaded
    });
    find("download").addEventListener("click", () => (this.unsaved = false));
  }

  async read(file) {
    if (!file) return;
    await this.start(file.name, () => file.text());
    find("records").value = ""; // so that the same file can be chosen again
  }

  async readLog() {
    await this.start("the log", async () => {
      let content = null;
      const get = async (headers) => {
        const answer = await fetch("log", { headers });
        if (!answer.ok) throw Object.assign(new Error((await answer.json()).error), { status: answer.status });
        content = await answer.text();
      };
      await this.teacher.allowed(get);
      return content;
    });
  }

  // The mentions of `content()`, null for none after all. What a later choice replaces comes to nothing.
  async start(name, content) {
    const own = ++this.reading;
    this.complain([]);
    try {
      const lines = await content();
      if (lines === null) return;
      const { mentions, faults } = readMentions(lines);
      const open = mentions.filter((mention) => mention.answer === null);
      this.say(`Linking ${counted(open.length, "mention", "mentions")}…`);
      const linked = await linkAll(open, this.base, (done) => this.say(`Linked ${done} of ${open.length}…`));
      if (own !== this.reading) return;
      this.cases = linked.cases;
      this.answers.clear();
      this.taught.clear();
      this.unsaved = false;
      this.place = 0;
      this.complain([...faults, ...linked.faults].map((fault) => `${name}, ${fault}`));
      const answered = mentions.length - open.length;
      this.say(answered ? `${counted(answered, "mention has", "mentions have")} an answer already.` : "");
      if (!this.cases.length) this.say(`${sentence(name)} has no mention without an answer.`);
      this.show();
    } catch (error) {
      this.say("");
      this.complain([sentence(error.message)]);
    }
  }

  press(event) {
    const elsewhere = event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, textarea, dialog");
    if (find("review").hidden || elsewhere || !this.cases.length) return;
    const keys = { n: () => this.answer(null), s: () => this.skip(), u: () => this.undo() };
    const candidate = /^[1-9]$/.test(event.key) ? this.current?.link.candidates[event.key - 1] : null;
    const act = candidate ? () => this.answer(candidate.id, nameOf(candidate)) : keys[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  }

  get current() {
    return this.cases[this.place];
  }

  answer(identity, name) {
    if (!this.current) return;
    this.answers.set(this.place, identity);
    this.unsaved = true;
    this.say(`“${this.current.mention.surface}” ${identity === null ? "is none of these" : `means ${name} (${identity})`}.`);
    this.place += 1;
    this.show();
  }

  skip() {
    if (!this.current) return;
    this.say(`“${this.current.mention.surface}” was skipped.`);
    this.place += 1;
    this.show();
  }

  undo() {
    if (!this.place) return;
    this.place -= 1;
    this.answers.delete(this.place);
    this.say("Taken back.");
    this.show();
  }

  show() {
    const there = this.cases.length > 0;
    find("case").hidden = !there;
    find("outcome").hidden = !there;
    if (!there) return;
    const done = !this.current;
    find("case-title").textContent = done ? "That was the last one" : `${this.place + 1} of ${this.cases.length}: “${this.current.mention.surface}”`;
    find("case-text").replaceChildren(...(done ? [] : inContext(this.current.mention)));
    find("choices").replaceChildren(...(done ? [] : this.choices()));
    find("case-none").hidden = find("case-skip").hidden = done;
    find("case-undo").disabled = !this.place;
    this.sum();
    find("case-title").focus(); // the next mention is read out
  }

  choices() {
    const { link, entities } = this.current;
    const pictured = hasPictures(link.candidates, entities);
    return link.candidates.map((candidate, place) => {
      const entity = entities[candidate.id] ?? {};
      const text = element("span", { dir: "auto" },
        element("b", {}, element("bdi", { textContent: nameOf(candidate) })),
        element("span", { className: "note" }, " ", element("bdi", { textContent: candidate.id })),
        ...(entity.description ? [element("span", { className: "description", textContent: entity.description })] : []));
      const button = element("button", { type: "button" }, element("kbd", { textContent: String(place + 1) }),
        ...(pictured ? [picture(candidate, entity)] : []), text);
      button.addEventListener("click", () => this.answer(candidate.id, nameOf(candidate)));
      return element("li", {}, button);
    });
  }

  sum() {
    const lines = [...this.answers].map(([place, answer]) => trainLine(this.cases[place].mention, answer));
    const link = find("download");
    URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" }));
    link.hidden = !lines.length;
    find("apply").disabled = !this.untaught().length;
    find("outcome-title").textContent = counted(lines.length, "answer", "answers");
  }

  untaught() {
    return [...this.answers].filter(([place, answer]) => answer !== null && this.taught.get(place) !== answer);
  }

  // Each entity's mentions in requests of as many as the service takes.
  async apply() {
    const byEntity = Map.groupBy(this.untaught(), ([, answer]) => answer);
    let learned = 0;
    find("apply").disabled = true;
    try {
      for (const [identity, answered] of byEntity) {
        for (let start = 0; start < answered.length; start += this.base.changed) {
          const places = answered.slice(start, start + this.base.changed).map(([place]) => place);
          if (!(await this.teacher.learn(identity, places.map((place) => this.exemplar(place))))) return;
          for (const place of places) this.taught.set(place, identity);
          this.say(`The knowledge base has learned ${counted((learned += places.length), "mention", "mentions")}.`);
        }
      }
    } catch (error) {
      this.complain([sentence(error.message)]);
    } finally {
      this.sum();
    }
  }

  exemplar(place) {
    const { text, start, end, image, language } = this.cases[place].mention;
    const first = Array.isArray(image) ? image[0] : image;
    return { text, start, end, ...(language ? { language } : {}), ...(first && this.base.picture_names ? { image: first } : {}) };
  }

  say(text) {
    find("review-status").textContent = text;
  }

  complain(faults) {
    const more = faults.length > LISTED ? [`and ${counted(faults.length - LISTED, "other fault", "other faults")}`] : [];
    find("review-error").textContent = [...faults.slice(0, LISTED), ...more].join("; ");
    find("review-error").hidden = !faults.length;
  }
}

function inContext({ text, start, end }) {
  const letters = [...text];
  return [letters.slice(0, start).join(""), element("mark", { textContent: letters.slice(start, end).join("") }), letters.slice(end).join("")];
}
