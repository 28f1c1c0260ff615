// Which entities are candidates, by type, and how many: k.
import { element } from "./element.js";

const USUAL = 10; // candidates

export class Options {
  constructor() {
    this.types = [];
    this.most = 100;
    this.field = document.getElementById("type");
    this.number = document.getElementById("k");
    this.field.addEventListener("change", () => this.take());
    this.field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !this.field.value.trim()) return;
      event.preventDefault(); // the first Enter adds the type, the next one links
      this.take();
    });
  }

  // What the service offers.
  offer(base) {
    this.most = this.number.max = base.candidates;
    document.getElementById("filter").hidden = !base.types;
    document.getElementById("offered").replaceChildren(
      ...base.offered_types.map((type) => element("option", { value: type })));
  }

  get k() {
    const k = Math.round(Number(this.number.value));
    return Math.min(this.most, Math.max(1, k || USUAL));
  }

  // What differs from what is usual, as fields of a request.
  fields() {
    this.take();
    this.number.value = this.k;
    return { ...(this.k === USUAL ? {} : { k: this.k }), ...(this.types.length ? { types: [...this.types] } : {}) };
  }

  set(types, k) {
    this.types = [];
    for (const type of types) this.add(type);
    this.show();
    this.number.value = k ?? USUAL;
    if (types.length || this.k !== USUAL) document.getElementById("options").open = true;
  }

  take() {
    this.add(this.field.value.trim());
    this.field.value = "";
    this.show();
  }

  add(type) {
    if (type && !this.types.includes(type)) this.types.push(type);
  }

  show() {
    document.getElementById("types").replaceChildren(...this.types.map((type) => {
      const button = element("button", { type: "button", ariaLabel: `Remove the type ${type}` },
        element("bdi", { textContent: type }), " ×");
      button.addEventListener("click", () => {
        this.types = this.types.filter((other) => other !== type);
        this.show();
        this.field.focus();
      });
      return button;
    }));
  }
}
