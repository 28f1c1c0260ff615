"""What it takes to open, change and check a large knowledge base: docs/scale.md.

    python benchmarks/changes.py KB --verify

KB is changed and has the entities that it had at the end: one is added, and removed again; eight are removed, which lie
in as many segments, added again, and everything is compacted. Each step is a process of its own. Printed: seconds,
those of the processor, and private memory (RssAnon) at the most, less what the process had before. The model is opened
before an entity is added, as in a service.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from timing import machine, private_peak

from melder.building.build import add_entities, remove_entities
from melder.kb import Writer, open_knowledge_base
from melder.kb.compaction import compact
from melder.kb.inspection import verify
from melder.records import Entity
from melder.runs.directory import open_model, versions

REMOVED = 8  # entities, of as many segments
NEW = Entity(id="benchmark-entity", name="Ada of the Benchmark", description="Occupation: measured.")


class NoPictures:
    """What entities without any pictures name none of."""

    def entity_image(self, path: str) -> Path:
        raise FileNotFoundError(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kb", type=Path)
    parser.add_argument("--verify", action="store_true", help="read all files through, too")
    options = parser.parse_args()
    print(machine(versions()))
    print("| step | s | processor, s | private, MB |\n| --- | --- | --- | --- |")
    steps: list[Callable[[Path], tuple[str, dict[str, float]]]] = [opened, named, added, removed, compacted]
    for step in [*steps, verified] if options.verify else steps:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            title, figures = pool.apply(step, (options.kb,))
        print(f"| {title} | {figures['s']:.2f} | {figures['processor']:.2f} | {figures['private']:.0f} |", flush=True)


@contextmanager
def measured() -> Iterator[dict[str, float]]:
    torch.set_num_threads(1)
    figures, start, worked = dict[str, float](), time.perf_counter(), time.process_time()
    with private_peak() as peak:
        yield figures
    figures["s"], figures["processor"] = time.perf_counter() - start, time.process_time() - worked
    figures["private"] = peak["most"] - peak["before"]


def opened(path: Path) -> tuple[str, dict[str, float]]:
    with measured() as figures:
        entities = len(open_knowledge_base(path))
    return f"opened, {entities:,} entities", figures


def named(path: Path) -> tuple[str, dict[str, float]]:
    with open_knowledge_base(path) as base, measured() as figures:
        base.search("Ada of the Benchmark")
    return "looked for by words, all segments", figures


def added(path: Path) -> tuple[str, dict[str, float]]:
    with open_knowledge_base(path) as base:
        model = open_model(base.model)
    with measured() as figures:
        add_entities(path, [NEW], NoPictures(), model=model)
    return "one entity added", figures


def removed(path: Path) -> tuple[str, dict[str, float]]:
    with measured() as figures:
        remove_entities(path, [NEW.id])
    return "and removed", figures


def compacted(path: Path) -> tuple[str, dict[str, float]]:
    with open_knowledge_base(path) as base:
        model = open_model(base.model)
        places = [round(number * (len(base) - 1) / REMOVED) for number in range(REMOVED)]
        entities = base.records(places)
    remove_entities(path, [entity.id for entity in entities])
    add_entities(path, entities, NoPictures(), model=model)
    with measured() as figures, Writer.open(path) as writer:
        compact(writer)
    return f"compacted, {REMOVED} segments merged", figures


def verified(path: Path) -> tuple[str, dict[str, float]]:
    with measured() as figures:
        _, faults = verify(path, lambda title, total: lambda done: None)
    assert not faults, faults[0]
    return "all files read through", figures


if __name__ == "__main__":
    main()
