"""The exact linker: every entity is scored, and the answers are the best of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from melder.data import DataSet, load
from melder.features import Side
from melder.linking import ExactLinker
from melder.metrics.ranks import rank_of
from melder.records import Link, MelderError, Mention
from melder.runs.model import Model, answering
from rounding import SCORE, alike, close
from training.small import read_lines, write_lines


@pytest.fixture(scope="module")
def linker(model: Model, dataset: DataSet) -> ExactLinker:
    return ExactLinker(model, dataset)


@pytest.fixture(scope="module")
def mentions(dataset: DataSet) -> list[Mention]:
    """More than are scored at once; the NIL ones too."""
    return [*dataset.split("train"), *dataset.split("dev"), *dataset.split("test")]


@pytest.mark.parametrize("certified_from", [1, 2000])
def test_mentions_without_answers_are_linked_and_have_no_ranks(
    linker: ExactLinker, mentions: list[Mention], certified_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("melder.linking.exact.CERTIFIED_FROM", certified_from)
    monkeypatch.setattr("melder.linking.exact.CHUNK", 3)
    nil = [each.model_copy(update={"answer": None}) for each in mentions[:4]]
    for some in (nil, [*nil, *mentions[4:9]], []):
        links, ranks = linker.links_and_ranks(some, 1)
        assert [link.id for link in links] == [each.id for each in some]
        alone = linker.ranks([each for each in some if each.answer is not None])
        assert ranks.optimistic.tolist() == alone.optimistic.tolist()
        assert len(ranks.optimistic) == len([each for each in some if each.answer is not None])


def side_of(linker: ExactLinker) -> Side:
    ((_, side),) = linker.source.blocks()
    return side


def scores(linker: ExactLinker, mentions: list[Mention]) -> torch.Tensor:
    """[mentions, entities], one pair at a time."""
    side = linker.model.mention_side(linker.items(mentions))
    with answering(linker.model.matcher) as matcher:
        rows = [
            [matcher.score(side.take(slice(m, m + 1)), side_of(linker).take(slice(e, e + 1))).total for e in range(12)]
            for m in range(len(mentions))
        ]
    return torch.tensor(rows)


@pytest.fixture(scope="module")
def brute_force(linker: ExactLinker, mentions: list[Mention]) -> torch.Tensor:
    return scores(linker, mentions)


def test_ranks_are_those_of_the_whole_score_matrix(
    linker: ExactLinker, mentions: list[Mention], brute_force: torch.Tensor
) -> None:
    rows = [row for row, mention in enumerate(mentions) if mention.answer is not None]
    answered = [mentions[row] for row in rows]
    found = linker.ranks(answered)
    expected = rank_of(brute_force[rows], linker.gold(answered))
    assert np.array_equal(found.optimistic, expected.optimistic)
    assert np.array_equal(found.pessimistic, expected.pessimistic)


def test_candidates_are_the_best_entities_in_order(
    linker: ExactLinker, mentions: list[Mention], brute_force: torch.Tensor
) -> None:
    links = linker.link(mentions, k=5)
    assert isinstance(links, list)
    assert [link.id for link in links] == [mention.id for mention in mentions]
    for mention, link, row in zip(mentions, links, brute_force, strict=True):
        assert (link.start, link.end, link.surface) == (mention.start, mention.end, mention.surface)
        own = [row[linker.gold([mention.model_copy(update={"answer": each.id})])] for each in link.candidates]
        assert close([each.score for each in link.candidates], own, SCORE)
        assert close([each.score for each in link.candidates], row.topk(5).values, SCORE)


def test_what_the_units_add_makes_up_the_score(linker: ExactLinker, mentions: list[Mention]) -> None:
    (link,) = linker.links_and_ranks(mentions[:1], 12)[0]
    for candidate in link.candidates:
        assert candidate.units.keys() == {"text", "image", "text_to_image", "image_to_text", "lexical"}
        assert close(candidate.score, sum(candidate.units.values()), SCORE)
        assert candidate.name == {entity.id: entity.name for entity in linker.entities}[candidate.id]


def test_one_text_gives_what_a_list_of_one_mention_gives(linker: ExactLinker, dataset: DataSet) -> None:
    mention = next(mention for mention in dataset.split("test") if mention.image)
    shown = dataset.mention_image(str(mention.image))
    (expected,) = linker.link([mention], k=4)  # type: ignore[misc]
    for image in (shown, str(shown), shown.read_bytes()):
        link = linker.link(mention.text, 4, mention=mention.surface, image=image)
        assert isinstance(link, Link)
        assert link == expected.model_copy(update={"id": link.id})


def test_each_mention_is_linked_as_on_its_own(linker: ExactLinker, mentions: list[Mention]) -> None:
    together = linker.link(mentions[:8], k=12)
    for mention, link in zip(mentions[:8], together, strict=True):  # type: ignore[arg-type]
        (alone,) = linker.link([mention], k=12)  # type: ignore[misc]
        assert alike(alone, link)


def test_a_picture_makes_a_difference(linker: ExactLinker, small_data: Path) -> None:
    plain = linker.link("a kite", k=12)
    pictured = [linker.link("a kite", k=12, image=small_data / f"images/{number}.png") for number in (0, 9)]
    assert len({link.model_dump_json() for link in (plain, *pictured)}) == 3  # type: ignore[union-attr]


def test_more_candidates_than_entities_are_all_of_them(linker: ExactLinker) -> None:
    link = linker.link("a fox", k=1000)
    assert isinstance(link, Link)
    assert sorted(each.id for each in link.candidates) == sorted(entity.id for entity in linker.entities)


def test_no_mentions_have_no_links(linker: ExactLinker) -> None:
    assert linker.link([]) == []
    assert len(linker.ranks([])) == 0


def test_the_whole_text_is_meant_when_no_words_are_given(linker: ExactLinker) -> None:
    link = linker.link("green panda")
    assert isinstance(link, Link)
    assert (link.start, link.end, link.surface) == (0, 11, "green panda")
    assert link.candidates[0].name == "Green panda"


@pytest.mark.parametrize(
    ("text", "mention", "words"),
    [
        ("a red kite", "fox", "'fox' does not occur in the text 'a red kite'"),
        ("a red kite", "Kite", "letter by letter"),
        ("a red kite", "", "the mention is empty"),
        ("a red kite", "  ", "the mention is empty"),
        ("", None, "the mention is empty"),
        (" \n", None, "the mention is empty"),
    ],
)
def test_a_mention_must_be_there(linker: ExactLinker, text: str, mention: str | None, words: str) -> None:
    with pytest.raises(MelderError) as error:
        linker.link(text, mention=mention)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_picture_that_cannot_be_read_is_an_error(linker: ExactLinker, tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n")
    for image, name in ((tmp_path / "cut.png", "cut.png"), (b"GIF8", "picture"), (tmp_path / "none.jpg", "none.jpg")):
        with pytest.raises(MelderError, match=name):
            linker.link("a red kite", image=image)


def test_ties_leave_the_answer_between_the_best_and_the_worst_place(
    model: Model, small_data: Path, tmp_path: Path
) -> None:
    entities = read_lines(small_data / "entities.jsonl")[:2]
    twins = [entity | {"id": f"{entity['id']}-{copy}", "images": []} for entity in entities for copy in range(3)]
    write_lines(tmp_path / "entities.jsonl", twins)
    linker = ExactLinker(model, load(tmp_path))
    mentions = [
        Mention(id="m", text="Red Kite", start=0, end=8, surface="Red Kite", answer=f"Q0-{n}") for n in range(3)
    ]
    ranks = linker.ranks(mentions)
    assert ranks.optimistic.tolist() == [1, 1, 1]
    assert ranks.pessimistic.tolist() == [3, 3, 3]


def test_answers_outside_the_knowledge_base_are_counted(linker: ExactLinker, mentions: list[Mention]) -> None:
    foreign = [mention.model_copy(update={"answer": f"X{row}"}) for row, mention in enumerate(mentions[:2])]
    with pytest.raises(MelderError, match=r"mention 'train-0', field 'answer': 'X0' is not in .* \(2 such mentions\)"):
        linker.ranks(foreign)


@pytest.mark.parametrize("modality", ["text", "image"])
def test_a_linker_for_one_modality_does_not_read_the_other(
    model: Model, dataset: DataSet, mentions: list[Mention], modality: str
) -> None:
    linker = ExactLinker(model, dataset, modalities=[modality])
    change = {"text": {"image": None}, "image": {"text": "Grey fox", "start": 0, "end": 8, "surface": "Grey fox"}}[
        modality
    ]
    first = next(mention for mention in mentions if mention.image)
    one, other = linker.link([first, first.model_copy(update=change)], k=12)  # type: ignore[misc]
    assert alike(one, other)


def test_progress_counts_entities_and_mentions(model: Model, dataset: DataSet, mentions: list[Mention]) -> None:
    encoded: list[int] = []
    linked: list[int] = []
    ExactLinker(model, dataset, progress=encoded.append).links_and_ranks(mentions, 1, linked.append)
    assert sum(encoded) == 12
    assert sum(linked) == len(mentions)
    assert len(linked) > 1


def test_a_linker_leaves_no_gradients_and_no_training_mode_behind(linker: ExactLinker) -> None:
    linker.link("a red kite")
    assert not linker.model.training
    assert all(parameter.grad is None for parameter in linker.model.parameters())
    assert not any(tensor.requires_grad for tensor in side_of(linker).values())


def test_pictures_are_compared_where_the_encoder_sees_and_they_are_not_left_out(
    linker: ExactLinker, dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert linker.compares_pictures
    assert not ExactLinker(linker.model, dataset, modalities=["text"]).compares_pictures
    monkeypatch.setattr(linker.model.encoder, "image", None)
    assert not linker.compares_pictures
