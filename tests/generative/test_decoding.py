"""Decoding against brute force, against `generate` of transformers, and against the golden tensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, BloomConfig, BloomForCausalLM, MistralConfig, MistralForCausalLM

from generative.small_models import END, KINDS, VOCABULARY, plain_sums, prompts, small_model
from melder.generative import best_names as exact
from melder.generative import prefixes
from melder.generative.decoding import Found, Score, beam_search, best_names, score_names, score_sequences
from melder.generative.prefilled import PrefilledModel, Prompt
from melder.generative.sequences import Sequences
from melder.generative.trie import NameTrie
from melder.records import MelderError

GOLDEN = Path(__file__).parents[1] / "data" / "parity" / "gemel"
kinds = pytest.mark.parametrize("kind", KINDS)
scores = st.sampled_from(["mean", "sum"])
name_rows = st.lists(
    st.lists(st.integers(3, VOCABULARY - 1), min_size=1, max_size=6).map(lambda row: (*row, END)),
    min_size=1,
    max_size=30,
    unique=True,
)
lengths = st.lists(st.integers(1, 12), min_size=1, max_size=4)


def build(rows: list[tuple[int, ...]]) -> NameTrie:
    """The trie of token rows; a row's number is its place."""
    return NameTrie.build(map(str, range(len(rows))), lambda names: [list(rows[int(name)]) for name in names])[0]


def random_rows(count: int, seed: int = 0) -> list[tuple[int, ...]]:
    draw = np.random.default_rng(seed)
    rows = {(*draw.integers(3, VOCABULARY, draw.integers(1, 7)).tolist(), END) for _ in range(count)}
    return sorted(rows)


def brute(model: Any, prompt: Prompt, rows: list[tuple[int, ...]], score: Score) -> np.ndarray:
    sums = plain_sums(model, prompt, rows)
    return sums / [len(row) for row in rows] if score == "mean" else sums


def assert_best(found: list[Found], expected: np.ndarray, k: int) -> None:
    """The k best of `expected` [mentions, names], in order, each under its own number."""
    for each, row in zip(found, expected, strict=True):
        assert len(set(each.numbers.tolist())) == len(each.numbers) == min(k, len(row))
        np.testing.assert_allclose(each.scores, -np.sort(-row)[:k], atol=2e-5)
        np.testing.assert_allclose(each.scores, row[each.numbers], atol=2e-5)


@kinds
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_every_name_has_the_log_probability_that_it_has_alone_without_padding(kind: str, attention: str) -> None:
    model, rows = small_model(kind, attention), random_rows(40)
    prompt = prompts(model, [3, 9, 1])
    found = score_names(model, prompt, build(rows))
    np.testing.assert_allclose(found.of("sum"), plain_sums(model, prompt, rows), atol=2e-5)
    np.testing.assert_allclose(found.of("mean"), brute(model, prompt, rows, "mean"), atol=2e-5)


@kinds
@pytest.mark.parametrize("score", ["mean", "sum"])
def test_the_exact_search_finds_the_best_names_of_any_model(kind: str, score: Score) -> None:
    model, rows = small_model(kind), random_rows(60)
    prompt = prompts(model, [2, 11, 5])
    found = best_names(model, prompt, build(rows), k=7, score=score)
    assert_best(found, brute(model, prompt, rows, score), 7)


@given(rows=name_rows, length=lengths, k=st.integers(1, 8), score=scores, seed=st.integers(0, 9), room=st.booleans())
def test_the_exact_search_is_brute_force(
    rows: list[tuple[int, ...]], length: list[int], k: int, score: Score, seed: int, room: bool
) -> None:
    model = small_model("opt")
    prompt = prompts(model, length, seed)
    with pytest.MonkeyPatch.context() as patch:
        if not room:  # every reading forgets the one before
            patch.setattr(prefixes, "ROOM", 1)
        assert_best(best_names(model, prompt, build(rows), k=k, score=score), brute(model, prompt, rows, score), k)


@given(rows=name_rows, length=lengths, score=scores, seed=st.integers(0, 9))
def test_enough_beams_are_brute_force(rows: list[tuple[int, ...]], length: list[int], score: Score, seed: int) -> None:
    model = small_model("gpt2")
    prompt = prompts(model, length, seed)
    assert_best(beam_search(model, prompt, build(rows), beams=40, score=score), brute(model, prompt, rows, score), 40)


