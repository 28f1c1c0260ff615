"""Tries that are kept in a directory, against tries that are made anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generative import tiny
from melder.generative import LanguageModel
from melder.generative.kept_names import Numbered, kept_names
from melder.io.locks import exclusive_lock
from melder.records import MelderError

words = st.text("abc é", min_size=1, max_size=4)
many = st.lists(words, min_size=1, max_size=25, unique=True)
GPT2 = tiny.gpt2()


class Counted(LanguageModel):
    """The same model, which counts the names that it writes."""

    written = 0

    def name_tokens(self, names: Sequence[str]) -> list[list[int]]:
        self.written += len(names)
        return super().name_tokens(names)


def counted() -> Counted:
    return Counted("gpt2", GPT2.model, GPT2.tokenizer)


def held(numbered: Numbered) -> list[list[int]]:
    """The tokens of each name by its number; the trie must have no other."""
    assert sorted(numbered.numbers.tolist()) == numbered.trie.live().tolist()
    return numbered.trie.sequences(numbered.numbers).rows()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(versions=st.lists(many, min_size=2, max_size=4))
def test_whatever_was_there_before_the_names_are_those_that_were_given(
    versions: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("names")
    for names in versions:
        assert held(kept_names(directory, names, GPT2)) == GPT2.name_tokens(names)
    assert held(kept_names(directory, versions[-1], GPT2)) == GPT2.name_tokens(versions[-1])


def test_only_new_names_are_tokenised(tmp_path: Path) -> None:
    names, model = [f"name {number}" for number in range(100)], counted()
    kept_names(tmp_path, names, model)
    assert model.written == 100
    kept_names(tmp_path, names, model)
    kept_names(tmp_path, names[::-1], model)
    assert model.written == 100
    numbered = kept_names(tmp_path, [*names[3:], "another", "one more"], model)
    assert model.written == 102
    assert (len(numbered.trie.second), numbered.trie.removed.tolist()) == (2, [0, 1, 2])
    again = kept_names(tmp_path, [*names[3:], "another", "one more"], model)
    assert model.written == 102
    assert (len(again.trie.second), again.trie.removed.tolist()) == (2, [0, 1, 2])
    assert held(again) == held(numbered)


def test_many_changes_are_compacted_and_more_make_it_new(tmp_path: Path) -> None:
    names, model = [f"name {number}" for number in range(40)], counted()
    kept_names(tmp_path, names, model)
    compacted = kept_names(tmp_path, names[6:], model)
    assert (len(compacted.trie.first), len(compacted.trie.removed), model.written) == (34, 0, 40)
    assert compacted.numbers.tolist() == list(range(6, 40))
    anew = kept_names(tmp_path, [f"other {number}" for number in range(30)], model)
    assert anew.numbers.tolist() == list(range(30))
    assert model.written == 70


def test_another_tokenizer_or_damage_makes_it_new(tmp_path: Path) -> None:
    names, model, other = ["ab", "abc", "b"], counted(), tiny.llama()
    kept_names(tmp_path, names, other)
    assert held(kept_names(tmp_path, names, model)) == GPT2.name_tokens(names)
    assert model.written == 3
    largest = max(tmp_path.glob("*.names"), key=lambda file: file.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1])
    kept_names(tmp_path, names, model)
    kept_names(tmp_path, names, model)
    assert model.written == 6


def test_a_name_that_cannot_be_written_is_an_error_each_time(tmp_path: Path) -> None:
    model = tiny.llama()
    names = [letter + "b" for letter in "acdefghij"]
    kept_names(tmp_path, names, model)
    for _ in range(2):
        with pytest.raises(MelderError, match="cannot write 1 names"):
            kept_names(tmp_path, [*names, ""], model)
    assert held(kept_names(tmp_path, names, model)) == model.name_tokens(names)


def test_where_nothing_can_be_written_it_is_made_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert held(kept_names(tmp_path / "file" / "names", ["a", "b"], GPT2)) == GPT2.name_tokens(["a", "b"])


def test_of_two_processes_one_writes(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path / "lock", MelderError("nobody else locks it")):
        assert held(kept_names(tmp_path, ["a", "b"], GPT2)) == GPT2.name_tokens(["a", "b"])
        assert not list(tmp_path.glob("*.names"))
    kept_names(tmp_path, ["a", "b"], GPT2)
    assert list(tmp_path.glob("*.names"))


def test_a_tokenizer_that_cannot_say_what_it_is_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LanguageModel, "_backend", None)
    assert held(kept_names(tmp_path / "names", ["a", "b"], GPT2)) == GPT2.name_tokens(["a", "b"])
    assert not (tmp_path / "names").exists()
