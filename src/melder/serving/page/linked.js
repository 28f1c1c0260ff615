// Mentions linked in batches, the least certain first.
import { post } from "./request.js";
import { certainty } from "./verdict.js";

const TOGETHER = 16; // mentions in one request: a few seconds' work, so that progress is seen
export const CHOICES = 9; // candidates: one for each digit

// { cases: [{ mention, link, entities }], faults }; `progress(done)` is told how many are linked.
export async function linkAll(mentions, base, progress) {
  const cases = [];
  const faults = [];
  const size = Math.min(TOGETHER, base.texts ?? TOGETHER);
  for (let start = 0; start < mentions.length; start += size) {
    const batch = mentions.slice(start, start + size);
    const { results, entities } = await post("link/batch?entities=true", { requests: batch.map((mention) => request(mention, base)) });
    for (const [place, { links, error }] of results.entries()) {
      if (error) faults.push(`line ${batch[place].line}: ${error}`);
      else cases.push({ mention: batch[place], link: links[0], entities });
    }
    progress(Math.min(start + size, mentions.length));
  }
  cases.sort((one, other) => certainty(one.link) - certainty(other.link));
  return { cases, faults };
}

function request({ text, start, end, image, language }, base) {
  const pictures = image && base.picture_names ? { image } : {}; // else nobody here has the picture
  return { text, mentions: [{ start, end }], k: Math.min(CHOICES, base.candidates ?? CHOICES), ...(language ? { language } : {}), ...pictures };
}
