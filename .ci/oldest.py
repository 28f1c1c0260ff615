"""Prints pip's constraints for the lowest version of every requirement in pyproject.toml, those of extras too.

python .ci/oldest.py [NAME==VERSION ...]    # the arguments take the place of what the file says of these
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit("needs Python 3.11 or newer, which reads TOML")
import tomllib

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?\s*(?P<operator>>=|==)\s*(?P<version>[0-9.]+)")


def requirements() -> Iterator[str]:
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    yield from project["dependencies"]
    for extra in project["optional-dependencies"].values():
        yield from extra


def constraints(chosen: list[str]) -> dict[str, str]:
    """The version of each package; a range of `>=X` is taken to begin at a release X."""
    lowest = {found["name"].lower(): found["version"] for found in map(REQUIREMENT.match, requirements()) if found}
    return lowest | dict(each.lower().split("==") for each in chosen)


if __name__ == "__main__":
    print("\n".join(f"{name}=={version}" for name, version in sorted(constraints(sys.argv[1:]).items())))
