"""How fast and in how much memory a dump of Wikidata is imported: one of made-up entities, written first.

    python benchmarks/import_dump.py --entities 1000000 --suffix .json.gz

Prints the size of the dump, entities a second and the peak memory of the process that imports it.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

CLASSES = 200  # different classes, which come first in the dump
LANGUAGES = ("en", "de", "fr", "es", "ja", "ru", "ar", "zh")
PROPERTIES = 8  # statements of an entity that nobody reads, as most of a dump is
SYLLABLES = ["ka", "ro", "mi", "tan", "bel", "gor", "nu", "sel", "vi", "ra", "po", "lin", "du", "mar", "te", "ash"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, default=1_000_000)
    parser.add_argument("--suffix", default=".json.gz", choices=[".json", ".json.gz", ".json.bz2"])
    parser.add_argument("--one-reading", action="store_true", help="types keep their ids")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dump, out = Path(folder) / f"dump{arguments.suffix}", Path(folder) / "entities.jsonl"
        write_dump(dump, arguments.entities)
        print(f"dump: {arguments.entities:,} entities, {dump.stat().st_size / 1e6:,.0f} MB as {arguments.suffix}")
        command = ["kb", "import", "wikidata", str(dump), "--lang", "de,en", "--out", str(out)]
        command += ["--no-type-names"] if arguments.one_reading else []
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", "from melder.cli import main; main()", *command], check=True)
        seconds, used = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        with out.open("rb") as file:
            written = sum(1 for _ in file)
        processor = used.ru_utime + used.ru_stime
        print(f"import: {written:,} entities, {arguments.entities / seconds:,.0f} of the dump a second, ", end="")
        print(f"{arguments.entities / processor:,.0f} a second of processor time")
        print(f"peak memory: {used.ru_maxrss / 1024:,.0f} MB")


def write_dump(path: Path, count: int) -> None:
    """Write a dump as Wikidata's are: an array, an entity a line."""
    openers: dict[str, Any] = {".gz": partial(gzip.open, compresslevel=1), ".bz2": partial(bz2.open, compresslevel=1)}
    with openers.get(path.suffix, open)(path, "wb") as file:
        file.write(b"[\n")
        for number, line in enumerate(lines(count)):
            file.write((b",\n" if number else b"") + line)
        file.write(b"\n]\n")


def lines(count: int) -> Iterator[bytes]:
    """Entities, each drawn with its number as the seed."""
    for number in range(count):
        draw = random.Random(number)
        words = ["".join(draw.choices(SYLLABLES, k=3)).capitalize() for _ in range(8)]
        spoken = LANGUAGES[: draw.randint(1, len(LANGUAGES))]
        entity = {
            "type": "item",
            "id": f"Q{number}",
            "labels": {code: {"language": code, "value": f"{words[0]} {words[1]}"} for code in spoken},
            "descriptions": {code: {"language": code, "value": " ".join(words)} for code in spoken},
            "aliases": {code: [{"language": code, "value": word} for word in words[2:4]] for code in spoken},
            "claims": _claims(number, draw, words),
        }
        yield json.dumps(entity, separators=(",", ":")).encode()


def _claims(number: int, draw: random.Random, words: list[str]) -> dict[str, Any]:
    claims: dict[str, Any] = {f"P{1000 + place}": [_statement(words[place % 8])] for place in range(PROPERTIES)}
    if number >= CLASSES:
        claims["P31"] = [_statement({"entity-type": "item", "id": f"Q{draw.randrange(CLASSES)}"})]
    if draw.random() < 0.3:
        claims["P18"] = [_statement(f"{words[0]} {number}.jpg")]
    return claims


def _statement(value: object) -> dict[str, Any]:
    snak = {"snaktype": "value", "property": "P0", "hash": "0" * 40, "datavalue": {"value": value, "type": "string"}}
    return {"mainsnak": snak, "type": "statement", "rank": "normal"}


if __name__ == "__main__":
    main()
