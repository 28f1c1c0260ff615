"""How much `melder serve` takes: docs/performance.md.

    melder demo
    melder train experiments/m3el/grocery-compact.offline.yaml --out runs/grocery
    python benchmarks/serving.py --case flags melder-demo/run melder-demo/flags test \\
        --case grocery runs/grocery ../shared/data/grocery dev --soak-minutes 10

A case is a name, a run, its data set, and the split whose mentions are asked. A knowledge base is built of the data
set, and served by a process of its own with its usual settings; the clients are this process. It prints Markdown:

* 1, 8 and 64 clients that ask one mention after the other, with and without pictures;
* twice as many requests a second as 64 clients were answered, at random times: what became of each, and how soon after
  that one client is answered as before (three times running within 1.5 times its p95);
* a soak: 8 clients, half of their requests with a picture; memory, files and threads at each minute.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from serving_load import REFUSED, Measured, Server, closed_loop, open_loop, recovery, serving
from timing import machine

from melder.building.build import build
from melder.data import DataSet, EntityFile, load
from melder.records import Mention
from melder.runs.directory import versions

CLIENTS = (1, 8, 64)
BODIES = 200  # different requests
WARM = 3.0  # seconds of asking before anything is measured
MARGIN = 1.5  # times p95 of one client: what counts as usual
RECOVERY = 30.0  # seconds after which we stop waiting for the usual latency
SOAK = 8  # clients
PACKAGES = ("uvicorn", "fastapi")


@dataclass
class Case:
    """A service to be measured, and requests for it."""

    name: str
    knowledge_base: Path
    texts: list[bytes]
    pictures: list[bytes]

    @property
    def kinds(self) -> dict[str, list[bytes]]:
        return {"no": self.texts, "yes": self.pictures}

    @property
    def mixed(self) -> list[bytes]:
        return [body for pair in zip(self.texts, self.pictures, strict=True) for body in pair]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs=4, action="append", required=True, metavar=("NAME", "RUN", "DATA", "SPLIT"))
    parser.add_argument("--seconds", type=float, default=20, help="of each closed loop")
    parser.add_argument("--overload-seconds", type=float, default=60)
    parser.add_argument("--soak-minutes", type=float, default=0, help="0: no soak")
    options = parser.parse_args()
    print(machine(versions() | {name: version(name) for name in PACKAGES}) + "\n")
    with tempfile.TemporaryDirectory() as folder:
        for name, run, data, split in options.case:
            case = prepared(name, Path(run), load(data), split, Path(folder))
            with serving(case.knowledge_base) as server:
                asyncio.run(measure(case, server, options))


def prepared(name: str, run: Path, dataset: DataSet, split: str, folder: Path) -> Case:
    """A knowledge base of the data set's entities, and requests for its mentions."""
    entities = folder / f"{name}.jsonl"
    with entities.open("w", encoding="utf-8") as file:
        for each in dataset.entities:
            images = tuple(str(dataset.entity_image(image).relative_to(dataset.directory)) for image in each.images)
            file.write(each.model_copy(update={"images": images}).model_dump_json() + "\n")
    build(
        folder / name, EntityFile(entities, dataset.directory), run=run, counting=lambda title, total: lambda done: None
    )
    mentions = [each for each in dataset.split(split) if each.image][:BODIES]
    asked = [asked_of(each) for each in mentions]
    shown = [base64.b64encode(dataset.mention_image(str(each.image)).read_bytes()).decode() for each in mentions]
    texts = [json.dumps(each).encode() for each in asked]
    pictures = [json.dumps(each | {"image": image}).encode() for each, image in zip(asked, shown, strict=True)]
    size = sum(map(len, pictures)) / len(pictures) / 1000
    print(f"{name}: {len(dataset.entities)} entities, {len(asked)} different requests, {size:.0f} kB with a picture")
    return Case(name, folder / name, texts, pictures)


def asked_of(mention: Mention) -> dict[str, object]:
    """The words that are meant where the text has them, else the whole text."""
    start, end = (0, len(mention.text)) if mention.start is None else (mention.start, mention.end)
    return {"text": mention.text, "mentions": [{"start": start, "end": end}]}


async def measure(case: Case, server: Server, options: argparse.Namespace) -> None:
    await closed_loop(server, case.mixed, max(CLIENTS), WARM)
    print(f"\n| {case.name}: pictures | clients | links a second | p50 ms | p95 ms | p99 ms | answers |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    found = dict[tuple[str, int], Measured]()
    for kind, bodies in case.kinds.items():
        for count in CLIENTS:
            one = found[kind, count] = await closed_loop(server, bodies, count, options.seconds)
            print(f"| {kind} | {count} | {one.rate:.0f} | {milliseconds(one)} | {one.statuses()} |", flush=True)
    print(f"\n| {case.name}: pictures | sent a second | links a second | p50, p95, p99 ms | answers | refused: p99 ms |"
          " private MB before, most, after | usual again after |")  # fmt: skip
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for kind, bodies in case.kinds.items():
        alone, most = found[kind, 1], found[kind, max(CLIENTS)]
        print(await overload(server, kind, bodies, alone, 2 * most.rate, options.overload_seconds), flush=True)
    if options.soak_minutes:
        await soak(case, server, options.soak_minutes)


async def overload(server: Server, kind: str, bodies: list[bytes], alone: Measured, rate: float, seconds: float) -> str:
    """A row about so many requests a second."""
    memory = [server.private()]
    watching = asyncio.ensure_future(watch(server, memory))
    one = await open_loop(server, bodies, rate, seconds)
    again = await recovery(server, bodies, MARGIN * alone.percentiles()[1] / 1000, RECOVERY)
    watching.cancel()
    sent = sum(map(len, one.times.values())) + sum(one.failed.values())
    times = ", ".join(f"{each:.0f}" for each in one.percentiles())
    answers = one.statuses() + (f", {one.unclean} of them without Retry-After" if one.unclean else "")
    megabytes = f"{memory[0]:.0f}, {max(memory):.0f}, {server.private():.0f}"
    refused = f"{one.percentiles(REFUSED)[2]:.0f}"
    cells = (kind, f"{sent / one.seconds:.0f}", f"{one.rate:.0f}", times, answers, refused, megabytes, f"{again:.1f} s")
    return f"| {' | '.join(cells)} |"


async def watch(server: Server, memory: list[float]) -> None:
    while True:
        await asyncio.sleep(0.5)
        memory.append(server.private())


async def soak(case: Case, server: Server, minutes: float) -> None:
    print(f"\n| {case.name}: minute | private MB | files | threads | links a second | p99 ms | answers |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    start = time.monotonic()
    while (left := start + 60 * minutes - time.monotonic()) > 1:
        one = await closed_loop(server, case.mixed, SOAK, min(60.0, left))
        minute, p99 = (time.monotonic() - start) / 60, one.percentiles()[2]
        state = f"{server.private():.1f} | {server.files()} | {server.threads()}"
        print(f"| {minute:.1f} | {state} | {one.rate:.0f} | {p99:.0f} | {one.statuses()} |", flush=True)


def milliseconds(measured: Measured) -> str:
    return " | ".join(f"{each:.1f}" for each in measured.percentiles())


if __name__ == "__main__":
    main()
