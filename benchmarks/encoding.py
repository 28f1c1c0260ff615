"""How many pictures a second are decoded and encoded, against a plain loop over AutoProcessor and the model.

    python benchmarks/encoding.py
    python benchmarks/encoding.py --model tiny --pictures 96 --rounds 5

The model is a CLIP with random weights: a ViT-B/32 with its text tower, or a tiny one beside which decoding is all that
takes time, as it is beside a GPU. The pictures are JPEGs of 2 MP, generated; each comes with a text of its own.
hands them to the model's processor and its tensors to the model. All ways take turns, so that a busy moment falls on
all, and none finds a picture in memory. Printed are medians of the rounds: pictures a second, and milliseconds of
processor time a picture; ratios are medians of those of neighbours.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from timing import machine, parser_of
from transformers import AutoModel, AutoProcessor, CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

from melder.encoders import Towers, build_encoder, encode
from melder.encoders.vocabulary import train_tokenizer
from melder.records import Item
from melder.runs.directory import versions

PLAIN = "plain loop"
WORDS = ("kite", "harbour", "orchard", "lantern", "meadow", "bridge", "violin", "glacier", "market", "sparrow")
SIZES: Mapping[str, tuple[dict[str, int], dict[str, int]]] = {  # of the text tower and of the picture tower
    "vit-b-32": (
        {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 8},
        {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12},
    ),
    "tiny": (
        {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 1},
        {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 1},
    ),
}

Ways = dict[str, Callable[[], object]]
Spent = tuple[float, float]  # seconds, and seconds of processor time


def main() -> None:
    parser = parser_of(__doc__, rounds=5)
    parser.add_argument("--model", choices=SIZES, default="vit-b-32")
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(machine(versions()) + "\n")
    with tempfile.TemporaryDirectory() as folder:
        directory, texts = Path(folder), [sentence(row) for row in range(options.pictures)]
        write_model(directory / "clip", options.model, texts)
        items = [Item(text, photograph(directory, row)) for row, text in enumerate(texts)]
        ways = ways_of(directory / "clip", items, options.batch, options.threads)
        spent: dict[str, list[Spent]] = {name: [] for name in ways}
        moment = 0
        for number in range(options.rounds + 1):
            for name, way in ways.items():
                for item in items:  # another time makes another file of it, which no cache holds
                    os.utime(item.image, (0, moment))  # type: ignore[arg-type]
                moment += 1
                seconds = measure(way)
                if number:  # the first one warms up
                    spent[name].append(seconds)
    show(spent, len(items))


def ways_of(directory: Path, items: Sequence[Item], size: int, threads: int) -> Ways:
    """Decoding and encoding apart, and together."""
    model = AutoModel.from_pretrained(directory, trust_remote_code=False).eval()
    processor = AutoProcessor.from_pretrained(directory, trust_remote_code=False)
    encoder = build_encoder(f"clip:{directory}", text_length=40).eval()
    batches = [items[start : start + size] for start in range(0, len(items), size)]
    processed = [plain_inputs(processor, batch) for batch in batches]
    prepared = [encoder.prepare_distinct(batch) for batch in batches]
    return {
        "decode: plain": lambda: [plain_inputs(processor, batch) for batch in batches],
        "decode: Melder": lambda: [encoder.prepare_distinct(batch) for batch in batches],
        "encode: plain": lambda: run(model, processed),
        "encode: Melder": lambda: run_towers(encoder, prepared),
        PLAIN: lambda: [run(model, [plain_inputs(processor, batch)]) for batch in batches],
        "Melder, no thread reads ahead": lambda: encode(encoder, items, batch_size=size, threads=0),
        **{
            f"Melder, {count} read ahead": lambda count=count: encode(encoder, items, batch_size=size, threads=count)
            for count in sorted({1, threads})
        },
    }


def plain_inputs(processor: Any, batch: Sequence[Item]) -> Any:
    pictures = [Image.open(item.image) for item in batch]  # type: ignore[arg-type]
    texts = [item.text for item in batch]
    return processor(text=texts, images=pictures, padding=True, truncation=True, max_length=40, return_tensors="pt")


def run(model: Any, batches: Sequence[Any]) -> None:
    with torch.inference_mode():
        for inputs in batches:
            model(**inputs)


def run_towers(encoder: Towers, batches: Sequence[Any]) -> None:
    with torch.inference_mode():
        for inputs in batches:
            encoder(inputs)


def measure(way: Callable[[], object]) -> Spent:
    start, used = time.perf_counter(), time.process_time()
    way()
    return time.perf_counter() - start, time.process_time() - used


def show(spent: Mapping[str, Sequence[Spent]], count: int) -> None:
    print("| | pictures a second | ms of processor time a picture | as fast as plain | in processor time |")
    print("| --- | --- | --- | --- | --- |")
    for name, rounds in spent.items():
        kind, _, _ = name.partition(":")
        against = spent.get(f"{kind}: plain", spent[PLAIN])
        seconds, used = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratios = [
            statistics.median(plain[place] / own[place] for plain, own in zip(against, rounds, strict=True))
            for place in (0, 1)
        ]
        print(f"| {name} | {count / seconds:.1f} | {1000 * used / count:.1f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")


def sentence(row: int) -> str:
    draw = np.random.default_rng(row)
    return " ".join(draw.choice(WORDS, 4 + row % 17)) + f" {row}"


def photograph(directory: Path, row: int) -> Path:
    """Of 2 MP, with detail on every scale, as a camera stores it."""
    draw, path = np.random.default_rng(row), directory / f"{row}.jpg"
    picture = np.zeros((1224, 1632, 3), dtype=np.float32)
    for side in (8, 32, 128, 512):
        noise = Image.fromarray(draw.integers(0, 256, (side, side, 3), dtype=np.uint8))
        picture += np.asarray(noise.resize((1632, 1224), Image.Resampling.BICUBIC), dtype=np.float32) / 4
    Image.fromarray(picture.astype(np.uint8)).save(path, quality=90)
    return path


def write_model(directory: Path, size: str, texts: Sequence[str]) -> None:
    """A CLIP with random weights, its processor and a tokenizer."""
    tokenizer = train_tokenizer(texts)
    tokenizer.model_max_length = 77
    text, vision = SIZES[size]
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = CLIPConfig(
        text_config=text | ids | {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id},
        vision_config=vision | {"image_size": 224, "patch_size": 32},
    )
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(directory)
    CLIPProcessor(CLIPImageProcessor(), tokenizer).save_pretrained(directory)


if __name__ == "__main__":
    main()
