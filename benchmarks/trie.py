"""How fast a trie of a million names is built and opened, and how large it is: a table of docs/performance.md.

    python benchmarks/trie.py [--names 1000000] [--rounds 3]

Names are made from a seed (benchmarks/plausible_names.py) and written with a byte-level BPE tokenizer of 30,000 tokens
that is trained on a sample of them, which is not timed. Building includes tokenisation.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from plausible_names import plausible_names, trained_tokenizer

from melder.generative.trie import NameTrie

BEAMS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    names = plausible_names(options.names)
    tokenizer = trained_tokenizer(names[::10], 30_000)
    with tempfile.TemporaryDirectory() as directory:
        report(names, tokenizer, Path(directory), options.rounds)


def report(names: list[str], tokenizer, directory: Path, rounds: int) -> None:  # type: ignore[no-untyped-def]
    end, encode = tokenizer.eos_token_id, tokenizer.backend_tokenizer.encode_batch_fast

    def tokens(some: list[str]) -> list[list[int]]:
        return [[*each.ids, end] for each in encode(some, add_special_tokens=False)]

    trie, _ = NameTrie.build(names, tokens)
    trie.save(directory)
    nodes = steps(trie)
    rows = {
        "tokenise, s": timed(lambda: tokens(names), rounds),
        "build, tokenisation included, s": timed(lambda: NameTrie.build(names, tokens), rounds),
        "open, s": timed(lambda: NameTrie.open(directory), 3 * rounds),
        f"allowed tokens of {BEAMS} beams, first step, µs": 1e6 * timed(lambda: trie.allowed(nodes[0]), 20),
        f"allowed tokens of {BEAMS} beams, later steps, µs": 1e6
        * statistics.mean(timed(lambda node=node: trie.allowed(node), 20) for node in nodes[1:]),
    }
    size = sum(file.stat().st_size for file in directory.iterdir())
    print(f"{len(trie):,} names, {trie.first.nodes:,} nodes, {size / 1e6:.1f} MB on disk; medians of {rounds}\n")
    print("| | |\n| --- | --- |")
    for name, value in rows.items():
        print(f"| {name} | {value:.3g} |")


def steps(trie: NameTrie) -> list[np.ndarray]:
    """Nodes of a beam at each step of a walk that takes ways at random."""
    draw, nodes, found = np.random.default_rng(0), np.full(BEAMS, trie.root), []
    while len(nodes) == BEAMS:
        found.append(nodes)
        ways = trie.allowed(nodes)
        inner = ways.node[ways.token != trie.end]
        nodes = draw.choice(inner, BEAMS) if len(inner) else inner
    return found


def timed(way: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        way()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":
    main()
