"""What hostile requests cost a service, in processor time and memory.

    melder demo
    melder kb build melder-demo/run --entities melder-demo/flags/entities.jsonl --out flags-kb
    python benchmarks/attacks.py flags-kb
    python benchmarks/attacks.py flags-kb --source ../before/src      # another version of Melder, for a comparison

Each attack meets a service of its own, so that one's memory is not the next one's. Processor time and memory are the
service's own; memory is the most above what it had before. Meanwhile /healthz is asked twenty times a second; of its
slowest answer the processor time is printed that the event loop took from question to answer, and (with --check) the
limits are asserted: twenty normal links of processor time, 64 MB, and 100 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from timing import machine

from melder.runs.directory import versions

TICKS = os.sysconf("SC_CLK_TCK")
NIF = "@prefix nif: <http://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core#> .\n"
XSD = "@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .\n"
TEXT = '<urn:d> a nif:Context ; nif:isString "Guinea won" .\n'
LINK = {"text": "Guinea won the toss", "mentions": [{"start": 0, "end": 6}]}
SPAN = {"start": 0, "end": 6}
LIMITS = (20, 64.0, 100.0)  # normal links of processor time, MB, milliseconds of /healthz
HEALTHS = 50  # requests for what one of them costs
FORM = "application/x-www-form-urlencoded"


@dataclass
class Attack:
    """A request: where it goes, and its body, made when it is needed."""

    name: str
    path: str
    body: Callable[[], bytes]
    content_type: str = "application/json"
    is_priced: bool = False  # it asks for as much work as it costs


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def as_form(name: str, value: object) -> bytes:
    return urllib.parse.urlencode({name: json.dumps(value)}).encode()


def many_mentions(count: int) -> Callable[[], bytes]:
    return lambda: b'{"text": "a", "mentions": [' + b",".join([b"{}"] * count) + b"]}"


def nif(triples: int) -> bytes:
    lines = "".join(f"<urn:s{number}> <urn:p> <urn:o{number}> .\n" for number in range(triples))
    return (NIF + TEXT + lines).encode()


LONG = ("Guinea " * 2858)[:20_000]
ATTACKS = (
    Attack("/link, 100,000 mentions {}", "/link", many_mentions(100_000)),
    Attack("/link, 1,000,000 mentions {}", "/link", many_mentions(1_000_000)),
    Attack("/link, 28 MB of text", "/link", lambda: as_json({"text": "a b " * 7_000_000})),
    Attack(
        "/reconcile, v of 100,000 {}",
        "/reconcile",
        lambda: as_form("queries", {"q": {"query": "x", "properties": [{"pid": "p", "v": [{}] * 100_000}]}}),
        FORM,
    ),
    Attack("/reconcile, 9,000,000 escapes", "/reconcile", lambda: b"queries=" + b"%41" * 9_000_000, FORM),
    Attack("/link/batch, 100,000 numbers", "/link/batch", lambda: as_json({"requests": [0] * 100_000})),
    Attack(
        "extend, 1,000,000 ids",
        "/reconcile",
        lambda: as_form("extend", {"ids": ["a"] * 1_000_000, "properties": []}),
        FORM,
    ),
    Attack(
        "NIF, 1e100000000", "/nif", lambda: (NIF + XSD + TEXT + '<urn:d> <urn:p> "1e100000000"^^xsd:decimal .').encode()
    ),
    Attack("NIF, 20,000 triples", "/nif", lambda: nif(20_000)),
    Attack(
        "128 mentions of 20,000 characters, k = 100",
        "/link",
        lambda: as_json({"text": LONG, "mentions": [SPAN] * 128, "k": 100}),
        is_priced=True,
    ),
    Attack(
        "batch of 64 × 20,000 characters, no mention",
        "/link/batch",
        lambda: as_json({"requests": [{"text": "x y " * 5000}] * 64}),
        is_priced=True,
    ),
    Attack(
        "64 texts of different types",
        "/link/batch",
        lambda: as_json({"requests": [LINK | {"types": [f"t{number}", "country"]} for number in range(64)]}),
        is_priced=True,
    ),
    Attack(
        "50 long names to reconcile",
        "/reconcile",
        lambda: as_form("queries", {str(number): {"query": f"{number} " + "Guinea " * 2850} for number in range(50)}),
        FORM,
        is_priced=True,
    ),
)


class Service:
    """A `melder serve` in a process of its own, whose processor time and memory can be read."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.url, self.log = process, url, ""
        parts = urllib.parse.urlsplit(url)
        self.address = (str(parts.hostname), int(parts.port or 0))

    def seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def loop_seconds(self) -> float:
        """Of the main thread, which runs the event loop; to nanoseconds, where Linux counts them."""
        return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[0]) / 1e9

    def megabytes(self, name: str = "VmRSS") -> float:
        found = re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1]) / 1024

    def forget_peak(self) -> None:
        """From now on VmHWM is the most since now (Linux, proc(5))."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def send(self, path: str, body: bytes | None, content_type: str = "application/json") -> tuple[int, int]:
        """The status and the bytes of the answer."""
        request = urllib.request.Request(self.url + path, body, {"Content-Type": content_type})
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return answer.status, len(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, len(error.read())
        except OSError:  # closed while the body was being sent: it was too large
            return 0, 0


@contextmanager
def serving(
    knowledge_base: Path, source: Path | None, files: int | None = None, options: Sequence[str] = ()
) -> Iterator[Service]:
    environment = os.environ | ({} if source is None else {"PYTHONPATH": str(source)})
    command = [sys.executable, "-c", "from melder.cli import main; main()", "serve", str(knowledge_base), "--port", "0"]
    command += options

    def limit() -> None:
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=limit)
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.search(r"at (http://\S+)$", line.strip())
    assert found, line
    service = Service(process, found[1])
    log = threading.Thread(target=lambda pipe: setattr(service, "log", pipe.read()), args=(process.stderr,))
    log.start()
    try:
        for _ in range(3):
            service.send("/link", as_json(LINK))
            service.send("/healthz", None)
        yield service
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        log.join()


@dataclass
class Health:
    """Milliseconds of each answer of /healthz: by the clock, and of the event loop's processor time meanwhile."""

    elapsed: list[float]
    worked: list[float]
    unanswered: int = 0

    @property
    def slowest(self) -> float:
        """Of processor time, which does not depend on what else the machine does; infinite where one got no answer."""
        return max(self.worked) if self.worked and not self.unanswered else float("inf")


