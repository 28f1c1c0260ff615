"""How fast M3EL scores, against a plain batched PyTorch implementation: the table of docs/performance.md.

    python benchmarks/scoring.py [--entities 6000] [--mentions 20] [--threads 2]
    python benchmarks/scoring.py --mentions 1
    python benchmarks/scoring.py --profile      # where Melder's microseconds are
    python benchmarks/scoring.py --run RUN --features DIR/dev --kb-features DIR/entities

All start from the same sides (projected tokens) at the published sizes, 40 and 50 valid tokens, or from those of a run
for texts as long as they are. The plain one computes what the paper writes: softmax(Q K^T / sqrt(h)) V for every pair,
the mean over tokens, LayerNorm, inner product; in chunks of entities: 6,000 as the published evaluation does, and small
ones, which are tiles already and kinder to the cache. Ratios are of medians within this run, all taking turns.
"""

from __future__ import annotations

import argparse
import copy
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from timing import parser_of, times_of
from torch import Tensor, nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from melder.features import Features, Side, Sizes
from melder.methods.m3el import M3ELConfiguration, build_m3el
from melder.methods.matcher import UnitMatcher
from melder.runs.directory import open_run
from melder.units.global_local import GlobalLocal

TEXTS = ("text_global", "text_tokens", "text_mask")
PARTS = {
    "products of queries and keys": ("mm",),
    "means and contexts (batched products)": ("bmm",),
    "exponentials": ("exp2", "exp", "exp2_"),
    "the softmax's sums, largest and quotients": ("sum", "aminmax", "div_", "div", "_softmax"),
    "LayerNorm and the last product": (
        "native_layer_norm",
        "mul",
        "mul_",
        "sub",
        "sub_",
        "rsqrt",
        "var_mean",
        "addcmul",
    ),
    "conversions and copies": ("copy_", "_to_copy", "index_select", "cat"),
}
OTHER = "other operations"
CHUNKS = (50, 500, 6000)  # entities a chunk of the plain implementation; 6,000 is the published evaluation's


