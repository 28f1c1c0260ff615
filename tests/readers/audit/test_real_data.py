"""What is known of the published data sets; skipped where they are not beside the repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from melder.data import load
from melder.data.audit import CHECKS, Finding, gather

DATA = Path(__file__).parents[4] / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not in ../shared/data")


def finding(data_set: str, check: str, kind: str) -> Finding:
    return next(f for f in CHECKS[check](gather(load(DATA / data_set))) if f.kind == kind)


def raw(data_set: str, split: str) -> list[dict[str, str]]:
    (path,) = (DATA / data_set).glob(f"*_{split}.json")
    records: list[dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    return records


def test_479_captions_of_wikimel_are_in_both_splits() -> None:
    captions = {split: [record["id"].split("-")[0] for record in raw("wikimel", split)] for split in ("train", "dev")}
    shared = set(captions["train"]) & set(captions["dev"])
    found = finding("wikimel", "shared captions", "same caption")
    assert found.groups == len(shared) == 479
    assert found.counts == {split: sum(c in shared for c in captions[split]) for split in captions}


def test_every_id_of_richpediamel_is_the_place_of_its_answer() -> None:
    places = json.loads((DATA / "richpediamel" / "qid2id.json").read_text(encoding="utf-8"))
    assert all(int(record["id"]) == places[record["answer"]] for record in raw("richpediamel", "dev"))
    found = finding("richpediamel", "betraying", "place as the id")
    assert found.counts == {"train": 12_460, "dev": 1_776}


def test_a_placeholder_of_wikidiverse_is_told_from_a_picture() -> None:
    found = finding("wikidiverse", "shared pictures", "placeholder")
    images = {split: [record["imgPath"] for record in raw("wikidiverse", split)] for split in ("train", "dev")}
    assert set(images["train"]) & set(images["dev"]) == {"mention_54.jpg"}
    assert found.counts == {split: images[split].count("mention_54.jpg") for split in images}


def test_no_picture_of_grocery_is_shared() -> None:
    audited = gather(load(DATA / "grocery"))
    assert len(audited.contents.numbers) == 2_936 + 81
    assert not any(f.found for f in CHECKS["shared pictures"](audited))
