"""Several pictures of a mention or an entity: one picture is scored as ever, of several every pair counts."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from melder.features import Features, Side, concatenate
from melder.further_pictures import FurtherPictures
from melder.methods import METHODS, build_matcher
from melder.methods.matcher import UnitMatcher
from melder.methods.several_pictures import best_pictures
from melder.ops.picture_scores import Pooling
from rounding import close
from units.made import SIZES, TERMS, features, lacking

METHODS_OF_UNITS = ["clip", "m3el", "mimic", "ot_mel", "pgmel"]
RULES: tuple[Pooling, ...] = get_args(Pooling)
COUNTS = {"mention": [0, 1, 0, 2], "entity": [2, 0, 3, 1, 0, 1]}


def with_pictures(first: Features, counts: list[int], seed: int, unreadable: tuple[int, ...] = ()) -> Features:
    """The same with so many further pictures each, of which some cannot be read."""
    pictures = features(sum(counts) or 1, seed)
    assert pictures.image_global is not None
    assert pictures.image_tokens is not None
    mask = ~torch.isin(torch.arange(sum(counts)), torch.tensor(unreadable, dtype=torch.long))
    readable = mask[:, None].float()
    vectors, tokens = pictures.image_global[: sum(counts)], pictures.image_tokens[: sum(counts)]
    return replace(
        first,
        further=FurtherPictures(torch.tensor(counts), vectors * readable, tokens * readable[..., None], mask),
    )


def matcher_of(name: str, **settings: Any) -> UnitMatcher:
    torch.manual_seed(0)
    matcher = build_matcher(METHODS.get(name).configuration(**settings), SIZES)
    assert isinstance(matcher, UnitMatcher)
    if matcher.lexical is not None:
        matcher.lexical.fit(["Guinea", "Mali", "Congo", "Chad"])
    return matcher.eval()


@pytest.fixture(params=METHODS_OF_UNITS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def mentions() -> Features:
    return with_pictures(features(4, seed=1), COUNTS["mention"], seed=7)


@pytest.fixture
def entities() -> Features:
    return with_pictures(features(6, seed=2), COUNTS["entity"], seed=8)


def scores_of(matcher: UnitMatcher, mentions: Features, entities: Features) -> dict[str, Tensor]:
    with torch.inference_mode():
        scores = matcher.score(matcher.mention_side(mentions), matcher.entity_side(entities))
    return {"total": scores.total, **scores.parts}


def expected(matcher: UnitMatcher, mentions: Features, entities: Features, rule: Pooling) -> dict[str, Tensor]:
    """The definition: every pair of pictures by itself, and then the rule."""
    single: dict[str, Tensor] = {}
    for row, column in itertools.product(range(len(mentions)), range(len(entities))):
        own, other = views(mentions[row : row + 1]), views(entities[column : column + 1])
        pairs = [scores_of(matcher, one, two) for one, two in itertools.product(own, other)]
        for unit in matcher.names_in_use(lexical=True):
            values = torch.stack([pair[unit][0, 0] for pair in pairs])
            pooled = {"max": values.max(), "mean": values.mean(), "log_mean_exp": values.exp().mean().log()}[rule]
            single.setdefault(unit, torch.zeros(len(mentions), len(entities)))[row, column] = pooled
    return single


def views(item: Features) -> list[Features]:
    """One item with each of its pictures that can be read, or as it is where none can."""
    shown, further = [replace(item, further=None)], item.further
    for number in range(0 if further is None else int(further.counts[0])):
        place, tensors = slice(number, number + 1), ("image_global", "image_tokens", "image_mask")
        shown.append(replace(shown[0], **{name: getattr(further, name)[place] for name in tensors}))
    return [view for view in shown if bool(view.has_image)] or shown[:1]


@pytest.mark.parametrize("rule", RULES)
def test_one_picture_is_scored_as_if_there_could_be_no_other(name: str, rule: Pooling) -> None:
    mentions, entities = features(4, seed=1), lacking(features(6, seed=2), image=[3])
    several, single = matcher_of(name, picture_pooling=rule), matcher_of(name, pictures=1)
    assert several.pictures == 4
    ours, before = scores_of(several, mentions, entities), scores_of(single, mentions, entities)
    assert all(torch.equal(ours[unit], before[unit]) for unit in before)
    assert several.entity_side(entities).keys() == single.entity_side(entities).keys()
    vectors = [matcher.entity_vectors(matcher.entity_side(entities)) for matcher in (several, single)]
    assert torch.equal(*vectors)


@pytest.mark.parametrize("rule", RULES)
def test_every_pair_of_pictures_counts(name: str, rule: Pooling, mentions: Features, entities: Features) -> None:
    matcher = matcher_of(name, picture_pooling=rule)
    found = scores_of(matcher, mentions, entities)
    for unit, values in expected(matcher, mentions, entities, rule).items():
        assert close(found[unit], values, 4 * TERMS), unit


@pytest.mark.parametrize("rule", RULES)
def test_a_picture_that_cannot_be_read_is_left_out(rule: Pooling) -> None:
    matcher = matcher_of("m3el", picture_pooling=rule)
    mentions = with_pictures(lacking(features(3, seed=1), image=[0, 2]), [1, 0, 1], seed=7, unreadable=(1,))
    entities = with_pictures(lacking(features(3, seed=2), image=[1]), [2, 1, 0], seed=8, unreadable=(0,))
    found = scores_of(matcher, mentions, entities)
    for unit, values in expected(matcher, mentions, entities, rule).items():
        assert close(found[unit], values, 4 * TERMS), unit


@pytest.mark.parametrize("rule", RULES)
def test_who_has_one_picture_scores_the_same_beside_those_who_have_several(
    name: str, rule: Pooling, entities: Features
) -> None:
    matcher, mentions = matcher_of(name, picture_pooling=rule), features(4, seed=1)
    together, alone = (
        scores_of(matcher, mentions, entities),
        scores_of(matcher, mentions, replace(entities, further=None)),
    )
    single = torch.tensor(COUNTS["entity"]) == 0
    assert all(torch.equal(together[unit][:, single], alone[unit][:, single]) for unit in alone)
    assert not torch.equal(together["total"][:, ~single], alone["total"][:, ~single])


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("rule", RULES)
def test_the_same_picture_again_changes_nothing(name: str, rule: Pooling, copies: int) -> None:
    first = features(5, seed=2)
    again = FurtherPictures(
        torch.full((5,), copies),
        first.image_global.repeat_interleave(copies, dim=0),  # type: ignore[union-attr]
        first.image_tokens.repeat_interleave(copies, dim=0),  # type: ignore[union-attr]
        torch.ones(5 * copies, dtype=torch.bool),
    )
    matcher, mentions = matcher_of(name, picture_pooling=rule), features(4, seed=1)
    one, several = (scores_of(matcher, mentions, replace(first, further=further)) for further in (None, again))
    assert all(close(several[unit], one[unit], 4 * TERMS) for unit in one)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_total_is_above_its_bound(name: str, rule: Pooling, seed: int) -> None:
    matcher = matcher_of(name, picture_pooling=rule, lexical=False)
    mentions = with_pictures(features(4, seed), COUNTS["mention"], seed=seed + 10)
    entities = with_pictures(lacking(features(6, seed + 1), image=[2]), COUNTS["entity"], seed + 20, unreadable=(1,))
    with torch.inference_mode():
        sides = matcher.mention_side(mentions), matcher.entity_side(entities)
        bound = matcher.mention_bounds(sides[0]) @ matcher.entity_bounds(sides[1]).t()
        total = matcher.score(*sides).total
    assert (total <= bound + 1e-4 * (1 + bound.abs())).all()


def test_a_bound_of_one_picture_is_what_it_was(name: str) -> None:
    mentions, entities = features(4, seed=1), features(6, seed=2)
    several, single = matcher_of(name), matcher_of(name, pictures=1)
    bounds = [
        matcher.mention_bounds(matcher.mention_side(mentions))
        @ matcher.entity_bounds(matcher.entity_side(entities)).t()
        for matcher in (several, single)
    ]
    assert close(*bounds, TERMS)


def test_the_first_stage_has_the_mean_of_the_vectors(entities: Features) -> None:
    matcher, mentions = matcher_of("clip", picture_pooling="mean", lexical=False), features(4, seed=1)
    with torch.inference_mode():
        sides = matcher.mention_side(mentions), matcher.entity_side(entities)
        products = matcher.mention_vectors(sides[0]) @ matcher.entity_vectors(sides[1]).t()
    assert close(products, scores_of(matcher, mentions, entities)["total"], TERMS)


def test_rows_and_blocks_of_sides_score_as_the_whole(name: str, mentions: Features, entities: Features) -> None:
    matcher = matcher_of(name)
    with torch.inference_mode():
        side = matcher.mention_side(mentions)
        whole = matcher.entity_side(entities)
        blocks = concatenate([matcher.entity_side(entities[rows]) for rows in (slice(4, 5), slice(0, 4), slice(5, 6))])
        order = torch.tensor([1, 2, 3, 4, 0, 5])
        scores = matcher.score(side, whole).total
        assert close(matcher.score(side, blocks.take(order)).total, scores, 4 * TERMS)
        assert close(
            matcher.score(side.take(slice(3, 4)), whole.take(torch.tensor([2, 4]))).total,
            scores[3:4][:, [2, 4]],
            4 * TERMS,
        )


def test_gradients_reach_every_picture() -> None:
    matcher = matcher_of("m3el").train()
    entities = with_pictures(features(3, seed=2), [1, 0, 2], seed=8)
    assert entities.further is not None
    pictures = entities.further.image_tokens.requires_grad_()
    matcher.score(matcher.mention_side(features(2, seed=1)), matcher.entity_side(entities)).total.sum().backward()
    assert pictures.grad is not None
    assert pictures.grad.flatten(1).abs().sum(dim=1).min() > 0


def test_the_best_two_pictures_are_those_that_score_highest(mentions: Features, entities: Features) -> None:
    matcher = matcher_of("m3el", picture_pooling="max")
    unit = matcher.units["image"]
    with torch.inference_mode():
        mention, sides = matcher.mention_side(mentions[3:4]).part("image"), matcher.entity_side(entities).part("image")
        own, other, numbers = best_pictures(unit, mention, sides)  # type: ignore[arg-type]
        diagonal = torch.stack(
            [unit.score(own.take(slice(row, row + 1)), other.take(slice(row, row + 1)))[0, 0] for row in range(6)]
        )  # type: ignore[operator]
    assert close(diagonal, scores_of(matcher, mentions[3:4], entities)["image"][0], 4 * TERMS)
    assert all(own < 3 and place <= count for (own, place), count in zip(numbers, COUNTS["entity"], strict=True))


def test_published_code_compares_one_picture() -> None:
    assert matcher_of("mimic", published=True).pictures == 1
    with pytest.raises(ValueError, match="published code compares one picture"):
        METHODS.get("m3el").configuration(published=True, pictures=2)


def test_the_store_is_told_of_every_tensor(name: str, entities: Features) -> None:
    matcher = matcher_of(name)
    side: Side = matcher.entity_side(entities)
    assert side.keys() <= matcher.entity_tensors.keys()
    further = [tensor for tensor, form in matcher.entity_tensors.items() if form.pictures is not None]
    assert any(tensor in side for tensor in further)
    assert all(side[tensor].shape[:2] == (6, 3) for tensor in further if tensor in side)
