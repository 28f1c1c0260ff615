"""What the words around a mention are worth: the table of docs/encoders.md.

    python benchmarks/context.py experiments/clip/wikimel.offline.yaml [KEY=VALUE ...]

The recipe's encoder as it is, nothing trained: its mentions of dev are read from their beginning, and around the
mention. `names` leaves out what the n-grams of names add, so that only the text counts. Printed are the share of
mentions whose text is longer than the encoder reads, and hits@1 of all mentions and of those.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from melder.data import DataSet, entity_items, mention_items
from melder.encoders.towers import Context
from melder.features import Side
from melder.metrics.ranks import join, rank_of
from melder.records import Mention
from melder.runs.model import Model, score_blocks
from melder.training.configuration import Configuration, read_configuration
from melder.training.prepare import build_model, open_data

FORMS: tuple[Context, ...] = ("beginning", "window")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("settings", nargs="*")
    given = parser.parse_args()
    configuration = read_configuration(given.recipe, [*given.settings, "training.epochs=0", "encoder.trained=false"])
    dataset = open_data(configuration)
    mentions = [mention for mention in dataset.split("dev") if mention.answer is not None]
    model = build_model(configuration, dataset, mentions).eval()
    print(f"{given.recipe.stem}: {len(mentions):,} mentions of dev, {len(dataset.entities):,} entities, "
          f"{configuration.encoder.text_length} tokens")  # fmt: skip
    _compare(configuration, dataset, mentions, model)


def _compare(configuration: Configuration, dataset: DataSet, mentions: Sequence[Mention], model: Model) -> None:
    modalities = frozenset(configuration.data.modalities)
    items = mention_items(mentions, dataset, model.encoder.separator, modalities)
    entities = model.entity_side(entity_items(dataset.entities, dataset, model.encoder.separator, modalities))
    long = np.array([model.encoder.text.tokens.count(item.text) > model.encoder.text.tokens.length for item in items])
    print(f"longer than that: {long.mean():.1%}")
    column = {entity.id: number for number, entity in enumerate(dataset.entities)}
    gold = torch.tensor([column[str(mention.answer)] for mention in mentions])
    for form in FORMS:
        model.encoder.context = form
        side = model.mention_side(items)
        for names in (True, False):
            hits = _hits(model, side, entities, gold, names=names)
            on_long = hits[long].mean() if long.any() else float("nan")
            print(f"{form:9} {'with' if names else 'without'} names: H@1 {hits.mean():.2%}, of the long {on_long:.2%}")


def _hits(model: Model, mentions: Side, entities: Side, gold: torch.Tensor, *, names: bool) -> np.ndarray:
    """[mentions], 1 where the first candidate is the right one, ties counted as half wrong as everywhere."""
    ranks = []
    for rows, scores in score_blocks(model.matcher, mentions, entities):
        parts = model.matcher.contributions(scores)
        total = scores.total if names else scores.total - parts["lexical"]
        ranks.append(rank_of(total, gold[rows]))
    return join(ranks).realistic == 1


if __name__ == "__main__":
    main()
