"""Two processes (gloo) have the losses and gradients of one process with the whole batch."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from melder.data import MODALITIES, load
from melder.records import Mention
from melder.training.batched import Batched, EncodedItems
from melder.training.configuration import Configuration
from melder.training.examples import FeatureExamples, ItemExamples
from melder.training.loop.module import TrainingModule
from melder.training.negatives.current import ItemsNow
from melder.training.negatives.model_free import build_sampler
from melder.training.negatives.samplers import player_of
from melder.training.order import BatchPlan
from melder.training.prepare import build_model
from melder.training.split import split_data
from rounding import rounding
from training.small import settings, small_data, with_more_pictures

pytestmark = pytest.mark.any_processor

PROCESSES = 2
EXAMPLES, LENGTH = 12, 48  # of the batch, and tokens of each: what a gradient is summed over


@dataclass(frozen=True)
class Case:
    """A model, and a batch that is hard to share out."""

    trained: bool
    published: bool = False
    sampler: str = "in_batch"
    pictures: int = 1

    def content(self, data: Path) -> dict[str, Any]:
        generator = {"hidden": 8, "warm_epochs": 0}
        negatives = {"sampler": self.sampler, "candidates": 3, "refresh": 1, "generator": generator}
        chosen = settings(data, trained=self.trained, drop_text=0.0, drop_image=0.0, negatives=negatives)
        chosen["encoder"]["text_length"] = LENGTH  # nothing is cut off
        return chosen | {"method": chosen["method"] | {"published": self.published, "lexical": not self.published}}


CASES = {
    "trained": Case(trained=True),
    "frozen": Case(trained=False),
    "published": Case(trained=False, published=True),
    "sampled": Case(trained=True, sampler="lexical"),
    "hard": Case(trained=True, sampler="hard"),
    "policy gradient": Case(trained=False, sampler="policy_gradient"),
    "several pictures": Case(trained=True, pictures=4),
}


def hard_rows(mentions: Sequence[Mention]) -> np.ndarray:
    """Twelve: first six short texts without pictures, then three with answers among theirs, and three long texts."""
    order = sorted(range(len(mentions)), key=lambda row: (mentions[row].image is not None, len(mentions[row].text)))
    first, others = order[:6], order[6:-3]
    answers = {mentions[row].answer for row in first}
    repeated = [row for row in others if mentions[row].answer in answers]
    return np.array([*first, *repeated[:3], *order[-3:]])


def examples(case: Case, data: Path) -> tuple[TrainingModule, ItemExamples | FeatureExamples, np.ndarray]:
    configuration = Configuration(**case.content(data))
    dataset = load(data) if case.pictures == 1 else with_more_pictures(load(data))
    train = split_data(configuration, dataset).train
    model = build_model(configuration, dataset, train)
    row_of = {entity.id: number for number, entity in enumerate(dataset.entities)}
    answers = [row_of[str(mention.answer)] for mention in train]
    current = ItemsNow(model, dataset, train, MODALITIES)
    sampler = build_sampler(configuration.training.negatives, dataset, train, current)
    player = player_of(sampler)
    masked = not case.published
    module = TrainingModule(model, configuration.training, steps=1, mask_duplicates=masked, player=player)
    items = ItemExamples(
        model.encoder, dataset, train, answers, MODALITIES, configuration.training, sampler, case.pictures
    )
    return module, items, hard_rows(train)


def encoded(module: TrainingModule, batched: Batched) -> Batched:
    """The batch as a frozen encoder's features."""
    with torch.no_grad():
        mentions, entities = (items.features(module.model.encoder) for items in (batched.mentions, batched.entities))
    return replace(batched, mentions=EncodedItems(mentions), entities=EncodedItems(entities))


def one_step(case: Case, data: Path, rank: int, processes: int, out: Path) -> None:
    """Losses and gradients of this process's share of the batch, written to a file."""
    torch.set_num_threads(1)
    module, items, chosen = examples(case, data)
    own = np.split(chosen, processes)[rank]
    if items.negatives.refresh is not None:
        items.negatives.prepare(own)
    batched = items.batch(BatchPlan(len(items.mentions), EXAMPLES, 0), 0, own)
    if not case.trained:
        batched = encoded(module, batched)
    wrapped = module if processes == 1 else DistributedDataParallel(module, find_unused_parameters=True)
    losses: dict[str, Tensor] = wrapped(batched)
    torch.stack(list(losses.values())).sum().backward()
    found = {f"loss {name}": loss.detach() for name, loss in losses.items()}
    found |= {f"gradient {n}": p.grad.clone() for n, p in module.named_parameters() if p.grad is not None}
    save_file(found, out / f"{processes}-{rank}.safetensors")


def join_and_step(case: Case, data: Path, rank: int, out: Path) -> None:
    distributed.init_process_group("gloo", f"file://{out}/meeting", rank=rank, world_size=PROCESSES)
    one_step(case, data, rank, PROCESSES, out)
    distributed.destroy_process_group()


@pytest.mark.parametrize("name", CASES)
def test_losses_and_gradients_are_those_of_one_process(name: str, tmp_path: Path) -> None:
    data = small_data()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["melder.training.loop.train"])
    running = [
        context.Process(target=join_and_step, args=(CASES[name], data, rank, tmp_path)) for rank in range(PROCESSES)
    ]
    for process in running:
        process.start()
    one_step(CASES[name], data, 0, 1, tmp_path)
    for process in running:
        process.join(600)  # patience: a machine may be busy
        assert process.exitcode == 0
    whole = load_file(tmp_path / "1-0.safetensors")
    parts = [load_file(tmp_path / f"2-{rank}.safetensors") for rank in range(PROCESSES)]
    assert {"loss contrastive", "loss total", "loss text_to_image"} <= whole.keys()
    assert sum(name.startswith("gradient") for name in whole) > 20
    learns = CASES[name].sampler == "policy_gradient"
    assert ("loss generator" in whole) == learns == any(each.startswith("gradient generator.") for each in whole)
    for part in parts:
        assert part.keys() == whole.keys()
    for each, expected in whole.items():
        got = torch.stack([part[each] for part in parts]).mean(dim=0)
        size = max(1.0, float(expected.norm()))
        assert float((got - expected).abs().max()) < rounding(EXAMPLES * LENGTH, size), each
        if each.startswith("gradient"):
            assert torch.equal(parts[0][each], parts[1][each])


def test_the_batch_is_hard_to_share_out(small_data: Path) -> None:
    module, items, chosen = examples(CASES["trained"], small_data)
    shares = [items.batch(BatchPlan(len(items.mentions), EXAMPLES, 0), 0, rows) for rows in np.split(chosen, PROCESSES)]
    pictures = [int(share.mentions.inputs["image_mask"].sum()) for share in shares]  # type: ignore[attr-defined]
    lengths = [share.mentions.inputs["input_ids"].shape[1] for share in shares]  # type: ignore[attr-defined]
    answers = [set(share.entity_rows.tolist()) for share in shares]
    assert len(set(pictures)) == len(set(lengths)) == 2
    assert answers[0] & answers[1]
    assert module.mask_duplicates
