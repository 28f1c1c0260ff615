"""What every unit promises. A unit without a case in `cases.py` fails the last test."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest
import torch
from torch import Tensor, nn

import melder.units
from melder.features import Features, Side
from melder.units.resolver import UNITS
from rounding import close
from units.cases import CASES, Made
from units.made import BLIND, TERMS, features, lacking, leaves, padded

MENTIONS, ENTITIES = 5, 7
EVERY = list(range(ENTITIES))


@pytest.fixture(params=CASES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def made(name: str) -> Made:
    return Made(CASES[name])


@pytest.fixture
def mentions() -> Features:
    return features(MENTIONS, seed=1)


@pytest.fixture
def entities() -> Features:
    return features(ENTITIES, seed=2, length=8, aliases=2)


def test_it_scores_every_pair(made: Made, mentions: Features, entities: Features) -> None:
    scores = made(mentions, entities)
    assert scores.shape == (MENTIONS, ENTITIES)
    assert scores.unique().numel() > MENTIONS


def test_a_score_depends_on_its_pair_alone(made: Made, mentions: Features, entities: Features) -> None:
    some, others = torch.tensor([3, 0, 4]), torch.tensor([6, 2, 5, 1])
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            together = made(mentions, entities)
            assert close(made(mentions[some], entities[others]), together[some][:, others], TERMS)
            assert close(made(mentions[2:3], entities[4:5]), together[2:3, 4:5], TERMS)


def test_rows_of_sides_score_as_rows_of_features(made: Made, mentions: Features, entities: Features) -> None:
    sides = made.unit.mention_side(made.heads(mentions)), made.unit.entity_side(made.heads(entities))
    scores = made.unit.score(sides[0].take(slice(1, 4)), sides[1].take(torch.tensor([5, 0])))
    assert close(scores, made(mentions, entities)[1:4][:, [5, 0]], TERMS)


@pytest.mark.parametrize("some_are_missing", [False, True])
def test_without_gradients_it_gives_the_same(
    made: Made, mentions: Features, entities: Features, some_are_missing: bool
) -> None:
    if some_are_missing:
        mentions, entities = lacking(mentions, text=[0], image=[1]), lacking(entities, text=[2], image=[2, 3])
    with torch.no_grad():
        without = made(mentions, entities)
    assert close(without, made(mentions, entities), TERMS)


def test_a_missing_modality_gives_the_constant_on_either_side(
    made: Made, name: str, mentions: Features, entities: Features
) -> None:
    complete = made(mentions, entities)
    scores = made(lacking(mentions, text=[0], image=[1]), lacking(entities, text=[2], image=[2, 3]))
    reads = CASES[name].reads
    missing = torch.zeros(MENTIONS, ENTITIES, dtype=torch.bool)
    if "text" in reads:
        missing[0], missing[:, 2] = True, True
    if "image" in reads:
        missing[1], missing[:, [2, 3]] = True, True
    assert torch.equal(scores[missing], torch.full_like(scores[missing], made.absent))
    kept = ~missing
    if not reads:  # then every pair is compared, by other vectors where something is missing
        kept[[0, 1]], kept[:, [2, 3]] = False, False
    assert close(scores[kept], complete[kept], TERMS)


@pytest.mark.parametrize("text", [[], [0, 2], EVERY])
@pytest.mark.parametrize("image", [[], [1, 2], EVERY])
def test_scores_and_gradients_are_finite_whatever_is_missing(
    made: Made, mentions: Features, entities: Features, text: list[int], image: list[int]
) -> None:
    for sides in ((text, image, [], []), ([], [], text, image), (text, image, text, image)):
        shown = leaves(lacking(mentions, *sides[:2])), leaves(lacking(entities, *sides[2:]))
        scores = made(*shown)
        assert torch.isfinite(scores).all()
        with torch.no_grad():
            assert close(made(*shown), scores, TERMS)
        if scores.requires_grad:
            made.zero_grad()
            scores.square().sum().backward()
            assert all(torch.isfinite(gradient).all() for gradient in _gradients(made, *shown))


@pytest.mark.parametrize("name", [name for name in CASES if hasattr(CASES[name].build(), "absent")])
def test_the_constant_learns_from_pairs_that_lack_something(made: Made, mentions: Features, entities: Features) -> None:
    made(lacking(mentions, [0], [0]), entities).sum().backward()
    assert made.unit.absent.constant.grad == ENTITIES


def test_an_encoder_without_vision_will_do(name: str) -> None:
    made = Made(CASES[name], BLIND)
    mentions, entities = features(MENTIONS, seed=1, vision=False), features(ENTITIES, seed=2, vision=False)
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            scores = made(mentions, entities)
            assert scores.shape == (MENTIONS, ENTITIES)
            assert bool((scores == made.absent).all()) == ("image" in CASES[name].reads)


def test_more_padding_changes_nothing(made: Made, mentions: Features, entities: Features) -> None:
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            expected = made(mentions, entities)
            assert close(made(padded(mentions), padded(entities)), expected, TERMS)


def test_without_masks_everything_is_valid(made: Made, mentions: Features, entities: Features) -> None:
    for given in (mentions, entities):
        given.text_mask = torch.ones_like(given.text_mask)  # type: ignore[arg-type]
    expected = made(mentions, entities)
    for given in (mentions, entities):
        given.text_mask = given.image_mask = None
    assert close(made(mentions, entities), expected, TERMS)


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("stored", ["entities", "both"])
def test_sides_may_be_stored_in_half_precision(
    made: Made, mentions: Features, entities: Features, stored: str, grad: bool
) -> None:
    with torch.set_grad_enabled(grad):
        mention_side = made.unit.mention_side(made.heads(mentions))
        entity_side = made.unit.entity_side(made.heads(entities))
        exact = made.unit.score(mention_side, entity_side)
        half = mention_side.to(torch.float16) if stored == "both" else mention_side
        scores = made.unit.score(half, entity_side.to(torch.float16))
    assert scores.dtype == torch.float32
    assert torch.allclose(scores, exact, atol=2e-2)


def test_a_side_has_a_row_for_each_record_in_all_of_its_tensors(
    made: Made, mentions: Features, entities: Features
) -> None:
    for side, count in ((made.unit.mention_side, mentions), (made.unit.entity_side, entities)):
        bundle: Side = side(made.heads(count))
        assert {len(tensor) for tensor in bundle.values()} == {len(count)}


def test_the_store_is_told_of_every_tensor(made: Made, entities: Features) -> None:
    side, declared = made.unit.entity_side(made.heads(entities)), made.unit.entity_tensors
    assert side.keys() <= declared.keys()
    for name, form in declared.items():
        if name in side and form.tokens in side:
            assert side[name].shape[:2] == side[form.tokens].shape
        if name in side and form.weights is not None:
            assert side[name].shape == side[form.weights].shape
            assert not side[name][side[form.weights] == 0].any()


def test_it_does_what_it_says_it_can(made: Made) -> None:
    assert made.unit.has_vectors == hasattr(made.unit, "entity_vectors")
    assert made.unit.has_bounds == hasattr(made.unit, "entity_bounds")
    assert made.unit.aligns == hasattr(made.unit, "align")


def test_every_unit_has_a_case() -> None:
    covered = {type(case.build()) for case in CASES.values()}
    assert {UNITS.get(name) for name in UNITS.names()} == covered


def test_every_unit_is_registered() -> None:
    modules = [importlib.import_module(f"melder.units.{module.name}") for module in pkgutil.iter_modules(_where())]
    units = {value for module in modules for value in vars(module).values() if _is_unit(value, module.__name__)}
    assert units == {UNITS.load(entry) for entry in UNITS.entries() if entry.package == "melder"}


def _where() -> list[str]:
    return list(melder.units.__path__)


def _is_unit(value: object, module: str) -> bool:
    here = isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == module
    return here and hasattr(value, "entity_side") and not inspect.isabstract(value)


def _gradients(made: Made, *shown: Features) -> list[Tensor]:
    inputs = [tensor for given in shown for tensor in given.tensors().values()]
    return [tensor.grad for tensor in (*made.parameters(), *inputs) if tensor.grad is not None]
