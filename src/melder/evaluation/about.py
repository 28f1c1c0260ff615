"""What made a file of predictions, kept beside it: so that a comparison can say which methods it compares.

`dev.jsonl.about.json` holds the facts and the checksum of `dev.jsonl`: beside a file that something else wrote since,
it says nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from melder.io.checksums import digest_of
from melder.runs.directory import write_json

__all__ = ["read_about", "write_about"]

FACTS = ("method", "encoder", "data", "split", "seed")
RUN, CHECKSUM = "run", "sha256"


def write_about(predictions: Path, run: Path, figures: Mapping[str, Any]) -> None:
    """Note what made the predictions, if they are a file that stays.

    Args:
        predictions: The file, as it was just written.
        run: The directory of the run that answered.
        figures: What the evaluation found, `FACTS` among it.
    """
    if predictions.is_file():
        facts = {fact: str(figures[fact]) for fact in FACTS}
        write_json(_beside(predictions), {RUN: str(run), **facts, CHECKSUM: digest_of(predictions.read_bytes())})


def read_about(predictions: Path) -> dict[str, str]:
    """What made the predictions.

    Args:
        predictions: A file of predictions.

    Returns:
        `run` and `FACTS` by name; nothing where that is not known.
    """
    try:
        content = json.loads(_beside(predictions).read_text(encoding="utf-8"))
        facts = {name: content[name] for name in (RUN, *FACTS)}
        matches = content[CHECKSUM] == digest_of(predictions.read_bytes()) and all(
            isinstance(fact, str) for fact in facts.values()
        )
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    return facts if matches else {}


def _beside(predictions: Path) -> Path:
    return predictions.with_name(f"{predictions.name}.about.json")
