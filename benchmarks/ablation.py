"""What each part of weighing evidence adds, one at a time, each tested against the step before: a table of results.md.

    python benchmarks/ablation.py RUN … [--split dev] [--mentions 1000]

RUNs are of `melder train` on a frozen encoder, alike but for their seeds; what is not among their stored features is
encoded. Nothing is trained again: units are as the
run has them, and what is fitted on top of them (weights, gate, prior, coherence) is fitted on the part of train that
the run was selected on. The steps:

* units: the mean of the run's units, without names
* + names: compared as strings, with the weight that the run learned
* + exact names: one that is all of a name counts twice (`method.lexical_exact=1`)
* + weights: `method.unit_weights=fitted`
* + gate: `method.unit_weights=gated`, which has the weights depend on the mention
* + prior: how often the surface meant the entity in training, among the first 20
* + coherence: the other mentions of the same text, among the first 20

H@1 and MRR are means over the runs. Two-sided sign-flip tests over mentions, on the reciprocal rank averaged over the
runs, p corrected by Holm for all steps of the table. Above it is, for each run and step, how well NIL probabilities
that are fitted on the selection set tell mentions whose answer was taken out (AUROC). Names alone, and cosines of the
frozen pictures, as they are and whitened, stand in `benchmarks/evidence.py`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from mention_samples import gold_of
from safetensors.torch import load_file

from melder.data import DataSet
from melder.encoders import load_encoder
from melder.linking.data_evidence import TOP, DataEvidence, surface_counts
from melder.linking.data_linker import DataLinker, fit_on_links
from melder.linking.exact import ExactLinker
from melder.linking.nil_calibration import NIL_TOP_K, fit_nil, nil_figures, of_link, sample
from melder.methods import build_matcher
from melder.metrics.bootstrap import mean_intervals
from melder.metrics.metrics import FIGURES, per_mention
from melder.metrics.significance import holm, paired_difference
from melder.records import Link, Mention, Ranks
from melder.runs.configuration_file import checked, read_yaml
from melder.runs.directory import read_configuration
from melder.runs.feature_cache import StoredFeatures, stored_features
from melder.runs.model import Model
from melder.search.bounded import CERTIFIED_FROM
from melder.search.resolver import build_search
from melder.training.configuration import Configuration
from melder.training.ranking import rank_items
from melder.training.split import Split, open_data, split_data

EXACT = "method.lexical_exact=1.0"
STEPS: dict[str, tuple[str, ...]] = {
    "units": ("method.unit_weights=equal", "method.lexical=false"),
    "+ names": ("method.unit_weights=equal",),
    "+ exact names": ("method.unit_weights=equal", EXACT),
    "+ weights": ("method.unit_weights=fitted", EXACT),
    "+ gate": ("method.unit_weights=gated", EXACT),
}


class Ablated:
    """A run with its data and stored features, and linkers of it with other settings."""

    def __init__(self, run: Path, split: str, most: int | None) -> None:
        self.run = run
        self.configuration = checked(Configuration, read_yaml(run / "config.yaml"), str(run / "config.yaml"))
        self.dataset: DataSet = open_data(self.configuration)
        self.split: Split = split_data(self.configuration, self.dataset)
        answered = [mention for mention in self.dataset.split(split) if mention.answer is not None]
        self.mentions, self.selection = _spread(answered, most), _spread(self.split.selection, most)
        self.encoder = load_encoder(run / "encoder")
        self.stored, self.modalities = StoredFeatures(), frozenset(self.configuration.data.modalities)
        where, seed = self.configuration.data.features or run / "features", self.configuration.training.seed
        for part in ("entities", "train", split):
            if (where / part).is_dir():
                self.stored.add(*stored_features(self.configuration, seed, self.dataset, self.encoder, part, where))

    def linker(self, changes: Sequence[str]) -> ExactLinker:
        """Of the run's units with other settings, and with what these want fitted on the selection set."""
        configuration = read_configuration(self.run, changes)
        model = Model(self.encoder, build_matcher(configuration.method, self.encoder.sizes)).eval()
        model.load_state_dict(load_file(self.run / "model.safetensors"), strict=False)
        model.stored = self.stored
        if model.matcher.weighted:
            rank_items(model, self.dataset, self.modalities, self.selection, gold_of(self.dataset, self.selection))
        return ExactLinker(model, self.dataset, modalities=configuration.data.modalities)

    def _auroc(self, linker: ExactLinker, links: list[Link]) -> float:
        """Of NIL probabilities fitted on the selection set, for mentions with and without their answers."""
        selection = self.selection[sample(len(self.selection))]
        fitted = fit_nil(
            [of_link(link) for link in linked(linker, selection, NIL_TOP_K + 1)],
            [mention.answer for mention in selection],
            [mention.image is not None for mention in selection],
            candidates=len(self.dataset.entities),
            data="",
            split="",
        )
        assert fitted is not None
        cut = [link.model_copy(update={"candidates": link.candidates[: NIL_TOP_K + 1]}) for link in links]
        figures = nil_figures(fitted, self.mentions, cut)
        assert figures is not None
        return float(figures["auroc"])

    def ranks(self) -> Iterator[tuple[str, Ranks]]:
        """Of every step, in order."""
        for name, changes in STEPS.items():
            linker = self.linker(changes)
            links, ranks = linked(linker, self.mentions, TOP), linker.ranks(self.mentions)
            print(f"  {self.run.name}, {name}: AUROC of NIL {self._auroc(linker, links):.3f}")
            yield name, ranks
        evidence = DataEvidence.of_counts(surface_counts(self.split.train), data="", split="")
        fitted = fit_on_links(linker, self.selection, linked(linker, self.selection, TOP), evidence)
        print(f"  prior {fitted.prior:.3g}, coherence {fitted.coherence:.3g}, temperature {fitted.temperature:.3g}")
        for name, coherent in (("+ prior", False), ("+ coherence", True)):
            beside = DataLinker(linker, fitted, prior=True, coherence=coherent)
            yield name, beside.reranked(self.mentions, links, ranks)[1]