@contextmanager
def health(service: Service) -> Iterator[Health]:
    """Ask for /healthz meanwhile, twenty times a second."""
    times, ended = Health([], []), threading.Event()

    def ask() -> None:
        while not ended.is_set():
            start, begun = time.monotonic(), service.loop_seconds()
            try:
                with urllib.request.urlopen(service.url + "/healthz", timeout=120) as answer:
                    answer.read()
                times.elapsed.append(1000 * (time.monotonic() - start))
                times.worked.append(1000 * (service.loop_seconds() - begun))
            except OSError:
                times.unanswered += 1
            ended.wait(0.05)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield times
    finally:
        ended.set()
        asking.join()


def played(attack: Attack, knowledge_base: Path, source: Path | None) -> tuple[int, float, float, Health, int, int]:
    """Status, seconds of processor time, MB, what became of /healthz, bytes of the request and of the answer."""
    body = attack.body()
    with serving(knowledge_base, source) as service:
        service.forget_peak()
        seconds, megabytes = service.seconds(), service.megabytes()
        with health(service) as times:
            status, size = service.send(attack.path, body, attack.content_type)
        spent = service.seconds() - seconds
        begun = service.seconds()
        for _ in range(HEALTHS):
            service.send("/healthz", None)
        spent = max(
            0.0, spent - len(times.elapsed) * (service.seconds() - begun) / HEALTHS
        )  # less what asking for health cost
        return status, spent, service.megabytes("VmHWM") - megabytes, times, len(body), size


def normal(knowledge_base: Path, source: Path | None, count: int = 50) -> float:
    """Seconds of processor time of a link."""
    with serving(knowledge_base, source) as service:
        start = service.seconds()
        for _ in range(count):
            service.send("/link", as_json(LINK))
        return (service.seconds() - start) / count


