"""What every finder of mentions promises. A finder without a case here fails the last test."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from melder.mentions.resolver import FINDERS, open_finder
from melder.protocols import MentionFinder
from melder.records import MelderError

TEXT = "A red kite 🪁 over the red kite river, no whale"


def _names(folder: Path) -> str:
    return "names"


def _spacy(folder: Path) -> str:
    spacy: Any = pytest.importorskip("spacy", reason="the extra `spacy` is not installed")
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "BIRD", "pattern": "red kite"}])
    nlp.to_disk(folder / "pipeline")
    return f"spacy:{folder / 'pipeline'}"


CASES: dict[str, Callable[[Path], str]] = {"names": _names, "spacy": _spacy}


@pytest.fixture(params=CASES)
def finder(request: pytest.FixtureRequest, tmp_path: Path) -> MentionFinder:
    opened = open_finder(CASES[str(request.param)](tmp_path))
    return opened.of_names(["Red kite"]) if opened.reads_names else opened


def test_spans_are_code_points_in_order_and_do_not_overlap(finder: MentionFinder) -> None:
    spans = finder.find(TEXT)
    assert [TEXT[start:end] for start, end in spans] == ["red kite", "red kite"]
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_nothing_is_found_in_nothing(finder: MentionFinder) -> None:
    assert finder.find("") == finder.find("no whale") == []


def test_one_that_reads_no_names_is_the_same_for_all(finder: MentionFinder) -> None:
    other = finder.of_names(["whale"])
    assert (other is finder) != finder.reads_names
    assert bool(other.find("no whale")) == finder.reads_names


@pytest.mark.parametrize("name", CASES)
def test_options_that_there_are_not_are_refused(name: str) -> None:
    with pytest.raises(MelderError):
        open_finder(f"{name}:no-such-option")


def test_every_finder_has_a_case() -> None:
    assert CASES.keys() == set(FINDERS.names())
