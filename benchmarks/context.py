"""What the words around a mention are worth: the table of docs/encoders.md.

    python benchmarks/context.py experiments/clip/wikimel.offline.yaml [KEY=VALUE ...] [--answers]

The recipe's encoder as it is, nothing trained: its mentions of dev are read from their beginning, and around the
mention. Printed are the share of mentions whose text is longer than the encoder reads, that of those which are read
elsewhere then, and hits@1 of all mentions and of these, with and without what the n-grams of names add. `--answers`
searches only entities that answer a mention of dev: a quick look, and easier than the whole knowledge base.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from mention_samples import gold_of

from melder.data import DataSet, entity_items, mention_items
from melder.features import Side
from melder.metrics.ranks import join, rank_of
from melder.records import Mention
from melder.runs.model import Model, score_blocks
from melder.training.configuration import read_configuration
from melder.training.prepare import build_model
from melder.training.split import open_data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("settings", nargs="*")
    parser.add_argument("--answers", action="store_true", help="search the answers of dev only")
    given = parser.parse_intermixed_args()
    configuration = read_configuration(given.recipe, [*given.settings, "training.epochs=0", "encoder.trained=false"])
    dataset = open_data(configuration)
    mentions = [mention for mention in dataset.split("dev") if mention.answer is not None]
    if given.answers:
        answers = {mention.answer for mention in mentions}
        dataset = replace(dataset, entities=[entity for entity in dataset.entities if entity.id in answers])
    model = build_model(configuration, dataset, mentions).eval()
    print(f"{given.recipe.stem}, {len(mentions):,} mentions of dev, {len(dataset.entities):,} entities", flush=True)
    _compare(dataset, mentions, model)


def _compare(dataset: DataSet, mentions: Sequence[Mention], model: Model) -> None:
    encoder = model.encoder
    items = mention_items(mentions, dataset, encoder.separator, frozenset({"text"}))
    long = [encoder.text.tokens.count(item.text) > encoder.text.tokens.length for item in items]
    elsewhere = np.array([encoder.text_read(item).text != item.text for item in items])
    print(f"longer than {encoder.text.tokens.length} tokens: {np.mean(long):.1%}; elsewhere: {elsewhere.mean():.1%}")
    entities = model.entity_side(entity_items(dataset.entities, dataset, encoder.separator, frozenset({"text"})))
    gold = torch.tensor(gold_of(dataset, mentions))
    encoder.context = "beginning"
    before = {names: _hits(model, model.mention_side(items), entities, gold, names=names) for names in (True, False)}
    encoder.context = "window"
    moved = np.flatnonzero(elsewhere)
    side = model.mention_side([items[row] for row in moved])
    for names, hits in before.items():
        after = hits.copy()
        after[moved] = _hits(model, side, entities, gold[moved], names=names)
        what = "with names" if names else "texts alone"
        print(f"{what}: H@1 {hits.mean():.2%} -> {after.mean():.2%}; of the {len(moved)} read elsewhere "
              f"{hits[moved].mean():.1%} -> {after[moved].mean():.1%}", flush=True)  # fmt: skip


def _hits(model: Model, mentions: Side, entities: Side, gold: torch.Tensor, *, names: bool) -> np.ndarray:
    """[mentions], whether the right entity is the first candidate, alone."""
    ranks = []
    for rows, scores in score_blocks(model.matcher, mentions, entities):
        lexical = model.matcher.contributions(scores)["lexical"]
        ranks.append(rank_of(scores.total if names else scores.total - lexical, gold[rows]))
    return join(ranks).realistic == 1


if __name__ == "__main__":
    main()
