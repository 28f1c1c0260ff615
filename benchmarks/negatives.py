"""What a step of training costs, by where its negatives come from.

    python benchmarks/negatives.py experiments/m3el/wikimel.offline.yaml [KEY=VALUE ...] --features features/wikimel

The features are encoded there first where they are missing. One negative a mention. The median step, and what
refreshing candidates adds to it, for as many steps as the configuration says.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from melder.training.configuration import read_configuration
from melder.training.loop.module import TrainingModule
from melder.training.loop.optimizer import build_optimizer
from melder.training.negatives.samplers import SAMPLERS, player_of
from melder.training.order import BatchPlan
from melder.training.prepare import prepare
from melder.training.split import open_data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("settings", nargs="*")
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=5)
    options = parser.parse_args()
    print("| | seconds a step | of refreshing |\n| --- | --- | --- |")
    for sampler in SAMPLERS.names():
        seconds, refreshing = timed(options, sampler)
        print(f"| {sampler.replace('_', ' ')} | {seconds:.2f} | {refreshing:.2f} |", flush=True)


def timed(options: argparse.Namespace, sampler: str) -> tuple[float, float]:
    """The median step, and what refreshing adds to it."""
    negatives = [f"training.negatives.sampler={sampler}", "training.negatives.count=1"]
    configuration = read_configuration(options.recipe, [*options.settings, *negatives])
    training = configuration.training
    prepared = prepare(
        configuration, open_data(configuration), options.features, lambda title, total: lambda done: None
    )
    plan = BatchPlan(len(prepared.split.train), training.batch_size, training.seed)
    batches = list(plan.batches(0))
    player = player_of(prepared.negatives)
    module = TrainingModule(prepared.model, training, steps=1, mask_duplicates=True, player=player)
    optimizer = build_optimizer(prepared.model, training, module.generator)
    refreshing = 0.0
    if prepared.negatives.refresh is not None:
        coming = batches[: prepared.negatives.refresh]
        started = time.perf_counter()
        prepared.negatives.prepare(np.concatenate(coming))
        refreshing = (time.perf_counter() - started) / len(coming)
    seconds = []
    for rows in batches[: options.steps]:
        started = time.perf_counter()
        losses = module(prepared.examples.batch(plan, 0, rows))
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), refreshing


if __name__ == "__main__":
    main()
