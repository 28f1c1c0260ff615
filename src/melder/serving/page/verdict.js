// What the answer is, in words. Scores have no scale of their own: a lead is compared with how far the candidates are apart.
const CLEAR = 0.3; // of the distance from the first to the last candidate
const SLIGHT = 0.1; // less is no lead

export const nameOf = (candidate) => candidate.name || candidate.id;

// [the answer, how sure it is]; the answer is null where it is open.
export function verdict(link) {
  const [first, second] = link.candidates;
  if (!first) return [null, "no candidate"];
  const nil = link.nil_probability;
  if (nil !== null && nil >= 0.5) return [null, `probably none of these (${percent(nil)})`];
  const known = nil === null ? "" : `, ${percent(1 - nil)} that it is among these`;
  if (!second) return [nameOf(first), `the only candidate${known}`];
  const range = first.score - link.candidates.at(-1).score;
  const lead = range > 0 ? (first.score - second.score) / range : 0;
  // Of two candidates the second is the last: there is nothing to compare their distance with.
  if (lead >= CLEAR && link.candidates.length > 2) return [nameOf(first), `clearly ahead${known}`];
  if (lead >= SLIGHT) return [nameOf(first), `ahead of ${apart(second, first)}${known}`];
  return [null, `uncertain, ${apart(first, second)} or ${apart(second, first)}${known}`];
}

// Namesakes have their ids beside their names.
function apart(candidate, other) {
  return nameOf(candidate) === nameOf(other) ? `${nameOf(candidate)} (${candidate.id})` : nameOf(candidate);
}

// Never 0 or 100 %: what was calibrated on a few mentions is not that sure.
function percent(share) {
  return `${Math.min(99, Math.max(1, Math.round(100 * share)))}\u00a0%`;
}

// How certain a link is, from 0 to 1: by its lead and, where it is calibrated, by how far the probability is from even.
export function certainty({ candidates, nil_probability: nil }) {
  if (!candidates.length) return 0;
  const range = candidates[0].score - candidates.at(-1).score;
  const lead = candidates.length < 2 ? 1 : range > 0 ? (candidates[0].score - candidates[1].score) / range : 0;
  const shrunk = candidates.length === 2 ? lead * CLEAR : lead; // of two, nothing says how far apart is far
  return nil === null ? shrunk : Math.min(shrunk, Math.abs(1 - 2 * nil));
}
