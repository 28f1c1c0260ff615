// What a person says about a link, as an exemplar of the knowledge base. The token is kept here, and nowhere else.
import { addressOf } from "./candidates.js";
import { post } from "./request.js";

const PRINTABLE = /^[!-~]+$/; // what a header can carry

export class Teacher {
  constructor() {
    this.token = null;
    this.dialog = document.getElementById("ask-token");
    this.field = document.getElementById("token");
    this.dialog.querySelector("button[type=button]").addEventListener("click", () => this.dialog.close(""));
    this.dialog.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      const token = this.field.value.trim();
      if (PRINTABLE.test(token)) this.dialog.close(token);
      else this.complain("Type or paste the token: one word of letters, digits and signs.");
    });
  }

  // Whether mentions of an entity were learned; false when the person keeps the token back.
  learn(identity, exemplars) {
    return this.allowed((headers) => post(`${addressOf(identity)}/exemplars`, { exemplars }, { headers }));
  }

  // Whether `request(headers)`, which needs the token, was answered; asks for the token until it is right.
  async allowed(request) {
    for (let fault = ""; ; fault = "The service does not take this token.") {
      this.token ??= await this.ask(fault);
      if (this.token === null) return false;
      try {
        await request({ Authorization: `Bearer ${this.token}` });
        return true;
      } catch (error) {
        if (error.status !== 401) throw error;
        this.token = null;
      }
    }
  }

  ask(fault) {
    this.dialog.querySelector(".error").hidden = true;
    if (fault) this.complain(fault);
    this.dialog.returnValue = "";
    this.dialog.showModal();
    return new Promise((done) => this.dialog.addEventListener("close", () => {
      this.field.value = "";
      done(this.dialog.returnValue || null);
      this.dialog.returnValue = "";
    }, { once: true }));
  }

  complain(fault) {
    const shown = this.dialog.querySelector(".error");
    shown.textContent = fault;
    shown.hidden = false;
    this.field.focus();
  }
}
