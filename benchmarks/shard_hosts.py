"""A knowledge base in three hosts, one of which is cut off and comes back: docs/scale.md.

    sudo python benchmarks/shard_hosts.py ENTITIES.jsonl --encoder starter --work DIR

Hosts are network namespaces on this machine (`ip netns`; root makes them), each with an address of its own at a bridge.
Three have a third of the entities each, in a knowledge base that `melder serve` serves; the fourth asks them over HTTP,
as `melder.load(SET)` does. One host's link goes down while it is asked, stays down, and comes up again. Printed are the
seconds of questions, whether their links are those of one knowledge base with all entities, and which shards they name
as missing. --seconds is what an answer of a shard may take. The knowledge bases stay in --work, everything else goes.

Where namespaces are not permitted, --loopback takes three addresses 127.0.0.2 … of this machine instead; a host is then
cut off by stopping its process (SIGSTOP), which is silent as a cut cable is.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from timing import machine

from melder.runs.directory import versions

PORT, HOSTS = 8000, 3
ASKER = HOSTS  # the number of the host that asks
NET = "10.231.17"
ASKED = 30  # questions of a stage
READY = 180.0  # seconds until a service must answer
SAME = 1e-4  # of a score, that may differ: sums of other shapes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("entities", type=Path, nargs="?", help="a file of entities, JSON Lines")
    parser.add_argument("--first", type=int, default=900, help="entities that are taken")
    parser.add_argument("--encoder", default="starter")
    parser.add_argument("--work", type=Path, help="where knowledge bases are made, or are already")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--loopback", action="store_true")
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)  # what this program does in the fourth host
    options = parser.parse_args()
    if options.ask is not None:
        answer_questions(options.ask)
        return
    print(machine(versions()) + "\n")
    lines = options.entities.read_text(encoding="utf-8").splitlines()[: options.first]
    texts = build_all(lines, options.entities.parent, options.encoder, options.work)
    with ExitStack() as stack:
        hosts = stack.enter_context(addresses(options.loopback))
        services = [stack.enter_context(served(host, options.work / f"kb{n}")) for n, host in enumerate(hosts[:HOSTS])]
        for host in hosts[:HOSTS]:
            wait_for(hosts[ASKER], host)
        named = [f"http://{host.address}:{PORT}" for host in hosts[:HOSTS]]
        write_set(options.work / "set", named, options.seconds)
        asker = stack.enter_context(asking(hosts[ASKER], options.work))
        rehearse(asker, texts, hosts[1], services[1])


def rehearse(asker: Asker, texts: Sequence[str], host: Host, service: subprocess.Popen[bytes]) -> None:
    """Ask while all is well, while a host is cut off, and after."""
    whole = [asker.ask(text, "whole") for text in texts[:ASKED]]
    report("three hosts", [asker.ask(text, "set") for text in texts[:ASKED]], whole)
    host.cut(service)
    started = time.monotonic()
    first = asker.ask(texts[0], "set")
    report("one cut off, the first question", [first], whole)
    report("one cut off, the next ones", [asker.ask(text, "set") for text in texts[:ASKED]], whole)
    while time.monotonic() - started < 10:  # long enough for connections to be given up
        asker.ask(texts[0], "set")
    host.mend(service)
    back = time.monotonic()
    while asker.ask(texts[0], "set")["missing"]:
        if time.monotonic() - back > READY:
            raise SystemExit("the host did not come back")
    print(f"whole again {time.monotonic() - back:.2f} s after the host was back")
    report("three hosts again", [asker.ask(text, "set") for text in texts[:ASKED]], whole)


def report(stage: str, answers: Sequence[dict[str, Any]], whole: Sequence[dict[str, Any]]) -> None:
    seconds = [answer["seconds"] for answer in answers]
    missing = sorted({shard for answer in answers for shard in answer["missing"]})
    equal = sum(is_same(answer["candidates"], one["candidates"]) for answer, one in zip(answers, whole, strict=False))
    print(
        f"{stage}: {len(answers)} questions, median {1000 * statistics.median(seconds):.0f} ms, longest "
        f"{max(seconds):.2f} s; {equal} as from one knowledge base, {sum(map(bool, (a['missing'] for a in answers)))} "
        f"partial, missing {', '.join(missing) or 'none'}"
    )


def is_same(found: Sequence[Sequence[Any]], expected: Sequence[Sequence[Any]]) -> bool:
    """Whether candidates are the same, and their scores to rounding; equal scores may change places."""
    scores = dict(expected)
    return len(found) == len(expected) and all(
        abs(score - ours) <= SAME and abs(scores.get(identity, ours) - score) <= SAME
        for (identity, score), (_, ours) in zip(found, expected, strict=True)
    )


class Host:
    """A namespace, or a loopback address."""

    def __init__(self, number: int, loopback: bool) -> None:
        self.number, self.loopback = number, loopback
        self.name, self.link = f"melder-host{number}", f"melder{number}"
        self.address = f"127.0.0.{number + 2}" if loopback else f"{NET}.{number + 2}"

    def command(self, words: Sequence[str]) -> list[str]:
        return list(words) if self.loopback else ["ip", "netns", "exec", self.name, *words]

    def cut(self, service: subprocess.Popen[bytes]) -> None:
        if self.loopback:
            os.kill(service.pid, signal.SIGSTOP)
        else:
            ip("link", "set", self.link, "down")

    def mend(self, service: subprocess.Popen[bytes]) -> None:
        if self.loopback:
            os.kill(service.pid, signal.SIGCONT)
        else:
            ip("link", "set", self.link, "up")


@contextmanager
def addresses(loopback: bool) -> Iterator[list[Host]]:
    """Three hosts and the one that asks, at a bridge; all of it is taken away at the end."""
    hosts = [Host(number, loopback) for number in range(HOSTS + 1)]
    if loopback:
        yield hosts
        return
    with ExitStack() as stack:
        ip("link", "add", "melder-bridge", "type", "bridge")
        stack.callback(ip, "link", "del", "melder-bridge")
        ip("link", "set", "melder-bridge", "up")
        for host in hosts:
            ip("netns", "add", host.name)
            stack.callback(ip, "netns", "del", host.name)
            ip("link", "add", host.link, "type", "veth", "peer", "name", "eth0", "netns", host.name)
            ip("link", "set", host.link, "master", "melder-bridge", "up")
            ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", "eth0")
            ip("-n", host.name, "link", "set", "eth0", "up")
            ip("-n", host.name, "link", "set", "lo", "up")
        yield hosts


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def build_all(lines: Sequence[str], images: Path, encoder: str, work: Path) -> list[str]:
    """A knowledge base of each third, and one of all, with one model; gives texts to ask about."""
    work.mkdir(parents=True, exist_ok=True)
    parts = {f"kb{number}": lines[number::HOSTS] for number in range(HOSTS)} | {"whole": lines}
    for name in ("whole", *parts):
        if (work / name / "CURRENT").exists():
            continue
        (work / f"{name}.jsonl").write_text("\n".join(parts[name]) + "\n", encoding="utf-8")
        model = ["--encoder", encoder] if name == "whole" else [str(work / "whole" / "model")]
        source = ["--entities", str(work / f"{name}.jsonl"), "--images", str(images)]
        subprocess.run([*melder(), "kb", "build", *model, *source, "--out", str(work / name)], check=True)
    names = [str(json.loads(line)["name"]) for line in lines]
    return [f"Somebody sent {name} to me" for name in names[:: max(1, len(names) // ASKED)]]


def write_set(directory: Path, named: Sequence[str], seconds: float) -> None:
    directory.mkdir(exist_ok=True)
    (directory / "shards.json").write_text(
        json.dumps({"schema_version": 1, "shards": list(named), "seconds": seconds}), encoding="utf-8"
    )


@contextmanager
def served(host: Host, base: Path) -> Iterator[subprocess.Popen[bytes]]:
    service = subprocess.Popen(
        host.command([*melder(), "serve", str(base), "--host", host.address, "--port", str(PORT)])
    )
    try:
        yield service
    finally:
        service.terminate()
        service.wait()


def wait_for(asker: Host, host: Host) -> None:
    """Until a service answers where questions come from."""
    program = f"import urllib.request as r; r.urlopen('http://{host.address}:{PORT}/readyz', timeout=2)"
    end = time.monotonic() + READY
    while subprocess.run(asker.command([sys.executable, "-c", program]), stderr=subprocess.DEVNULL).returncode:
        if time.monotonic() > end:
            raise SystemExit(f"{host.address} does not answer")
        time.sleep(1)


class Asker:
    """This program in the host that asks: a line with a question in, a line with its answer out."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, text: str, where: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([where, text]), file=self._process.stdin, flush=True)
        return dict(json.loads(self._process.stdout.readline()))


@contextmanager
def asking(host: Host, work: Path) -> Iterator[Asker]:
    command = host.command([sys.executable, __file__, "--ask", str(work)])
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Asker(process)
    finally:
        process.communicate()


def answer_questions(work: Path) -> None:
    import melder as package

    linkers = {name: package.load(work / name) for name in ("set", "whole")}
    for line in sys.stdin:
        where, text = json.loads(line)
        start = time.monotonic()
        link = linkers[where].link(text, mention=text.removeprefix("Somebody sent ").removesuffix(" to me"))
        answer = {
            "seconds": time.monotonic() - start,
            "missing": link.missing,
            "candidates": [(candidate.id, candidate.score) for candidate in link.candidates],
        }
        print(json.dumps(answer), flush=True)


def melder() -> list[str]:
    return [sys.executable, "-m", "melder"]


if __name__ == "__main__":
    main()
