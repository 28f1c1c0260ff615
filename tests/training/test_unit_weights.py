"""Weights of units, fitted on mentions that training did not show."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from melder.features import Side
from melder.methods import build_matcher
from melder.methods.m3el import M3ELConfiguration
from melder.methods.matcher import UnitMatcher
from melder.methods.mimic import MIMICConfiguration
from melder.methods.ot_mel import OTMELConfiguration
from melder.methods.whitened_units import fitting_whitened
from melder.records import MelderError
from melder.training.configuration import TrainingConfiguration
from melder.training.unit_weights import fit_unit_weights
from rounding import close
from units.made import BLIND, SIZES, TERMS, features

WHITENED = ("whitened_image", "whitened_patches")


def _matcher(**options: object) -> UnitMatcher:
    torch.manual_seed(0)
    configuration = M3ELConfiguration(hidden=8, image_width=7, whiten=True, unit_weights="fitted", **options)
    matcher = build_matcher(configuration, SIZES)
    fit = fitting_whitened(configuration)
    assert fit is not None
    fit(matcher, features(60, seed=3), features(40, seed=4))
    assert isinstance(matcher, UnitMatcher)
    return matcher.eval()


def _sides(matcher: UnitMatcher, mentions: int = 5, entities: int = 9) -> tuple[Side, Side]:
    with torch.no_grad():
        return (
            matcher.mention_side(features(mentions, seed=1)),
            matcher.entity_side(features(entities, seed=2, aliases=2)),
        )


class Scored(UnitMatcher):
    """Two units whose scores of mentions and entities are known: one that is right, one that is sure and wrong."""

    def __init__(self, right: Tensor, wrong: Tensor) -> None:
        torch.nn.Module.__init__(self)
        self.known = {"right": right, "wrong": wrong}
        self.units = torch.nn.ModuleDict({name: torch.nn.Identity() for name in self.known})
        self.register_buffer("unit_weights", torch.ones(2))
        self.weighted, self.lexical, self.gate, self.anchor = True, None, None, torch.nn.Parameter(torch.zeros(()))
        self.training_units = self.evaluation_units = tuple(self.known)
        self.eval()

    def _score(self, name: str, mentions: Side, entities: Side) -> Tensor:
        return self.known[name][mentions["row"]][:, entities["row"]]


def _scored(count: int, noise: float) -> tuple[Scored, Side, Side, list[int]]:
    draw = torch.Generator().manual_seed(0)
    gold = torch.randint(30, (count,), generator=draw)
    right = 2 * torch.nn.functional.one_hot(gold, 30) + torch.randn(count, 30, generator=draw)
    matcher = Scored(right, noise * torch.randn(count, 30, generator=draw))
    return matcher, Side({"row": torch.arange(count)}), Side({"row": torch.arange(30)}), gold.tolist()


@pytest.mark.parametrize("noise", [1.0, 10.0, 100.0])
def test_a_unit_that_is_sure_and_wrong_counts_little(noise: float) -> None:
    matcher, mentions, entities, gold = _scored(300, noise)
    alone = (matcher.known["right"].argmax(dim=1) == torch.tensor(gold)).float().mean()
    weights = fit_unit_weights(matcher, mentions, entities, gold)
    assert noise * weights["wrong"] < 0.3 * weights["right"]
    hits = (matcher.score(mentions, entities).total.argmax(dim=1) == torch.tensor(gold)).float().mean()
    assert hits > alone - 0.05


def test_one_mention_moves_the_weights_little() -> None:
    matcher, mentions, entities, gold = _scored(1, 1.0)
    weights = fit_unit_weights(matcher, mentions, entities, gold)
    assert all(0.2 < weight < 5 for weight in weights.values())


def test_the_same_mentions_give_the_same_weights() -> None:
    matcher, *sides = _scored(50, 2.0)
    assert fit_unit_weights(matcher, *sides) == fit_unit_weights(matcher, *sides)


def test_real_units_are_weighed_with_the_names() -> None:
    matcher = _matcher()
    weights = fit_unit_weights(matcher, *_sides(matcher), gold=[0, 1, 2, 3, 8])
    assert tuple(weights) == matcher.names_in_use()
    assert matcher.unit_weights.tolist() == pytest.approx(list(weights.values()))


def test_weights_count_outside_of_training_only() -> None:
    matcher = _matcher()
    sides = _sides(matcher)
    plain = matcher.score(*sides).total
    matcher.set_unit_weights(dict.fromkeys(matcher.names_in_use(), 0.0))
    assert close(matcher.score(*sides).total, matcher.score(*sides).parts["lexical"], TERMS)
    assert close(matcher.train().score(*sides).total, plain, TERMS)


def test_contributions_vectors_and_bounds_are_weighed_too() -> None:
    matcher = _matcher()
    matcher.set_unit_weights({name: 0.5 * number for number, name in enumerate(matcher.names_in_use())})
    mentions, entities = _sides(matcher)
    scores = matcher.score(mentions, entities)
    assert close(sum(matcher.contributions(scores).values()), scores.total, TERMS)  # type: ignore[arg-type]
    without_names = scores.total - scores.parts["lexical"]
    assert (matcher.mention_bounds(mentions) @ matcher.entity_bounds(entities).t() >= without_names - 1e-4).all()
    matcher.set_unit_weights({"text": 0.0, "image": 0.0})
    without_names = (scores := matcher.score(mentions, entities)).total - scores.parts["lexical"]
    vectors = matcher.mention_vectors(mentions) @ matcher.entity_vectors(entities).t()
    assert close(vectors, without_names, TERMS)


def test_units_without_weights_take_none() -> None:
    with pytest.raises(MelderError, match="unit_weights: fitted"):
        build_matcher(M3ELConfiguration(), SIZES).set_unit_weights({"text": 2.0})


@pytest.mark.parametrize("method", [M3ELConfiguration, MIMICConfiguration, OTMELConfiguration])
def test_whitened_units_are_added_where_there_is_vision(method: type[M3ELConfiguration]) -> None:
    units = dict(build_matcher(method(whiten=True), SIZES).units_in_use())
    plain = dict(build_matcher(method(), SIZES).units_in_use())
    assert set(units) == {*plain, *WHITENED}
    assert set(dict(build_matcher(method(whiten=True), BLIND).units_in_use())).isdisjoint(WHITENED)


@pytest.mark.parametrize("option", [{"whiten": True}, {"unit_weights": "fitted"}])
def test_published_methods_have_neither(option: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=f"leave {next(iter(option))} out"):
        M3ELConfiguration(published=True, **option)


def test_entities_cannot_be_held_out_of_dev() -> None:
    with pytest.raises(ValidationError, match="set select_on: tune"):
        TrainingConfiguration(select_entities=True, select_on="dev")