@given(rows=name_rows, extra=name_rows, seed=st.integers(0, 9), score=scores)
@settings(max_examples=15)
def test_added_names_are_found_and_removed_ones_are_not(
    rows: list[tuple[int, ...]], extra: list[tuple[int, ...]], seed: int, score: Score
) -> None:
    model = small_model("llama")
    prompt, every = prompts(model, [4], seed), rows + [row for row in extra if row not in rows]
    trie = build(rows)
    trie, _ = trie.add(map(str, range(len(rows), len(every))), lambda names: [list(every[int(name)]) for name in names])
    trie = trie.remove(np.array([0]))
    expected = brute(model, prompt, every, score)
    expected[:, 0] = -np.inf
    found = best_names(model, prompt, trie, k=len(every), score=score)
    assert 0 not in found[0].numbers
    np.testing.assert_allclose(found[0].scores, -np.sort(-expected[0])[:-1], atol=2e-5)


@kinds
@pytest.mark.parametrize("score", ["mean", "sum"])
@pytest.mark.parametrize("beams", [2, 5])
def test_beam_search_answers_what_generate_answers(kind: str, score: Score, beams: int) -> None:
    model, rows = small_model(kind), random_rows(150, seed=beams)
    prompt = prompts(model, [4, 8, 2, 8, 5, 6])
    found = beam_search(model, prompt, build(rows), beams=beams, score=score)
    for place, each in enumerate(found):
        answers = generated(model, prompt.take(slice(place, place + 1)), rows, beams, score)
        assert [rows[number] for number in each.numbers] == [row for row, _ in answers]
        np.testing.assert_allclose(each.scores, [value for _, value in answers], atol=1e-5)


def generated(
    model: Any, prompt: Prompt, rows: list[tuple[int, ...]], beams: int, score: Score
) -> list[tuple[tuple[int, ...], float]]:
    """Whole names and their scores from `generate`, over the allowed tokens by plain search through all names."""

    def allowed(_: int, tokens: torch.Tensor) -> list[int]:
        begun = tuple(tokens.tolist())
        return sorted({row[len(begun)] for row in rows if row[: len(begun)] == begun and len(row) > len(begun)}) or [2]

    output = model.generate(
        inputs_embeds=prompt.inputs_embeds,
        attention_mask=prompt.attention_mask,
        prefix_allowed_tokens_fn=allowed,
        num_beams=beams,
        num_return_sequences=beams,
        length_penalty=1.0 if score == "mean" else 0.0,
        early_stopping=False,
        do_sample=False,
        max_new_tokens=max(map(len, rows)),
        pad_token_id=2,
        output_scores=True,
        return_dict_in_generate=True,
    )
    whole = [tuple(token for token in row if token != 2) for row in output.sequences.tolist()]
    return [
        (row, value)
        for row, value in zip(whole, output.sequences_scores.tolist(), strict=True)
        if row in rows and value > -1e6  # below: a beam that had nowhere to go
    ]


def test_names_longer_than_the_tokens_to_generate_are_never_answered_in_part() -> None:
    model, rows = small_model("opt"), [(3, 4, 5, END), (3, 4, END), (6, 7, 8, 9, END)]
    prompt = prompts(model, [3, 5])
    assert [each.numbers.tolist() for each in beam_search(model, prompt, build(rows), max_new_tokens=3)] == [[1], [1]]
    assert [len(each.numbers) for each in beam_search(model, prompt, build(rows), max_new_tokens=2)] == [0, 0]


def test_the_prompt_is_read_once_whatever_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows = small_model("opt"), random_rows(100)
    prompt, trie = prompts(model, [20, 30]), build(rows)
    read: list[tuple[int, ...]] = []
    forward = PrefilledModel._forward

    def counted(self: PrefilledModel, cache: Any, **inputs: Any) -> Any:
        read.append(tuple(inputs.get("input_ids", inputs.get("inputs_embeds")).shape[:2]))
        return forward(self, cache, **inputs)

    monkeypatch.setattr(PrefilledModel, "_forward", counted)
    for way in (beam_search, best_names, score_names):
        read.clear()
        way(model, prompt, trie)
        assert read[0] == (2, 30)
        if way is beam_search:
            assert all(mentions <= 2 and length <= 5 for mentions, length in read[1:])
        if way is best_names:
            assert sum(length for _, length in read[1:]) < trie.first.nodes
        if way is score_names:  # every inner node of the trie but the root, once
            assert sum(length for _, length in read[1:]) == trie.first.nodes - len(trie) - 1


