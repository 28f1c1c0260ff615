"""How fast M3EL scores, against a plain batched PyTorch implementation: the table of docs/performance.md.

    python benchmarks/scoring.py [--entities 6000] [--mentions 20] [--threads 2]

Both start from the same sides (projected tokens) at the published sizes, 40 and 50 valid tokens, float32. The plain
one computes what the paper writes: softmax(Q K^T / sqrt(h)) V for every pair, the mean over tokens, LayerNorm,
inner product; in chunks of entities: 6,000 as the published evaluation does, and small ones, which are tiles already
and kinder to the cache. Ratios are of medians within this run, all taking turns.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable

import torch
from timing import parser_of, times_of
from torch import Tensor
from torch.nn import functional

from melder.features import Features, Side, Sizes
from melder.methods.m3el import M3ELConfiguration, build_m3el
from melder.methods.matcher import UnitMatcher

CHUNKS = (50, 500, 6000)  # entities a chunk of the plain implementation; 6,000 is the published evaluation's


def main() -> None:
    parser = parser_of(__doc__, rounds=5)
    parser.add_argument("--entities", type=int, default=6000, help="a multiple of 250")
    parser.add_argument("--mentions", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    with torch.inference_mode():
        report(options)


def report(options: argparse.Namespace) -> None:
    matcher = build_m3el(M3ELConfiguration(lexical=False), Sizes(512, 512, 512, 768)).eval()
    mentions = matcher.mention_side(features(options.mentions))
    entities = join([matcher.entity_side(features(250)) for _ in range(options.entities // 250)])
    ways: dict[str, Callable[[], Tensor]] = {"Melder": lambda: matcher.score(mentions, entities).total}
    for chunk in CHUNKS:
        ways[f"plain, {chunk} entities a chunk"] = lambda size=chunk: plain(matcher, mentions, entities, size)
    difference = (ways["Melder"]() - plain(matcher, mentions, entities, 200)).abs().max()
    times = times_of(ways, options.rounds)
    show(times, options.entities * options.mentions, float(difference), options)


def features(count: int) -> Features:
    return Features(
        functional.normalize(torch.randn(count, 512), dim=-1),
        torch.randn(count, 40, 512),
        functional.normalize(torch.randn(count, 512), dim=-1),
        torch.randn(count, 50, 768),
    )


def join(sides: list[Side]) -> Side:
    return Side({name: torch.cat([side[name] for side in sides]) for name in sides[0]})


def plain(matcher: UnitMatcher, mentions: Side, entities: Side, chunk: int) -> Tensor:
    """The mean of the units' scores, without re-association or tiles."""
    scores = []
    for start in range(0, entities.rows, chunk):
        part = entities.take(slice(start, start + chunk))
        local = [plain_unit(matcher.units[name], mentions.part(name), part.part(name)) for name in ("text", "image")]
        cross = [mentions[f"{name}.vector"] @ part[f"{name}.vector"].t() for name in ("text_to_image", "image_to_text")]
        scores.append(torch.stack([*local, *cross]).mean(dim=0))
    return torch.cat(scores, dim=1)


def plain_unit(unit, mentions: Side, entities: Side) -> Tensor:  # type: ignore[no-untyped-def]
    logits = torch.einsum("eih,mjh->meij", entities["query"], mentions["key"]) / math.sqrt(unit.norm.weight.shape[0])
    context = torch.matmul(logits.softmax(dim=-1), mentions["value"][:, None]).mean(dim=2)
    local = (unit.norm(context) * entities["target"]).sum(dim=-1)
    return (local + mentions["global"] @ entities["global"].t()) / 2


def show(times: dict[str, list[float]], pairs: int, difference: float, options: argparse.Namespace) -> None:
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"{options.entities:,} entities x {options.mentions} mentions, {options.threads} threads, float32,")
    print(f"median of {options.rounds}; largest difference of a score {difference:.1e}\n")
    print("| | microseconds a pair | times as slow as Melder |\n| --- | --- | --- |")
    for name, value in medians.items():
        print(f"| {name} | {1e6 * value / pairs:.1f} | {value / medians['Melder']:.1f} |")


if __name__ == "__main__":
    main()
