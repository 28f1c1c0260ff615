"""What every method promises with its default settings. A method without a case fails the last test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import BaseModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from melder.features import Features, Scores
from melder.methods import METHODS, build_matcher
from melder.methods.clip import CLIPConfiguration
from melder.methods.m3el import M3ELConfiguration
from melder.methods.matcher import UnitMatcher
from melder.methods.mimic import MIMICConfiguration
from melder.methods.ot_mel import OTMELConfiguration
from melder.methods.pgmel import PGMELConfiguration
from melder.runs.model import Model
from melder.training.batched import Batched, EncodedItems
from melder.training.loop.module import training_losses
from rounding import close
from units.made import BLIND, NAMES, SIZES, TERMS, features, lacking, leaves

CASES: dict[str, Callable[[], BaseModel]] = {
    "clip": CLIPConfiguration,
    "m3el": M3ELConfiguration,
    "mimic": MIMICConfiguration,
    "ot_mel": OTMELConfiguration,
    "pgmel": PGMELConfiguration,
}
WITHOUT_LAYERS = {"clip"}  # what learns is the encoder
PAIRS = 4


@pytest.fixture(params=CASES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[True, False], ids=["vision", "blind"])
def vision(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def matcher(name: str, vision: bool) -> UnitMatcher:
    return _build(name, vision, seed=0)


def _build(name: str, vision: bool, seed: int) -> UnitMatcher:
    torch.manual_seed(seed)
    return build_matcher(CASES[name](), SIZES if vision else BLIND)


def _pair(vision: bool, text: list[int] | None = None, image: list[int] | None = None) -> tuple[Features, Features]:
    sides = features(PAIRS, 1, vision=vision), features(PAIRS, 2, vision=vision, aliases=2)
    return lacking(sides[0], text, image), lacking(sides[1], image, text)


def _score(matcher: UnitMatcher, mentions: Features, entities: Features) -> Scores:
    return matcher.score(matcher.mention_side(mentions), matcher.entity_side(entities))


def _losses(matcher: UnitMatcher, mentions: Features, entities: Features) -> dict[str, Tensor]:
    batched = Batched(EncodedItems(mentions), EncodedItems(entities), torch.tensor([0, 1, 0, 2]))
    return training_losses(Model(nn.Identity(), matcher), batched, mask_duplicates=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [None, [0], [0, 1, 2, 3]])
@pytest.mark.parametrize("image", [None, [0, 1], [0, 1, 2, 3]])
def test_scores_losses_and_gradients_are_finite(
    matcher: UnitMatcher, vision: bool, text: list[int] | None, image: list[int] | None
) -> None:
    pair = _pair(vision, text, image)
    scores = _score(matcher, *pair)
    assert all(part.shape == (PAIRS, PAIRS) for part in (scores.total, *scores.parts.values()))
    assert all(torch.isfinite(part).all() for part in (scores.total, *scores.parts.values()))
    losses = _losses(matcher, *pair)
    assert all(loss.shape == () and torch.isfinite(loss) for loss in losses.values())
    torch.stack(list(losses.values())).sum().backward()
    gradients = [parameter.grad for parameter in matcher.parameters() if parameter.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_a_step_never_waits_for_the_device(matcher: UnitMatcher, vision: bool) -> None:
    """On a device without numbers each `.item()`, `.cpu()`, `if tensor:` and indexing by a mask is an error."""
    mentions, entities = _pair(vision, text=[0], image=[1])
    _losses(matcher, mentions, entities)  # what is copied to the host is copied once
    matcher.to("meta").zero_grad()
    away = [replace(side.to("meta"), surfaces=side.surfaces) for side in (mentions, entities)]
    batched = Batched(*map(EncodedItems, away), torch.tensor([0, 1, 0, 2], device="meta"))
    losses = training_losses(Model(nn.Identity(), matcher), batched, mask_duplicates=True)  # type: ignore[arg-type]
    torch.stack(list(losses.values())).sum().backward()
    assert all(parameter.device.type == "meta" for parameter in matcher.parameters())


def test_every_parameter_in_use_learns(matcher: UnitMatcher, vision: bool) -> None:
    losses = _losses(matcher, *_pair(vision, text=[0], image=[1]))
    torch.stack(list(losses.values())).sum().backward()
    still = [n for n, p in matcher.named_parameters() if p.grad is None or not p.grad.any()]
    # An encoder without vision leaves the layers for pictures alone, and a constant added to every score has no slope.
    assert all(not vision and "image" in name for name in still), still


def test_the_total_is_the_mean_of_the_units_and_the_names(matcher: UnitMatcher, vision: bool) -> None:
    scores = _score(matcher, *_pair(vision))
    units = [part for name, part in scores.parts.items() if name != "lexical"]
    names = scores.parts.get("lexical", torch.zeros(()))
    assert close(scores.total, torch.stack(units).mean(dim=0) + names, TERMS)


def test_what_the_units_contribute_adds_up_to_the_total(matcher: UnitMatcher, vision: bool) -> None:
    scores = _score(matcher, *_pair(vision))
    contributions = matcher.contributions(scores)
    assert list(contributions) == list(scores.parts)
    assert close(torch.stack(list(contributions.values())).sum(dim=0), scores.total, TERMS)


@torch.no_grad()
def test_cosines_of_names_that_are_known_need_no_names(matcher: UnitMatcher, vision: bool) -> None:
    mentions, entities = _pair(vision)
    sides = matcher.eval().mention_side(mentions), matcher.entity_side(entities)
    expected = matcher.score(*sides)
    cosines = None if matcher.lexical is None else matcher.lexical.score(*(side.part("lexical") for side in sides))
    found = matcher.score(sides[0], sides[1].only(matcher.names_in_use()), cosines)
    assert list(found.parts) == list(expected.parts)
    assert torch.equal(found.total, expected.total)


@torch.no_grad()
@pytest.mark.parametrize("name", [name for name in CASES if "products" in METHODS.get(name).configuration.model_fields])
def test_products_in_bf16_change_scores_by_their_rounding(name: str, vision: bool) -> None:
    exact = _build(name, vision, seed=0).eval()
    rounded = build_matcher(METHODS.get(name).configuration(products="bf16"), SIZES if vision else BLIND).eval()
    rounded.load_state_dict(exact.state_dict())
    wanted, found = (_score(each, *_pair(vision)).parts["text"] for each in (exact, rounded))
    assert not torch.equal(found, wanted)
    assert torch.allclose(found, wanted, rtol=0, atol=3e-2 * float(wanted.abs().max()))


@torch.no_grad()
@pytest.mark.parametrize("name", [name for name in CASES if "products" in METHODS.get(name).configuration.model_fields])
def test_products_by_themselves_are_one_of_the_two(name: str, vision: bool) -> None:
    totals = {}
    for products in ("auto", "float32", "bf16"):
        matcher = build_matcher(METHODS.get(name).configuration(products=products), SIZES if vision else BLIND).eval()
        matcher.load_state_dict(_build(name, vision, seed=0).state_dict())
        totals[products] = _score(matcher, *_pair(vision)).total
    assert torch.equal(totals["auto"], totals["float32"]) or torch.equal(totals["auto"], totals["bf16"])


def test_every_unit_has_a_loss_and_so_has_the_total(matcher: UnitMatcher, vision: bool) -> None:
    pair = _pair(vision)
    units = [name for name in _score(matcher, *pair).parts if name != "lexical"]
    assert {"total", *units} <= _losses(matcher, *pair).keys()


def test_saved_and_loaded_it_gives_equal_scores(name: str, vision: bool, tmp_path: Path) -> None:
    matcher, other = _build(name, vision, seed=0).eval(), _build(name, vision, seed=1).eval()
    if matcher.lexical is not None:
        matcher.lexical.fit(NAMES)
    save_file(matcher.state_dict(), tmp_path / "weights.safetensors")
    before = _score(matcher, *_pair(vision))
    assert not torch.allclose(_score(other, *_pair(vision)).total, before.total)
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    after = _score(other, *_pair(vision))
    assert torch.equal(after.total, before.total)
    assert all(torch.equal(after.parts[part], before.parts[part]) for part in before.parts)


def test_a_few_steps_find_the_answers_of_a_batch(name: str, matcher: UnitMatcher, vision: bool) -> None:
    mentions, entities = (leaves(given) for given in _pair(vision))
    mentions.surfaces = entities.surfaces = None
    features = [t for given in (mentions, entities) for t in given.tensors().values() if t.requires_grad]
    encoded = [{"params": features, "lr": 5e-2}] if name in WITHOUT_LAYERS else []
    optimizer = torch.optim.AdamW([{"params": list(matcher.parameters())}, *encoded], lr=1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        torch.stack(list(_losses(matcher, mentions, entities).values())).sum().backward()
        optimizer.step()
    answers = _score(matcher.eval(), mentions, entities).total.argmax(dim=1)
    assert answers.tolist() == list(range(PAIRS))


def test_every_method_has_a_case() -> None:
    assert CASES.keys() == {name for name in METHODS.names() if METHODS.get(name).compares}
    assert all(isinstance(CASES[name](), METHODS.get(name).configuration) for name in CASES)
