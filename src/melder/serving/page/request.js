// Questions to the service, and how the same is asked without this page.
import { copyButton, element } from "./element.js";
import { addressed } from "./address.js";

const OUTSIDE = "The service cannot be reached. Is it still running?";

// The answer to `body`; an error has a sentence.
export async function post(address, body, { signal, headers = {} } = {}) {
  const sent = { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body), signal };
  return read(await fetch(address, sent).catch((error) => {
    throw signal?.aborted ? error : new Error(OUTSIDE);
  }));
}

async function read(answer) {
  const content = await answer.json().catch(() => ({ error: `The service answered with status ${answer.status}.` }));
  if (!answer.ok) throw Object.assign(new Error(content.error), { status: answer.status });
  return content;
}

// The address of this answer, the curl of its request, and its JSON, each to be copied.
export function forPrograms(question, pictureName, links) {
  const here = `${location.origin}${location.pathname}${addressed(question)}`;
  const items = [
    ["Address of this page", here, pictureName ? "Without the picture, which stays with you." : ""],
    ["curl", curl(question, pictureName), ""],
    ["JSON", JSON.stringify(links, null, 2), ""],
  ];
  return items.map(([label, content, note]) => element("section", {},
    element("h3", { textContent: label }),
    ...(note ? [element("p", { className: "note", textContent: note })] : []),
    element("pre", { tabIndex: 0, textContent: content, ariaLabel: label }),
    element("p", { className: "actions small" }, ...copyButton("Copy", () => content, `Copy: ${label}`))));
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

// A picture goes as a file, which is named as the person's own.
export function curl(question, pictureName) {
  const address = quoted(`${location.origin}${location.pathname}link`);
  const { image, ...fields } = question;
  if (!pictureName) return `curl ${address} -H 'Content-Type: application/json' -d ${quoted(JSON.stringify(fields))}`;
  const texts = Object.entries(fields).map(([name, value]) =>
    `--form-string ${quoted(`${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)}`);
  return ["curl", address, ...texts, "-F", quoted(`image=@"${pictureName.replaceAll(/["\\]/g, "\\$&")}"`)].join(" ");
}
