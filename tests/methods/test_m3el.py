"""What M3EL's configuration changes, and what `published: true` restores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from melder.features import Features, Scores, Sizes
from melder.methods import METHODS, build_matcher, from_official_state_dict
from melder.methods.m3el import M3ELConfiguration
from melder.methods.matcher import UnitMatcher
from melder.records import MelderError
from melder.runs.model import Model
from melder.training.batched import Batched, EncodedItems
from melder.training.loop.module import training_losses
from rounding import close
from units.made import BLIND, SIZES, TERMS, features, lacking, padded

BASE = ["text", "image"]
BOTH = ["text_to_image", "image_to_text"]
# Widths as CLIP's are: text tokens share a layer with the text's global vector.
ALIKE = Sizes(text_global=12, text_tokens=12, image_global=9, image_tokens=14)


def _matcher(sizes: Sizes = SIZES, **options: Any) -> UnitMatcher:
    torch.manual_seed(0)
    configuration = M3ELConfiguration(hidden=8, image_width=7, **{"lexical": False, **options})
    return build_matcher(configuration, sizes).eval()


def _score(matcher: UnitMatcher, mentions: Features, entities: Features) -> Scores:
    return matcher.score(matcher.mention_side(mentions), matcher.entity_side(entities))


@pytest.mark.parametrize(("cross", "parts"), [("uni", ["cross"]), ("bi", BOTH)])
def test_cross_names_the_cross_modal_units(cross: str, parts: list[str]) -> None:
    scores = _score(_matcher(cross=cross), features(3, 1), features(4, 2))
    assert list(scores.parts) == BASE + parts
    assert torch.allclose(scores.total, torch.stack(list(scores.parts.values())).mean(dim=0))


@pytest.mark.parametrize(
    ("units", "parts"),
    [(["text"], ["text"]), (["image", "cross"], ["image", *BOTH]), (["cross", "text"], ["text", *BOTH])],
)
def test_units_may_be_left_out(units: list[str], parts: list[str]) -> None:
    assert list(_score(_matcher(units=units), features(3, 1), features(4, 2)).parts) == parts


def test_a_matcher_needs_a_unit() -> None:
    with pytest.raises(ValueError, match="name at least one of text, image, cross"):
        M3ELConfiguration(units=())


def test_both_directions_are_the_default() -> None:
    assert M3ELConfiguration().cross == "bi"


def test_published_evaluation_may_use_a_unit_that_is_not_trained() -> None:
    matcher = _matcher(cross="bi", evaluate_cross="uni")
    pair = features(3, 1), features(4, 2)
    assert list(_score(matcher, *pair).parts) == [*BASE, "cross"]
    matcher.train()
    trained = _score(matcher, *pair)
    assert list(trained.parts) == BASE + BOTH
    trained.total.sum().backward()
    assert all(parameter.grad is None for parameter in matcher.heads.fusions["uni"].parameters())


@pytest.mark.parametrize("cross", ["uni", "bi"])
def test_published_mode_ignores_masks(cross: str) -> None:
    matcher = _matcher(ALIKE, cross=cross, published=True)
    masked = [_alike(lacking(features(4, seed), text=[1], image=[2])) for seed in (1, 2)]
    bare = [replace(given, text_mask=None, image_mask=None) for given in masked]
    assert torch.equal(_score(matcher, *masked).total, _score(matcher, *bare).total)
    corrected = _matcher(ALIKE, cross=cross)
    assert not torch.allclose(_score(corrected, *masked).total, _score(corrected, *bare).total)


def test_published_mode_counts_padding() -> None:
    plain, more = features(4, 1), padded(features(4, 1))
    for published in (True, False):
        matcher = _matcher(ALIKE, published=published)
        before, after = (_score(matcher, _alike(f), _alike(features(4, 2))).total for f in (plain, more))
        assert torch.allclose(before, after, atol=1e-5) != published


@pytest.mark.parametrize(("published", "keys"), [(True, "global"), (False, "tokens")])
def test_published_patches_attend_to_the_global_vector_alone(published: bool, keys: str) -> None:
    matcher = _matcher(ALIKE, cross="bi", evaluate_cross="uni", published=published)
    assert {block.keys for block in matcher.heads.fusions.values()} == {keys}


def test_published_batches_count_an_entity_that_is_gold_twice_as_a_negative() -> None:
    matcher = _matcher(units=["text", "image"], contrastive=None)
    mentions, entities = features(4, 1), features(3, 2)[torch.tensor([0, 1, 0, 2])]
    answer = torch.tensor([0, 1, 0, 2])
    batched = Batched(EncodedItems(mentions), EncodedItems(entities), answer)
    scores = _score(matcher, mentions, entities).total
    for masked in (True, False):
        losses = training_losses(Model(nn.Identity(), matcher), batched, mask_duplicates=masked)  # type: ignore[arg-type]
        assert close(losses["total"], _cross_entropy(scores, answer, masked), TERMS)


def test_the_contrastive_loss_may_be_left_out() -> None:
    assert "contrastive" not in _matcher(contrastive=None).extra_losses
    assert "contrastive" in _matcher().extra_losses


def test_the_contrastive_loss_is_published_with_the_method() -> None:
    for published in (True, False):
        assert _matcher(ALIKE, published=published).extra_losses["contrastive"].keywords["published"] == published  # type: ignore[attr-defined]


def test_names_are_added_to_the_mean_with_their_weight() -> None:
    plain, named = _matcher(), _matcher(lexical=True, lexical_weight=3.0)
    named.load_state_dict(plain.state_dict(), strict=False)
    pair = features(3, 1), features(4, 2, aliases=2)
    without, with_names = _score(plain, *pair), _score(named, *pair)
    assert named.lexical is not None
    heads = named.heads(pair[0]), named.heads(pair[1])
    cosine = named.lexical.score(named.lexical.mention_side(heads[0]), named.lexical.entity_side(heads[1]))
    assert cosine.any()
    assert torch.allclose(with_names.parts["lexical"], 3 * cosine)
    assert close(with_names.total, without.total + 3 * cosine, TERMS)


def test_a_missing_picture_is_worth_the_constant_in_the_mean_over_all_units() -> None:
    matcher = _matcher()
    for number, unit in enumerate(matcher.units.values(), 1):
        nn.init.constant_(unit.absent.constant, float(number))
    scores = _score(matcher, lacking(features(3, 1), image=[0]), features(4, 2))
    assert close(scores.total[0], (scores.parts["text"][0] + 2 + 3 + 4) / 4, TERMS)


def test_without_vision_only_texts_are_compared() -> None:
    matcher = _matcher(BLIND)
    scores = _score(matcher, features(3, 1, vision=False), features(4, 2, vision=False))
    assert torch.allclose(scores.total, scores.parts["text"] / 4)


def test_an_unknown_method_is_an_error_that_lists_the_known_ones() -> None:
    for ask in (lambda: METHODS.get("m4el"), lambda: from_official_state_dict("m4el", {})):
        with pytest.raises(MelderError, match=r"there is no method 'm4el'; did you mean 'm3el'\? there are .*pgmel"):
            ask()


@pytest.mark.parametrize("wrong", [{"hidde": 4}, {"cross": "both"}, {"pooling_heads": 9}, {"contrastive": {"tau": 1}}])
def test_settings_that_do_not_exist_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        M3ELConfiguration(**wrong)


def _alike(given: Features) -> Features:
    """The same with a global text vector as wide as a token."""
    return replace(given, text_global=torch.nn.functional.pad(given.text_global, (0, 2)))


def _cross_entropy(scores: Tensor, answer: Tensor, masked: bool) -> Tensor:
    losses = []
    for row, gold in enumerate(answer):
        kept = [j for j in range(len(answer)) if j == row or not (masked and answer[j] == gold)]
        losses.append(scores[row, kept].logsumexp(dim=0) - scores[row, row])
    return torch.stack(losses).mean()
