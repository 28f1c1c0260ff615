// Mentions of a file of JSON Lines, as the service's records are written; what is wrong is said, and the rest is read.
import { points } from "./element.js";

// { mentions, faults }; a mention has `line` and, where the file says so already, `answer`.
export function readMentions(content) {
  const mentions = [];
  const faults = [];
  for (const [place, line] of content.replace(/^\ufeff/, "").split("\n").entries()) {
    if (!line.trim()) continue;
    try {
      mentions.push(mention(line, place + 1));
    } catch (fault) {
      faults.push(`line ${place + 1}: ${fault.message}`);
    }
  }
  return { mentions, faults };
}

function mention(line, number) {
  const record = parsed(line);
  if (typeof record.text !== "string" || !record.text.trim()) throw new Error("field 'text': must be a text");
  const image = record.image ?? null;
  const names = Array.isArray(image) ? image : image === null ? [] : [image];
  if (!names.every((name) => typeof name === "string")) throw new Error("field 'image': must be the name of a picture, or a list of names");
  const [start, end] = span(record);
  return {
    line: number, id: String(record.id ?? number), text: record.text, start, end, surface: [...record.text].slice(start, end).join(""),
    image, answer: record.answer ?? null, language: record.language ?? null,
  };
}

function parsed(line) {
  let record;
  try {
    record = JSON.parse(line);
  } catch {
    throw new Error("is no JSON; write one record a line");
  }
  if (record === null || typeof record !== "object" || Array.isArray(record)) throw new Error("is no record; write {\"text\": …}");
  return record;
}

// [start, end) in code points: as the record says, or the first place of its surface.
function span({ text, start = null, end = null, ...others }) {
  const surface = others.surface || others.mention;
  if (start === null && end === null) {
    const place = typeof surface === "string" && surface ? text.indexOf(surface) : -1;
    if (place < 0) throw new Error("needs 'start' and 'end', or a 'mention' that stands in its text");
    return [points(text.slice(0, place)), points(text.slice(0, place + surface.length))];
  }
  const inside = Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start < end && end <= points(text);
  if (!inside) throw new Error(`fields 'start' and 'end': ${start} and ${end} are no span of the text of ${points(text)} characters`);
  const covered = [...text].slice(start, end).join("");
  if (!covered.trim()) throw new Error(`fields 'start' and 'end': ${start} and ${end} cover no words`);
  if (surface && surface !== covered) throw new Error(`fields 'start' and 'end': cover “${covered}”, not the mention “${surface}”`);
  return [start, end];
}

// A line of a data set's train.jsonl; an answer of null = none of the knowledge base.
export function trainLine({ id, text, start, end, surface, image, language }, answer) {
  return `${JSON.stringify({ id, text, start, end, surface, image, answer, ...(language ? { language } : {}) })}\n`;
}
