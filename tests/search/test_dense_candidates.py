"""Candidates by vectors, against whole matrices of scores."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from melder.features import Features, Heads, Side
from melder.methods import build_matcher
from melder.methods.clip import CLIPConfiguration
from melder.methods.m3el import M3ELConfiguration
from melder.methods.matcher import UnitMatcher
from melder.search.candidates import MENTIONS_AT_ONCE, dense_candidates, entity_vectors
from melder.units.cosine import Cosine
from melder.units.gated_multimodal import FusedMatch
from melder.units.inner_product import InnerProduct
from melder.units.whitened import Whitened
from rounding import close
from units.cases import CASES, Made
from units.made import BLIND, SIZES, TERMS, features, lacking

MENTIONS, ENTITIES = 6, 9
DENSE = [name for name, case in CASES.items() if case.build().has_vectors]
WHOLE = [
    name for name in DENSE if isinstance(CASES[name].build(), InnerProduct | Cosine | FusedMatch | Whitened)
]  # nothing but a product
HALF = [name for name in DENSE if name not in WHOLE]


def pair(vision: bool = True) -> tuple[Features, Features]:
    mentions, entities = features(MENTIONS, 1, vision=vision), features(ENTITIES, 2, vision=vision)
    return lacking(mentions, text=[0], image=[1]), lacking(entities, text=[2], image=[2, 3])


def sides(made: Made, vision: bool) -> tuple[Heads, Heads, Side, Side]:
    heads = [made.heads(each) for each in pair(vision)]
    return heads[0], heads[1], made.unit.mention_side(heads[0]), made.unit.entity_side(heads[1])


def products(unit: nn.Module, mentions: Side, entities: Side) -> Tensor:
    return unit.mention_vectors(mentions) @ unit.entity_vectors(entities).t()  # type: ignore[operator, no-any-return]


@pytest.mark.parametrize("vision", [True, False])
@pytest.mark.parametrize("name", WHOLE)
def test_inner_products_are_the_score_absent_pairs_included(name: str, vision: bool) -> None:
    made = Made(CASES[name], SIZES if vision else BLIND)
    _, _, mentions, entities = sides(made, vision)
    assert close(products(made.unit, mentions, entities), made.unit.score(mentions, entities), TERMS)


@pytest.mark.parametrize("vision", [True, False])
@pytest.mark.parametrize("name", HALF)
def test_inner_products_are_the_global_half_of_the_score(name: str, vision: bool) -> None:
    made = Made(CASES[name], SIZES if vision else BLIND)
    m, e, mentions, entities = sides(made, vision)
    if "global" in mentions:
        image = "image" in CASES[name].reads
        one, other = (m.image_global, e.image_global) if image else (m.text_global, e.text_global)
        assert one is not None
        assert other is not None
        both = mentions["present"][:, None] & entities["present"][None, :]
        expected = torch.where(both, one @ other.t() / 2, torch.tensor(made.absent))
    else:
        expected = torch.full((MENTIONS, ENTITIES), made.absent)
    assert close(products(made.unit, mentions, entities), expected, TERMS)


@pytest.mark.parametrize("name", WHOLE)
def test_vectors_of_stored_sides_are_of_full_precision(name: str) -> None:
    made = Made(CASES[name])
    _, _, mentions, entities = sides(made, vision=True)
    half = products(made.unit, mentions.to(torch.float16), entities.to(torch.float16))
    assert half.dtype == torch.float32
    assert torch.allclose(half, made.unit.score(mentions, entities), atol=2e-2)


def clip() -> UnitMatcher:
    """A matcher whose mean is nothing but inner products."""
    torch.manual_seed(0)
    return build_matcher(CLIPConfiguration(lexical=False), SIZES)


def test_candidates_are_the_best_of_the_whole_matrix_in_order() -> None:
    matcher = clip()
    many, entities = features(MENTIONS_AT_ONCE + 5, 1), features(ENTITIES, 2)
    mention_side, entity_side = matcher.mention_side(many), matcher.entity_side(entities)
    scores = matcher.score(mention_side, entity_side).total
    found = dense_candidates(matcher, mention_side, entity_side, 4)
    assert found.tolist() == scores.argsort(dim=1, descending=True)[:, :4].tolist()
    assert sorted(dense_candidates(matcher, mention_side, entity_side, 50)[0]) == list(range(ENTITIES))


def test_the_units_that_are_evaluated_hand_out_their_vectors() -> None:
    torch.manual_seed(0)
    matcher = build_matcher(M3ELConfiguration(cross="bi", evaluate_cross="uni"), SIZES)
    given = features(3, 1)
    side = matcher.entity_side(given)
    expected = [matcher.units[name].entity_vectors(side.part(name)) for name in matcher.evaluation_units]  # type: ignore[operator]
    assert torch.equal(entity_vectors(matcher.train(), side), torch.cat(expected, dim=1))
    assert matcher.training


def test_a_matcher_without_inner_products_has_no_dense_candidates() -> None:
    matcher = clip()
    given = features(3, 1)
    sides = matcher.mention_side(given), matcher.entity_side(given)
    bare = UnitMatcher(matcher.heads, {"text": Bare()})
    assert dense_candidates(bare, *sides, 2).shape == (3, 0)


class Bare(nn.Module):
    """A unit that scores, and hands nothing out."""

    has_vectors = has_bounds = aligns = reads_pictures = False
