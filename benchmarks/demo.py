"""How long `melder demo` takes and what it reaches, in a fresh directory: docs/performance.md.

    python benchmarks/demo.py                                      # this Melder
    python benchmarks/demo.py --rounds 3 --against ../before/src   # in turns with another checkout's sources
    python benchmarks/demo.py --setup                              # and the set-up of a bare environment

It prints Markdown: seconds from start to end; processor seconds (user and system) of the demo and its children, which
other work on the machine changes less; and H@1 on the test photographs for text, picture and both. With several
rounds the medians. `OMP_NUM_THREADS` is passed on.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from timing import machine

from melder.runs.directory import versions

SOURCES = Path(__file__).resolve().parent.parent / "src"
ROWS = ("text only", "picture only", "text and picture")
MELDER = (sys.executable, "-c", "from melder.cli import main; main()")


@dataclass
class Measured:
    """Of one demo: seconds, processor seconds, and H@1 in percent by what it was shown."""

    wall: float
    processor: float
    hits: dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--against", type=Path, help="the src directory of another checkout")
    parser.add_argument("--setup", action="store_true", help="measure `make` of a bare environment too")
    options = parser.parse_args()
    sources = {"this": SOURCES, **({"other": options.against.resolve()} if options.against else {})}
    measured: dict[str, list[Measured]] = {name: [] for name in sources}
    for _ in range(options.rounds):
        for name, path in sources.items():
            measured[name].append(run(path))
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    print(f"{machine(versions())}; OMP_NUM_THREADS {threads}; rounds: {options.rounds}\n")
    print("| | seconds | processor seconds | H@1 text | H@1 picture | H@1 both |\n|" + " --- |" * 6)
    for name, results in measured.items():
        print(f"| {name} | {row(results)} |")
    if options.setup:
        print(f"\nSet-up: {set_up():.0f} seconds")


def run(sources: Path) -> Measured:
    """One demo with the Melder that lies in `sources`, in a directory of its own that is removed afterwards."""
    with tempfile.TemporaryDirectory() as directory:
        before, start = spent(), time.perf_counter()
        command = [*MELDER, "demo", "--out", f"{directory}/demo"]
        environment = {**os.environ, "PYTHONPATH": str(sources), "COLUMNS": "120"}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        return Measured(time.perf_counter() - start, spent() - before, hits(done.stdout))


def spent() -> float:
    """Processor seconds of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def hits(printed: str) -> dict[str, float]:
    """H@1 from the table that the demo prints: │ name │ mentions │ H@1 │ …"""
    matches = {name: re.search(rf"│ {name} +│ +[\d,]+ │ +([\d.]+) │", printed) for name in ROWS}
    missing = [name for name, match in matches.items() if match is None]
    if missing:
        raise SystemExit(f"the demo printed no row for {', '.join(missing)}:\n{printed}")
    return {name: float(match[1]) for name, match in matches.items() if match is not None}


def row(results: list[Measured]) -> str:
    seconds = [f"{median(result.wall for result in results):.0f}", f"{median(r.processor for r in results):.0f}"]
    return " | ".join(seconds + [f"{median(result.hits[name] for result in results):.1f}" for name in ROWS])


def set_up() -> float:
    """Seconds until a bare copy of this checkout has the environment that `make demo` makes."""
    with tempfile.TemporaryDirectory() as directory:
        checkout = SOURCES.parent
        files = subprocess.run(["git", "ls-files"], cwd=checkout, stdout=subprocess.PIPE, text=True, check=True)
        for name in files.stdout.splitlines():
            target = Path(directory, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(checkout / name, target)
        start = time.perf_counter()
        subprocess.run(["make", ".venv/ready"], cwd=directory, stdout=sys.stderr, check=True)
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
