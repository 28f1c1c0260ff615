"""What MIMIC's configuration changes, and what `published: true` restores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from melder.features import Features, Scores, Sizes
from melder.methods import build_matcher
from melder.methods.matcher import UnitMatcher
from melder.methods.mimic import MIMICConfiguration
from rounding import close
from units.made import BLIND, SIZES, TERMS, features, lacking, padded


def _matcher(sizes: Sizes = SIZES, **options: Any) -> UnitMatcher:
    torch.manual_seed(0)
    configuration = MIMICConfiguration(hidden=8, image_width=7, **{"lexical": False, **options})
    return build_matcher(configuration, sizes).eval()


def _score(matcher: UnitMatcher, mentions: Features, entities: Features) -> Scores:
    return matcher.score(matcher.mention_side(mentions), matcher.entity_side(entities))


def test_the_total_is_the_mean_of_three_units() -> None:
    scores = _score(_matcher(), features(3, 1), features(4, 2))
    assert list(scores.parts) == ["text", "image", "cross"]
    assert torch.allclose(scores.total, torch.stack(list(scores.parts.values())).mean(dim=0))


def test_only_cross_entropies_are_minimised() -> None:
    assert not _matcher().extra_losses


def test_the_variant_changes_the_image_unit_alone() -> None:
    code, figure = _matcher(), _matcher(variant="figure")
    figure.load_state_dict(code.state_dict(), strict=False)
    pair = features(3, 1), features(4, 2)
    found, other = _score(code, *pair).parts, _score(figure, *pair).parts
    assert [name for name in found if not torch.allclose(found[name], other[name])] == ["image"]


def test_the_code_is_the_default() -> None:
    assert MIMICConfiguration().variant == "code"


def test_published_mode_ignores_masks() -> None:
    masked = [lacking(features(4, seed), text=[1], image=[2]) for seed in (1, 2)]
    bare = [replace(given, text_mask=None, image_mask=None) for given in masked]
    for published in (True, False):
        matcher = _matcher(published=published)
        assert torch.allclose(_score(matcher, *masked).total, _score(matcher, *bare).total) == published


def test_published_mode_counts_padding() -> None:
    plain, more = features(4, 1), padded(features(4, 1))
    for published in (True, False):
        matcher = _matcher(published=published)
        before, after = (_score(matcher, given, features(4, 2)).total for given in (plain, more))
        assert torch.allclose(before, after, atol=1e-5) != published


def test_a_missing_picture_is_worth_the_constants_in_the_mean_over_all_units() -> None:
    matcher = _matcher()
    for number, unit in enumerate(matcher.units.values(), 1):
        nn.init.constant_(unit.absent.constant, float(number))
    scores = _score(matcher, lacking(features(3, 1), image=[0]), features(4, 2))
    assert close(scores.total[0], (scores.parts["text"][0] + 2 + 3) / 3, TERMS)


def test_without_vision_only_texts_are_compared() -> None:
    scores = _score(_matcher(BLIND), features(3, 1, vision=False), features(4, 2, vision=False))
    assert torch.allclose(scores.total, scores.parts["text"] / 3)


@pytest.mark.parametrize("wrong", [{"hidde": 4}, {"variant": "paper"}, {"hidden": 0}, {"name": "m3el"}])
def test_settings_that_do_not_exist_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MIMICConfiguration(**wrong)
