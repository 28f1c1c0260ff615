"""What a segment tells of its ids spares looks into its records, and hides nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from kb.made import build, contents, entity
from melder.io.checksums import WholeFile, digest_of
from melder.kb import KnowledgeBase, Writer
from melder.kb.format import identities
from melder.kb.format.records import Records
from melder.kb.inspection import verify
from melder.kb.manifest import publish
from melder.records import MelderError

NAMES = [["Q1", "Q2", "Q3"], ["Ä", "a b", "Q-1"], ["", "0", "Q10"]]
GROUPS = [[entity(f"id {name}") for name in group] for group in NAMES]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    build(tmp_path / "kb", *GROUPS)
    return tmp_path / "kb"


def asked(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The ids that records are asked for from now on."""
    questions, rows = list[Sequence[str]](), Records.rows

    def note(self: Records, wanted: Sequence[str]) -> dict[str, int]:
        questions.append(wanted)
        return rows(self, wanted)

    monkeypatch.setattr(Records, "rows", note)
    return questions


def test_records_are_opened_only_where_an_id_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = asked(monkeypatch)
    with KnowledgeBase.open(path) as base:
        assert base.rows(["id Q10", "id Ä", "new", "id q1", "Q1"]) == {"id Q10": 8, "id Ä": 3}
    assert questions == [["id Ä"], ["id Q10"]]


def test_ids_of_one_hash_are_told_apart(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities.hashlib, "blake2b", lambda content, digest_size: Same())
    build(tmp_path / "same", *GROUPS)
    with KnowledgeBase.open(tmp_path / "same") as base:
        assert base.rows(["id Q2", "new"]) == {"id Q2": 1}


class Same:
    def digest(self) -> bytes:
        return bytes(8)


def test_an_entity_that_was_removed_is_not_there(path: Path) -> None:
    with Writer.open(path) as writer:
        writer.commit(deleted=["id Q2", "id 0"])
        assert writer.base.rows(["id Q1", "id Q2", "id Q3", "id 0", "id Q10"]) == {"id Q1": 0, "id Q3": 1, "id Q10": 6}


def test_segments_that_tell_nothing_are_asked(path: Path) -> None:
    with KnowledgeBase.open(path) as base:
        settings, listed = base.generation.settings, list(base.generation.segments)
        places = [reader.segment.path for reader in base.parts]
    for number, place in enumerate(places):
        described = json.loads((place / "segment.json").read_text(encoding="utf-8"))
        del described["identities"]
        content = json.dumps(described).encode()
        (place / "segment.json").write_bytes(content)
        (place / "ids.bin").unlink()
        listed[number] = listed[number].model_copy(update={"digest": digest_of(content)})
    publish(path, 2, settings, tuple(listed))
    with KnowledgeBase.open(path) as base:
        assert base.rows(["id Q10", "id Ä", "new"]) == {"id Q10": 8, "id Ä": 3}
    assert verify(path, lambda title, total: lambda done: None) == (9, [])


def test_a_file_of_ids_is_read_once_while_it_is_open(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, files = identities.read_hashes, list[Path]()

    def note(file: Path, expected: WholeFile) -> np.ndarray:
        files.append(file)
        return read(file, expected)

    monkeypatch.setattr("melder.kb.segment.read_hashes", note)
    with KnowledgeBase.open(path) as base:
        assert not files
        for _ in range(3):
            assert base.rows(["id Q10", "new"]) == {"id Q10": 8}
        assert len(files) == len(set(files)) == 3


@pytest.mark.parametrize("spoil", ["flipped", "cut", "missing"])
def test_damage_is_named(path: Path, spoil: str) -> None:
    file = next(iter(sorted((path / "segments").iterdir()))) / "ids.bin"
    content = file.read_bytes()
    file.unlink() if spoil == "missing" else file.write_bytes(
        content[:-8] if spoil == "cut" else bytes([content[0] ^ 1]) + content[1:]
    )
    _, faults = verify(path, lambda title, total: lambda done: None)
    assert [str(file) in fault for fault in faults] == [True]
    with pytest.raises(MelderError, match=r"ids\.bin"), KnowledgeBase.open(path) as base:
        base.rows(["new"])


def test_a_change_opens_only_the_new_segment(path: Path) -> None:
    with Writer.open(path) as writer:
        before = [reader.segment for reader in writer.base.parts]
        writer.commit([writer.write(contents([entity("new")]))], deleted=["id Q2"])
        after = writer.base.parts
        assert [reader.segment for reader in after[:3]] == before
        assert [len(reader) for reader in after] == [2, 3, 3, 1]
        rows = writer.base.rows(["new", "id Q3"])
        assert [found.id for found in writer.base.records([rows["new"], rows["id Q3"]])] == ["new", "id Q3"]
        assert writer.base.side(torch.arange(9))["text.target"].isfinite().all()
