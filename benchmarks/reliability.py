"""Runs the tests of accidents and of bad input, and prints how many of each they tried: docs/reliability.md.

    python benchmarks/reliability.py
    HYPOTHESIS_PROFILE=long python benchmarks/reliability.py

Tests print a line `faults: KIND WHERE NUMBER WHAT` for what they did; Hypothesis counts its inputs itself.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ("tests/accidents", "tests/fuzz")
FAULT = re.compile(r"^faults: (.+?) (\d+) (.+)$", re.MULTILINE)
SUMMARY = re.compile(r"^.*\d+ (?:passed|failed|errors?).*$", re.MULTILINE)
INPUTS = re.compile(
    r"^tests/fuzz/(test_\w+)\.py::[^\n]*\n(?:\s*\n|\s+-[^\n]*\n)*?\s+- (?:[^\n]*?)(\d+) passing", re.MULTILINE
)


def main() -> None:
    options = ["-rP", "--hypothesis-show-statistics", "-p", "no:cacheprovider"]
    done = subprocess.run([sys.executable, "-m", "pytest", *TESTS, *options], cwd=ROOT, capture_output=True, text=True)
    print("| accident | times |\n| --- | --- |")
    for what, number, unit in FAULT.findall(done.stdout):
        print(f"| {what} | {int(number):,} {unit} |")
    inputs: dict[str, int] = defaultdict(int)
    for file, number in INPUTS.findall(done.stdout):
        inputs[file] += int(number)
    print("\n| input | tried |\n| --- | --- |")
    for file, number in inputs.items():
        print(f"| `tests/fuzz/{file}.py` | {number:,} |")
    print("\n" + (SUMMARY.findall(done.stdout) or [done.stdout + done.stderr])[-1])
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
