from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path

import pytest
from PIL import Image

from melder.data.flags import write_flags
from melder.data.flags.nations import nations
from melder.records import Entity, MelderError, Mention

SPLITS = ("train", "dev", "test")


def mentions(directory: Path, split: str) -> list[Mention]:
    lines = (directory / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [Mention.model_validate_json(line) for line in lines]


def entities(directory: Path) -> list[Entity]:
    lines = (directory / "entities.jsonl").read_text(encoding="utf-8").splitlines()
    return [Entity.model_validate_json(line) for line in lines]


def test_all_records_validate_and_no_id_occurs_twice(flags: Path) -> None:
    rows = [mention for split in SPLITS for mention in mentions(flags, split)]
    assert [len(mentions(flags, split)) for split in SPLITS] == [170, 40, 40]
    assert len({row.id for row in rows}) == len(rows)
    assert len({entity.id for entity in entities(flags)}) == len(nations())
    assert {row.answer for row in rows} <= {entity.id for entity in entities(flags)}


def test_every_picture_exists_and_none_is_left_over(flags: Path) -> None:
    named = {image for entity in entities(flags) for image in entity.images}
    named |= {row.image for split in SPLITS for row in mentions(flags, split) if row.image}
    present = {path.relative_to(flags).as_posix() for path in flags.glob("images/**/*.*")}
    assert named == present
    for name in sorted(named)[::50]:
        Image.open(flags / name).load()


def test_no_two_mentions_share_a_picture(flags: Path) -> None:
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in flags.glob("images/mentions/*")]
    assert len(set(digests)) == len(digests)


def test_nations_occur_equally_often_and_about_a_tenth_of_mentions_have_no_picture(flags: Path) -> None:
    train = mentions(flags, "train")
    assert sorted(row.answer or "" for row in train) == [nation.code for nation in nations()]
    assert 0.05 < sum(row.image is None for row in train) / len(train) < 0.17


def test_about_a_tenth_of_mentions_are_the_full_name(flags: Path) -> None:
    names = {nation.name for nation in nations()}
    train = mentions(flags, "train")
    assert 0.05 < sum(row.surface in names for row in train) / len(train) < 0.16


def test_names_of_mentions_and_their_pictures_say_nothing_about_the_answer(flags: Path) -> None:
    for split in SPLITS:
        for number, row in enumerate(mentions(flags, split)):
            assert row.id == f"{split}-{number:05}"
            assert row.image in (None, f"images/mentions/{row.id}.jpg")


def test_most_surfaces_that_occur_often_stand_for_several_nations(flags: Path) -> None:
    answers = defaultdict(list)
    for row in mentions(flags, "train"):
        answers[row.surface.lower()].append(row.answer)
    often = [found for found in answers.values() if len(found) >= 3]
    assert len(often) > 10
    assert sum(len(set(found)) > 1 for found in often) / len(often) > 0.9


def test_records_and_pictures_are_a_function_of_the_seed(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        write_flags(tmp_path / name, seed=seed, train=10, held_out=2, by_name=4)
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*")]
    assert len(files) > len(nations())
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)
    assert (tmp_path / "a/train.jsonl").read_bytes() != (tmp_path / "c/train.jsonl").read_bytes()


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(MelderError, match=r"taken.*choose another directory"):
        write_flags(tmp_path / "taken", train=1, held_out=1, by_name=0)


def test_mentions_by_name_follow_the_others_and_change_none(flags: Path, tmp_path: Path) -> None:
    write_flags(tmp_path, seed=3, train=170, held_out=40, by_name=340)
    before, after = mentions(flags, "train"), mentions(tmp_path, "train")
    assert after[:170] == before
    for split in ("dev", "test"):
        assert mentions(tmp_path, split) == mentions(flags, split)
    names = {nation.code: nation.name for nation in nations()}
    named = after[170:]
    assert sorted(row.answer or "" for row in named) == sorted([*names] * 2)
    assert all(row.surface.lower() == names[str(row.answer)].lower() for row in named)
    assert all(row.text[row.start : row.end] == row.surface for row in named)
    assert [row.id for row in named] == [f"train-{number:05}" for number in range(170, 510)]


def test_a_name_is_learned_beside_pictures_that_show_no_flag_and_without_any(tmp_path: Path) -> None:
    """What makes "Guinea won the toss" Guinea, with a picture of a stadium and without."""
    write_flags(tmp_path, seed=3, train=1, held_out=1, by_name=340)
    named = mentions(tmp_path, "train")[1:]
    assert 0.5 < sum(row.image is not None for row in named) / len(named) < 0.7
    pictures = [tmp_path / row.image for row in named if row.image]
    assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in pictures}) == len(pictures)
    for path in pictures:
        with Image.open(path) as picture:
            assert picture.size == (160, 120)
