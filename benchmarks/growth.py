"""What grows with a knowledge base, and how fast: docs/scale.md.

    python benchmarks/growth.py KB --cache DIR --sizes 1000,10000,100000,1000000 --svg docs/growth.svg

Knowledge bases of these sizes are made of KB, any one that was built: each entity is another one's sides with a tenth
of noise, under a name put together from two names, so that no encoder is needed. They stay in --cache; sides take what
`melder kb info KB` says an entity takes (10^6 of CLIP's are 5 GB, of M3EL's as int8 10 GB). Written: seconds of the
processor from sides in memory to segments on the disk. What was stopped goes on, and a second process with --backwards
writes segments from the last on, until it meets the first one. Opened, linked and memory: of a process that did
nothing else; a mention's time is that of 32 scored together, their features given, after 5 that were not timed. Time
and memory are fitted as a power of the number of entities, c n^a, by least squares of the logarithms.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from resampling import resampled
from timing import resident

from melder.building.model import copy_run
from melder.kb import open_knowledge_base
from melder.kb.format.packing import pack
from melder.kb.manifest import CODEBOOKS, CURRENT, MODEL, SEGMENTS, SegmentEntry, publish
from melder.kb.segment import SEGMENT_ROWS, SegmentContents, segment_digest, write_segment
from melder.linking.exact import ExactLinker
from melder.linking.opening import searching
from melder.records import Mention
from melder.runs.directory import open_run

WARM, TIMED = 5, 32  # mentions
TIMES = "times.txt"  # of each segment: rows, and seconds to make and to write it
FIGURES = {
    "written": "s to write",
    "disk": "MB on disk",
    "opened": "s to open",
    "exact": "s a mention, exact",
    "flat": "s a mention, two stages",
    "index": "s to make the index",
    "private": "MB private, exact",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kb", type=Path, help="a knowledge base, whose entities are multiplied")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--sizes", default="1000,10000,100000,1000000")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--svg", type=Path, help="draw the figures there")
    parser.add_argument("--backwards", action="store_true", help="help another process to write, and measure nothing")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = {}
    for size in map(int, options.sizes.split(",")):
        if options.backwards:
            make(options.kb, options.cache / f"{size}", size, backwards=True)
            continue
        rows[size] = measure(options.kb, options.cache / f"{size}", size, options.threads)
        print(json.dumps({"entities": size, **rows[size]}), flush=True)
    if rows:
        show(rows)
    if rows and options.svg is not None:
        options.svg.write_text(drawing(rows), encoding="utf-8")


def measure(source: Path, path: Path, size: int, threads: int) -> dict[str, float]:
    figures = path / "figures.json"
    if not figures.is_file():
        if not (path / CURRENT).is_file():
            make(source, path, size)
        made = seconds_of(path)
        made["disk"] = sum(file.stat().st_size for file in (path / SEGMENTS).rglob("*") if file.is_file()) / 1e6
        figures.write_text(json.dumps(made), encoding="utf-8")
    found = json.loads(figures.read_text(encoding="utf-8"))
    for candidates in (None, "flat"):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found |= pool.apply(linked, (path, source, candidates, threads))
    return found  # type: ignore[no-any-return]


def make(source: Path, path: Path, size: int, backwards: bool = False) -> None:
    """Write a knowledge base of so many entities, or what is missing of it.

    Args:
        backwards: Write only segments, from the last to the first that is there; a second process that goes the other
            way finishes.
    """
    numbers = range(-(-size // SEGMENT_ROWS))
    with open_knowledge_base(source) as base:
        matcher, settings = open_run(base.model)[0].matcher, base.generation.settings
        if not (path / MODEL).is_dir():
            path.mkdir(parents=True)
            copy_run(base.model, path)
        if (file := settings.codebook_file(source)) is not None:
            (path / CODEBOOKS).mkdir(exist_ok=True)
            shutil.copyfile(file.path, path / CODEBOOKS / file.path.name)
        codebook = None if file is None else file.read()
        for number in reversed(numbers) if backwards else numbers:
            segment, first = path / SEGMENTS / name_of(number), number * SEGMENT_ROWS
            if segment.is_dir():
                if backwards:
                    return
                continue
            begun = time.process_time()
            entities, side = resampled(base, matcher, first, min(SEGMENT_ROWS, size - first))
            made = time.process_time()
            contents = SegmentContents(entities, pack(side, settings.kind, matcher.entity_tensors, codebook))
            write_segment(segment, contents, settings.kind)
            with (path / TIMES).open("a") as log:
                log.write(f"{len(entities)} {made - begun} {time.process_time() - made}\n")
        rows = [min(SEGMENT_ROWS, size - number * SEGMENT_ROWS) for number in numbers]
        listed = (
            SegmentEntry(name=name_of(number), rows=count, digest=segment_digest(path / SEGMENTS / name_of(number)))
            for number, count in zip(numbers, rows, strict=True)
        )
        if not backwards:
            publish(path, 1, settings.model_copy(update={"pictures": "none"}), tuple(listed))


def name_of(number: int) -> str:
    return f"{number:06d}-{0:012x}"


def seconds_of(path: Path) -> dict[str, float]:
    """Of the processor, for making the sides and for writing them."""
    lines = [list(map(float, line.split())) for line in (path / TIMES).read_text().splitlines()]
    return {"made": sum(line[1] for line in lines), "written": sum(line[2] for line in lines)}


def linked(path: Path, source: Path, candidates: str | None, threads: int) -> dict[str, float]:
    """Seconds and megabytes of one way to link, in a process of its own."""
    torch.set_num_threads(threads)
    model = open_run(path / MODEL)[0]
    start = time.perf_counter()
    base = open_knowledge_base(path)
    opened = time.perf_counter() - start
    start = time.perf_counter()
    linker = searching(ExactLinker(model, base), candidates)
    index = time.perf_counter() - start
    assert isinstance(linker, ExactLinker)
    entities = base.records(np.linspace(0, len(base) - 1, WARM + TIMED).astype(int).tolist())
    asked = [Mention(id=entity.id, text=entity.name, surface=entity.name) for entity in entities]
    side = model.mention_side(linker.items(asked))
    linker.best(side.take(slice(0, WARM)), 10)
    start = time.perf_counter()
    linker.best(side.take(slice(WARM, None)), 10)
    seconds = (time.perf_counter() - start) / TIMED
    if candidates is not None:
        return {candidates: seconds, "index": index}
    return {"opened": opened, "exact": seconds, "private": resident()["RssAnon"]}


def fitted(rows: Mapping[int, Mapping[str, float]], figure: str) -> tuple[float, float]:
    """c and a of c n^a."""
    sizes, values = np.log(list(rows)), np.log([row[figure] for row in rows.values()])
    slope, intercept = np.polyfit(sizes, values, 1) if len(rows) > 1 else (0.0, float(values[0]))
    return float(np.exp(intercept)), float(slope)


def show(rows: Mapping[int, Mapping[str, float]]) -> None:
    print("| entities | " + " | ".join(FIGURES.values()) + " |")
    print("| --- " * (len(FIGURES) + 1) + "|")
    for size, row in rows.items():
        print(f"| {size:,} | " + " | ".join(f"{row[name]:.3g}" for name in FIGURES) + " |")
    print("| exponent | " + " | ".join(f"{fitted(rows, name)[1]:.2f}" for name in FIGURES) + " |")


WIDTH, HEIGHT, LEFT, TOP, SIDE, GAP = 1080, 500, 60, 40, 190, 75  # of the drawing and of each panel in it


def drawing(rows: Mapping[int, Mapping[str, float]]) -> str:
    """A panel a figure: what was measured, and the power of n that was fitted, on logarithmic axes."""
    panels = "".join(
        panel(rows, name, title, LEFT + (number % 4) * (SIDE + GAP), TOP + (number // 4) * (SIDE + 50))
        for number, (name, title) in enumerate(FIGURES.items())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>{panels}</svg>\n'
    )


def panel(rows: Mapping[int, Mapping[str, float]], name: str, title: str, left: int, top: int) -> str:
    factor, power = fitted(rows, name)
    values = [row[name] for row in rows.values()] + [factor * size**power for size in rows]
    across, up = scale(list(rows), left, SIDE), scale(values, top + SIDE, -SIDE)
    ends = [(min(rows), factor * min(rows) ** power), (max(rows), factor * max(rows) ** power)]
    line = " ".join(f"{across(size):.1f},{up(value):.1f}" for size, value in ends)
    dots, labels = "", ""
    for size, row in rows.items():
        dots += f'<circle cx="{across(size):.1f}" cy="{up(row[name]):.1f}" r="4" fill="#1b5e9c"/>'
        labels += f'<text x="{across(size):.1f}" y="{top + SIDE + 16}" text-anchor="middle">{size:.0e}</text>'
    for value in (min(values), max(values)):
        labels += f'<text x="{left - 6}" y="{up(value) + 4:.1f}" text-anchor="end">{value:.2g}</text>'
    return (
        f'<text x="{left}" y="{top - 10}" font-weight="bold">{title}: n^{power:.2f}</text>'
        f'<rect x="{left}" y="{top}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#999"/>'
        f'<polyline points="{line}" stroke="#c0504d" fill="none"/>{dots}{labels}'
    )


def scale(values: Sequence[float], start: float, length: float) -> Any:
    """From a value to its place on a logarithmic axis with a little room at both ends."""
    low, high = np.log(min(values)), np.log(max(values))
    room = max(high - low, 0.1)
    return lambda value: start + length * (0.05 + 0.9 * (np.log(value) - low) / room)


if __name__ == "__main__":
    main()
