"""The trie of names against nested dictionaries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melder.generative.trie import NameTrie
from melder.records import MelderError

END = 1
words = st.text("abc", min_size=1, max_size=5)
many = st.lists(words, min_size=1, max_size=12)


def tokens(names: list[str]) -> list[list[int]]:
    """A letter a token, and the end."""
    return [[ord(letter) - 90 for letter in name] + [END] for name in names]


def nested(names: list[str]) -> dict:
    root: dict = {}
    for row in tokens(names):
        node = root
        for token in row:
            node = node.setdefault(token, {})
    return root


def walked(trie: NameTrie, node: int | None = None) -> dict:
    """The trie as nested dictionaries."""
    ways = trie.allowed(np.array([trie.root if node is None else node]))
    pairs = zip(ways.token.tolist(), ways.node.tolist(), strict=True)
    return {token: {} if token == END else walked(trie, child) for token, child in pairs}


def numbered(trie: NameTrie) -> dict[str, int]:
    """Every name with its number, by walking."""
    return dict(_numbered(trie, trie.root, ""))


def _numbered(trie: NameTrie, node: int, prefix: str) -> Iterator[tuple[str, int]]:
    ways = trie.allowed(np.array([node]))
    for token, child in zip(ways.token.tolist(), ways.node, strict=True):
        if token == END:
            yield prefix, int(trie.numbers(np.array([child]))[0])
        else:
            yield from _numbered(trie, int(child), prefix + chr(token + 90))


@given(many)
def test_it_is_the_nested_dictionaries(names: list[str]) -> None:
    trie, numbers = NameTrie.build(names, tokens)
    assert walked(trie) == nested(names)
    assert len(trie) == len(set(names))
    assert numbers.tolist() == [names.index(name) for name in names]
    assert numbered(trie) == {name: names.index(name) for name in names}


@given(names=many, added=many, removed=many, reopened=st.booleans())
def test_added_and_removed_names_are_seen_before_and_after_compaction(
    names: list[str], added: list[str], removed: list[str], reopened: bool
) -> None:
    trie, _ = NameTrie.build(names, tokens)
    trie, numbers = trie.add(added, tokens)
    given_ = names + added
    assert numbers.tolist() == [given_.index(name) for name in added]
    gone = sorted(set(removed) & set(given_))
    trie = trie.remove(np.array([given_.index(name) for name in gone], np.int64))
    if reopened:
        with TemporaryDirectory() as directory:
            trie.save(Path(directory))
            trie = NameTrie.open(Path(directory))
    left = {name: given_.index(name) for name in given_ if name not in gone}
    for each in (trie, trie.compact()):
        assert walked(each) == nested(list(left))
        assert numbered(each) == left
        assert len(each) == len(left)
        assert each.live().tolist() == sorted(left.values())
        order = np.array(list(left.values()), np.int64)
        assert each.sequences(order).rows() == tokens(list(left))


@given(many, many)
def test_a_removed_name_that_is_added_again_has_its_old_number_if_it_was_there_from_the_start(
    names: list[str], added: list[str]
) -> None:
    trie, numbers = NameTrie.build(names, tokens)
    trie, again = trie.remove(np.unique(numbers)).add(added, tokens)
    assert numbered(trie) == dict(zip(added, again.tolist(), strict=True))
    assert all(number == names.index(name) for name, number in zip(added, again, strict=True) if name in names)


@given(many, many)
def test_every_node_knows_the_length_of_the_longest_name_through_it(names: list[str], added: list[str]) -> None:
    trie, _ = NameTrie.build(names, tokens)
    trie, _ = trie.add(added, tokens)
    nodes, prefixes = np.array([trie.root]), [""]
    while len(nodes):
        longest = [max(len(n) for n in names + added if n.startswith(prefix)) + 1 for prefix in prefixes]
        assert trie.longest(nodes).tolist() == longest
        ways = trie.allowed(nodes)
        inner = ways.token != END
        prefixes = [prefixes[b] + chr(t + 90) for b, t in zip(ways.beam[inner], ways.token[inner], strict=True)]
        nodes = ways.node[inner]


@given(many)
def test_what_each_beam_may_go_on_with_does_not_depend_on_the_others(names: list[str]) -> None:
    trie, _ = NameTrie.build(names, tokens)
    nodes = np.array([trie.root, *trie.allowed(np.array([trie.root])).node, trie.root])
    ways = trie.allowed(nodes)
    for beam, node in enumerate(nodes):
        assert sorted(ways.token[ways.beam == beam]) == sorted(trie.allowed(np.array([node])).token)


def test_names_written_alike_are_one() -> None:
    trie, numbers = NameTrie.build(["Cab", "b", "cab"], lambda names: tokens([name.lower() for name in names]))
    assert numbers.tolist() == [0, 1, 0]
    assert len(trie) == 2


def test_large_token_ids_and_long_names_are_kept() -> None:
    rows = [[70_000, 5, END], [70_000, *range(2, 400), END], [150_000, END]]
    trie, _ = NameTrie.build(["a", "b", "c"], lambda names: rows)
    assert trie.sequences(np.arange(3)).rows() == rows
    assert trie.longest(np.array([trie.root])).tolist() == [400]
    assert trie.vocabulary == 150_001


def test_removing_every_name_leaves_none() -> None:
    trie, numbers = NameTrie.build(["a", "ab", "b"], tokens)
    trie = trie.remove(numbers)
    for each in (trie, trie.compact()):
        assert len(each) == 0
        assert not len(each.allowed(np.array([each.root])).node)


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [([[5, END], [END]], "name 2"), ([[5, END], [5, END, 6, END]], "name 2"), ([[5], [5, END]], "name 1")],
)
def test_a_name_without_tokens_or_with_the_end_inside_is_refused(rows: list[list[int]], wrong: str) -> None:
    with pytest.raises(MelderError, match=wrong):
        NameTrie.build(["a", "b"], lambda names: rows)


def test_no_names_and_unknown_numbers_are_refused() -> None:
    with pytest.raises(MelderError, match="no names"):
        NameTrie.build([], tokens)
    trie, _ = NameTrie.build(["a"], tokens)
    with pytest.raises(MelderError, match="number 7"):
        trie.remove(np.array([7]))
    with pytest.raises(MelderError, match="number 0"):
        trie.remove(np.array([0])).sequences(np.array([0]))


def test_saving_again_writes_only_what_changed_and_leaves_nothing_behind(tmp_path: Path) -> None:
    trie, _ = NameTrie.build(["abc", "ab", "cab"], tokens)
    trie.save(tmp_path)
    times = {file.name: file.stat().st_mtime_ns for file in tmp_path.glob("*.names")}
    larger, _ = NameTrie.open(tmp_path).add(["bbb"], tokens)
    larger.save(tmp_path)
    kept = {file.name for file in tmp_path.glob("*.names") if times.get(file.name) == file.stat().st_mtime_ns}
    assert len(kept) >= 4  # the first tree's
    NameTrie.build(["c"], tokens)[0].save(tmp_path)
    assert numbered(NameTrie.open(tmp_path)) == {"c": 0}
    assert len(list(tmp_path.glob("*.names"))) <= 11


def test_damage_is_one_clear_error(tmp_path: Path) -> None:
    trie, _ = NameTrie.build(["abc", "ab", "cab"], tokens)

    def damaged(change: object, match: str) -> None:
        trie.save(tmp_path)
        change()  # type: ignore[operator]
        with pytest.raises(MelderError, match=match):
            NameTrie.open(tmp_path)
        for file in tmp_path.iterdir():
            file.unlink()

    def largest() -> Path:
        return max(tmp_path.glob("*.names"), key=lambda file: file.stat().st_size)

    damaged(lambda: largest().write_bytes(largest().read_bytes()[:-1]), "does not have its")
    damaged(lambda: largest().write_bytes(b"\xff" * largest().stat().st_size), "not hold what was written")
    damaged(lambda: largest().unlink(), "is missing")
    damaged(lambda: (tmp_path / "names.json").write_text('{"format": 1'), "cut short")
    damaged(lambda: (tmp_path / "names.json").write_text('{"format": 9}'), "not of format")
    damaged(lambda: (tmp_path / "names.json").write_text('{"format": 1, "arrays": {}, "settings": {}}'), "is missing")
    with pytest.raises(MelderError, match="missing"):
        NameTrie.open(tmp_path / "nowhere")
