"""CLIP as a method: cosines over one learned temperature."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn.functional import cosine_similarity

from melder.features import Features, Scores
from melder.methods import build_matcher
from melder.methods.clip import CLIPConfiguration, fit_clip
from melder.methods.matcher import UnitMatcher
from melder.units.whitening import UNKNOWN
from rounding import close
from units.made import SIZES, TERMS, features, lacking


def _matcher(**options: Any) -> UnitMatcher:
    return build_matcher(CLIPConfiguration(**{"lexical": False, **options}), SIZES).eval()


def _score(matcher: UnitMatcher, mentions: Features, entities: Features) -> Scores:
    return matcher.score(matcher.mention_side(mentions), matcher.entity_side(entities))


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_scores_are_cosines_over_the_temperature(temperature: float) -> None:
    mentions, entities = features(3, 1), features(4, 2)
    scores = _score(_matcher(temperature=temperature), mentions, entities)
    expected = {}
    for name in ("text", "image"):
        m, e = getattr(mentions, f"{name}_global"), getattr(entities, f"{name}_global")
        expected[name] = cosine_similarity(m[:, None], e[None], dim=-1) / temperature
        assert close(scores.parts[name], expected[name], TERMS)
    assert close(scores.total, (expected["text"] + expected["image"]) / 2, TERMS)


def test_one_temperature_is_learned_for_both() -> None:
    matcher = _matcher()
    names = [name for name, _ in matcher.named_parameters() if "absent" not in name]
    assert names == ["heads.log_scale"]
    for part in ("text", "image"):
        matcher.zero_grad()
        _score(matcher, features(3, 1), features(4, 2)).parts[part].square().sum().backward()
        assert matcher.heads.log_scale.grad > 0  # type: ignore[operator, union-attr]


def test_the_temperature_starts_where_clips_does_and_ends_at_its_least() -> None:
    pair = features(3, 1), features(4, 2)
    assert _matcher().heads.log_scale.exp().item() == pytest.approx(1 / 0.07)  # type: ignore[operator, union-attr]
    least, beyond = (_score(_matcher(temperature=value), *pair).total for value in (0.01, 0.001))
    assert torch.allclose(least, beyond)


def test_a_missing_picture_is_worth_the_constant() -> None:
    matcher = _matcher()
    nn.init.constant_(matcher.units["image"].absent.constant, 5.0)
    scores = _score(matcher, lacking(features(3, 1), image=[0]), features(4, 2))
    assert torch.allclose(scores.total[0], (scores.parts["text"][0] + 5) / 2)


def test_published_mode_takes_missing_pictures_as_they_stand() -> None:
    given = features(3, 1)
    given.image_mask = torch.tensor([False, True, True])
    scores = _score(_matcher(published=True), given, features(4, 2))
    assert torch.allclose(scores.total, _score(_matcher(), features(3, 1), features(4, 2)).total)


def test_features_that_are_not_normalised_yet_will_do() -> None:
    mentions, entities = features(3, 1), features(4, 2)
    expected = _score(_matcher(), mentions, entities).total
    entities.text_global = 7 * entities.text_global
    assert close(_score(_matcher(), mentions, entities).total, expected, TERMS)


@pytest.mark.parametrize("wrong", [{"hidden": 4}, {"temperature": 0.0}])
def test_settings_that_do_not_exist_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CLIPConfiguration(**wrong)


FITTED = {"whiten": ("image",), "calibrated": True, "temperature": 1.0}


def _narrow(count: int, seed: int, *, spread: float) -> Features:
    """Features whose pictures' cosines are all near one, as `spread` says, and whose texts' are not."""
    given = features(count, seed)
    given.image_global = 1 + spread * given.image_global  # type: ignore[operator]
    return given


@torch.no_grad()
@pytest.mark.parametrize("spread", [0.1, 0.3, 1.0, 10.0])
def test_calibrated_every_modality_has_the_same_noise(spread: float) -> None:
    entities = _narrow(300, 2, spread=spread)
    matcher = _matcher(**{**FITTED, "whiten": ()})
    fit_clip(matcher, entities)
    apart = ~torch.eye(300, dtype=torch.bool)
    for scores in _score(matcher, entities, entities).parts.values():
        assert scores[apart].std() == pytest.approx(1, rel=0.05)


@torch.no_grad()
def test_whitened_and_calibrated_at_once() -> None:
    entities = _narrow(300, 2, spread=0.1)
    matcher = _matcher(**FITTED)
    fit_clip(matcher, entities)
    scores = _score(matcher, entities, entities).parts["image"]
    apart = ~torch.eye(300, dtype=torch.bool)
    assert scores[apart].std() == pytest.approx(1, rel=0.05)
    assert abs(float(scores[apart].mean())) < 0.1


@torch.no_grad()
def test_what_is_fitted_is_read_back() -> None:
    entities, mentions = features(60, 2), features(4, 1)
    matcher, again = _matcher(**FITTED), _matcher(**FITTED)
    fit_clip(matcher, entities)
    again.load_state_dict(matcher.state_dict())
    assert torch.equal(_score(again, mentions, entities).total, _score(matcher, mentions, entities).total)


@torch.no_grad()
@pytest.mark.parametrize("count", [0, 1, 2, 31])
def test_of_few_entities_nothing_is_fitted(count: int) -> None:
    mentions, entities = features(4, 1), features(40, 2)
    matcher = _matcher(**FITTED)
    fit_clip(matcher, entities[slice(0, count)])
    scores = _score(matcher, mentions, entities)
    plain = _score(_matcher(temperature=UNKNOWN), mentions, entities)
    assert close(scores.parts["image"], plain.parts["image"], TERMS)


@torch.no_grad()
def test_entities_that_lack_a_picture_tell_nothing_of_pictures() -> None:
    entities = lacking(features(80, 2), image=list(range(40)))
    with_zeros, without = _matcher(**FITTED), _matcher(**FITTED)
    fit_clip(with_zeros, entities)
    fit_clip(without, entities[slice(40, 80)])
    one, other = (_score(matcher, entities, entities).parts["image"] for matcher in (with_zeros, without))
    assert torch.equal(one, other)


@pytest.mark.parametrize("option", [{"whiten": ("text",)}, {"calibrated": True}])
def test_published_mode_fits_nothing(option: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="compares vectors as they are"):
        CLIPConfiguration(published=True, **option)
