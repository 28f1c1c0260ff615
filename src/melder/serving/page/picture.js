// The picture that goes with the text: chosen, dropped anywhere on the page, or pasted.
export class Picture {
  constructor() {
    this.file = null;
    this.input = document.getElementById("file");
    this.given = document.getElementById("given");
    this.input.addEventListener("change", () => this.take(this.input.files));
    document.getElementById("remove").addEventListener("click", () => {
      this.set(null);
      this.input.focus();
    });
    document.addEventListener("paste", (event) => {
      // What is copied from a document may bring a picture of the same text.
      if (!event.clipboardData.types.includes("text/plain")) this.take(event.clipboardData.files, event);
    });
    const drop = document.getElementById("drop");
    document.addEventListener("dragover", (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      drop.classList.add("over");
    });
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) drop.classList.remove("over");
    });
    document.addEventListener("drop", (event) => {
      drop.classList.remove("over");
      this.take(event.dataTransfer.files, event);
    });
  }

  take(files, event) {
    if (!files.length || document.getElementById("drop").hidden) return; // nobody would look at it
    event?.preventDefault();
    this.set(files[0]);
  }

  set(file) {
    const shown = this.given.querySelector("img");
    URL.revokeObjectURL(shown.src);
    this.file = file;
    this.given.hidden = !file;
    if (file) shown.src = URL.createObjectURL(file);
    else {
      shown.removeAttribute("src");
      this.input.value = "";
    }
  }

  // Its file's name, which its own machine knows; empty without one.
  get name() {
    return this.file ? this.file.name || "picture.png" : "";
  }

  // A data URI of the picture; null without one.
  read() {
    if (!this.file) return Promise.resolve(null);
    return new Promise((done, failed) => {
      const reader = new FileReader();
      reader.onload = () => done(reader.result);
      reader.onerror = () => failed(new Error("The picture cannot be read; choose it again."));
      reader.readAsDataURL(this.file);
    });
  }
}