@dataclass
class Flood:
    """Connections that are opened at once and held."""

    silent: int
    dripping: int
    unread: int  # that ask for much and read nothing
    files: int | None  # that the service may have open; None: as many as it likes
    wait: float = 45.0

    @property
    def name(self) -> str:
        limited = "" if self.files is None else f", `ulimit -n {self.files}`"
        return f"{self.silent} silent, {self.dripping} dripping heads, {self.unread} that do not read{limited}"


FLOODS = (Flood(500, 200, 100, None), Flood(200, 80, 20, 256))


def begin(flood: Flood, address: tuple[str, int]) -> tuple[list[socket.socket], list[socket.socket]]:
    """All connections, and those whose heads drip."""
    opened = list[socket.socket]()
    for number in range(flood.silent + flood.dripping + flood.unread):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(30)
        connection.connect(address)
        opened.append(connection)
        with suppress(OSError):
            if number >= flood.silent + flood.dripping:
                connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
            elif number >= flood.silent:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: local")
    return opened, opened[flood.silent : flood.silent + flood.dripping]


def drip(connections: list[socket.socket], seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for connection in connections:
            with suppress(OSError):
                connection.sendall(b"h")
        time.sleep(1)


def still_open(connections: list[socket.socket]) -> int:
    """How many the service has not ended; all are closed here."""
    count = 0
    for connection in connections:
        connection.setblocking(False)
        try:
            while connection.recv(65_536):
                pass
        except BlockingIOError:
            count += 1
        except OSError:
            pass
        connection.close()
    return count


def flooded(flood: Flood, knowledge_base: Path, source: Path | None) -> tuple[list[str], float]:
    """The cells of a row about a flood, and its slowest answer of /healthz."""
    with serving(knowledge_base, source, flood.files) as service:
        start = service.seconds()
        with health(service) as times:
            opened, dripping = begin(flood, service.address)
            drip(dripping, flood.wait)
        seconds, left = service.seconds() - start, still_open(opened)
    answered, slowest = (
        len(times.elapsed),
        f"{max(times.worked, default=0):.0f}, {max(times.elapsed, default=0):.0f} ms",
    )
    cells = [f"{left} after {flood.wait:.0f} s", f"{answered} of {answered + times.unanswered}", slowest]
    return [*cells, f"{seconds:.1f} s", f"{len(service.log) / 1000:.1f} kB"], times.slowest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("knowledge_base", type=Path)
    parser.add_argument("--source", type=Path, help="src of another version of Melder")
    parser.add_argument("--only", default="", help="attacks whose name has this")
    parser.add_argument("--check", action="store_true", help="fail where a limit is passed")
    parser.add_argument("--no-connections", action="store_true")
    options = parser.parse_args()
    print(machine(versions()) + "\n")
    usual = normal(options.knowledge_base, options.source)
    print(
        "| request | size | status | answer | CPU | memory | slowest /healthz |\n"
        "| --- | --- | --- | --- | --- | --- | --- |"
    )
    print(f"| a normal link | – | 200 | – | {usual:.3f} s | – | – |", flush=True)
    passed = list[str]()
    for attack in ATTACKS:
        if options.only not in attack.name:
            continue
        status, seconds, megabytes, times, sent, size = played(attack, options.knowledge_base, options.source)
        cells = (
            f"{sent / 1e6:.1f} MB",
            status or "closed",
            f"{size / 1e6:.1f} MB",
            f"{seconds:.2f} s",
            f"{megabytes:+.0f} MB",
        )
        print(f"| {attack.name} | {' | '.join(map(str, cells))} | {times.slowest:.0f} ms |", flush=True)
        over = (seconds > LIMITS[0] * usual and not attack.is_priced, megabytes > LIMITS[1], times.slowest > LIMITS[2])
        if any(over):
            passed.append(attack.name)
    if not options.no_connections:
        print(
            "\n| connections | open | /healthz answered | slowest | CPU | log |\n| --- | --- | --- | --- | --- | --- |"
        )
        for flood in FLOODS:
            cells, slowest = flooded(flood, options.knowledge_base, options.source)
            print(f"| {flood.name} | {' | '.join(cells)} |", flush=True)
            passed += [flood.name] if slowest > LIMITS[2] else []
    if options.check and passed:
        sys.exit(f"beyond a limit: {'; '.join(passed)}")


if __name__ == "__main__":
    main()
