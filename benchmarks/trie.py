"""How fast a trie of a million names is built and opened, and how large it is: a table of docs/performance.md.

    python benchmarks/trie.py [--names 1000000] [--rounds 3]

Names are made from a seed (benchmarks/plausible_names.py) and written with a byte-level BPE tokenizer of 30,000 tokens
that is trained on a sample of them, which is not timed. Building includes tokenisation, and reading every name back
from its tokens, as linking does.
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
from timing import machine
from transformers import OPTConfig, OPTForCausalLM

from melder.generative import LanguageModel
from melder.generative.kept_names import kept_names
from melder.generative.trie import NameTrie
from melder.runs.directory import versions

BEAMS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    names = plausible_names(options.names)
    tokenizer = trained_tokenizer(names[::10], 30_000)
    shape = {"hidden_size": 8, "ffn_dim": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = OPTForCausalLM(OPTConfig(vocab_size=len(tokenizer), word_embed_proj_dim=8, **shape))  # only its tokenizer
    with tempfile.TemporaryDirectory() as directory:
        report(names, LanguageModel("benchmark", model, tokenizer), Path(directory), options.rounds)


def report(names: list[str], model: LanguageModel, directory: Path, rounds: int) -> None:
    trie, _ = kept_names(directory, names, model)
    nodes = steps(trie)
    changed = [*names[5:], "One more name", "And another one"]
    started = time.process_time()
    NameTrie.build(names, model.name_tokens)
    rows = {
        "build, tokenisation included, s of processor time": time.process_time() - started,
        "tokenise and read back, s": timed(lambda: model.name_tokens(names), rounds),
        "build, tokenisation included, s": timed(lambda: NameTrie.build(names, model.name_tokens), rounds),
        "open, s": timed(lambda: NameTrie.open(directory), 3 * rounds),
        "open for a list of the same names, s": timed(lambda: kept_names(directory, names, model), rounds),
        f"allowed tokens of {BEAMS} beams, first step, µs": 1e6 * timed(lambda: trie.allowed(nodes[0]), 20),
        f"allowed tokens of {BEAMS} beams, later steps, µs": 1e6
        * statistics.mean(timed(lambda node=node: trie.allowed(node), 20) for node in nodes[1:]),
    }
    rows["open with five names gone and two new, s"] = timed(lambda: kept_names(directory, changed, model), 1)
    rows["open the changed trie, s"] = timed(lambda: NameTrie.open(directory), 3 * rounds)
    print(machine(versions()) + "\n")
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
