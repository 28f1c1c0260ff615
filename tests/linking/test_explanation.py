"""Explanations: what units say of tokens, told of words and patches."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import melder
from melder.building.build import build
from melder.data import DataSet, EntityFile, load
from melder.data.mention_inputs import to_mention
from melder.encoders.words import words_of
from melder.linking import ExactLinker, open_run
from melder.linking.evidence import AlignedUnit, ExplainedCandidate, Explanation
from melder.linking.explanation import CANDIDATES, candidate_pictures, explain, patch_grid
from melder.methods import build_matcher
from melder.methods.resolver import METHODS
from melder.records import Entity, Item, Link, MelderError, Mention
from melder.runs.model import Model, answering

ALIGNED = {
    "m3el": ({}, {"text", "image"}),
    "m3el by transport": ({"assignment": "transport"}, {"text", "image"}),
    "ot_mel": ({"hidden": 16}, {"text", "image"}),
    "ot_mel by attention": ({"hidden": 16, "assignment": "attention"}, {"text", "image"}),
    "mimic": ({}, {"text"}),
    "clip": ({}, set[str]()),
}


@pytest.fixture(scope="module")
def dataset(small_data: Path) -> DataSet:
    return load(small_data)


@pytest.fixture(scope="module")
def linkers(small_run: Path, dataset: DataSet) -> dict[str, ExactLinker]:
    return {name: ExactLinker(model_of(small_run, name), dataset) for name in ALIGNED}


def model_of(run: Path, name: str) -> Model:
    """The encoder of the run with an untrained matcher."""
    torch.manual_seed(0)
    encoder, method = open_run(run)[0].encoder, name.split()[0]
    configuration = METHODS.get(method).configuration(**ALIGNED[name][0])
    return Model(encoder, build_matcher(configuration, encoder.sizes))


@pytest.fixture(scope="module")
def mention(dataset: DataSet) -> Mention:
    return next(each for each in dataset.split("test") if each.image and each.answer)


def answered(linker: ExactLinker, mention: Mention, k: int = 4) -> Link:
    (link,) = linker.link([mention], k)  # type: ignore[misc]
    assert isinstance(link, Link)
    return link


def explained(linker: ExactLinker, mention: Mention, k: int = 4) -> Explanation:
    return explain(linker, mention, answered(linker, mention, k))


def slow(linker: ExactLinker, mention: Mention, candidate: ExplainedCandidate, unit: str) -> AlignedUnit:
    """Token by token: columns added up, rows averaged."""
    model, entity = linker.model, next(each for each in linker.entities if each.id == candidate.id)
    item = Item(candidate.read.text, linker.knowledge_base.entity_picture(entity))
    with answering(model.matcher) as matcher:
        sides = model.mention_side(linker.items([mention])), model.entity_side([item])
        weights = matcher.units[unit].align(*(side.part(unit) for side in sides)).weights[0, 0]  # type: ignore[operator]
    modality, mask = matcher.units[unit].modality, sides[1].part(unit).get("mask")
    valid = weights if mask is None else weights[mask[0]]  # a short entity has padding
    if modality == "image":
        rows, columns = ([(token,) for token in range(1, count)] for count in weights.shape)  # a class token first
    else:
        told = linker.items([mention])[0].text
        rows, columns = (
            [word.tokens for word in words_of(text, model.encoder.text.tokens) or ()]
            for text in (candidate.read.text, told)
        )
    return AlignedUnit(
        modality=modality,
        weights=tuple(
            tuple(sum(float(weights[i, j]) for i in row for j in column) / len(row) for column in columns)
            for row in rows
        ),
        received=tuple(float(valid[:, list(column)].sum() / len(valid)) for column in columns),
    )


@pytest.mark.parametrize("name", ALIGNED)
def test_units_that_align_are_explained_and_the_others_are_counted(
    name: str, linkers: dict[str, ExactLinker], mention: Mention
) -> None:
    link = answered(linkers[name], mention)
    explanation = explain(linkers[name], mention, link)
    assert (explanation.id, explanation.surface) == (link.id, mention.surface)
    for given, candidate in zip(link.candidates, explanation.candidates, strict=True):
        assert candidate.model_dump(include=set(type(given).model_fields)) == given.model_dump()
        assert candidate.aligned.keys() == ALIGNED[name][1]


@pytest.mark.parametrize(
    ("name", "unit"), [(name, unit) for name, (_, units) in ALIGNED.items() for unit in sorted(units)]
)
def test_weights_are_those_of_the_tokens(
    name: str, unit: str, linkers: dict[str, ExactLinker], mention: Mention
) -> None:
    for candidate in explained(linkers[name], mention).candidates:
        found, expected = candidate.aligned[unit], slow(linkers[name], mention, candidate, unit)
        assert found.modality == expected.modality
        assert found.received == pytest.approx(expected.received, abs=6e-5)
        assert torch.tensor(found.weights).numpy() == pytest.approx(torch.tensor(expected.weights).numpy(), abs=6e-5)


def test_weights_are_of_the_words_and_patches_that_were_read(linkers: dict[str, ExactLinker], mention: Mention) -> None:
    explanation = explained(linkers["m3el"], mention)
    read = explanation.read
    assert read.text == f"{mention.surface}. {mention.text}"
    assert read.text[: read.head] == mention.surface
    assert read.span is not None
    assert read.text[slice(*read.span)] == mention.surface
    for candidate in explanation.candidates:
        assert candidate.read.text[: candidate.read.head] == candidate.name
        assert candidate.read.span is None
        for unit, shapes in (("text", (len(candidate.read.words), len(read.words))), ("image", (36, 36))):
            weights = candidate.aligned[unit].weights
            assert (len(weights), {len(row) for row in weights}) == (shapes[0], {shapes[1]})
    assert read.grid == explanation.candidates[0].read.grid == (6, 6)


def test_words_lie_in_the_text_in_order(linkers: dict[str, ExactLinker], mention: Mention) -> None:
    read = explained(linkers["m3el"], mention).read
    words = [read.text[start:end] for start, end in read.words]
    assert words == ["".join(word.split()) for word in words]
    assert all(before[1] <= after[0] for before, after in zip(read.words, read.words[1:], strict=False))
    assert read.text.replace(" ", "").startswith("".join(words))


def test_rows_sum_to_one_but_for_marks(linkers: dict[str, ExactLinker], mention: Mention) -> None:
    for candidate in explained(linkers["ot_mel"], mention).candidates:
        for unit in candidate.aligned.values():
            sums = [sum(row) for row in unit.weights]
            assert all(0.5 < total < 1.002 for total in sums)
            assert 0.5 < sum(unit.received) < 1.002


def test_an_explanation_is_small_json_and_back(linkers: dict[str, ExactLinker], mention: Mention) -> None:
    explanation = explained(linkers["m3el"], mention, k=12)
    content = explanation.model_dump_json()
    assert Explanation.model_validate_json(content) == explanation
    assert len(explanation.candidates) == CANDIDATES
    assert len(content) < CANDIDATES * 25_000


def test_each_candidate_comes_with_the_picture_that_was_read(
    linkers: dict[str, ExactLinker], mention: Mention, dataset: DataSet
) -> None:
    explanation = explained(linkers["m3el"], mention)
    pictures = candidate_pictures(linkers["m3el"], explanation)
    entities = {entity.id: entity for entity in dataset.entities}
    assert pictures == {each.id: [dataset.entity_picture(entities[each.id])] for each in explanation.candidates}


def test_a_knowledge_base_on_disk_is_explained_alike(
    small_run: Path, small_data: Path, dataset: DataSet, mention: Mention, tmp_path: Path
) -> None:
    """Its pictures are copies; its stored sides have other padding."""
    source = EntityFile(small_data / "entities.jsonl")
    build(tmp_path / "kb", source, run=small_run, kind="float32", counting=lambda title, total: lambda done: None)
    stored = melder.load(tmp_path / "kb")
    assert isinstance(stored, ExactLinker)
    link, item = answered(stored, mention.model_copy(update={"image": None})), linker_item(stored, mention, dataset)
    explanation = explain(stored, mention, link, item)
    fresh = explain(ExactLinker(stored.model, dataset), mention, link, item)
    pictures = candidate_pictures(stored, explanation).values()
    assert all(isinstance(picture, bytes) for of_candidate in pictures for picture in of_candidate)
    for one, other in zip(explanation.candidates, fresh.candidates, strict=True):
        assert one.read == other.read
        for unit, aligned in one.aligned.items():
            expected = torch.tensor(other.aligned[unit].weights).numpy()
            assert torch.tensor(aligned.weights).numpy() == pytest.approx(expected, abs=2e-4)


def linker_item(linker: ExactLinker, mention: Mention, dataset: DataSet) -> Item:
    return linker.item(mention, dataset.mention_image(str(mention.image)))


def test_without_a_picture_only_texts_are_compared(linkers: dict[str, ExactLinker]) -> None:
    for name in ("m3el", "ot_mel"):
        explanation = explained(linkers[name], to_mention("a red kite", "kite"))
        assert explanation.read.grid is None
        assert {key for each in explanation.candidates for key in each.aligned} == {"text"}


@pytest.mark.parametrize("modality", ["text", "image"])
def test_a_linker_for_one_modality_explains_that_one(
    small_run: Path, dataset: DataSet, mention: Mention, modality: str
) -> None:
    linker = ExactLinker(model_of(small_run, "m3el"), dataset, modalities=[modality])
    explanation = explained(linker, mention)
    assert {key for each in explanation.candidates for key in each.aligned} == {modality}
    assert bool(explanation.read.words) == (modality == "text")


def test_a_mention_that_is_not_in_its_text_has_no_span(linkers: dict[str, ExactLinker]) -> None:
    lost = Mention(id="m", text="Seen at dusk.", surface="Kite")
    read = explained(linkers["m3el"], lost).read
    assert (read.text, read.head, read.span) == ("Kite. Seen at dusk.", 4, None)


def test_an_entity_without_text_is_compared_by_its_picture(small_run: Path, small_data: Path, mention: Mention) -> None:
    bare = load(small_data)
    bare.entities = [Entity(id="bare", images=bare.entities[0].images)]
    (candidate,) = explained(ExactLinker(model_of(small_run, "m3el"), bare), mention).candidates
    assert candidate.aligned.keys() == {"image"}
    assert (candidate.read.text, candidate.read.head, candidate.read.words) == ("", 0, ())


def test_a_linker_that_compares_nothing_cannot_be_explained(mention: Mention) -> None:
    class Writer:
        explains = False

    with pytest.raises(MelderError, match="writes names"):
        explain(Writer(), mention, Link(id="m", start=None, end=None, surface="", candidates=()))


@pytest.mark.parametrize(
    ("tokens", "grid"),
    [(50, (7, 7)), (49, (7, 7)), (37, (6, 6)), (198, (14, 14)), (261, (16, 16)), (4, (2, 2)), (1, (1, 1))],
)
def test_patches_are_a_square_behind_a_few_other_tokens(tokens: int, grid: tuple[int, int]) -> None:
    assert patch_grid(tokens) == grid


@pytest.mark.parametrize("tokens", [0, 3, 60, 100 + 6])
def test_other_tokens_are_no_grid(tokens: int) -> None:
    assert patch_grid(tokens) is None
