"""How fast OT-MEL scores, by transport and by its attention student, against plain PyTorch: for docs/performance.md.

    python benchmarks/transport.py [--entities 2000] [--mentions 20] [--threads 2]
    python benchmarks/transport.py --memory 100000

All start from the same sides at the published sizes (40 tokens, 50 patches, width 96), float32. The plain one computes
what the paper and its code write for every pair: cosines, exp(C / 0.05), three Sinkhorn iterations, rows of norm 1,
T V + q, LayerNorm, softmax pooling, LayerNorm, inner product; for chunks of entities and all mentions at once. Ratios
are of medians within this run, all taking turns.

`--memory` scores that many entities, whose sides lie in memory-mapped files, and reports by how much the process's
peak exceeds the sides themselves.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import torch
from timing import parser_of, times_of
from torch import Tensor
from torch.nn import functional

from melder.features import Features, Side, Sizes, concatenate
from melder.methods.matcher import UnitMatcher
from melder.methods.ot_mel import OTMELConfiguration, build_ot_mel
from melder.ops.assignment import Kind

CHUNKS = (50, 500)  # entities a chunk of the plain implementation; 512 is the published evaluation's
BLOCK = 250  # entities that go through the heads together


def main() -> None:
    parser = parser_of(__doc__, rounds=5)
    parser.add_argument("--entities", type=int, default=2000, help=f"a multiple of {BLOCK}")
    parser.add_argument("--mentions", type=int, default=20)
    parser.add_argument("--memory", type=int, default=0, metavar="ENTITIES", help="measure memory instead of time")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    with torch.inference_mode():
        memory(options) if options.memory else speed(options)


def matchers() -> dict[Kind, UnitMatcher]:
    """The same weights with either assignment."""
    made: dict[Kind, UnitMatcher] = {}
    for kind in ("transport", "attention"):
        torch.manual_seed(0)
        configuration = OTMELConfiguration(assignment=kind, lexical=False)
        made[kind] = build_ot_mel(configuration, Sizes(512, 512, 512, 768)).eval()
    return made


def speed(options: argparse.Namespace) -> None:
    both = matchers()
    transport = both["transport"]
    mentions = transport.mention_side(features(options.mentions))
    blocks = range(options.entities // BLOCK)
    entities = concatenate([transport.entity_side(features(BLOCK)) for _ in blocks])
    ways: dict[str, Callable[[], Tensor]] = {
        f"Melder, {kind}": lambda matcher=matcher: matcher.score(mentions, entities).total
        for kind, matcher in both.items()
    }
    for chunk in CHUNKS:
        ways[f"plain transport, {chunk} entities a chunk"] = lambda size=chunk: plain(
            transport, mentions, entities, size, "transport"
        )
    for kind in both:
        difference = (ways[f"Melder, {kind}"]() - plain(both[kind], mentions, entities, 200, kind)).abs().max()
        print(f"largest difference of a score from plain {kind}: {float(difference):.1e}")
    times = times_of(ways, options.rounds)
    show(times, options)


def features(count: int) -> Features:
    return Features(
        functional.normalize(torch.randn(count, 512), dim=-1),
        torch.randn(count, 40, 512),
        functional.normalize(torch.randn(count, 512), dim=-1),
        torch.randn(count, 50, 768),
    )


def plain(matcher: UnitMatcher, mentions: Side, entities: Side, chunk: int, kind: Kind) -> Tensor:
    """The mean of the units' scores, every pair of a chunk at once."""
    scores = []
    for start in range(0, entities.rows, chunk):
        part = entities.take(slice(start, start + chunk))
        units = [plain_unit(matcher.units[n], mentions.part(n), part.part(n), kind) for n in ("text", "image")]
        fusion = mentions["fusion.vector"] @ part["fusion.vector"].t()
        scores.append(torch.stack([*units, fusion]).mean(dim=0))
    return torch.cat(scores, dim=1)


