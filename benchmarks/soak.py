"""An hour of a service that is used, attacked, changed and compacted at once: docs/reliability.md.

    melder demo
    melder kb build melder-demo/run --entities melder-demo/flags/entities.jsonl --out flags-kb
    python benchmarks/soak.py flags-kb --data melder-demo/flags --out soak.jsonl --svg docs/soak.svg
    python benchmarks/soak.py flags-kb --data melder-demo/flags --out soak.jsonl --svg docs/soak.svg --draw   # again

A copy of the knowledge base is served by a process of its own with one thread. Meanwhile, from here:

* ten requests a second: links with and without pictures, found mentions, batches, explanations, reconciliation,
  suggestions, NIF and records; one in a hundred is hostile (benchmarks/attacks.py, and connections that say nothing);
* a change every second: an entity is added, replaced, taught a mention, removed; its type links to it as it is now;
* every five minutes `melder kb compact`.

Every answer is compared with that of the same request before any change, apart from entities that came since, and
links with those of `melder.load`. (Take a run whose encoder computes in float32: in bf16 links depend on what stands
beside them, in their third digit.) Each minute is a line of --out. It fails where an answer was wrong, or where the
last quarter's memory, descriptors, maps or processor time are more than five per cent above the second's.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from soak_curve import FIGURES, drawing, quarters, table
from soak_requests import Changes, Client, Hostile, Usual
from soak_service import SoakService, serving
from timing import machine

from melder.runs.directory import versions

RATE = 10.0  # requests a second
CLIENTS = 4
HOSTILE = 100  # one request of so many
ALLOWED = 1.05  # the last quarter against the second


@dataclass
class Tally:
    """What became of all requests; shared by all threads."""

    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)  # since the last minute's line
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, kind: str, seconds: float | None, mistake: str | None) -> None:
        with self.lock:
            self.answers[kind] += 1
            if seconds is not None:
                self.milliseconds.append(1000 * seconds)
            if mistake is not None:
                self.wrong.append(f"{time.strftime('%H:%M:%S')} {kind}: {mistake}")
                print(self.wrong[-1], file=sys.stderr, flush=True)

    def minute(self) -> list[float]:
        with self.lock:
            times, self.milliseconds = sorted(self.milliseconds), []
        return times


def every(seconds: float, act: Callable[[int], None], ended: threading.Event, first: float = 0.0) -> threading.Thread:
    """Call `act` with 0, 1, … so often, in a thread of its own, until the end; late calls are not caught up with."""

    def run() -> None:
        due, number = time.monotonic() + first, 0
        while not ended.wait(max(0.0, due - time.monotonic())):
            act(number)
            number += 1
            due = max(due + seconds, time.monotonic())

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def soak(service: SoakService, knowledge_base: Path, data: Path, minutes: float, out: Path) -> Tally:
    tally, ended = Tally(), threading.Event()
    usual, hostile, changes = Usual(service.url, knowledge_base, data), Hostile(service.url), Changes(service)

    def ask(client: Client, place: int, number: int) -> None:
        order = number * CLIENTS + place
        start = time.monotonic()
        if order % HOSTILE == HOSTILE - 1:
            kind, mistake = hostile.play(order // HOSTILE)
            tally.count(f"hostile: {kind}", None, mistake)
        else:
            kind, mistake = usual.ask(client, order)
            tally.count(kind, time.monotonic() - start, mistake)

    def change(number: int) -> None:
        tally.count("change", None, changes.make(number))

    def compact(_: int) -> None:
        command = [sys.executable, "-c", "from melder.cli import main; main()", "kb", "compact", str(knowledge_base)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        tally.count("compaction", None, done.stderr if done.returncode else None)

    clients = [partial(ask, Client(service.url), place) for place in range(CLIENTS)]
    threads = [every(CLIENTS / RATE, client, ended) for client in clients]
    threads += [every(1.0, change, ended), every(300.0, compact, ended, first=300.0)]
    try:
        record(service, tally, minutes, out)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        hostile.close()
    return tally


def record(service: SoakService, tally: Tally, minutes: float, out: Path) -> None:
    """A line of JSON a minute: means of what the process held, times of the requests that are not hostile."""
    with out.open("w", encoding="utf-8") as file:
        for minute in range(1, round(minutes) + 1):
            seconds, samples, end = service.seconds(), list[dict[str, float]](), time.monotonic() + 60
            while time.monotonic() < end:
                time.sleep(1)
                samples.append(service.held())
            times = tally.minute()
            held = {name: sum(sample[name] for sample in samples) / len(samples) for name in samples[0]}
            row = held | {
                "minute": minute,
                "median": times[len(times) // 2],
                "p99": times[int(0.99 * len(times))],
                "processor": 1000 * (service.seconds() - seconds) / len(times),
                "requests": len(times),
                "wrong": len(tally.wrong),
            }
            file.write(json.dumps(row) + "\n")
            file.flush()


def show(out: Path, svg: Path | None) -> list[str]:
    """Print the quarters; the figures that grew."""
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    print(table(rows))
    if svg is not None:
        svg.write_text(drawing(rows), encoding="utf-8")
    wrong = ["wrong answers"] if rows[-1]["wrong"] else []
    return wrong + [title for name, title in FIGURES.items() if grew(name, rows)]


def grew(name: str, rows: list[dict[str, float]]) -> bool:
    """Latency is not held to it: it is beside whatever else the machine does."""
    second, last = quarters(rows, name)
    return name not in ("median", "p99") and last > ALLOWED * second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("knowledge_base", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="the data set, whose test split is linked")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--out", type=Path, required=True, help="a line of JSON a minute")
    parser.add_argument("--svg", type=Path)
    parser.add_argument("--draw", action="store_true", help="only draw what is in --out")
    options = parser.parse_args()
    if not options.draw:
        print(machine(versions()) + "\n", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copytree(options.knowledge_base, Path(folder) / "kb")
            with serving(copy, Path(folder)) as service:
                tally = soak(service, copy, options.data, options.minutes, options.out)
        for kind, count in sorted(tally.answers.items()):
            print(f"| {kind} | {count:,} |")
        print(f"{len(tally.wrong)} wrong answers; the service wrote {len(service.log) / 1000:.1f} kB of log\n")
    if failures := show(options.out, options.svg):
        sys.exit(f"beyond what is allowed: {'; '.join(failures)}")


if __name__ == "__main__":
    main()
