"""Where the time goes from a command to its first link.

    python benchmarks/start.py KB [--repeat 5]

Each step is a process of its own that does all steps before it too; the median of several is printed, in seconds of
processor time and of the clock. What a step takes is the difference to the one above it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

STEPS = {
    "Python": "",
    "PyTorch": "import torch",
    "transformers with BERT": "import transformers.models.bert.modeling_bert",
    "Melder": "import melder; from melder.linking.load import load",
    "open the knowledge base": "linker = melder.load(path)",
    "first link": "linker.link('Guinea won the toss', mention='Guinea')",
    "second link": "linker.link('Mali won the toss', mention='Mali')",
}
FRAME = """
import json, sys, time
path = sys.argv[1]
start = time.perf_counter()
{steps}
print(json.dumps([time.process_time(), time.perf_counter() - start]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kb", type=Path)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    print("| step | processor, s | clock, s |\n| --- | --- | --- |")
    lines = list[str]()
    for name, line in STEPS.items():
        lines.append(line)
        processor, clock = (statistics.median(times) for times in zip(*_times(options, lines), strict=True))
        print(f"| {name} | {processor:.2f} | {clock:.2f} |", flush=True)


def _times(options: argparse.Namespace, lines: list[str]) -> list[tuple[float, float]]:
    code = FRAME.format(steps="\n".join(lines))
    command = [sys.executable, "-c", code, str(options.kb)]
    runs = [subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(options.repeat)]
    return [tuple(json.loads(run.stdout.splitlines()[-1])) for run in runs]


if __name__ == "__main__":
    main()
