"""From an Excel export and from the CSV of a SPARQL query to linked mentions, by the commands of docs/your-own-kb.md.

    python benchmarks/first_links.py DIRECTORY

DIRECTORY holds `grocery` and `wikimel` in MIMIC's layout. The export has headers of its own and a picture a row; the
query's result has 5,000 people by their addresses. Mentions are of dev, seeded. Printed: seconds of each command, and
how many links are right.
"""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import openpyxl
from timing import machine

from melder.runs.directory import versions

EXPORT = {"id": "Inventory no.", "name": "Product", "description": "Notes", "images": "Photo"}
MENTIONS = ("id", "mention", "text", "image")


def main(data: Path) -> None:
    """Both ways, one after the other."""
    print(machine(versions()))
    with tempfile.TemporaryDirectory() as directory:
        _export(data / "grocery", Path(directory))
        _query(data / "wikimel", Path(directory))


def _export(data: Path, out: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(list(EXPORT.values()))
    for entity in _read(data / "kb_entity.json"):
        book.active.append([entity["qid"], entity["entity_name"], entity["desc"], entity["image_list"][0]])
    book.save(out / "export.xlsx")
    mentions = random.Random(43).sample(_read(data / "grocery_dev.json"), 40)
    columns = [word for field, header in EXPORT.items() for word in ("--column", f"{field}={header}")]
    table = ("--entities", out / "export.xlsx", "--images", data / "kb_image", *columns)
    _walk("Excel export, 81 entities with a picture", out, table, mentions, ("--images", data / "mention_image"))


def _query(data: Path, out: Path) -> None:
    entities = random.Random(43).sample(_read(data / "kb_entity.json"), 5000)
    with (out / "query.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("item", "itemLabel", "itemDescription"))
        for entity in entities:
            rows.writerow((f"http://www.wikidata.org/entity/{entity['qid']}", entity["entity_name"], entity["attr"]))
    there = {entity["qid"] for entity in entities}
    mentions = [mention for mention in _read(data / "WIKIMEL_dev.json") if mention["answer"] in there][:60]
    _walk("SPARQL result, 5,000 entities", out, ("--entities", out / "query.csv"), mentions, ())


def _walk(title: str, out: Path, table: tuple[object, ...], mentions: list[Any], pictures: tuple[object, ...]) -> None:
    base, texts, links = out / f"{table[1]}-kb", out / "mentions.csv", out / "links.csv"
    with texts.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(MENTIONS)
        rows.writerows(
            (mention["id"], mention["mentions"], mention["sentence"], mention["imgPath"]) for mention in mentions
        )
    checked = _seconds("kb", "check", table[1], *table[2:])
    built = _seconds("kb", "build", *table, "--encoder", "starter", "--out", base)
    linked = _seconds("link", base, "--input", texts, "--output", links, *pictures)
    answers = {mention["id"]: mention["answer"] for mention in mentions}
    with links.open(encoding="utf-8-sig") as file:
        right = sum(row["id_1"] == answers[row["id"]] for row in csv.DictReader(file))
    links.unlink()
    print(f"{title}: check {checked:.0f} s, build {built:.0f} s, link {linked:.0f} s; {right} of {len(mentions)} right")


def _seconds(*arguments: object) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "melder", *map(str, arguments)], check=True, capture_output=True)
    return time.perf_counter() - start


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
