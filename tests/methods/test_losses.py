"""Losses against their formulas, written as sums over the batch."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cosine_similarity

from melder.features import Features, Heads
from melder.methods.losses import Batch, cross_entropy, intra_modal_contrastive
from units.made import features, lacking

PAIRS = 5
TEMPERATURE, INTER, INTRA = 0.03, 1.0, 0.8
ANSWERS = st.lists(st.integers(0, 2), min_size=PAIRS, max_size=PAIRS)
ROWS = st.sets(st.integers(0, PAIRS - 1))


@given(ANSWERS)
def test_cross_entropy_leaves_repetitions_of_the_gold_entity_out(answers: list[int]) -> None:
    batch = _batch(features(PAIRS, 1), features(PAIRS, 2), answers)
    scores = torch.randn(PAIRS, PAIRS, generator=torch.Generator().manual_seed(0))
    losses = []
    for row in range(PAIRS):
        others = [column for column in range(PAIRS) if column == row or answers[column] != answers[row]]
        losses.append(-math.log(math.exp(scores[row, row]) / sum(math.exp(scores[row, column]) for column in others)))
    assert cross_entropy(scores, batch).item() == pytest.approx(sum(losses) / PAIRS, rel=1e-5)


def test_cross_entropy_takes_this_processs_rows_of_the_batch() -> None:
    batch = replace(_batch(features(PAIRS, 1), features(PAIRS, 2)), gold=torch.tensor([3, 4]))
    scores = torch.randn(2, PAIRS + 2)  # two sampled negatives follow
    batch.ignore = torch.zeros(2, PAIRS + 2, dtype=torch.bool)
    expected = -scores.log_softmax(dim=1)[[0, 1], [3, 4]].mean()
    assert torch.allclose(cross_entropy(scores, batch), expected)


def test_cross_entropy_of_half_precision_scores_is_computed_in_float32() -> None:
    scores = torch.full((PAIRS, PAIRS), 6e4, dtype=torch.float16)
    loss = cross_entropy(scores, _batch(features(PAIRS, 1), features(PAIRS, 2)))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.log(PAIRS))


@given(ANSWERS)
def test_published_contrastive_loss_counts_repetitions_and_an_e_to_the_0(answers: list[int]) -> None:
    batch = _batch(features(PAIRS, 1), features(PAIRS, 2), answers)
    found = intra_modal_contrastive(batch, published=True)
    assert found.item() == pytest.approx(_contrastive(batch, published=True), rel=1e-5)


@given(ANSWERS, ROWS, ROWS, ROWS, ROWS)
def test_corrected_contrastive_loss_is_that_of_the_pairs_that_have_the_modality(
    answers: list[int], text_m: set[int], image_m: set[int], text_e: set[int], image_e: set[int]
) -> None:
    mentions = lacking(features(PAIRS, 1), sorted(text_m), sorted(image_m))
    entities = lacking(features(PAIRS, 2), sorted(text_e), sorted(image_e))
    batch = _batch(mentions, entities, answers)
    found = intra_modal_contrastive(batch)
    assert found.item() == pytest.approx(_contrastive(batch), rel=1e-5, abs=1e-6)


@given(st.floats(0.02, 1), st.floats(0.1, 2), st.floats(0.1, 2))
def test_its_weights_multiply_logits(temperature: float, inter: float, intra: float) -> None:
    batch = _batch(features(PAIRS, 1), features(PAIRS, 2))
    options = {"temperature": temperature, "inter_weight": inter, "intra_weight": intra}
    found = intra_modal_contrastive(batch, **options)
    assert found.item() == pytest.approx(_contrastive(batch, weights=(temperature, inter, intra)), rel=1e-4)


def test_a_repetition_is_no_negative() -> None:
    """The same entity once more beside another mention changes nothing for the first."""
    mentions, entities = features(PAIRS, 1), features(PAIRS, 2)
    twice = _batch(mentions, entities[torch.tensor([0, 1, 2, 3, 0])], [0, 1, 2, 3, 0])
    twice.gold, twice.ignore = twice.gold[:1], twice.ignore[:1]
    once = _batch(mentions[:4], entities[:4])
    once.gold, once.ignore = once.gold[:1], once.ignore[:1]
    assert torch.allclose(intra_modal_contrastive(twice), intra_modal_contrastive(once), rtol=1e-5)


def test_sampled_negatives_are_not_in_the_contrastive_loss() -> None:
    batch = _batch(features(PAIRS, 1), features(PAIRS, 2))
    entities = _heads(features(PAIRS + 3, 2))
    more = Batch(batch.mentions, entities, batch.gold, torch.zeros(PAIRS, PAIRS + 3, dtype=torch.bool))
    same = _batch(features(PAIRS, 1), features(PAIRS + 3, 2)[:PAIRS])
    assert torch.equal(intra_modal_contrastive(more), intra_modal_contrastive(same))


@pytest.mark.parametrize("missing", ["text", "image"])
def test_a_modality_that_nobody_has_adds_nothing_and_gives_no_nan(missing: str) -> None:
    everyone = {missing: list(range(PAIRS))}
    mentions, entities = lacking(features(PAIRS, 1), **everyone), features(PAIRS, 2)
    mentions.text_global.requires_grad_()
    batch = _batch(mentions, entities)
    loss = intra_modal_contrastive(batch)
    loss.backward()
    assert torch.isfinite(loss)
    assert mentions.text_global.grad is not None
    assert torch.isfinite(mentions.text_global.grad).all()
    assert loss.item() == pytest.approx(_contrastive(batch), rel=1e-5)


def test_without_vision_it_is_that_of_the_texts() -> None:
    blind = _batch(features(PAIRS, 1, vision=False), features(PAIRS, 2, vision=False))
    assert intra_modal_contrastive(blind).item() == pytest.approx(_contrastive(blind), rel=1e-5)


def test_the_shares_of_two_processes_average_to_the_whole() -> None:
    whole = _batch(lacking(features(4, 1), image=[1]), lacking(features(4, 2), text=[3]), [0, 1, 0, 2])
    parts = [Batch(whole.mentions, whole.entities, whole.gold[r], whole.ignore[r]) for r in (slice(2), slice(2, 4))]
    shares = torch.stack([intra_modal_contrastive(part) for part in parts])
    assert torch.allclose(shares.mean(), intra_modal_contrastive(whole))


def _heads(given: Features) -> Heads:
    return Heads(**given.tensors(), raw=given)


def _batch(mentions: Features, entities: Features, answers: list[int] | None = None) -> Batch:
    """`answers` number the gold entities; without them each is gold once."""
    answer = torch.tensor(answers) if answers is not None else torch.arange(len(mentions))
    ignore = (answer[:, None] == answer[None, :]) & ~torch.eye(len(answer), dtype=torch.bool)
    return Batch(_heads(mentions), _heads(entities), torch.arange(len(answer)), ignore)


def _contrastive(
    batch: Batch, *, published: bool = False, weights: tuple[float, float, float] = (TEMPERATURE, INTER, INTRA)
) -> float:
    """Half the sum of the mean losses of both directions, averaged over the modalities."""
    m, e = batch.mentions, batch.entities
    texts = _modality(batch, m.text_global, e.text_global, (m.has_text & e.has_text).tolist(), published, weights)
    if m.image_global is None or e.image_global is None:
        return texts
    seen = (m.has_image & e.has_image).tolist()
    return (texts + _modality(batch, m.image_global, e.image_global, seen, published, weights)) / 2


def _modality(
    batch: Batch, m: Tensor, e: Tensor, present: list[bool], published: bool, weights: tuple[float, float, float]
) -> float:
    temperature, inter, intra = weights
    count, losses = len(m), []
    for anchors, others in ((e.double(), m.double()), (m.double(), e.double())):
        for i in range(count):
            if not present[i]:
                continue
            kept = [j for j in range(count) if published or (present[j] and not batch.ignore[i, j])]
            across = sum(_exp(anchors[i], others[j], inter / temperature) for j in kept)
            within = sum(_exp(anchors[i], anchors[j], intra / temperature) for j in kept if j != i)
            own = _exp(anchors[i], others[i], inter / temperature)
            losses.append(-math.log(own / (across + within + (1 if published else 0))))
    return sum(losses) / max(1, len(losses))


def _exp(a: Tensor, b: Tensor, scale: float) -> float:
    return math.exp(scale * cosine_similarity(a, b, dim=0).item())
