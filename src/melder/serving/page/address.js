// A question as the address of this page. It stands behind the #, which browsers send to nobody; never a picture.
export function addressed({ text, mentions = [], types = [], k }) {
  const fields = new URLSearchParams({ text });
  if (mentions.length) fields.set("mention", `${mentions[0].start}-${mentions[0].end}`);
  for (const type of types) fields.append("type", type);
  if (k !== undefined) fields.set("k", k);
  return `#${fields}`;
}

// The question of an address, its span in code points; null where there is none.
export function questioned(fragment) {
  const fields = new URLSearchParams(fragment.slice(1));
  const text = fields.get("text");
  if (!text?.trim()) return null;
  const [, start, end] = /^(\d+)-(\d+)$/.exec(fields.get("mention") ?? "") ?? [];
  const covers = start !== undefined && Number(start) < Number(end) && Number(end) <= [...text].length;
  const k = /^\d+$/.test(fields.get("k") ?? "") ? Number(fields.get("k")) : undefined;
  return { text, mention: covers ? [Number(start), Number(end)] : null, types: fields.getAll("type"), k };
}
