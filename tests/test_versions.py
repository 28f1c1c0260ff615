"""What an earlier Melder has stored is read for as long as Melder says so; anything else is refused with what to do.

The samples in tests/data/versions are what the Melder of each version wrote (make.py there says how).
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

import melder
from melder.building.build import remove_entities
from melder.cli import app
from melder.encoders.store import load_features
from melder.evaluation.predictions import read_predictions
from melder.io.checksums import digest_of
from melder.io.versions import VERSIONS
from melder.kb import open_knowledge_base
from melder.linking import open_run
from melder.records import Link, MelderError
from melder.search.indexes.flat import FlatIndex
from melder.search.stored import find_search
from melder.search.two_stage import TwoStage

SAMPLES = Path(__file__).parent / "data/versions"
READ = sorted({version for stored in VERSIONS.values() for version in stored.read})


@pytest.fixture(scope="module", params=READ)
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(request.param, tmp_path_factory.mktemp("version"))


def unpacked(version: int, directory: Path) -> Path:
    with tarfile.open(SAMPLES / f"{version}.tar.xz") as archive:
        archive.extractall(directory, filter="data")
    return directory


@pytest.mark.parametrize("kind", VERSIONS)
def test_there_is_a_sample_of_each_version_that_is_read_and_a_remedy_for_each_other(kind: str) -> None:
    stored = VERSIONS[kind]
    assert stored.current in stored.read
    assert all((SAMPLES / f"{version}.tar.xz").is_file() for version in stored.read)
    assert "`melder " in stored.anew
    assert not stored.read & set(stored.remedies)


def test_a_knowledge_base_links_as_it_did(sample: Path, tmp_path: Path) -> None:
    arguments = ["--input", str(sample / "data/test.jsonl"), "--output", str(tmp_path / "links.jsonl")]
    app(["link", str(sample / "kb"), *arguments], standalone_mode=False)
    stored, found = (links(path / "links.jsonl") for path in (sample, tmp_path))
    for old, new in zip(stored, found, strict=True):
        assert (old.id, old.surface, old.start, old.end) == (new.id, new.surface, new.start, new.end)
        assert scores(old) == pytest.approx(scores(new), abs=1e-3)
        assert old.nil_probability == pytest.approx(new.nil_probability, abs=1e-3)


def test_a_stored_index_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = unpacked(2, tmp_path)
    with open_knowledge_base(sample / "kb") as base:
        monkeypatch.setattr("melder.search.stored.build_search", lambda *_: pytest.fail("is made anew"))
        search = find_search("flat", open_run(sample / "run")[0].matcher, base)
        assert isinstance(search, TwoStage)
        assert [len(part.index) for part in search.parts if isinstance(part.index, FlatIndex)] == [len(base)]


@pytest.mark.parametrize("version", sorted(VERSIONS["knowledge base"].read))
def test_a_change_makes_a_knowledge_base_one_of_the_newest_version(version: int, tmp_path: Path) -> None:
    sample = unpacked(version, tmp_path)
    assert json.loads(manifest(sample).read_text())["schema_version"] == version
    remove_entities(sample / "kb", ["Q1"])
    assert json.loads(manifest(sample).read_text())["schema_version"] == VERSIONS["knowledge base"].current
    with open_knowledge_base(sample / "kb") as base:
        assert base.rows(["Q1", "Q2"]).keys() == {"Q2"}


def manifest(sample: Path) -> Path:
    return sample / "kb/generations" / (sample / "kb/CURRENT").read_text().split()[0]


def links(path: Path) -> list[Link]:
    return [Link.model_validate_json(line) for line in path.read_text().splitlines()]


def scores(link: Link) -> dict[str, float]:
    return {each.id: each.score for each in link.candidates}


def test_a_run_and_stored_features_predict_as_they_did(sample: Path, tmp_path: Path) -> None:
    arguments = ["--data", str(sample / "data"), "--features", str(sample / "features")]
    app(["evaluate", str(sample / "run"), *arguments, "--predictions", str(tmp_path / "p")], standalone_mode=False)
    for old, new in zip(read_predictions(sample / "predictions.jsonl"), read_predictions(tmp_path / "p"), strict=True):
        assert (old.id, old.gold, old.rank_optimistic) == (new.id, new.gold, new.rank_optimistic)
        assert {each.id: each.score for each in old.candidates} == pytest.approx(
            {each.id: each.score for each in new.candidates}, abs=2e-2
        )  # tokens are stored in float16


def rewrite_kb(sample: Path, version: object) -> Callable[[], object]:
    path = manifest(sample)
    content = json.dumps(json.loads(path.read_text()) | {"schema_version": version, "melder": "9.8.7"}).encode()
    path.write_bytes(content)
    (sample / "kb/CURRENT").write_text(f"{path.name} {digest_of(content)}\n")
    return lambda: open_knowledge_base(sample / "kb")


def rewrite_run(sample: Path, version: object) -> Callable[[], object]:
    path = sample / "run/environment.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": version, "melder": "9.8.7"}))
    return lambda: open_run(sample / "run")


def rewrite_features(sample: Path, version: object) -> Callable[[], object]:
    path = sample / "features/entities/features.json"
    content = json.loads(path.read_text()) | {"format": version, "melder": "9.8.7"}
    path.write_text(json.dumps(content))
    return lambda: load_features(path.parent, ids=content["ids"], fingerprint=content["fingerprint"])


REWRITE = {"knowledge base": rewrite_kb, "run": rewrite_run, "features": rewrite_features}


@pytest.mark.parametrize("kind", VERSIONS)
def test_versions_that_are_not_read_are_refused_in_one_line_with_what_to_do(kind: str, tmp_path: Path) -> None:
    stored = VERSIONS[kind]
    sample = unpacked(stored.current, tmp_path)
    newer = stored.current + 1
    for version, remedy in {newer: "upgrade Melder", 0: stored.anew, None: stored.anew, "1": stored.anew}.items():
        opened = REWRITE[kind](sample, version)
        with pytest.raises(MelderError) as error:
            opened()
        said = str(error.value)
        assert "\n" not in said
        assert f"this {kind} has version {version!r} (written by Melder 9.8.7)" in said
        read = " and ".join(map(str, sorted(stored.read)))
        assert f"Melder {melder.__version__} reads version {read}; {remedy}" in said
    REWRITE[kind](sample, stored.current)()
