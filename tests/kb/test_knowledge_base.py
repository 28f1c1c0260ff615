"""A knowledge base gives back what was written into it, whatever was done to it since."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kb.made import build, contents, entity, side_of
from melder.features import Side, concatenate
from melder.io.checksums import ChecksummedFile, digest_blocks
from melder.kb import KnowledgeBase, Writer, compact, open_knowledge_base, segment
from melder.kb.format.records import Records, write_records
from melder.kb.format.rounding import StorageDtype
from melder.kb.inspection import information
from melder.kb.manifest import GENERATIONS
from melder.records import Entity

GROUPS = [
    [entity(f"Q{n}", aliases=[f"alias {n}", "Åland"][: n % 3]) for n in range(start, start + 5)] for start in (0, 5)
]


@pytest.fixture(params=["float32", "float16", "int8"])
def kind(request: pytest.FixtureRequest) -> StorageDtype:
    return request.param  # type: ignore[no-any-return]


def whole(base: KnowledgeBase) -> Side:
    return concatenate([side for _, side in base.blocks()])


def assert_close(found: Side, expected: Side, kind: StorageDtype) -> None:
    """Equal in float32; within the rounding of the type otherwise. Padding beyond the longest is not stored."""
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        cut = tensor[tuple(slice(0, size) for size in found[name].shape)]
        assert cut.count_nonzero() == tensor.count_nonzero(), name
        if kind == "float32" or not tensor.is_floating_point():
            assert torch.equal(found[name], cut), name
        else:
            largest = cut.abs().amax(dim=-1, keepdim=True) if kind == "int8" else cut.abs()
            step = largest / 254 * 1.002 if kind == "int8" and not name.endswith("gram") else largest / 2000
            assert ((found[name] - cut).abs() <= step + 1e-6).all(), name


def test_what_was_written_is_read(tmp_path: Path, kind: StorageDtype) -> None:
    build(tmp_path / "kb", *GROUPS, kind=kind)
    with open_knowledge_base(tmp_path / "kb") as base:
        assert len(base) == len(base.entities) == 10
        assert list(base.entities) == [*GROUPS[0], *GROUPS[1]]
        assert base.entities[7] == GROUPS[1][2]
        assert base.entities[3:6] == [*GROUPS[0][3:], GROUPS[1][0]]
        assert base.rows(["Q9", "Q0", "Q77"]) == {"Q9": 9, "Q0": 0}
        assert_close(whole(base), side_of([*GROUPS[0], *GROUPS[1]]), kind)


def test_padding_is_cut_behind_the_longest_text_of_the_segment(tmp_path: Path) -> None:
    short = [each for each in (entity(f"S{n}") for n in range(100)) if side_of([each])["text.mask"].sum() <= 3][:6]
    build(tmp_path / "kb", short)
    with open_knowledge_base(tmp_path / "kb") as base:
        assert base.parts[0].segment.description.sides["text.query"].shape[1] == 3
        assert base.parts[0].segment.description.sides["text.mask"].shape[1] == 3
        assert base.parts[0].segment.description.sides["image.query"].shape[1] == 3


def test_one_entity_of_many_names_makes_no_other_larger(tmp_path: Path) -> None:
    build(tmp_path / "plain", [entity(f"Q{n}") for n in range(50)])
    build(
        tmp_path / "one",
        [*(entity(f"Q{n}") for n in range(49)), entity("Q49", aliases=[f"other {n}" for n in range(300)])],
    )
    sizes = [(tmp_path / name / "segments/s-0/sides.bin").stat().st_size for name in ("plain", "one")]
    assert sizes[1] - sizes[0] < 300 * 30 * 8 * 2


def test_rows_are_read_in_any_order(tmp_path: Path, kind: StorageDtype) -> None:
    build(tmp_path / "kb", *GROUPS, kind=kind)
    with open_knowledge_base(tmp_path / "kb") as base:
        rows = torch.tensor([8, 0, 8, 4, 5])
        expected, found = whole(base).take(rows), base.side(rows)
        for name in expected:
            cut = expected[name][tuple(slice(0, size) for size in found[name].shape)]
            assert torch.equal(found[name], cut)


def test_blocks_are_cut_to_size_and_small_segments_share_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "kb", *GROUPS, [entity("last")])
    with open_knowledge_base(tmp_path / "kb") as base:
        assert [first for first, _ in base.blocks()] == [0]
        expected = whole(base)
        monkeypatch.setattr("melder.kb.blocks.BLOCK_BYTES", 2000)
        blocks = list(base.blocks())
        assert [first for first, _ in blocks] == [sum(side.rows for _, side in blocks[:n]) for n in range(len(blocks))]
        assert 3 < len(blocks) < 11
        assert all(torch.equal(whole(base)[name], expected[name]) for name in expected)


def test_pictures_are_kept(tmp_path: Path) -> None:
    build(tmp_path / "kb", [entity("A", images=["one", "two"]), entity("B"), entity("C", images=["three"])])
    with Writer.open(tmp_path / "kb") as writer:
        writer.commit(deleted=["B"])
        compact(writer)
        assert [writer.base.picture(0, n) for n in range(3)] == [b"one", b"two", None]
        assert writer.base.picture(1) == writer.base.entity_picture(entity("C", images=["three"])) == b"three"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("guinea", {"GN", "GQ", "GW"}),
        ("GUINEA equatorial", {"GQ"}),
        ("bis", {"GW"}),
        ("aland", {"AX"}),
        ("ålan", {"AX"}),
        ("Conakry", {"GN"}),
        ("inea", set()),
        ('"', set()),
        ("' OR 1 *", set()),
        ("", set()),
        ("!!", set()),
        ("guinea !!", {"GN", "GQ", "GW"}),
        ("guinea\0", {"GN", "GQ", "GW"}),
        ("NEAR(guinea", set()),
    ],
)
def test_names_and_aliases_are_searched(tmp_path: Path, query: str, found: set[str]) -> None:
    first = [entity("GN", "Guinea", ["Guinea-Conakry"]), entity("GQ", "Equatorial Guinea"), entity("AX", "Åland")]
    build(tmp_path / "kb", first, [entity("GW", "Guinea-Bissau"), entity("X", "Guinea pig")])
    with Writer.open(tmp_path / "kb") as writer:
        writer.commit(deleted=["X"])
        assert {each.id for each in writer.base.records(writer.base.search(query))} == found


def test_removed_rows_keep_their_key_in_the_manifest(tmp_path: Path) -> None:
    """Melder 0.2.0 opens what is written today, and reads them there."""
    build(tmp_path / "kb", [entity("A"), entity("B"), entity("C")])
    with Writer.open(tmp_path / "kb") as writer:
        writer.commit(deleted=["C", "B"])
    manifest = max((tmp_path / "kb" / GENERATIONS).iterdir())
    assert json.loads(manifest.read_bytes())["segments"][0]["dead"] == [1, 2]


def test_whole_names_are_found_among_any_number_that_are_alike(tmp_path: Path) -> None:
    alike = [entity(f"Q{n}", "Red kite red kite") for n in range(150)]
    many = entity("M", "Milvus", [*(f"other {n}" for n in range(300)), "Red  KITE"])
    build(tmp_path / "kb", [*alike, many, entity("X", "red kite")], [entity("K", "Red kite", ["red kite", " "])])
    with Writer.open(tmp_path / "kb") as writer:
        writer.commit(deleted=["X"])
        for name, found in {" red kite": ["M", "K"], "milvus": ["M"], "red": [], "": [], " ": []}.items():
            assert [each.id for each in writer.base.records(writer.base.named(name))] == found, name


def test_whole_names_are_found_in_a_file_without_their_table(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    write_records(path, [entity("A", "Red kite hill"), entity("B", "Red Kite"), entity("C", "red  kite")], {})
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE folded")
        connection.execute("PRAGMA user_version = 0")
    connection.close()
    assert Records(ChecksummedFile(path, digest_blocks(path))).named("red kite") == [1, 2]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Café Müller", [0]),
        ("Cafe\u0301 Mu\u0308ller", [0]),
        ("cafe muller", [0]),
        ("Muller", [2]),
        ("Müller", [1]),
        ("Mu\u200bller\ufeff", [2]),
        ("O’Neill", [3]),
        ("Guinea‐Bissau", [4]),
        ("Miller", []),
    ],
)
def test_names_are_looked_up_as_people_compare_them(tmp_path: Path, query: str, found: list[int]) -> None:
    names = ["Café Müller", "Müller", "Muller", "O'Neill", "Guinea-Bissau"]
    build(tmp_path / "kb", [entity("A", names[0])], [entity(name, name) for name in names[1:]])
    with open_knowledge_base(tmp_path / "kb") as base:
        assert base.named(query) == found
        assert set(found) <= set(base.search(query))


def test_any_number_of_segments_is_changed_with_few_open_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    build(tmp_path / "kb", *([entity(f"Q{n}", images=["a picture"])] for n in range(120)))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 90, most[1]))
    try:
        with Writer.open(tmp_path / "kb") as writer:
            writer.commit(deleted=["Q7"])
            compact(writer)
            assert (len(writer.base), len(writer.base.parts), writer.base.picture(118)) == (119, 1, b"a picture")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, most)


def test_a_merge_rounds_nothing_again(tmp_path: Path, kind: StorageDtype) -> None:
    build(tmp_path / "kb", *GROUPS, kind=kind)
    with Writer.open(tmp_path / "kb") as writer:
        rows = torch.tensor([0, 2, 3, 4, 5, 6, 7, 8])
        expected = writer.base.side(rows)
        writer.commit(deleted=["Q1", "Q9"])
        compact(writer)
        assert len(writer.base.parts) == 1
        found = whole(writer.base)
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_without_anything_to_merge_the_generation_stays(tmp_path: Path) -> None:
    build(tmp_path / "kb", GROUPS[0])
    with Writer.open(tmp_path / "kb") as writer:
        assert compact(writer).number == 1


def test_everything_can_be_removed(tmp_path: Path) -> None:
    build(tmp_path / "kb", GROUPS[0])
    with Writer.open(tmp_path / "kb") as writer:
        writer.commit(deleted=[each.id for each in GROUPS[0]])
        assert (len(writer.base), list(writer.base.blocks()), writer.base.search("name")) == (0, [], [])
        writer.commit([writer.write(contents(GROUPS[1]))])
        assert list(writer.base.entities) == GROUPS[1]


Steps = st.lists(
    st.tuples(st.sampled_from(["add", "update", "remove", "compact"]), st.sets(st.integers(0, 9))), max_size=8
)


@given(steps=Steps, full=st.integers(1, 5))
def test_any_sequence_of_changes_leaves_what_a_dict_would_hold(steps: list[tuple[str, set[int]]], full: int) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("melder.kb.compaction.SEGMENT_ROWS", full)
        patch.setattr("os.fsync", lambda descriptor: None)
        build(Path(folder, "kb"), [entity("start")])
        model: dict[str, Entity] = {"start": entity("start")}
        with Writer.open(Path(folder, "kb")) as writer:
            for number, (verb, which) in enumerate(steps):
                _apply(writer, model, verb, sorted(f"Q{each}" for each in which), number)
        with open_knowledge_base(Path(folder, "kb")) as base:
            found = {each.id: each for each in base.entities}
            assert found == model
            assert base.rows(sorted(model)) == {each.id: row for row, each in enumerate(base.entities)}
            expected = side_of([*found.values()]) if found else Side({})
            got = whole(base) if found else Side({})
            for name in expected:
                cut = expected[name][tuple(slice(0, size) for size in got[name].shape)]
                assert torch.equal(got[name], cut)
        listed = {part.listed.name for part in base.parts}
        assert {path.name for path in Path(folder, "kb/segments").iterdir()} == listed


def _apply(writer: Writer, model: dict[str, Entity], verb: str, ids: list[str], number: int) -> None:
    if verb == "compact":
        compact(writer)
        return
    chosen = [each for each in ids if (each in model) != (verb == "add")]
    deleted = [] if verb == "add" else chosen
    records = [] if verb == "remove" else [entity(each, f"{verb} {number}") for each in chosen]
    if chosen:
        writer.commit([writer.write(contents(records))] if records else [], deleted=deleted)
    for each in deleted:
        del model[each]
    model.update({each.id: each for each in records})


def test_segments_of_the_same_entities_have_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        build(tmp_path / name, *GROUPS)
    for file in (segment.RECORDS, segment.SIDES, segment.DESCRIPTION):
        one, two = ((tmp_path / name / "segments/s-1" / file).read_bytes() for name in ("one", "two"))
        assert one == two


def test_why_a_picture_could_not_be_read_is_told_as_long_as_its_entity_has_it(tmp_path: Path) -> None:
    """Removed with the entity, and replaced with it: in what is told, and in what a merge writes."""
    old = [entity("Q1", images=["a/1.png"]), entity("Q2", images=["a/2.png"])]
    build(tmp_path / "kb", [entity("Q0")])
    with Writer.open(tmp_path / "kb") as writer:
        reasons = {f"/somewhere/a/{number}.png": "is damaged" for number in (1, 2)}
        spoilt = replace(contents(old), pictures=[], unreadable=reasons)
        writer.commit([writer.write(spoilt)])
        assert information(writer.base)["unreadable_pictures"] == reasons
        writer.commit([writer.write(contents([entity("Q1", images=["a/1.png"])]))], deleted=["Q1"])
        left = {"/somewhere/a/2.png": "is damaged"}
        assert information(writer.base)["unreadable_pictures"] == left
        compact(writer)
        assert information(writer.base)["unreadable_pictures"] == left
        writer.commit(deleted=["Q2"])
        compact(writer)
        assert writer.base.parts[0].segment.description.unreadable == {}
