"""Weights of units that depend on the mention."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from melder.features import Features, Side
from melder.methods import build_matcher
from melder.methods.clip import CLIPConfiguration
from melder.methods.gate import COHORT, SHARED
from melder.methods.m3el import M3ELConfiguration
from melder.methods.matcher import UnitMatcher
from melder.training.unit_weights import fit_unit_weights
from melder.units.lexical import Lexical
from melder.units.name_owners import entities_with_bucket, owners_of
from rounding import close
from units.made import BLIND, SIZES, TERMS, features, lacking

NAMES = (("Guinea",), ("Guinea-Bissau",), ("Equatorial Guinea",), ("Jordan",), ("Jordan", "Jordanien"), ("Perú",))


def named(surfaces: list[tuple[str, ...]], seed: int = 0) -> Features:
    return replace(features(len(surfaces), seed), surfaces=surfaces)


def matcher_of(configuration: M3ELConfiguration | CLIPConfiguration | None = None) -> UnitMatcher:
    torch.manual_seed(0)
    chosen = configuration or M3ELConfiguration(hidden=8, image_width=7, unit_weights="gated")
    return build_matcher(chosen, SIZES).eval()  # type: ignore[return-value]


def learned(matcher: UnitMatcher, mentions: Features, entities: Features) -> tuple[Side, Side]:
    assert matcher.gate is not None
    with torch.no_grad():
        of_entities = matcher.entity_side(entities)
        matcher.gate.learn_entities(of_entities)
        of_mentions = matcher.mention_side(mentions)
        matcher.gate.learn_mentions(of_mentions)
    return of_mentions, of_entities


@pytest.mark.parametrize(
    ("surface", "owners", "within"),
    [
        ("Guinea", 1, 2),
        ("GUINEA", 1, 2),
        ("Jordan", 2, 2),
        ("Peru", 1, 1),
        ("Jordanien", 1, 1),
        ("Equatorial", 0, 1),
        ("Guineas", 0, 0),
        ("", 0, 0),
    ],
)
def test_entities_of_a_name_are_counted(surface: str, owners: int, within: int) -> None:
    lexical = Lexical(part=0.85, fold=True, exact=1.0)
    counts = entities_with_bucket(lexical.entity_side(named(list(NAMES))), lexical.buckets)  # type: ignore[arg-type]
    whole, part = lexical.name_hashes(named([(surface,) if surface else ()]))  # type: ignore[arg-type]
    assert owners_of(whole, counts).tolist() == [owners]
    assert owners_of(part, counts).tolist() == [within]


def test_without_slopes_it_is_the_weighted_mean_less_what_unrelated_pairs_get() -> None:
    gated, plain = matcher_of(), matcher_of(M3ELConfiguration(hidden=8, image_width=7, unit_weights="fitted"))
    plain.load_state_dict({k: v for k, v in gated.state_dict().items() if not k.startswith("gate.")})
    mentions, entities = features(6, 1), features(9, 2)
    gated.lexical.exact = 0.0  # type: ignore[union-attr]
    gated.gate.exact = 0.0  # type: ignore[union-attr]
    for matcher in (gated, plain):
        matcher.set_unit_weights({name: 0.5 + number for number, name in enumerate(matcher.names_in_use())})
    with torch.no_grad():
        scores = gated.score(*learned(gated, mentions, entities)).total
        expected = plain.score(plain.mention_side(mentions), plain.entity_side(entities)).total
    differences = scores - expected
    assert close(differences, differences[:1, :1].expand_as(differences), TERMS)


def test_contributions_add_up_and_names_weigh_what_search_is_told() -> None:
    matcher = matcher_of()
    sides = learned(matcher, features(6, 1), features(9, 2, aliases=2))
    matcher.gate.slopes.normal_(std=0.5, generator=torch.Generator().manual_seed(1))  # type: ignore[union-attr]
    with torch.no_grad():
        scores = matcher.score(*sides)
        weights = matcher.name_weights(sides[0])
    contributions = matcher.contributions(scores)
    assert close(sum(contributions.values()), scores.total, TERMS)  # type: ignore[arg-type]
    cosines = scores.parts["lexical"] / matcher.lexical.weight  # type: ignore[union-attr]
    assert close(contributions["lexical"], weights[:, None] * cosines, TERMS)
    assert len(set(weights.tolist())) > 1


def unrelated(mentions: int) -> Features:
    """One mention a picture, all called Guinea."""
    return named([("Guinea",)] * mentions, seed=7)


@pytest.mark.parametrize("loud", [1.0, 30.0, 1000.0])
def test_an_exact_and_unique_name_is_not_overruled_by_noise(loud: float) -> None:
    matcher = matcher_of()
    strangers = [(f"{first}{second}ovia",) for first in "BDFGKLMN" for second in ("ar", "el", "is", "on", "ur")]
    entities = named([("Guinea",), *NAMES[1:], *strangers], seed=3)
    mentions, of_entities = learned(matcher, unrelated(40), entities)
    matcher.set_unit_weights(dict.fromkeys(matcher.names_in_use(), loud))
    with torch.no_grad():
        right = (matcher.score(mentions, of_entities).total.argmax(dim=1) == 0).float().mean()
        matcher.gate.exact = 0.0  # type: ignore[union-attr]
        before = (matcher.score(mentions, of_entities).total.argmax(dim=1) == 0).float().mean()
    assert right > 0.9
    assert loud < 1000 or before < 0.5


def test_evidence_beyond_noise_overrules_a_unique_name_and_namesakes_have_no_floor() -> None:
    gate = matcher_of().gate
    assert gate is not None
    gate.entities.fill_(1000)
    units, cosine = torch.ones(len(gate.names)), torch.tensor(10.0)
    shared = torch.zeros(2, SHARED)
    shared[0, -1] = 1
    spreads = torch.full((2, len(gate.names)), 40.0)
    side = Side({"gate.shared": shared, "gate.spreads": spreads})
    weights = gate.weights(side, torch.cat([units.log(), torch.zeros(1)]), torch.zeros_like(gate.slopes), cosine)
    floor = (2 * torch.tensor(1000.0).log()).sqrt() * 40 / len(units) ** 0.5
    assert close(weights[0, -1] * cosine * gate.exact, floor, 8)
    assert weights[1, -1] == 1


def of_two_kinds(count: int) -> tuple[Features, Features, list[int]]:
    """Texts tell the answer where there is no picture, and pictures where there is one."""
    entities = replace(features(30, 2), surfaces=None)
    gold = torch.arange(count) % 30
    mentions = replace(features(count, 1), surfaces=None)
    pictured = torch.arange(count) % 2 == 0
    mentions.text_global[~pictured] = entities.text_global[gold[~pictured]]
    assert mentions.image_global is not None
    assert entities.image_global is not None
    mentions.image_global[pictured] = entities.image_global[gold[pictured]]
    noisy = torch.randn(mentions.text_global.shape, generator=torch.Generator().manual_seed(0))
    mentions.text_global[pictured] = noisy[pictured]
    return lacking(mentions, image=(~pictured).nonzero().flatten().tolist()), entities, gold.tolist()


def test_it_learns_where_pictures_decide() -> None:
    mentions, entities, gold = of_two_kinds(240)
    losses = {}
    for kind in ("fitted", "gated"):
        matcher = matcher_of(CLIPConfiguration(unit_weights=kind, lexical=False))
        with torch.no_grad():
            of_entities = matcher.entity_side(entities)
            if matcher.gate is not None:
                matcher.gate.learn_entities(of_entities)
            side = matcher.mention_side(mentions)
            fit_unit_weights(matcher, side, of_entities, gold)
            total: Tensor = matcher.score(side, of_entities).total
        losses[kind] = float((total.argmax(dim=1) == torch.tensor(gold)).float().mean())
    assert losses["gated"] >= losses["fitted"]
    assert float(matcher.gate.slopes[0, 0] - matcher.gate.slopes[1, 0]) < -0.1  # type: ignore[union-attr]


def test_a_stored_gate_is_the_same_gate() -> None:
    first, second = matcher_of(), matcher_of()
    mentions, entities = features(6, 1), features(70, 2, aliases=2)
    learned(first, mentions, entities)
    learned(second, mentions, features(5, 4))
    first.gate.slopes.fill_(0.2)  # type: ignore[union-attr]
    second.load_state_dict(first.state_dict())
    assert second.gate.cohort.rows == COHORT  # type: ignore[union-attr]
    with torch.no_grad():
        totals = [m.score(m.mention_side(mentions), m.entity_side(entities)).total for m in (first, second)]
    assert torch.equal(*totals)


def test_without_vision_and_before_it_has_learned_it_changes_nothing() -> None:
    matcher = build_matcher(M3ELConfiguration(unit_weights="gated", lexical=False), BLIND).eval()
    side = matcher.mention_side(features(4, 1, vision=False))
    assert matcher.gate is not None
    weights = matcher.gate.weights(
        side, torch.zeros(len(matcher.names_in_use()) + 1), matcher.gate.slopes, torch.ones(())
    )
    assert torch.equal(weights, torch.ones_like(weights))


def test_published_methods_and_names_without_exact_ones_have_no_gate() -> None:
    with pytest.raises(ValidationError, match="leave unit_weights out"):
        M3ELConfiguration(published=True, unit_weights="gated")
    with pytest.raises(ValidationError, match="set lexical_exact above 0"):
        M3ELConfiguration(unit_weights="gated", lexical_exact=0)
    assert M3ELConfiguration(unit_weights="gated").lexical_exact == 1.0
    assert M3ELConfiguration(unit_weights="fitted").lexical_exact == 0.0
