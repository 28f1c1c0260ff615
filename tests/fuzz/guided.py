"""Fuzzing that looks at which lines an input reaches: `pip install 'melder[fuzz]'`, then

    PYTHONPATH=tests python tests/fuzz/guided.py nif --seconds 60
    PYTHONPATH=tests python tests/fuzz/guided.py            # all targets, a minute each: a part of `make fuzz`

Seeds are in tests/fuzz/corpus; what is found on the way is kept in build/fuzz, and built upon the next time. An input
that fails is written there too, as TARGET-crash-…: mend what it shows, and keep it among the seeds as `found-…`, which
tests/fuzz/test_targets.py plays in every run of the tests.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

import atheris

from fuzz.mutator import mutated

KEPT = Path("build/fuzz")
PACKAGES = ["melder", "rdflib", "PIL"]
READERS = ("data", "export", "io", "jobs", "kb/manifest.py", "languages.py", "records.py", "serving")  # of melder
LONGEST = 4096  # bytes of an input
SLOWEST, MEMORY = 10, 3000  # seconds of one input, MB of the process


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", help="none: all, one after the other")
    parser.add_argument("--seconds", type=int, default=60, help="of each target")
    options = parser.parse_args()
    with atheris.instrument_imports(include=PACKAGES, exclude=others()):
        from fuzz.targets import TARGETS
    if options.target is None:
        command = [sys.executable, __file__, "--seconds", str(options.seconds)]
        failed = [name for name in TARGETS if subprocess.run([*command, name], check=False).returncode]
        sys.exit(f"inputs that failed are in {KEPT}: {', '.join(failed)}" if failed else 0)
    fuzz(options.target, options.seconds)


def others() -> list[str]:
    """Modules of Melder that read nothing: looking at them too would take a minute more."""
    source = Path(importlib.util.find_spec("melder").submodule_search_locations[0])  # type: ignore[union-attr, index]
    paths = [path.relative_to(source) for path in source.rglob("*.py")]
    names = [path.as_posix() for path in paths if not path.as_posix().startswith(READERS)]
    return [f"melder.{name.removesuffix('.py').removesuffix('/__init__').replace('/', '.')}" for name in names]


def fuzz(target: str, seconds: int) -> None:
    """Does not return: libFuzzer ends the process, with an error where an input failed."""
    from fuzz.targets import CORPUS, TARGETS

    kept = KEPT / target
    kept.mkdir(parents=True, exist_ok=True)
    limits = {"max_total_time": seconds, "max_len": LONGEST, "timeout": SLOWEST, "rss_limit_mb": MEMORY}
    atheris.Setup(
        [
            sys.argv[0],
            str(kept),
            str(CORPUS / target),
            f"-artifact_prefix={kept}-",
            *(f"-{name}={value}" for name, value in limits.items()),
            "-print_final_stats=1",
        ],
        lambda content: _ended(TARGETS[target](content)),
        custom_mutator=_mutated,
    )
    atheris.Fuzz()


def _mutated(content: bytes, longest: int, seed: int) -> bytes:
    """Half of the changes know what they change; the others are libFuzzer's own."""
    return mutated(content, seed)[:longest] if seed % 2 else bytes(atheris.Mutate(content, longest))


def _ended(read: int) -> None:
    """How much was read is nothing to libFuzzer."""


if __name__ == "__main__":
    main()