def main() -> None:
    parser = parser_of(__doc__, rounds=5)
    parser.add_argument("--entities", type=int, default=6000, help="a multiple of 250")
    parser.add_argument("--mentions", type=int, default=20)
    parser.add_argument("--run", type=Path, help="score its texts' sides in place of random ones")
    parser.add_argument("--features", type=Path, help="of its mentions, as `melder features` wrote them")
    parser.add_argument("--kb-features", type=Path, help="of its entities")
    parser.add_argument(
        "--profile", action="store_true", help="print where the time goes, one thread, and nothing else"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    with torch.inference_mode():
        report(options)


def report(options: argparse.Namespace) -> None:
    matcher, mentions, entities = of_run(options) if options.run else random_sides(options)
    rounded = copy.deepcopy(matcher)
    for unit in local_units(rounded).values():
        unit.products = "bf16"
    ways: dict[str, Callable[[], Tensor]] = {
        "Melder": lambda: matcher.score(mentions, entities).total,
        "Melder, products in bf16": lambda: rounded.score(mentions, entities).total,
    }
    for chunk in CHUNKS:
        ways[f"plain, {chunk} entities a chunk"] = lambda size=chunk: plain(matcher, mentions, entities, size)
    if options.profile:
        pairs = entities.rows * mentions.rows
        show_profile({name: profiled(way, pairs) for name, way in list(ways.items())[:2]})
        return
    expected = plain(matcher, mentions, entities, 200)
    differences = [float((way() - expected).abs().max()) for way in list(ways.values())[:2]]
    show(times_of(ways, options.rounds), entities.rows * mentions.rows, differences, options)


def profiled(way: Callable[[], Tensor], pairs: int) -> dict[str, float]:
    """Microseconds a pair of each part, in one thread; what no operation of PyTorch takes is Python's."""
    torch.set_num_threads(1)
    way()
    start = time.perf_counter()
    way()
    whole = time.perf_counter() - start
    with profile(activities=[ProfilerActivity.CPU]) as run:
        way()
    seconds = dict.fromkeys([*PARTS, OTHER], 0.0)
    for event in run.key_averages():
        operation = event.key.removeprefix("aten::")
        part = next((name for name, operations in PARTS.items() if operation in operations), OTHER)
        seconds[part] += event.self_cpu_time_total / 1e6
    seconds["Python"] = max(0.0, whole - sum(seconds.values()))
    return {name: 1e6 * value / pairs for name, value in (seconds | {"all": whole}).items()}


def show_profile(columns: dict[str, dict[str, float]]) -> None:
    print(f"microseconds a pair, one thread\n\n| | {' | '.join(columns)} |\n| --- |{' --- |' * len(columns)}")
    for name in next(iter(columns.values())):
        print(f"| {name} | {' | '.join(f'{column[name]:.2f}' for column in columns.values())} |")


def random_sides(options: argparse.Namespace) -> tuple[UnitMatcher, Side, Side]:
    matcher = build_m3el(M3ELConfiguration(lexical=False), Sizes(512, 512, 512, 768)).eval()
    entities = join([matcher.entity_side(features(250)) for _ in range(options.entities // 250)])
    return matcher, matcher.mention_side(features(options.mentions)), entities


def of_run(options: argparse.Namespace) -> tuple[UnitMatcher, Side, Side]:
    """Mentions and entities evenly spaced among those whose features are given, names left out."""
    matcher = open_run(options.run)[0].matcher
    matcher.lexical = None
    mentions, entities = stored(options.features, options.mentions), stored(options.kb_features, options.entities)
    return matcher, matcher.mention_side(mentions), matcher.entity_side(entities)


def stored(directory: Path, count: int) -> Features:
    """Texts evenly spaced among those that are stored."""
    arrays = {name: np.load(directory / f"{name}.npy", mmap_mode="r") for name in TEXTS}
    some = {name: torch.from_numpy(np.array(every[:: len(every) // count][:count])) for name, every in arrays.items()}
    return Features(some["text_global"], some["text_tokens"].float(), text_mask=some["text_mask"])


def local_units(matcher: UnitMatcher) -> dict[str, GlobalLocal]:
    return {name: unit for name, unit in matcher.units.items() if isinstance(unit, GlobalLocal)}


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
        units = [
            plain_unit(matcher.units[name], mentions.part(name), part.part(name)) for name in matcher.names_in_use()
        ]
        scores.append(torch.stack(units).mean(dim=0))
    return torch.cat(scores, dim=1)


def plain_unit(unit: nn.Module, mentions: Side, entities: Side) -> Tensor:
    if not isinstance(unit, GlobalLocal) or "query" not in entities:
        return unit.score(mentions, entities)  # type: ignore[operator, no-any-return]
    logits = torch.einsum("eih,mjh->meij", entities["query"], mentions["key"]) / math.sqrt(unit.norm.weight.shape[0])
    if "mask" in mentions:
        logits = logits.masked_fill(~mentions["mask"][:, None, None], float("-inf"))
    context = torch.matmul(logits.softmax(dim=-1), mentions["value"][:, None])
    if "mask" in entities:
        weights = entities["mask"] / entities["mask"].sum(dim=1, keepdim=True)
        context = (context * weights[None, ..., None]).sum(dim=2)
    else:
        context = context.mean(dim=2)
    local: Tensor = (unit.norm(context) * entities["target"]).sum(dim=-1)
    product: Tensor = mentions["global"] @ entities["global"].t()
    return (local + product) / 2


def show(times: dict[str, list[float]], pairs: int, differences: list[float], options: argparse.Namespace) -> None:
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"{options.entities:,} entities x {options.mentions} mentions, {options.threads} threads, float32,")
    largest = ", with products in bf16 ".join(f"{each:.1e}" for each in differences)
    print(f"median of {options.rounds}; largest difference of a score {largest}\n")
    print("| | microseconds a pair | times as slow as Melder |\n| --- | --- | --- |")
    for name, value in medians.items():
        print(f"| {name} | {1e6 * value / pairs:.1f} | {value / medians['Melder']:.1f} |")


if __name__ == "__main__":
    main()