def test_the_exact_search_leaves_out_what_cannot_be_better() -> None:
    model, rows = small_model("opt"), random_rows(400)
    prompt, trie = prompts(model, [5, 9]), build(rows)
    inner = trie.first.nodes - len(trie) - 1
    assert all(0 < found.read < inner / 4 for found in best_names(model, prompt, trie, k=1, score="sum"))
    assert all(0 < found.read < inner for found in best_names(model, prompt, trie, k=1, score="mean"))


@kinds
@pytest.mark.parametrize("at_once", [1, 14])
def test_prompts_read_one_by_one_are_as_those_read_together(
    monkeypatch: pytest.MonkeyPatch, kind: str, at_once: int
) -> None:
    model, rows = small_model(kind), random_rows(30)
    prompt = prompts(model, [4, 7, 1, 7, 2])
    together = score_names(model, prompt, build(rows)).sums
    monkeypatch.setattr("melder.generative.prefilled.AT_ONCE", {"cpu": at_once})
    np.testing.assert_allclose(score_names(model, prompt, build(rows)).sums, together, atol=1e-5)


@pytest.mark.parametrize("at_most", [0, 1, 7, 30])
def test_a_search_that_is_given_up_says_so_and_is_no_worse_than_beam_search(at_most: int) -> None:
    model, rows = small_model("opt"), random_rows(400)
    prompt, trie = prompts(model, [5, 9]), build(rows)
    beams = beam_search(model, prompt, trie, beams=5)
    for each, other in zip(best_names(model, prompt, trie, k=3, at_most=at_most), beams, strict=True):
        assert not each.exact
        assert len(each.numbers) == len(set(each.numbers.tolist())) == 3
        assert all(each.scores >= other.scores[:3] - 1e-5)
        assert each.read <= at_most + other.read
    assert all(each.exact for each in best_names(model, prompt, trie, k=3, at_most=10_000))


@pytest.mark.parametrize("most", [1, 20])
def test_small_blocks_score_alike(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    model, rows = small_model("gpt2"), random_rows(60)
    prompt = prompts(model, [4, 7])
    whole = score_names(model, prompt, build(rows)).sums
    monkeypatch.setattr("melder.generative.name_scores.LEAST", 1)
    monkeypatch.setattr("melder.generative.name_scores.MOST", most)
    np.testing.assert_allclose(score_names(model, prompt, build(rows)).sums, whole, atol=1e-5)


def test_sequences_may_begin_with_one_another_and_need_no_end() -> None:
    model, rows = small_model("opt"), [[3, 4], [3, 4, 5, 6], [3], [3, 4], [7]]
    prompt = prompts(model, [4, 7])
    found = score_sequences(model, prompt, Sequences.of(rows))
    np.testing.assert_allclose(found, plain_sums(model, prompt, rows), atol=2e-5)


def test_names_can_be_scored_by_number_in_any_order() -> None:
    model, rows = small_model("opt"), random_rows(30)
    prompt, numbers = prompts(model, [4, 7]), np.array([7, 2, 11])
    found = score_names(model, prompt, build(rows), numbers)
    np.testing.assert_allclose(found.sums, plain_sums(model, prompt, [rows[i] for i in numbers]), atol=2e-5)
    assert found.lengths.tolist() == [len(rows[i]) for i in numbers]


def test_half_precision_finds_what_it_would_score() -> None:
    model, rows = KINDS["opt"]().eval().to(torch.bfloat16), random_rows(40)
    prompt = prompts(model, [4, 7])
    prompt = Prompt(prompt.inputs_embeds.bfloat16(), prompt.attention_mask)
    every = score_names(model, prompt, build(rows)).of("mean")
    found = best_names(model, prompt, build(rows), k=5)
    for each, row in zip(found, every, strict=True):
        np.testing.assert_allclose(each.scores, -np.sort(-row)[:5], atol=0.05)


def test_ended_mentions_leave_the_batch() -> None:
    model, rows = small_model("opt"), [(3, END), *[(4, *[5] * i, END) for i in range(1, 12)]]
    prompt, trie = prompts(model, [3] * 8), build(rows)
    for k in (1, 12):
        assert_best(best_names(model, prompt, trie, k=k), brute(model, prompt, rows, "mean"), k)
    alone = [beam_search(model, prompt.take(slice(i, i + 1)), trie, beams=2)[0] for i in range(8)]
    for each, one in zip(beam_search(model, prompt, trie, beams=2), alone, strict=True):
        assert each.numbers.tolist() == one.numbers.tolist()


def test_common_padding_is_cut_when_mentions_are_taken() -> None:
    model = small_model("opt")
    taken = prompts(model, [9, 3, 4]).take(slice(1, 3))
    assert taken.attention_mask.tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]
    assert taken.inputs_embeds.shape == (2, 4, 8)


