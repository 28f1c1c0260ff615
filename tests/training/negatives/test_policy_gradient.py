"""The game between generator and matcher: who learns from what, and where it leads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from melder.data import load
from melder.methods.losses import Batch
from melder.training.batched import Batched
from melder.training.configuration import Configuration
from melder.training.loop.module import TrainingModule, batch_scores
from melder.training.negatives.policy_gradient import PolicyGradient
from melder.training.order import BatchPlan
from melder.training.prepare import Prepared, prepare
from training.small import once, settings, small_data

ROWS = np.arange(16)


@dataclass
class Game:
    """A module and its data, prepared for the examples ROWS."""

    prepared: Prepared
    module: TrainingModule
    player: PolicyGradient

    def batched(self, epoch: int = 5) -> Batched:
        return self.prepared.examples.batch(BatchPlan(36, 16, 1), epoch, ROWS)

    def scored(self, batched: Batched) -> tuple[Batch, Tensor]:
        batch, scores = batch_scores(self.prepared.model, batched, mask_duplicates=True)
        return batch, scores.total


def game(method: str = "pgmel", trained: bool = False, count: int = 1, **generator: Any) -> Game:
    content = settings(
        small_data(),
        trained=trained,
        drop_text=0.0,
        drop_image=0.0,
        checkpoint_every=100,
        negatives={
            "sampler": "policy_gradient",
            "count": count,
            "candidates": 4,
            "generator": {"hidden": 16} | generator,
        },
    )
    # Names of one colour or beast each would tie at what a part of a name counts; a game needs a best candidate.
    content["method"] = {"name": method, "lexical_part": 0.0} | ({"hidden": 16} if method == "pgmel" else {})
    configuration = Configuration(**content)
    cache = once("features of games", lambda where: None)
    prepared = prepare(configuration, load(small_data()), cache, lambda title, total: lambda done: None)
    assert isinstance(prepared.negatives, PolicyGradient)
    prepared.negatives.prepare(ROWS)
    module = TrainingModule(
        prepared.model, configuration.training, steps=1, mask_duplicates=True, player=prepared.negatives
    )
    return Game(prepared, module, prepared.negatives)


def gradients(module: torch.nn.Module) -> list[Tensor]:
    return [parameter.grad for parameter in module.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("method", ["pgmel", "m3el", "mimic", "ot_mel", "clip"])
def test_no_gradient_crosses_between_the_players(method: str) -> None:
    made = game(method, count=2, warm_epochs=0)
    losses = made.module(made.batched())
    losses.pop("generator").backward(retain_graph=True)
    assert gradients(made.player.generator)
    assert not gradients(made.prepared.model)
    made.module.zero_grad()
    torch.stack(list(losses.values())).sum().backward()
    assert gradients(made.prepared.model)
    assert not gradients(made.player.generator)


def test_no_gradient_crosses_when_the_encoder_is_trained() -> None:
    made = game(trained=True, warm_epochs=0)
    made.module(made.batched())["generator"].backward()
    assert gradients(made.player.generator)
    assert not gradients(made.prepared.model)


def test_limiting_gradients_limits_each_player_apart() -> None:
    made = game()
    parts = [made.prepared.model.matcher, made.player.generator]
    for part, size in zip(parts, (100.0, 1e-3), strict=True):
        for parameter in part.parameters():
            parameter.grad = torch.full_like(parameter, size)
    made.module.configure_gradient_clipping(None, 1.0)
    norms = [torch.stack([g.norm() for g in gradients(part)]).norm() for part in parts]
    assert torch.allclose(norms[0], torch.tensor(1.0), atol=1e-4)
    assert all(bool((g == 1e-3).all()) for g in gradients(parts[1]))


@pytest.mark.parametrize("sees_gold", [False, True])
def test_the_generator_concentrates_on_what_a_frozen_matcher_clearly_scores_highest(sees_gold: bool) -> None:
    made = game(warm_epochs=0, entropy=0.0, count=16, sees_gold=sees_gold, hidden=64)
    rows = torch.from_numpy(made.player.entity_rows[ROWS])
    scores = _all_scores(made)
    best = _of(scores, rows).argmax(dim=1, keepdim=True)
    scores = scores.scatter_add(1, rows.gather(1, best), torch.ones(len(ROWS), 1))
    before = _policy(made).gather(1, best).mean()
    _learn(made, scores)
    assert before < 0.3
    assert _policy(made).gather(1, best).mean() > 0.9


def test_between_candidates_that_score_nearly_alike_it_comes_near_the_best_reward() -> None:
    made = game(warm_epochs=0, entropy=0.0, count=16, hidden=64)
    rows = torch.from_numpy(made.player.entity_rows[ROWS])
    rewards = _of(_all_scores(made), rows)
    best, known = rewards.amax(dim=1).mean(), rewards.masked_fill(rows < 0, 0.0)
    before = (_policy(made) * known).sum(dim=1).mean()
    _learn(made, _all_scores(made))
    assert (_policy(made) * known).sum(dim=1).mean() - before > 0.8 * (best - before) > 0


def _learn(made: Game, scores: Tensor) -> None:
    """Eighty steps of the generator alone against scores [ROWS, entities] that stay as they are."""
    optimizer = torch.optim.Adam(made.player.generator.parameters(), lr=3e-3)
    answers = torch.from_numpy(made.player.pool.answers[ROWS])
    for epoch in range(80):
        drawn = torch.from_numpy(made.player.draw(0, epoch, ROWS))
        batched = Batched(*[None] * 3, torch.from_numpy(ROWS), drawn)  # type: ignore[arg-type]
        batch = Batch(None, None, answers, torch.zeros(1, 1), drawn)  # type: ignore[arg-type]
        optimizer.zero_grad()
        made.player.play(batched, batch, scores, epoch).loss.backward()
        optimizer.step()


def _policy(made: Game) -> Tensor:
    """[ROWS, candidates]"""
    return made.player._choices(ROWS).log_p.detach().exp()


def _of(scores: Tensor, rows: Tensor) -> Tensor:
    """Scores of the candidates [ROWS, k], -inf where there is none."""
    return scores.gather(1, rows.clamp(min=0)).masked_fill(rows < 0, float("-inf"))


def _all_scores(made: Game) -> Tensor:
    """The matcher's scores of ROWS and all entities."""
    matcher = made.prepared.model.matcher
    with torch.no_grad():
        mentions = matcher.mention_side(next(iter(made.player.current.mentions(ROWS))))
        entities = matcher.entity_side(next(iter(made.player.current.entities())))
        return matcher.score(mentions, entities).total


