"""What must not get slow by a mistake: seconds of the processor for four jobs, each with the most that it may take.

    python benchmarks/limits.py --data ../shared/data       # without the data sets: the jobs that need none

The limits are several times what the jobs take on an idle machine; the status is 1 where one is passed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from melder.data import load
from melder.data.audit import CHECKS, gather
from melder.metrics.metrics import metrics
from melder.metrics.significance import paired_difference
from melder.records import Ranks

Job = tuple[str, float, Callable[[], object]]  # what it is, seconds that it may take


def significance() -> None:
    """10,000 draws of 2,500 mentions."""
    first, second = np.random.default_rng(7).random((2, 2500))
    paired_difference(first, second)


def intervals() -> None:
    """1,000 resamples of 5,000 mentions."""
    ranks = np.random.default_rng(0).geometric(0.3, size=5000)
    metrics(Ranks(ranks, ranks), candidates=100)


def pictures(data: Path) -> None:
    """All pictures of Grocery compared."""
    CHECKS["shared pictures"](gather(load(data / "grocery")))


def jobs(data: Path | None) -> list[Job]:
    found: list[Job] = [("a comparison's p-value", 3, significance), ("intervals of a split", 2, intervals)]
    if data is not None:
        found += [
            ("reading the 52,747 entities of union", 6, lambda: load(data / "union").entities),
            ("the audit of Grocery's pictures", 30, lambda: pictures(data)),
        ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="where the published data sets are")
    late = False
    print("| job | seconds | at most |\n| --- | --- | --- |")
    for name, most, job in jobs(parser.parse_args().data):
        start = time.process_time()
        job()
        seconds = time.process_time() - start
        late |= seconds > most
        print(f"| {name} | {seconds:.2f} | {most} |", flush=True)
    sys.exit(late)


if __name__ == "__main__":
    main()
