"""Trains and compares methods by where their negatives come from; what is there already is not run again.

    python experiments/run_negatives.py                        # run what is missing, then print tables and tests
    python experiments/run_negatives.py --print                # print them, and what is missing
    python experiments/run_negatives.py --only grocery --minutes 60
    python experiments/run_negatives.py --cost wikimel         # seconds a step, by sampler

Runs lie where `run_table.py` puts its own. Declared before any run: with M3EL, candidates `union`, `hard` against
`in_batch` and `policy_gradient` against `in_batch`, on wikimel and on richpediamel: four two-sided sign-flip tests over
mentions, on the reciprocal rank averaged over three seeds, corrected by Holm. They are printed when all runs are there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from run_table import HERE, figures_file, run_missing, settings, show
from tables import FIVE, THREE, Row, recipe

SAMPLERS = ("in_batch", "uniform", "lexical", "pool", "hard", "policy_gradient")
COMPARED = ("hard", "policy_gradient")  # each against in_batch
TESTED = ("wikimel", "richpediamel")
TIMED = 5  # steps


def row(method: str, data: str, sampler: str, seeds: Sequence[int], candidates: tuple[str, ...] = ("",)) -> Row:
    """One negative a mention, so that the samplers differ in which they pick and not in how many."""
    changes = (f"training.negatives.sampler={sampler}", "training.negatives.count=1")
    name = f"{method}, {sampler.replace('_', ' ')}"
    return Row(f"negatives of {method}", data, name, recipe(method, data), changes, tuple(seeds), candidates=candidates)


ROWS = [
    *(row("pgmel", "grocery", sampler, FIVE) for sampler in SAMPLERS),
    *(row("pgmel", "wikimel", sampler, THREE) for sampler in SAMPLERS),
    *(row("m3el", data, sampler, THREE, ("union",)) for data in TESTED for sampler in ("in_batch", *COMPARED)),
    *(row("ot_mel", "wikimel", sampler, THREE[:1]) for sampler in ("in_batch", *COMPARED)),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", dest="only_print")
    parser.add_argument("--only", default="", help="the data sets whose names start so")
    parser.add_argument("--method", default="", help="the methods whose names start so")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no further run after this long")
    parser.add_argument("--data", type=Path, default=HERE / "data", help="where the data sets' directories lie")
    parser.add_argument("--cost", metavar="DATA", help="time the samplers with M3EL on the features of its runs")
    options = parser.parse_args()
    if options.cost:
        cost(options.cost, options.data.resolve())
        return
    rows = [each for each in ROWS if each.data.startswith(options.only) and each.name.startswith(options.method)]
    if rows and not options.only_print:
        run_missing(rows, options.data.resolve(), time.monotonic() + 60 * options.minutes)
    for table, data in dict.fromkeys((each.table, each.data) for each in rows):
        show(table, data, [each for each in rows if (each.table, each.data) == (table, data)])
    declared()


def declared() -> None:
    """The four tests, once all of their runs are there."""
    from melder.metrics.significance import holm, paired_difference

    print("\n### declared tests: M3EL against union, reciprocal rank averaged over three seeds\n")
    values = {(each.data, each.name): reciprocal_ranks(each) for each in ROWS if each.candidates == ("union",)}
    missing = [f"{name} on {data}" for (data, name), found in values.items() if found is None]
    if missing:
        print(f"not yet: {', '.join(missing)}")
        return
    pairs = [(data, sampler) for data in TESTED for sampler in COMPARED]
    found = [
        paired_difference(values[data, "m3el, in batch"], values[data, f"m3el, {sampler.replace('_', ' ')}"])
        for data, sampler in pairs
    ]
    print("| | against in batch | MRR difference | 95 % interval | p | p by Holm |")
    print("| --- | --- | --- | --- | --- | --- |")
    for (data, sampler), each, adjusted in zip(pairs, found, holm([each.p for each in found]), strict=True):
        low, high = (f"{100 * value:+.2f}" for value in each.interval)
        print(f"| {data} | {sampler} | {100 * each.mean:+.2f} | {low} to {high} | {each.p:.4f} | {adjusted:.4f} |")


def reciprocal_ranks(each: Row) -> np.ndarray | None:
    """[mentions], the mean over the seeds in the order of the first one's mentions; None while a run is missing."""
    from melder.evaluation.predictions import read_predictions
    from melder.evaluation.stored import ranks_of

    files = [figures_file(each, seed, "union").with_suffix(".jsonl") for seed in each.seeds]
    if not all(file.is_file() for file in files):
        return None
    runs = [[row for row in read_predictions(file) if row.gold is not None] for file in files]
    by_id = [dict(zip((row.id for row in rows), 1 / ranks_of(rows).realistic, strict=True)) for rows in runs]
    return np.mean([[found[identifier] for identifier in by_id[0]] for found in by_id], axis=0)


def cost(data: str, where: Path) -> None:
    """Seconds a step, and seconds of refreshing a step, of which one is for as many steps as the configuration says."""
    print(f"\n### cost of a step of M3EL: {data}\n\n| | seconds a step | of refreshing |\n| --- | --- | --- |")
    for sampler in SAMPLERS:
        steps, refreshing = timed(row("m3el", data, sampler, THREE[:1]), where)
        print(f"| {sampler.replace('_', ' ')} | {steps:.2f} | {refreshing:.2f} |", flush=True)


def timed(each: Row, where: Path) -> tuple[float, float]:
    """The median step, and what refreshing adds to it."""
    import torch

    from melder.training.configuration import read_configuration
    from melder.training.loop.module import TrainingModule
    from melder.training.loop.optimizer import build_optimizer
    from melder.training.negatives.samplers import player_of
    from melder.training.order import BatchPlan
    from melder.training.prepare import open_data, prepare

    configuration = read_configuration(HERE / each.recipe, settings(each, each.seeds[0], where))
    prepared = prepare(configuration, open_data(configuration), HERE, lambda title, total: lambda done: None)
    plan = BatchPlan(len(prepared.split.train), configuration.training.batch_size, each.seeds[0])
    batches = list(plan.batches(0))
    player = player_of(prepared.negatives)
    module = TrainingModule(prepared.model, configuration.training, steps=1, mask_duplicates=True, player=player)
    optimizer = build_optimizer(prepared.model, configuration.training, module.generator)
    refreshing = 0.0
    if prepared.negatives.refresh is not None:
        coming = batches[: prepared.negatives.refresh]
        started = time.perf_counter()
        prepared.negatives.prepare(np.concatenate(coming))
        refreshing = (time.perf_counter() - started) / len(coming)
    steps = []
    for rows in batches[:TIMED]:
        started = time.perf_counter()
        losses = module(prepared.examples.batch(plan, 0, rows))
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        steps.append(time.perf_counter() - started)
    return float(np.median(steps)), refreshing


if __name__ == "__main__":
    main()
