"""What a GPU gives: encoding, training steps, exact scoring, each beside the processor, in about five minutes.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --device cpu --small    # tries the script where there is no GPU

Sizes are the published ones: a CLIP ViT-B/32 (random weights), batches of 128, texts of 40 tokens, 49 patches, 6,000
entities. Printed are medians, the most memory that was allocated, and how far scores are from those of the processor.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import cast

import torch
from timing import machine
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel

from melder.features import Features, Scores, Sizes
from melder.methods import METHODS, build_matcher
from melder.methods.matcher import UnitMatcher
from melder.runs.directory import versions
from melder.runs.model import Model
from melder.training.batched import Batched, EncodedItems
from melder.training.loop.module import training_losses

NAMES = ("clip", "mimic", "m3el", "ot_mel", "pgmel")
TOKENS, PATCHES = 40, 49
SIZES = Sizes(512, 512, 512, 768)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="a batch of 8, 100 entities, two rounds")
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        parser.exit(2, "PyTorch sees no GPU here; --device cpu --small tries the script\n")
    device = torch.device(options.device)
    print(machine(versions()))
    if device.type == "cuda":
        print(torch.cuda.get_device_name(device))
    batch, entities, rounds = (8, 100, 2) if options.small else (128, 6000, 10)
    for report in (encoding(device, batch, rounds), steps(device, batch, rounds), scoring(device, entities, rounds)):
        for line in report:
            print(line, flush=True)


def encoding(device: torch.device, batch: int, rounds: int) -> Iterator[str]:
    """Pictures a second through the picture tower."""
    yield f"\npictures of 224 pixels, {batch} at once"
    model = CLIPModel(CLIPConfig()).eval().to(device)
    pictures = torch.randn(batch, 3, 224, 224, device=device)

    def encode() -> Tensor:
        return cast(Tensor, model.vision_model(pixel_values=pictures).pooler_output)

    for kind in (torch.float32, torch.bfloat16):
        with torch.inference_mode(), torch.autocast(device.type, dtype=kind, enabled=kind != torch.float32):
            seconds, memory = measured(encode, device, rounds)
        yield f"  {str(kind).removeprefix('torch.')}: {batch / seconds:,.0f} a second{memory}"


def steps(device: torch.device, batch: int, rounds: int) -> Iterator[str]:
    """Forward, losses and backward of each method, on features."""
    yield f"\na training step on features, batch of {batch}"
    for name in NAMES:
        model = Model(nn.Identity(), matcher_of(name).train())  # type: ignore[arg-type]
        model.to(device)
        items = [EncodedItems(features(batch, number)) for number in (1, 2)]
        batched = Batched(*items, torch.arange(batch)).to(device)

        def step(model: Model = model, batched: Batched = batched) -> None:
            model.zero_grad()
            torch.stack(list(training_losses(model, batched, mask_duplicates=True).values())).sum().backward()

        seconds, memory = measured(step, device, rounds)
        yield f"  {name}: {seconds * 1000:,.1f} ms{memory}"


def scoring(device: torch.device, entities: int, rounds: int) -> Iterator[str]:
    """All pairs of 20 mentions and many entities, and the difference from the processor."""
    yield f"\nexact scores of 20 mentions and {entities:,} entities"
    for name in NAMES:
        matcher = matcher_of(name).eval()
        with torch.inference_mode():
            sides = matcher.mention_side(features(20, 1)), matcher.entity_side(features(entities, 2))
            expected = matcher.score(*sides).total
            matcher.to(device)
            mentions, others = (side.to(device) for side in sides)

            def score(matcher: UnitMatcher = matcher, mentions=mentions, others=others) -> Scores:  # type: ignore[no-untyped-def]
                return matcher.score(mentions, others)

            difference = float((score().total.cpu() - expected).abs().max() / expected.abs().max())
            seconds, memory = measured(score, device, rounds)
        pair = seconds * 1e6 / 20 / entities
        yield f"  {name}: {pair:,.2f} us a pair{memory}; differs by {difference:.1e} of the largest"


def measured(work: Callable[[], object], device: torch.device, rounds: int) -> tuple[float, str]:
    """The median of seconds, and the most memory as words; the first two times do not count."""
    seconds = []
    for _ in range(rounds + 2):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    if device.type != "cuda":
        return statistics.median(seconds[2:]), ""
    memory = torch.cuda.max_memory_allocated(device) / 1e9
    torch.cuda.reset_peak_memory_stats(device)
    return statistics.median(seconds[2:]), f", {memory:.2f} GB"


def matcher_of(name: str) -> UnitMatcher:
    torch.manual_seed(0)
    return cast(UnitMatcher, build_matcher(METHODS.get(name).configuration(lexical=False), SIZES))


def features(count: int, seed: int) -> Features:
    draw = torch.Generator().manual_seed(seed)
    lengths = torch.randint(8, TOKENS + 1, (count, 1), generator=draw)
    return Features(
        nn.functional.normalize(torch.randn(count, SIZES.text_global, generator=draw), dim=1),
        torch.randn(count, TOKENS, SIZES.text_tokens, generator=draw),
        nn.functional.normalize(torch.randn(count, SIZES.image_global or 0, generator=draw), dim=1),
        torch.randn(count, PATCHES, SIZES.image_tokens or 0, generator=draw),
        torch.arange(TOKENS) < lengths,
    )


if __name__ == "__main__":
    main()
