"""Long texts are told apart by the words around the mention; runs from before go on reading the beginning."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

import melder
from melder.linking.exact import ExactLinker
from melder.runs.directory import read_configuration

FILLER = "Nobody knew where it had come from, or why. " * 33  # 1,450 characters
TEXTS = [
    f"{FILLER}A fox {tail}. {FILLER}" for tail in ("with red fur sleeps at dusk", "with grey fur sleeps in a tree")
]


def _scores(linker: ExactLinker, **options: object) -> list[list[float]]:
    links = [linker.link(text, mention="fox", k=12, **options) for text in TEXTS]
    return [[candidate.score for candidate in sorted(link.candidates, key=lambda each: each.id)] for link in links]


def test_texts_that_differ_around_the_mention_alone_get_different_links(small_run: Path, small_data: Path) -> None:
    linker = melder.load(small_run, data=small_data)
    for options in ({}, {"image": small_data / "images" / "0.png"}):
        first, second = _scores(linker, **options)
        assert first != pytest.approx(second, abs=1e-3)


def test_a_run_from_before_reads_the_beginning(small_run: Path, small_data: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    configuration = yaml.safe_load((run / "config.yaml").read_text())
    for name in ("context", "width", "picture_formats", "picture_pixels"):
        del configuration["encoder"][name]
    (run / "config.yaml").write_text(yaml.safe_dump(configuration))
    encoder = json.loads((run / "encoder" / "encoder.json").read_text())
    del encoder["context"]
    (run / "encoder" / "encoder.json").write_text(json.dumps(encoder))
    assert read_configuration(run).encoder.context == "beginning"
    first, second = _scores(melder.load(run, data=small_data))
    assert first == second
