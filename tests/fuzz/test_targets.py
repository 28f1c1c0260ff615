"""Every target of the guided fuzzing takes its seeds, and the inputs that once failed."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
pytest.importorskip("rdflib", reason="the extra `nif` is not installed")

from fuzz.targets import CORPUS, TARGETS, seeds


def test_every_target_has_seeds_and_every_seed_a_target() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == TARGETS.keys()


SEEDS = [seed for name in TARGETS for seed in seeds(name)]


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"{seed.parent.name}/{seed.name}")
def test_a_seed_is_read(seed: Path) -> None:
    """What was found to fail is read or refused; the others are good, or they would lead a fuzzer nowhere."""
    count = TARGETS[seed.parent.name](seed.read_bytes())
    assert count > 0 or seed.name.startswith("found-")
