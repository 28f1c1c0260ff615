"""How fast mentions are decoded, against `generate` of transformers: a table of docs/performance.md.

    python benchmarks/decoding.py [--mentions 16] [--names 50000] [--threads 2] [--rounds 3]

The plain way is `generate(inputs_embeds, prefix_allowed_tokens_fn over nested dictionaries, num_beams=5)`, one mention
at a time, with its normal key-value cache. The model is an OPT with random weights (4 layers of 256), prompts have
about 700 positions (16 demonstrations), names are made from a seed. The first answers and their scores must be the
same. All ways take turns; a ratio is the median of those of the rounds.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import torch
from plausible_names import plausible_names, trained_tokenizer
from timing import machine, parser_of, times_of
from transformers import OPTConfig, OPTForCausalLM

from melder.generative.decoding import beam_search
from melder.generative.prefilled import Prompt
from melder.generative.trie import NameTrie
from melder.runs.directory import versions

BEAMS, POSITIONS, VOCABULARY = 5, 700, 30_000
SIZES = (1, 4, 16)  # mentions at a time
Answers = list[tuple[list[int], float]]  # for each mention the first name's tokens, and its score


def main() -> None:
    parser = parser_of(__doc__, rounds=3)
    parser.add_argument("--mentions", type=int, default=16)
    parser.add_argument("--names", type=int, default=50_000)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    names = plausible_names(options.names)
    tokenizer = trained_tokenizer(names, VOCABULARY)
    rows = [[*each.ids, tokenizer.eos_token_id] for each in tokenizer.backend_tokenizer.encode_batch_fast(names)]
    model = small_opt(len(tokenizer), tokenizer.eos_token_id)
    with torch.inference_mode():
        report(model, prompts(model, options.mentions), rows, options)


def report(model: Any, prompt: Prompt, rows: list[list[int]], options: argparse.Namespace) -> None:
    trie, _ = NameTrie.build(map(str, range(len(rows))), lambda some: [rows[int(each)] for each in some])
    tree = nested(rows)
    ways: dict[str, Callable[[], Answers]] = {
        "generate, one mention at a time": lambda: plain(model, prompt, tree),
        **{f"Melder, {size} at a time": lambda size=size: melder(model, prompt, trie, rows, size) for size in SIZES},
    }
    answers = {name: way() for name, way in ways.items()}
    print(machine(versions()) + "\n")
    show(times_of(ways, options.rounds), answers, options)


def small_opt(vocabulary: int, end: int) -> Any:
    config = OPTConfig(
        vocab_size=vocabulary, hidden_size=256, word_embed_proj_dim=256, ffn_dim=1024, num_hidden_layers=4,
        num_attention_heads=4, init_std=0.1, bos_token_id=end, eos_token_id=end, pad_token_id=1,
    )  # fmt: skip
    return OPTForCausalLM(config).eval()


def prompts(model: Any, count: int) -> Prompt:
    """Random tokens, embedded; lengths differ by up to 5 %, padded on the left."""
    lengths = torch.randint(POSITIONS * 95 // 100, POSITIONS + 1, (count, 1))
    ids = torch.randint(3, model.config.vocab_size, (count, int(lengths.max())))
    mask = (torch.arange(ids.shape[1]) >= ids.shape[1] - lengths).long()
    return Prompt(model.get_input_embeddings()(ids).detach(), mask)


def nested(rows: list[list[int]]) -> dict:
    root: dict = {}
    for row in rows:
        node = root
        for token in row:
            node = node.setdefault(token, {})
    return root


def plain(model: Any, prompt: Prompt, tree: dict) -> Answers:
    def allowed(_: int, tokens: torch.Tensor) -> list[int]:
        node = tree
        for token in tokens.tolist():
            node = node.get(token, {})
        return list(node) or [model.config.pad_token_id]  # a beam that has ended, or never was one

    found = []
    for row in range(len(prompt)):
        one = prompt.take(slice(row, row + 1))
        output = model.generate(
            inputs_embeds=one.inputs_embeds, attention_mask=one.attention_mask, prefix_allowed_tokens_fn=allowed,
            num_beams=BEAMS, length_penalty=1.0, early_stopping=False, do_sample=False, max_new_tokens=32,
            use_cache=True, output_scores=True, return_dict_in_generate=True,
        )  # fmt: skip
        tokens = [token for token in output.sequences[0].tolist() if token != model.config.pad_token_id]
        found.append((tokens, float(output.sequences_scores[0])))
    return found


def melder(model: Any, prompt: Prompt, trie: NameTrie, rows: list[list[int]], size: int) -> Answers:
    found = []
    for start in range(0, len(prompt), size):
        found += beam_search(model, prompt.take(slice(start, start + size)), trie, beams=BEAMS, max_new_tokens=32)
    return [(rows[int(each.numbers[0])], float(each.scores[0])) for each in found]


def show(times: dict[str, list[float]], answers: dict[str, Answers], options: argparse.Namespace) -> None:
    first = next(iter(answers))
    print(f"{options.mentions} mentions, prompts of about {POSITIONS} positions, {options.names:,} names,")
    print(f"{BEAMS} beams, {options.threads} threads, float32, medians of {options.rounds}\n")
    print("| | mentions a second | times as many as `generate` | same answers | largest difference of a score |")
    print("| --- | --- | --- | --- | --- |")
    for name, seconds in times.items():
        pairs = list(zip(answers[name], answers[first], strict=True))
        same = sum(own[0] == other[0] for own, other in pairs)
        difference = max((abs(own[1] - other[1]) for own, other in pairs if own[0] == other[0]), default=0.0)
        ratio = statistics.median(plain / own for plain, own in zip(times[first], seconds, strict=True))
        speed = f"{options.mentions / statistics.median(seconds):.2f} | {ratio:.1f}"
        print(f"| {name} | {speed} | {same} of {len(pairs)} | {difference:.1e} |")


if __name__ == "__main__":
    main()
