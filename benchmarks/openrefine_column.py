"""A column of 1,000 names reconciled by OpenRefine itself, without a window: seconds, and how many matches are right.

    melder demo
    melder kb build melder-demo/run --entities melder-demo/flags/entities.jsonl --out flags-kb
    python benchmarks/openrefine_column.py flags-kb

Needs OpenRefine (Debian: `apt install openrefine`). Rows are names and aliases of entities, in turn. A name that is one
entity's alone should be matched with it; one that several have, or that is misspelt (one row in ten), with none.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from attacks import serving
from timing import machine

from melder.kb import open_knowledge_base
from melder.kb.format.records import folded
from melder.runs.directory import versions

sys.path.append(str(Path(__file__).parents[1] / "tests/serving"))  # where OpenRefine's client is
from openrefine import ABSENT, EXECUTABLE, open_refine

SPOILT = 10  # one row in so many has a mistake


def rows_of(path: Path, count: int) -> list[tuple[str, str | None]]:
    """Names, each with the id of the entity that it should be matched with."""
    base = open_knowledge_base(path)
    owners: dict[str, set[str]] = {}
    for entity in base.entities:
        for name in entity.names:
            owners.setdefault(folded(name), set()).add(entity.id)
    names = [name for entity in base.entities for name in entity.names]
    chosen = [names[number % len(names)] for number in range(count)]
    spoilt = [name[:-1] + "qz" if number % SPOILT == 0 else name for number, name in enumerate(chosen)]
    owner = [owners.get(folded(name), set()) for name in spoilt]
    return [(name, next(iter(ids)) if len(ids) == 1 else None) for name, ids in zip(spoilt, owner, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("knowledge_base", type=Path)
    parser.add_argument("--rows", type=int, default=1000)
    options = parser.parse_args()
    if EXECUTABLE is None:
        sys.exit(ABSENT)
    print(machine(versions()) + "\n")
    rows, table = rows_of(options.knowledge_base, options.rows), io.StringIO()
    csv.writer(table).writerows([("name", "number"), *((name, number) for number, (name, _) in enumerate(rows))])
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(options.knowledge_base, None) as service,
        open_refine(Path(folder)) as refine,
    ):
        address = f"{service.url}/reconcile"
        with urllib.request.urlopen(address, timeout=60) as answer:
            manifest = json.load(answer)
        refine.create(table.getvalue())
        start = time.monotonic()
        refine.reconcile("name", address, None, manifest)
        seconds = time.monotonic() - start
        cells = [row[0] for row in refine.rows(options.rows)]
    matched = [cell["r"]["m"]["id"] if cell["r"].get("j") == "matched" else None for cell in cells]
    right = sum(own == wanted for own, (_, wanted) in zip(matched, rows, strict=True))
    wanted = sum(identity is not None for _, identity in rows)
    found = sum(own is not None for own in matched)
    print(
        f"{len(rows)} rows in {seconds:.1f} s; {found} matched, {wanted} were to be; {right} of {len(rows)} rows right"
    )


if __name__ == "__main__":
    main()
