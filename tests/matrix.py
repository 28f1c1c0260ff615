"""The tests as on other processors: other instruction sets and numbers of threads, by the libraries' own switches.

    python tests/matrix.py                                        # everything under every entry
    python tests/matrix.py --numeric avx2 default perturbed       # what computes, under three of them: `.ci/run`

ATen, oneDNN, NumPy, OpenBLAS and MKL are each held to the instruction set. What the processor at hand does not have can
be no entry; `perturbed` imitates it (see `perturbed.py`). At the end stands a table for docs/reliability.md.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
NUMERIC = ("ops", "units", "methods", "training", "linking", "search", "generative")
SUMMARY = re.compile(r"(\d+) (passed|failed|errors?|skipped|warnings?)")


def entries() -> dict[str, dict[str, str]]:
    """Variables of the environment of each entry."""
    newest, every = _numpy_features("AVX512", "X86_V4"), _numpy_features("")
    avx2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    avx2 |= {"NPY_DISABLE_CPU_FEATURES": newest, "OPENBLAS_CORETYPE": "Haswell"}
    default = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}
    two = {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}  # threads that wait leave the core to other processes
    default |= {"NPY_DISABLE_CPU_FEATURES": every, "OPENBLAS_CORETYPE": "Nehalem"}
    return {
        "own": {},
        "own, two threads": two,
        "avx512_core": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
        "avx2": avx2,
        "avx2, two threads": avx2 | two,
        "default": default,
        "default, two threads": default | two,
        "perturbed": {"MELDER_PERTURBED": "1"},
    }


def main() -> None:
    known = entries()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("entries", nargs="*", help=f"of {', '.join(known)}; all when none is named")
    parser.add_argument("--numeric", action="store_true", help=f"only tests/{{{','.join(NUMERIC)}}}")
    parser.add_argument("--processes", default="auto", help="of pytest, by default one a core")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.entries if name not in known]
    if unknown:
        parser.error(f"there is no entry {unknown[0]!r}; there are {', '.join(known)}")
    chosen = [*(f"tests/{name}" for name in NUMERIC), "-m", "not any_processor"] if arguments.numeric else ["tests"]
    profile = {"HYPOTHESIS_PROFILE": "brief"} if arguments.numeric else {}
    rows = [_run(name, known[name] | profile, chosen, arguments.processes) for name in arguments.entries or known]
    print("\n| entry | outcome | minutes |\n| --- | --- | --- |")
    for name, _, outcome, minutes in rows:
        print(f"| {name} | {outcome} | {minutes:.1f} |")
    sys.exit(any(status for _, status, _, _ in rows))


def _run(name: str, variables: dict[str, str], chosen: list[str], processes: str) -> tuple[str, int, str, float]:
    settings = " ".join(f"{key}={value!r}" for key, value in variables.items())
    print(f"\n{name}: {settings or 'nothing set'}", flush=True)
    command = [sys.executable, "-m", "pytest", "-n", processes, *chosen]
    start, lines = time.monotonic(), list[str]()
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | variables
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    found = SUMMARY.findall(lines[-1] if lines else "")
    outcome = ", ".join(f"{int(number):,} {what}" for number, what in found) or "nothing ran"
    return name, running.returncode, outcome, (time.monotonic() - start) / 60


def _numpy_features(*beginnings: str) -> str:
    """Those of the processor that NumPy has code for and that begin so; it warns of others."""
    from numpy._core import _multiarray_umath as compiled

    have = compiled.__cpu_features__
    return " ".join(name for name in compiled.__cpu_dispatch__ if have.get(name) and name.startswith(beginnings))


if __name__ == "__main__":
    main()
