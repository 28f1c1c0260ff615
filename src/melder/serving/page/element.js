// Elements made by hand, and buttons that copy.
const COPIED = 1500; // milliseconds that a button says so

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export const points = (string) => [...string].length; // code points, which the service counts

export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// A list of one button, or of none where browsers let nobody copy: on pages that are neither local nor encrypted.
export function copyButton(label, content, spoken = label) {
  if (!navigator.clipboard) return [];
  const button = element("button", { type: "button", textContent: label, ariaLabel: spoken });
  button.addEventListener("click", async () => {
    const copied = await navigator.clipboard.writeText(content()).then(() => true, () => false);
    button.textContent = button.ariaLabel = copied ? "Copied" : "The browser forbids it";
    setTimeout(() => Object.assign(button, { textContent: label, ariaLabel: spoken }), COPIED);
  });
  return [button];
}