def plain_unit(unit, mentions: Side, entities: Side, kind: Kind) -> Tensor:  # type: ignore[no-untyped-def]
    query, key, value = entities["query"], mentions["key"], mentions["value"]
    if kind == "attention":
        plan = (torch.einsum("eih,mjh->meij", query, key) / query.shape[-1] ** 0.5).softmax(dim=-1)
    else:
        unit_query, unit_key = functional.normalize(query, dim=-1), functional.normalize(key, dim=-1)
        plan = ((torch.einsum("eih,mjh->meij", unit_query, unit_key) + 1) / 2 / 0.05).exp()
        for _ in range(3):
            plan = plan / plan.sum(dim=-2, keepdim=True)
            plan = plan / plan.sum(dim=-1, keepdim=True)
    context = unit.norm(torch.matmul(functional.normalize(plan, dim=-1), value[:, None]) + query)
    pooled = (unit.pool.weight(context).softmax(dim=2) * context).sum(dim=2)
    local = (unit.pool.norm(pooled) * entities["target"]).sum(dim=-1)
    return (local + mentions["global"] @ entities["global"].t()) / 2


def show(times: dict[str, list[float]], options: argparse.Namespace) -> None:
    pairs = options.entities * options.mentions
    medians = {name: 1e6 * statistics.median(values) / pairs for name, values in times.items()}
    best = min(value for name, value in medians.items() if name.startswith("plain"))
    print(f"\n{options.entities:,} entities x {options.mentions} mentions, {options.threads} threads, float32,")
    print(f"median of {options.rounds}\n")
    slow = medians[f"plain transport, {CHUNKS[-1]} entities a chunk"]
    print(f"| | microseconds a pair | as fast as plain, {CHUNKS[-1]} a chunk | as fast as the faster plain |")
    print("| --- | --- | --- | --- |")
    for name, value in medians.items():
        print(f"| {name} | {value:.1f} | {slow / value:.1f} | {best / value:.1f} |")


def memory(options: argparse.Namespace) -> None:
    """Sides of random numbers, as large as real ones, in files; what counts is what scoring them needs."""
    both = matchers()
    mentions = both["transport"].mention_side(features(options.mentions))
    example = both["transport"].entity_side(features(BLOCK))
    with tempfile.TemporaryDirectory() as directory:
        entities = Side({name: mapped(Path(directory) / name, t, options.memory) for name, t in example.items()})
        stored = sum(tensor.numel() * tensor.element_size() for tensor in entities.values())
        print(f"{options.memory:,} entities x {options.mentions} mentions, sides {stored / 1e9:.2f} GB")
        for kind, matcher in both.items():
            more = most_while(lambda matcher=matcher: matcher.score(mentions, entities))  # type: ignore[misc]
            print(f"{kind}: at most {more / 1e9:.2f} GB more than before, besides the sides")
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"peak of the process, libraries and mapped sides included: {peak / 1e9:.2f} GB")
        print(f"peak above the sides: {(peak - stored) / 1e9:.2f} GB (the mapped sides may not all be resident)")


def mapped(file: Path, example: Tensor, rows: int) -> Tensor:
    """[rows, ...]: `example` again and again, in a file."""
    shape = (rows, *example.shape[1:])
    size = rows * example[0].numel()
    tensor = torch.from_file(str(file), shared=True, size=size, dtype=example.dtype).view(shape)
    for start in range(0, rows, len(example)):
        tensor[start : start + len(example)] = example[: rows - start]
    return tensor


def most_while(call: Callable[[], object]) -> float:
    """By how many bytes the process's own memory grew at most during the call, looked at a hundred times a second."""
    before, done, most = anonymous(), threading.Event(), [0.0]

    def look() -> None:
        while not done.wait(0.01):
            most[0] = max(most[0], anonymous() - before)

    watcher = threading.Thread(target=look)
    watcher.start()
    call()
    done.set()
    watcher.join()
    return most[0]


def anonymous() -> float:
    """Bytes of this process's memory that no file holds, now (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * float(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1])


if __name__ == "__main__":
    main()
