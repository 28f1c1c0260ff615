"""What each unit of a trained run is worth by itself, and what whitening alone: the table of docs/results.md.

    python benchmarks/evidence.py RUN … --data DATA [--split dev]

Each RUN is one of `melder train`, on a frozen encoder. Its mentions of the split are ranked against all entities by the
run's total, by the plain mean of its units (weights of 1, names as trained), and by every unit alone, as it was
trained; the best of these is chosen on the part of train that the run was selected on, and printed with its name.
Beside them are cosines of the frozen pictures: as the encoder made them, and whitened on entities and mentions of
train, before anything is trained.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mention_samples import gold_of
from torch import Tensor
from torch.nn.functional import normalize

from melder.data import DataSet
from melder.features import Features
from melder.metrics.metrics import metrics
from melder.metrics.ranks import join, rank_of
from melder.records import Mention, Ranks
from melder.runs.configuration_file import checked, read_yaml
from melder.runs.directory import open_run
from melder.runs.feature_cache import stored_features
from melder.runs.model import Model, entity_side_of, mention_side_of, score_blocks
from melder.training.configuration import Configuration
from melder.training.ranking import chunks
from melder.training.split import open_data, split_data
from melder.units.whitening import Whitening

TOTAL, MEAN = "the run", "the run, units weighed alike"
COSINE, WHITENED = "cosine of pictures", "whitened cosine of pictures"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="dev")
    options = parser.parse_args()
    print("| run | score | candidates | mentions | H@1 | interval | H@10 | MRR |\n|" + " --- |" * 8)
    for run in options.runs:
        for name, figures in _rows(run, options.data, options.split).items():
            low, high = figures["hits@1_ci"]
            hits = f"{100 * figures['hits@1']:.1f} | {100 * low:.1f}–{100 * high:.1f} | {100 * figures['hits@10']:.1f}"
            counts = f"{figures['candidates']:,} | {figures['mentions']:,}"
            print(f"| {run.name} | {name} | {counts} | {hits} | {100 * figures['mrr']:.1f} |", flush=True)


def _rows(run: Path, data: Path, split: str) -> dict[str, dict[str, Any]]:
    model, _ = open_run(run, device="cpu")
    configuration = checked(Configuration, read_yaml(run / "config.yaml"), str(run / "config.yaml"))
    dataset = open_data(configuration)
    assert configuration.data.directory.resolve() == data.resolve()
    tune = split_data(configuration, dataset)
    wanted = [mention for mention in dataset.split(split) if mention.answer is not None]
    features = {part: _features(configuration, dataset, model, part, run) for part in ("entities", "train", split)}
    on_tune = _ranked(model, dataset, features, "train", tune.selection)
    ranked = _ranked(model, dataset, features, split, wanted)
    units = model.matcher.names_in_use(lexical=True)
    best = max(units, key=lambda name: float((on_tune[name].realistic == 1).mean()))
    rows = {TOTAL: ranked[TOTAL], MEAN: ranked[MEAN], f"best single unit: {best}": ranked[best]}
    rows |= {name: ranked[name] for name in units}
    rows |= _cosines(dataset, features, split, wanted)
    return {name: metrics(ranks, len(dataset.entities)) for name, ranks in rows.items()}


def _features(configuration: Configuration, dataset: DataSet, model: Model, part: str, run: Path) -> Features:
    where = configuration.data.features or run / "features"
    return stored_features(configuration, configuration.training.seed, dataset, model.encoder, part, where)[1]


def _chosen(dataset: DataSet, features: Mapping[str, Features], part: str, mentions: list[Mention]) -> Features:
    row = {mention.id: number for number, mention in enumerate(dataset.split(part))}
    return features[part][torch.tensor([row[mention.id] for mention in mentions])]


def _ranked(
    model: Model, dataset: DataSet, features: Mapping[str, Features], part: str, mentions: list[Mention]
) -> dict[str, Ranks]:
    """Ranks by the total, by the plain mean, and by each unit alone."""
    sides = (
        mention_side_of(model.matcher, chunks(_chosen(dataset, features, part, mentions))),
        entity_side_of(model.matcher, chunks(features["entities"])),
    )
    gold, ranks = torch.tensor(gold_of(dataset, mentions)), dict[str, list[Ranks]]()
    for rows, scores in score_blocks(model.matcher, *sides):
        units = {name: scores.parts[name] for name in model.matcher.names_in_use()}
        mean = torch.stack(list(units.values())).mean(dim=0)
        others = [score for name, score in scores.parts.items() if name not in units]
        for name, score in {TOTAL: scores.total, MEAN: sum(others, mean), **scores.parts}.items():
            ranks.setdefault(name, []).append(rank_of(score, gold[rows]))
    return {name: join(blocks) for name, blocks in ranks.items()}


def _cosines(
    dataset: DataSet, features: Mapping[str, Features], split: str, mentions: list[Mention]
) -> dict[str, Ranks]:
    """Ranks by the frozen pictures' global vectors alone."""
    chosen = _chosen(dataset, features, split, mentions)
    if chosen.image_global is None or features["train"].image_global is None:
        return {}
    pictures = [vectors.float() for vectors in (chosen.image_global, features["entities"].image_global)]  # type: ignore[union-attr]
    whitening = Whitening(pictures[0].shape[1])
    whitening.fit(torch.cat([pictures[1], features["train"].image_global.float()]))
    gold = torch.tensor(gold_of(dataset, mentions))

    def ranks(vectors: list[Tensor]) -> Ranks:
        own, others = (normalize(tensor, dim=-1) for tensor in vectors)
        return rank_of(own @ others.t(), gold)

    return {COSINE: ranks(pictures), WHITENED: ranks([whitening(tensor) for tensor in pictures])}


if __name__ == "__main__":
    main()
