"""What a picture costs that many mentions share: POST /link with 20 mentions and a picture against one mention.

    melder demo
    melder kb build melder-demo/run --entities melder-demo/flags/entities.jsonl --out flags-kb
    python benchmarks/shared_picture.py flags-kb melder-demo/flags/images/0.png
    python benchmarks/shared_picture.py flags-kb IMAGE --source now=src --source before=../before/src

Both requests are sent in turn, to every version in turn, so that a busy moment falls on all; each picture is a new one
to the service (its last byte differs), so that nothing is remembered from one request to the next. Printed are the
medians and the median of the ratios of neighbours, and how much processor time each took.
"""

from __future__ import annotations

import argparse
import base64
import json
import statistics
import time
from contextlib import ExitStack
from pathlib import Path

from attacks import Service, serving
from timing import machine

from melder.runs.directory import versions

TEXT = "Guinea won the toss"
MENTIONS = 20


def body_of(image: bytes, number: int, mentions: int) -> bytes:
    """A request whose picture the service has not seen; what stands behind a picture's end is not read."""
    encoded = base64.b64encode(image + number.to_bytes(4, "big")).decode()
    return json.dumps({"text": TEXT, "mentions": [{"start": 0, "end": 6}] * mentions, "image": encoded}).encode()


def measure(service: Service, body: bytes) -> tuple[float, float]:
    """Seconds, and seconds of processor time."""
    start, used = time.perf_counter(), service.seconds()
    status, _ = service.send("/link", body)
    assert status == 200
    return time.perf_counter() - start, service.seconds() - used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("knowledge_base", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("--source", action="append", default=[], metavar="NAME=SRC", help="a version of Melder")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    print(machine(versions()) + "\n")
    image, number = options.image.read_bytes(), 0
    sources = dict(source.split("=", 1) for source in options.source) or {"now": ""}
    times: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in sources}
    with ExitStack() as stack:
        services = {
            name: stack.enter_context(serving(options.knowledge_base, Path(src).resolve() if src else None))
            for name, src in sources.items()
        }
        for round_ in range(options.rounds + 1):
            for name, service in services.items():
                one, many = (measure(service, body_of(image, number := number + 1, count)) for count in (1, MENTIONS))
                if round_:  # the first warms up
                    times[name].append((*one, *many))
    print(f"| version | 1 mention, ms | {MENTIONS} mentions, ms | ratio | CPU ms | CPU ms | ratio of CPU |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, rows in times.items():
        wall_one, cpu_one, wall_many, cpu_many = (
            1000 * statistics.median(column) for column in zip(*rows, strict=True)
        )
        ratio = statistics.median(row[2] / row[0] for row in rows)
        of_cpu = sum(row[3] for row in rows) / max(1e-9, sum(row[1] for row in rows))
        cells = (
            f"{wall_one:.0f}",
            f"{wall_many:.0f}",
            f"{ratio:.1f}",
            f"{cpu_one:.0f}",
            f"{cpu_many:.0f}",
            f"{of_cpu:.1f}",
        )
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
