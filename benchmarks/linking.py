"""How fast one mention is linked, its features given, and how often as exact scoring would: docs/performance.md.

    python benchmarks/linking.py RUN --data wikimel --kb union --cache DIR
    python benchmarks/linking.py RUN --data wikimel --kb union --cache DIR --entities 1000000

The entities of --kb are encoded once and kept in --cache as int8, one scale for each token vector. With --entities more
are made of them: each is another one's side with a tenth of noise, under a name put together from two names. Mentions
are dev's, evenly spaced. Private memory (RssAnon) and mapped files (RssFile) are those of a process that did nothing
but open the cache and one search, and link.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from melder.data import entity_items, load, mention_items
from melder.features import Side
from melder.linking.certified import Certified
from melder.linking.indexes import open_index
from melder.linking.indexes.flat import FlatIndex
from melder.linking.indexes.names import NameIndex
from melder.linking.run import open_run
from melder.linking.search import build_search
from melder.linking.two_stage import TwoStage
from melder.methods.matcher import UnitMatcher
from melder.units.lexical import pack

BLOCK = 4096
NOISE = 0.1  # of a vector's own deviation
WARM = 5  # mentions that are linked before anything is timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="the data set of the mentions")
    parser.add_argument("--kb", type=Path, required=True, help="the data set of the entities")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--entities", type=int, help="make so many; default: those of --kb alone")
    parser.add_argument("--mentions", type=int, default=200)
    parser.add_argument("--exact", type=int, default=50, help="mentions that exact scoring is timed on")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--searches", default="flat,hnsw,certified")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    prepare(options)
    rows = [measure_apart(name, options) for name in ("exact", *options.searches.split(","))]
    show(rows, options)


def prepare(options: argparse.Namespace) -> None:
    """Sides of entities and mentions in the cache, and the indexes of every search."""
    model, configuration = open_run(options.run)
    settings = configuration.data
    names = [directory(options), options.cache / "mentions"]
    if not all(path.exists() for path in names):
        options.cache.mkdir(parents=True, exist_ok=True)
        base, data = (load(path, text_field=settings.text_field) for path in (options.kb, options.data))
        modalities, separator = frozenset(settings.modalities), model.encoder.separator
        mentions = data.split("dev")
        chosen = mentions[:: max(1, len(mentions) // options.mentions)][: options.mentions]
        write(names[1], [model.mention_side(mention_items(chosen, data, separator, modalities=modalities))], None)
        items = entity_items(base.entities, base, separator, modalities=modalities)
        write(options.cache / "base", blocks_of(model, items), len(items))
        if options.entities:
            surfaces = [entity.names or ("",) for entity in base.entities]
            source = Stored(options.cache / "base")
            write(directory(options), resampled(source, surfaces, options.entities, model.matcher), options.entities)
    source = Stored(directory(options))
    for name in options.searches.split(","):
        path = directory(options) / f"search-{name.replace(':', '-').replace(',', '-')}"
        if not path.exists():
            start = time.perf_counter()
            search = build_search(name, model.matcher, source)
            search.index.save(path)  # type: ignore[attr-defined]
            print(f"{name}: built in {time.perf_counter() - start:.0f} s", flush=True)
            if not (directory(options) / "names").exists() and search.names is not None:  # type: ignore[attr-defined]
                search.names.save(directory(options) / "names")  # type: ignore[attr-defined]


def directory(options: argparse.Namespace) -> Path:
    """Where the sides of the entities are."""
    path: Path = options.cache / (f"made-{options.entities}" if options.entities else "base")
    return path


def blocks_of(model, items) -> Iterator[Side]:  # type: ignore[no-untyped-def]
    for start in range(0, len(items), BLOCK):
        yield model.entity_side(items[start : start + BLOCK])
        print(f"\rencoded {start + BLOCK:,} of {len(items):,}", end="", flush=True)


def resampled(source: Stored, surfaces: list[tuple[str, ...]], count: int, matcher: UnitMatcher) -> Iterator[Side]:
    """The entities of the source, and then new ones."""
    draw, noise = np.random.default_rng(0), torch.Generator().manual_seed(0)
    yield from (side for _, side in source.blocks())
    for start in range(len(source), count, BLOCK):
        rows = torch.from_numpy(draw.integers(len(source), size=min(BLOCK, count - start)))
        side = dict(source.side(rows))
        for name, tensor in side.items():
            if tensor.is_floating_point() and tensor.dim() > 1 and not name.startswith("lexical."):
                side[name] = tensor + NOISE * tensor.std() * torch.randn(tensor.shape, generator=noise)
        if matcher.lexical is not None:
            names = [new_name(surfaces[row][0], surfaces[draw.integers(len(surfaces))][0]) for row in rows.tolist()]
            inverse = matcher.lexical.inverse_frequency.cpu().numpy()
            bucket, gram = pack([(name,) for name in names], matcher.lexical.buckets, inverse)
            side["lexical.bucket"], side["lexical.gram"] = torch.from_numpy(bucket), torch.from_numpy(gram)
        yield Side(side)


def new_name(one: str, other: str) -> str:
    """The first half of the words of one name, and the last half of another's."""
    first, last = one.split(), other.split()
    return " ".join(first[: (len(first) + 1) // 2] + last[len(last) // 2 :])


def write(path: Path, sides: Iterator[Side] | list[Side], count: int | None) -> None:
    """Arrays of all rows; `count` None = float32 of one block, else int8 where a vector has a last axis."""
    arrays: dict[str, np.ndarray] = {}
    part, done = path.with_name(path.name + ".part"), 0
    part.mkdir(parents=True, exist_ok=True)
    for side in sides:
        for name, array in stored(side, count is not None).items():
            if name not in arrays:
                # As many n-grams as any later block may have; what is behind them stays zero, and is no space on disk.
                shape = (count or side.rows, *((1, 200) if name.startswith("lexical.") else array.shape[1:]))
                arrays[name] = np.lib.format.open_memmap(part / f"{name}.npy", "w+", array.dtype, shape)
            where = (slice(done, done + side.rows), *(slice(0, size) for size in array.shape[1:]))
            arrays[name][where] = array
        done += side.rows
    for each in arrays.values():
        each.flush()  # type: ignore[attr-defined]
    part.rename(path)


def stored(side: Side, small: bool) -> dict[str, np.ndarray]:
    arrays = {}
    for name, tensor in side.items():
        if small and tensor.is_floating_point() and tensor.dim() > 1 and not name.startswith("lexical."):
            scale = tensor.abs().amax(dim=-1, keepdim=True).clamp(min=1e-12) / 127
            arrays[name] = (tensor / scale).round().to(torch.int8).numpy()
            arrays[f"{name}.scale"] = scale.numpy()
        elif name.startswith("lexical."):
            arrays[name] = tensor[:, :1, :200].numpy()
        else:
            arrays[name] = tensor.numpy()
    return arrays


class Stored:
    """What `write` wrote, memory-mapped."""

    def __init__(self, path: Path) -> None:
        files = sorted(path.glob("*.npy"))
        self.arrays = {file.stem: torch.from_numpy(np.load(file, mmap_mode="c", allow_pickle=False)) for file in files}

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def side(self, columns: Tensor | slice) -> Side:
        return Side({name: self._tensor(name, columns) for name in self.arrays if not name.endswith(".scale")})

    def blocks(self) -> Iterator[tuple[int, Side]]:
        for first in range(0, len(self), BLOCK):
            yield first, self.side(slice(first, min(first + BLOCK, len(self))))

    def _tensor(self, name: str, rows: Tensor | slice) -> Tensor:
        found = self.arrays[name][rows]
        return found.float() * self.arrays[f"{name}.scale"][rows] if found.dtype == torch.int8 else found


def measure_apart(name: str, options: argparse.Namespace) -> dict[str, object]:
    """In a process of its own, so that memory is its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(measure, (name, options))


def measure(name: str, options: argparse.Namespace) -> dict[str, object]:
    torch.set_num_threads(options.threads)
    model, _ = open_run(options.run)
    matcher, source = model.matcher.eval(), Stored(directory(options))
    mentions = Stored(options.cache / "mentions").side(slice(0, options.mentions))
    before = memory()
    if name == "exact":
        return exact(matcher, source, mentions, options) | {
            "memory": [now - was for now, was in zip(memory(), before, strict=True)]
        }
    search, times, found = opened(name, matcher, source, options), [], []
    for row in [*range(min(WARM, mentions.rows)), *range(mentions.rows)]:
        start = time.perf_counter()
        best = search.best(mentions.take(slice(row, row + 1)), 10)[0]
        times.append(time.perf_counter() - start)
        found.append(best.totals[0])
    times, found = times[-mentions.rows :], found[-mentions.rows :]
    used = [now - was for now, was in zip(memory(), before, strict=True)]
    share = search.scored / (mentions.rows + WARM) / len(source)
    if name == "certified":  # the best one alone needs far fewer scores than the best ten
        one = [
            timed(lambda row=row: search.best(mentions.take(slice(row, row + 1)), 1)) for row in range(mentions.rows)
        ]
        print(f"certified, k = 1: p50 {1e3 * np.median(one):.1f} ms, p95 {1e3 * np.quantile(one, 0.95):.1f} ms")
    return {"name": name, "times": times, "found": found, "memory": used, "share": share}


def timed(call) -> float:  # type: ignore[no-untyped-def]
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def opened(name: str, matcher: UnitMatcher, source: Stored, options: argparse.Namespace):  # type: ignore[no-untyped-def]
    path = directory(options) / f"search-{name.replace(':', '-').replace(',', '-')}"
    names = NameIndex.open(directory(options) / "names") if matcher.lexical is not None else None
    if name == "certified":
        return Certified(matcher, source, FlatIndex.open(path), names)
    return TwoStage(matcher, source, open_index(name, path), names)


def exact(matcher: UnitMatcher, source: Stored, mentions: Side, options: argparse.Namespace) -> dict[str, object]:
    times, found = [], []
    for row in range(min(options.exact, mentions.rows)):
        start, mention = time.perf_counter(), mentions.take(slice(row, row + 1))
        with torch.inference_mode():
            totals = torch.cat([matcher.score(mention, side).total for _, side in source.blocks()], dim=1)
        found.append(totals[0].topk(10).values)
        times.append(time.perf_counter() - start)
    return {"name": "exact", "times": times, "found": found, "share": 1.0}


def memory() -> list[float]:
    """RssAnon and RssFile of this process, MB."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return [int(lines[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile")]


def show(rows: list[dict], options: argparse.Namespace) -> None:  # type: ignore[type-arg]
    real = rows[0]["found"]
    print(f"\n{len(Stored(directory(options))):,} entities, {options.threads} thread(s), ten candidates a mention\n")
    print("| | p50, ms | p95, ms | best as exact | best ten as exact | pairs scored | RssAnon, MB | RssFile, MB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        pairs = list(zip(real, row["found"], strict=False))
        one = np.mean([float(a[0] <= b[0] + 1e-3) for a, b in pairs])
        ten = np.mean([float((b >= a[-1] - 1e-3).float().sum()) / len(a) for a, b in pairs])
        p50, p95 = 1e3 * np.quantile(row["times"], [0.5, 0.95])
        figures = f"{p50:.1f} | {p95:.1f} | {one:.1%} | {ten:.1%} | {row['share']:.2%}"
        print(f"| {row['name']} | {figures} | {row['memory'][0]:.0f} | {row['memory'][1]:.0f} |")


if __name__ == "__main__":
    main()