def test_draws_follow_the_policy() -> None:
    made = game(warm_epochs=0, count=4000, temperature=0.05)
    drawn = made.player.draw(3, 0, ROWS[:4])
    p = _policy(made)[:4].numpy()
    for row, probabilities in enumerate(p):
        for entity_row, probability in zip(made.player.entity_rows[row], probabilities, strict=True):
            share = float((drawn[row] == entity_row).mean()) if entity_row >= 0 else 0.0
            assert abs(share - probability) < 5 * np.sqrt(max(probability * (1 - probability), 1e-4) / 4000)


def test_a_uniform_generator_leaves_the_plain_triplet_loss_of_random_candidates() -> None:
    made = game(warm_epochs=9, count=2)
    batched = made.batched()
    entity_rows = made.player.entity_rows[ROWS]
    assert all(set(drawn) <= set(row) - {-1} for drawn, row in zip(batched.drawn.tolist(), entity_rows, strict=True))
    many = game(warm_epochs=9, count=3000).player.draw(0, 0, ROWS[:3])
    for row, drawn in zip(entity_rows, many, strict=False):
        known = row[row >= 0]
        assert all(abs(float((drawn == entity_row).mean()) - 1 / len(known)) < 0.05 for entity_row in known)
    total = made.scored(batched)[1].detach()
    margin, gold = 0.5, total.diagonal()
    own = _all_scores(made).gather(1, batched.drawn)
    expected = (margin + own - gold[:, None]).clamp(min=0).mean()
    assert torch.allclose(made.module(batched)["total"], expected, atol=1e-5)


def test_the_reward_is_the_score_of_what_was_drawn() -> None:
    made = game(warm_epochs=0, count=2, reward="score")
    batched = made.batched()
    batch, total = made.scored(batched)
    played = made.player.play(batched, batch, total.detach(), 5)
    assert torch.allclose(played.figures["reward"], _all_scores(made).gather(1, batched.drawn).mean(), atol=1e-5)
    assert 0 <= float(played.figures["active_hinges"]) <= 1
    assert 1 <= float(played.figures["rank"]) <= 8
    assert float(played.figures["entropy"]) <= np.log(8) + 1e-5


@pytest.mark.parametrize("warm", [True, False])
def test_everything_in_the_generator_learns(warm: bool) -> None:
    made = game(warm_epochs=9 if warm else 0, sees_gold=True)
    made.module(made.batched())["generator"].backward()
    still = {n for n, p in made.player.generator.named_parameters() if p.grad is None or not p.grad.any()}
    assert still <= {"fuse.no_text"}  # everything has a text here


def test_it_learns_at_every_nth_step_only(monkeypatch: pytest.MonkeyPatch) -> None:
    made = game(every=2)
    for step in (0, 1, 2):
        monkeypatch.setattr(TrainingModule, "global_step", step)
        assert ("generator" in made.module(made.batched())) == (step % 2 == 0)


def test_draws_before_preparing_are_refused() -> None:
    made = game()
    made.player.mentions = None
    with pytest.raises(AssertionError, match="prepare comes first"):
        made.player.draw(0, 0, ROWS)
