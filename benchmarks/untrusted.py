"""Damages a knowledge base in hundreds of ways, seals it again as a stranger would, and opens it untrusted.

    melder demo
    melder kb build melder-demo/run --entities melder-demo/flags/entities.jsonl --out flags-kb
    python benchmarks/untrusted.py flags-kb --times 60

Prints, for each kind of damage, how many were refused and how many linked, and the most processor time of one. Fails
where one ends the process, raises what is no MelderError, has more than one line, or takes more than ten seconds.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from timing import machine

import melder
from melder.records import MelderError
from melder.runs.directory import versions

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from kb.resealed import DAMAGES, damage

LONGEST = 10.0  # seconds of processor time


@contextmanager
def copied(base: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copytree(base, Path(folder) / "kb"))


def refusal(base: Path, candidates: str | None) -> str | None:
    try:
        with melder.load(base, candidates=candidates, trusted=False) as linker:
            linker.link("a probe")
            list(linker.knowledge_base.entities)
    except MelderError as error:
        return str(error)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("knowledge_base", type=Path)
    parser.add_argument("--times", type=int, default=60, help="of each kind of damage")
    parser.add_argument("--candidates", help="a search that the knowledge base keeps")
    options = parser.parse_args()
    print(machine(versions()) + "\n\n| damage | tried | refused | linked | slowest |\n| --- | --- | --- | --- | --- |")
    wrong = list[str]()
    for name in DAMAGES:
        refused, slowest = 0, 0.0
        for seed in range(options.times):
            with copied(options.knowledge_base) as base:
                damage(base, name, seed)
                begun = time.process_time()
                reason = refusal(base, options.candidates)
                slowest = max(slowest, time.process_time() - begun)
            refused += reason is not None
            if reason is not None and "\n" in reason:
                wrong.append(f"{name} {seed}: {reason}")
        wrong += [f"{name}: {slowest:.1f} s"] if slowest > LONGEST else []
        linked = options.times - refused
        print(f"| {name} | {options.times} | {refused} | {linked} | {slowest:.1f} s |", flush=True)
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
