"""Planted copies: what they are, and that the drawn ones are counted right."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from melder.data import load
from melder.records import Entity
from melder.training.configuration import Configuration
from melder.training.loop.train import train
from melder.training.negatives.planted import Planted, plant
from melder.training.prepare import prepare
from training.small import settings

ENTITIES = [
    Entity(id=f"Q{n}", name=name, aliases=("x",), description="d") for n, name in enumerate(["Ann Lee", "Mali"])
]


def test_copies_have_other_ids_and_names_and_else_the_same() -> None:
    copies, rows = plant(ENTITIES, 1.0, seed=3)
    assert rows.tolist() == [0, 1]
    assert [each.name for each in copies] == ["Lee, Ann", "Mali (the same)"]
    assert [each.id for each in copies] == ["Q0-copy", "Q1-copy"]
    assert [(each.description, each.aliases) for each in copies] == [("d", ())] * 2


def test_an_id_that_is_taken_is_not_given_again() -> None:
    (copy, _), _ = plant([ENTITIES[0], Entity(id="Q0-copy", name="another")], 1.0, seed=3)
    assert copy.id == "Q0-copy-copy"


def test_the_share_is_rounded_up_and_drawn_by_the_seed() -> None:
    many = [Entity(id=str(n), name=str(n)) for n in range(100)]
    drawn = {seed: plant(many, 0.02, seed)[1].tolist() for seed in range(5)}
    assert all(len(set(rows)) == 2 for rows in drawn.values())
    assert len({tuple(rows) for rows in drawn.values()}) > 1
    assert plant(many, 0.02, 1)[1].tolist() == drawn[1]


def test_false_negatives_are_copies_of_the_own_answer() -> None:
    planted = Planted(originals=np.array([2, 4]), answers=np.array([2, 3, 4]), entities=10)  # copies: 10 of 2, 11 of 4
    drawn = torch.tensor([[10, 11], [10, 11], [4, 0]])
    assert planted.false_negatives(torch.tensor([0, 1, 2]), drawn) == (0.25, 4)
    assert planted.false_negatives(torch.tensor([1]), drawn[:1]) == (0.0, 0)
    assert planted.false_negatives(torch.tensor([0, 1]), torch.empty(2, 0, dtype=torch.long)) == (0.0, 0)


@pytest.mark.parametrize("trained", [True, False])
def test_copies_are_drawn_from_and_not_ranked(trained: bool, small_data: Path, tmp_path: Path) -> None:
    negatives = {"sampler": "uniform", "count": 24, "planted": 1.0}
    configuration = Configuration(**settings(small_data, trained=trained, negatives=negatives))
    dataset = load(small_data)
    prepared = prepare(configuration, dataset, tmp_path, lambda title, total: lambda done: None)
    drawn = prepared.negatives.draw(0, 0, np.arange(5))
    assert drawn.max() == 23
    ranks = prepared.rank(prepared.split.selection)
    assert ranks.pessimistic.max() <= len(dataset.entities) == 12


def test_the_rate_is_in_the_log(small_data: Path, tmp_path: Path) -> None:
    negatives = {"sampler": "uniform", "count": 24, "planted": 1.0}  # each copy is drawn once by every mention
    train(Configuration(**settings(small_data, negatives=negatives)), tmp_path / "run")
    rows = csv.DictReader((tmp_path / "run/logs/metrics.csv").read_text().splitlines())
    rates = [float(row["false_negatives"]) for row in rows if row["false_negatives"]]
    assert rates == pytest.approx([1 / 24] * 3)