def linked(linker: ExactLinker, mentions: Sequence[Mention], k: int) -> list[Link]:
    """Links of mentions; of many entities by certified search, which finds the same."""
    if len(linker.source) >= CERTIFIED_FROM and linker.search is None:
        linker.search = build_search("certified", linker.model.matcher, linker.source)
    return [link for block in linker.answers(mentions, linker.items(mentions), k) for link in block]


def _spread(mentions: Sequence[Mention], most: int | None) -> list[Mention]:
    return list(mentions[:: max(1, -(-len(mentions) // most))] if most else mentions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--mentions", type=int, help="at most so many of either part, evenly spread")
    options = parser.parse_args()
    values: dict[str, list[dict[str, np.ndarray]]] = {}
    for run in options.runs:
        ablated, start = Ablated(run, options.split, options.mentions), time.process_time()
        for name, ranks in ablated.ranks():
            values.setdefault(name, []).append(dict(zip(FIGURES, per_mention(ranks).T, strict=True)))
            seconds, start = time.process_time() - start, time.process_time()
            print(f"  {run.name}, {name}: {values[name][-1]['hits@1'].mean():.4f}, {seconds:.0f} s", flush=True)
    show(values, len(ablated.dataset.entities))


def show(values: dict[str, list[dict[str, np.ndarray]]], candidates: int) -> None:
    """The table."""
    means = {name: {key: np.mean([v[key] for v in of], axis=0) for key in of[0]} for name, of in values.items()}
    names = list(means)
    tests = [paired_difference(means[a]["mrr"], means[b]["mrr"]) for a, b in pairwise(names)]
    corrected = [None, *holm([test.p for test in tests])]
    print("| step | candidates | mentions | runs | H@1 | interval | H@10 | MRR | MRR, change | 95 % interval | p |")
    print("|" + " --- |" * 11)
    for name, test, p in zip(names, [None, *tests], corrected, strict=True):
        hits, mrr = means[name]["hits@1"], means[name]["mrr"]
        low, high = 100 * mean_intervals(hits[:, None], 0, 1000)[0]
        counts = f"{candidates:,} | {len(hits):,} | {len(values[name])}"
        change = " | | |"
        if test is not None:
            interval = f"{100 * test.interval[0]:+.2f} to {100 * test.interval[1]:+.2f}"
            change = f" {100 * test.mean:+.2f} | {interval} | {p:.4f} |"
        figures = f"{100 * hits.mean():.1f} | {low:.1f}–{high:.1f} | {100 * means[name]['hits@10'].mean():.1f}"
        print(f"| {name} | {counts} | {figures} | {100 * mrr.mean():.1f} |{change}")


if __name__ == "__main__":
    main()
