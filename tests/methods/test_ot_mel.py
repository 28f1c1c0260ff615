"""What OT-MEL's configuration changes, its distillation, and transport in the units of other methods."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from melder.features import Alignment, Scores
from melder.methods import build_matcher
from melder.methods.distillation import divergence
from melder.methods.losses import Batch, triplet
from melder.methods.m3el import M3ELConfiguration
from melder.methods.matcher import UnitMatcher
from melder.methods.mimic import MIMICConfiguration
from melder.methods.ot_mel import DistillationConfiguration, OTMELConfiguration, TripletConfiguration
from rounding import close
from units.made import BLIND, SIZES, TERMS, features, lacking, padded

PAIRS = 4


def _matcher(*, vision: bool = True, **options: Any) -> UnitMatcher:
    torch.manual_seed(0)
    configuration = OTMELConfiguration(hidden=8, token_width=7, **{"lexical": False, **options})
    return build_matcher(configuration, SIZES if vision else BLIND).eval()


def _score(matcher: UnitMatcher, seed: int = 1) -> Scores:
    return matcher.score(matcher.mention_side(features(3, seed)), matcher.entity_side(features(5, seed + 1)))


def _batch(matcher: UnitMatcher, *, missing: list[int] | None = None) -> Batch:
    heads = [matcher.heads(lacking(features(PAIRS, seed), missing, missing)) for seed in (1, 2)]
    return Batch(heads[0], heads[1], torch.arange(PAIRS), torch.zeros(PAIRS, PAIRS, dtype=torch.bool))


def test_the_total_is_the_mean_of_text_image_and_fusion() -> None:
    scores = _score(_matcher())
    assert list(scores.parts) == ["text", "image", "fusion"]
    assert torch.allclose(scores.total, torch.stack(list(scores.parts.values())).mean(dim=0))


@pytest.mark.parametrize("units", [("text",), ("image", "fusion"), ("fusion",)])
def test_each_unit_may_be_left_out(units: tuple[str, ...]) -> None:
    assert tuple(_score(_matcher(units=units)).parts) == units


@pytest.mark.parametrize("marginals", ["uniform", "learned"])
def test_the_student_may_be_chosen_after_training(marginals: str) -> None:
    trained, student = _matcher(marginals=marginals), _matcher(marginals=marginals, assignment="attention")
    before = _score(student)
    student.load_state_dict(trained.state_dict())
    found, taught = _score(student), _score(trained)
    assert all(torch.equal(before.parts[name], found.parts[name]) for name in found.parts)
    assert all(not torch.allclose(found.parts[name], taught.parts[name], atol=1e-4) for name in found.parts)


@pytest.mark.parametrize(
    "change",
    [{"row_norm": "l1"}, {"epsilon": 0.2}, {"iterations": 1}, {"marginals": "learned"}, {"assignment": "attention"}],
)
def test_settings_of_the_plan_change_every_unit(change: dict[str, Any]) -> None:
    usual, changed = _matcher(), _matcher(**change)
    changed.load_state_dict(usual.state_dict(), strict=False)
    before, after = _score(usual), _score(changed)
    assert all(not torch.allclose(before.parts[name], after.parts[name], atol=1e-5) for name in before.parts)


def test_dropout_is_for_training_alone() -> None:
    matcher = _matcher(dropout=0.5)
    assert torch.equal(_score(matcher).total, _score(matcher).total)
    matcher.train()
    assert not torch.allclose(_score(matcher).total, _score(matcher).total)


@pytest.mark.parametrize("published", [True, False])
def test_published_mode_counts_padding(published: bool) -> None:
    matcher, mentions = _matcher(published=published), features(3, 1)
    entities = matcher.entity_side(features(5, 2))
    before, after = (matcher.score(matcher.mention_side(each), entities).total for each in (mentions, padded(mentions)))
    assert torch.allclose(before, after, atol=1e-5) != published


def _losses(matcher: UnitMatcher) -> dict[str, Tensor]:
    batch = _batch(matcher)
    sides = matcher.mention_side_of(batch.mentions), matcher.entity_side_of(batch.entities)
    return matcher.losses(batch, matcher.score(*sides))


@pytest.mark.parametrize(
    ("options", "from_task", "from_distillation"),
    [
        ({}, True, True),
        ({"distillation": None}, False, False),
        ({"distillation": None, "detach_plan": False}, True, False),
        ({"distillation": DistillationConfiguration(teacher="drifting")}, False, True),
        ({"distillation": DistillationConfiguration(teacher="frozen")}, False, True),
        ({"distillation": DistillationConfiguration(teacher="frozen"), "detach_plan": False}, True, True),
    ],
)
def test_what_the_keys_learn_from(options: dict[str, Any], from_task: bool, from_distillation: bool) -> None:
    """A student whose teacher shares its keys needs a task that teaches them."""
    for names, learns in ((("total", "text", "image"), from_task), (("distillation",), from_distillation)):
        matcher = _matcher(**options)
        losses = [loss for name, loss in _losses(matcher).items() if name in names]
        if losses:
            torch.stack(losses).sum().backward()
        for unit in ("text", "image"):
            gradient = matcher.units[unit].key.weight.grad
            assert (gradient is not None and bool(gradient.any())) == learns


def test_the_teacher_changes_no_score() -> None:
    """Only gradients differ, so that runs of before there was the setting score as they did."""
    with torch.inference_mode():
        scores = [
            _score(_matcher(distillation=DistillationConfiguration(teacher=teacher))).total
            for teacher in ("task", "frozen", "drifting")
        ]
    assert all(torch.equal(scores[0], other) for other in scores[1:])


@pytest.mark.parametrize("marginals", ["uniform", "learned"])
def test_a_frozen_teacher_stays_as_it_was_and_is_no_part_of_the_run(marginals: str) -> None:
    matcher = _matcher(distillation=DistillationConfiguration(teacher="frozen"), marginals=marginals)
    teachers = matcher.extra_losses["distillation"].teachers
    names = _matcher(marginals=marginals).state_dict().keys()
    assert matcher.state_dict().keys() == names
    before = {unit: copy.deepcopy(teacher.state_dict()) for unit, teacher in teachers.items()}
    optimizer = torch.optim.Adam(matcher.parameters(), lr=1e-2)
    for _ in range(5):
        optimizer.zero_grad()
        torch.stack(list(_losses(matcher).values())).sum().backward()
        optimizer.step()
    for unit, teacher in teachers.items():
        assert all(torch.equal(tensor, before[unit][name]) for name, tensor in teacher.state_dict().items())
        assert not torch.equal(matcher.units[unit].key.weight, teacher.key.weight)
    again = _matcher(distillation=DistillationConfiguration(teacher="frozen"), marginals=marginals)
    for unit, teacher in again.extra_losses["distillation"].teachers.items():
        assert all(torch.equal(tensor, before[unit][name]) for name, tensor in teacher.state_dict().items())


def test_distillation_brings_the_student_to_its_teacher() -> None:
    matcher = _matcher()
    loss = matcher.extra_losses["distillation"]
    optimizer = torch.optim.Adam(matcher.parameters(), lr=1e-2)
    first = loss(_batch(matcher)).item()
    for _ in range(60):
        optimizer.zero_grad()
        loss(_batch(matcher)).backward()
        optimizer.step()
    assert loss(_batch(matcher)).item() < 0.5 * first


def test_the_teacher_gets_no_gradient() -> None:
    weights = torch.rand(2, 3, 4).softmax(dim=-1).requires_grad_()
    logits = torch.randn(2, 3, 4).requires_grad_()
    divergence(Alignment(weights, logits), None, None, None, 1.0).sum().backward()
    assert weights.grad is None
    assert logits.grad is not None


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_divergence_is_that_of_rows_and_columns_of_valid_tokens(temperature: float) -> None:
    draw = torch.Generator().manual_seed(0)
    weights = torch.randn(3, 4, generator=draw).softmax(dim=-1)
    logits, mass = torch.randn(3, 4, generator=draw), torch.tensor([0.6, 0.4, 0.0])
    rows, columns = torch.tensor([True, True, False]), torch.tensor([True, False, True, True])
    weights[:, 1] = 0
    found = divergence(Alignment(weights[None], logits[None]), rows[None], columns[None], mass[None], temperature)
    plan, shown = (mass[:, None] * weights)[rows][:, columns], logits[rows][:, columns]
    expected = _kl(plan, shown, temperature) + _kl(plan.t(), shown.t(), temperature)
    assert close(found[0], expected, TERMS)


def test_a_student_that_is_its_teacher_loses_nothing() -> None:
    logits = torch.randn(3, 4, 4).double()
    doubly = logits
    for _ in range(500):
        doubly = doubly - doubly.logsumexp(dim=-2, keepdim=True)
        doubly = doubly - doubly.logsumexp(dim=-1, keepdim=True)
    assert divergence(Alignment(doubly.exp(), doubly), None, None, None, 1.0).abs().max() < 1e-6


@pytest.mark.parametrize("missing", [[0], list(range(PAIRS))])
def test_distillation_leaves_out_what_is_missing(missing: list[int]) -> None:
    matcher = _matcher(distillation=DistillationConfiguration(group=3))
    loss = matcher.extra_losses["distillation"](_batch(matcher, missing=missing))
    loss.backward()
    assert torch.isfinite(loss)
    assert bool(loss > 0) == (len(missing) < PAIRS)
    assert all(torch.isfinite(p.grad).all() for p in matcher.parameters() if p.grad is not None)


def test_without_vision_the_texts_teach() -> None:
    matcher = _matcher(vision=False)
    heads = [matcher.heads(features(PAIRS, seed, vision=False)) for seed in (1, 2)]
    batch = Batch(heads[0], heads[1], torch.arange(PAIRS), torch.zeros(PAIRS, PAIRS, dtype=torch.bool))
    assert matcher.extra_losses["distillation"](batch) > 0


def test_the_triplet_loss_is_off_and_one_a_score_when_on() -> None:
    assert not _matcher().score_losses
    matcher = _matcher(triplet=TripletConfiguration())
    batch = _batch(matcher)
    sides = matcher.mention_side_of(batch.mentions), matcher.entity_side_of(batch.entities)
    names = matcher.losses(batch, matcher.score(*sides)).keys()
    assert {"triplet_total", "triplet_text", "triplet_image", "triplet_fusion"} <= names


def test_the_triplet_loss_is_the_mean_hinge_over_negatives() -> None:
    scores = torch.tensor([[2.0, 1.5, 0.0], [1.0, 3.0, 2.5]])
    ignore = torch.tensor([[False, False, True], [False, False, False]])
    heads = _matcher().heads(features(2, 1))
    found = triplet(scores, Batch(heads, heads, torch.tensor([0, 1]), ignore), margin=1.0, weight=2.0)
    assert found.item() == pytest.approx(2 * (0.5 + 0.0 + 0.5) / 3)


@pytest.mark.parametrize("kind", [M3ELConfiguration, MIMICConfiguration])
def test_transport_may_take_the_place_of_attention_elsewhere(kind: type[Any]) -> None:
    scores = {}
    for assignment in ("attention", "transport"):
        torch.manual_seed(0)
        scores[assignment] = _score(build_matcher(kind(assignment=assignment, lexical=False), SIZES).eval()).parts
    assert not torch.allclose(scores["attention"]["text"], scores["transport"]["text"], atol=1e-4)


@pytest.mark.parametrize(
    "wrong", [{"units": ()}, {"units": ("lexical",)}, {"assignment": "both"}, {"epsilon": 0}, {"dropout": 1.0}]
)
def test_settings_that_do_not_exist_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OTMELConfiguration(**wrong)


def _kl(plan: Tensor, logits: Tensor, temperature: float) -> Tensor:
    teacher, student = (plan.log() / temperature).softmax(dim=-1), (logits / temperature).softmax(dim=-1)
    return temperature**2 * (teacher * (teacher / student).log()).sum(dim=-1).mean()