def test_what_a_model_cannot_do_is_one_clear_error() -> None:
    opt, trie = small_model("opt"), build([(3, END)])
    prompt = prompts(opt, [4, 2])
    bloom = BloomForCausalLM(BloomConfig(vocab_size=VOCABULARY, hidden_size=8, n_layer=1, n_head=2))
    with pytest.raises(MelderError, match="position ids"):
        beam_search(bloom, prompt, trie)
    with pytest.raises(MelderError, match="64"):
        beam_search(opt, prompts(opt, [64]), build([(3, 4, END)]))
    with pytest.raises(MelderError, match="left"):
        beam_search(opt, Prompt(prompt.inputs_embeds, prompt.attention_mask.flip(1)), trie)
    with pytest.raises(MelderError, match="empty"):
        beam_search(opt, Prompt(prompt.inputs_embeds, prompt.attention_mask * 0), trie)
    with pytest.raises(MelderError, match="tokenizer"):
        beam_search(opt, prompt, build([(VOCABULARY, END)]))
    with pytest.raises(MelderError, match="not numbers"):
        best_names(opt, Prompt(prompt.inputs_embeds * float("nan"), prompt.attention_mask), trie)


def test_a_prompt_longer_than_a_sliding_window_is_refused() -> None:
    mistral = MistralForCausalLM(
        MistralConfig(
            vocab_size=VOCABULARY, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
            intermediate_size=8, sliding_window=10,
        )
    ).eval()  # fmt: skip
    assert len(beam_search(mistral, prompts(mistral, [8]), build([(3, END)]))[0].numbers) == 1
    with pytest.raises(MelderError, match="window"):
        beam_search(mistral, prompts(mistral, [11]), build([(3, END)]))


def golden() -> tuple[Any, Prompt, NameTrie, dict[str, Any], dict[str, torch.Tensor]]:
    records, tensors = json.loads((GOLDEN / "gemel.json").read_text()), load_file(GOLDEN / "gemel.safetensors")
    prompt = Prompt(tensors["eval/inputs_embeds"], tensors["eval/attention_mask"])
    model = AutoModelForCausalLM.from_pretrained(GOLDEN / "tiny_opt", local_files_only=True).eval()
    return model, prompt, build([tuple(row) for row in records["name_token_ids"]]), records, tensors


def test_golden_log_probabilities() -> None:
    model, prompt, trie, _, tensors = golden()
    found = score_names(model, prompt, trie)
    np.testing.assert_allclose(found.of("mean"), tensors["names/mean_logprob"].numpy(), atol=1e-5)
    np.testing.assert_allclose(found.of("sum"), tensors["names/sum_logprob"].numpy(), atol=1e-5, rtol=1e-6)


def test_golden_beams_and_the_name_that_five_of_them_miss() -> None:
    model, prompt, trie, records, tensors = golden()

    def names(found: list[Found]) -> list[str]:
        return [records["names"][each.numbers[0]] for each in found]

    five = beam_search(model, prompt, trie, beams=5, max_new_tokens=32)
    assert names(five) == records["beam5"]
    assert names(beam_search(model, prompt, trie, beams=len(trie))) == records["beam_wide"]
    assert records["beam5"][0] != records["beam_wide"][0]
    for k in (1, 3, len(trie)):
        assert_best(best_names(model, prompt, trie, k=k), tensors["names/mean_logprob"].numpy(), k)
        assert names(best_names(model, prompt, trie, k=k)) == records["beam_wide"]
    mean = tensors["names/mean_logprob"].numpy()
    for row, each in enumerate(five):
        np.testing.assert_allclose(each.scores, mean[row, each.numbers], atol=1e-5)


def test_many_readings_of_one_search_stay_within_the_logits_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows = small_model("opt"), random_rows(200)
    prompt, widths = prompts(model, [3, 4]), []
    read = PrefilledModel.read
    monkeypatch.setattr(
        PrefilledModel, "read", lambda self, tokens, *rest: widths.append(tokens.size) or read(self, tokens, *rest)
    )
    monkeypatch.setattr(exact, "LOGITS", 6 * VOCABULARY)
    assert_best(best_names(model, prompt, build(rows), k=3), brute(model, prompt, rows, "mean"), 3)
    assert max(widths) <= 6
