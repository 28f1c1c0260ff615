"""Losses over a batch of mentions and the entities in it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from melder.features import Heads

__all__ = ["Batch", "cross_entropy", "intra_modal_contrastive", "triplet"]


@dataclass
class Batch:
    """What losses read.

    Args:
        mentions, entities: The heads' output of the whole batch, over all processes. The first entities are the gold
            ones of the mentions, in their order (an entity that is gold twice stands twice); sampled negatives follow.
            gold [m]: the column of each of this process's mentions, whose rows in `mentions` are the same numbers
            ignore [m, e]: True where an entity is no negative for a mention, because it is its gold one again sampled
            [m, n]: the columns of the negatives that each mention sampled itself, -1 where one is its gold entity
            again; None or n = 0 where nothing is sampled.
    """

    mentions: Heads
    entities: Heads
    gold: Tensor
    ignore: Tensor
    sampled: Tensor | None = None

    @property
    def share(self) -> float:
        """This process's part of the batch's mentions."""
        return len(self.gold) / len(self.mentions)


def cross_entropy(scores: Tensor, batch: Batch) -> Tensor:
    """In-batch cross-entropy from mention to entity, no temperature (MIMIC section 3.4): scores [m, e] -> scalar.

    Use it for the total and for each unit, so that every unit learns on its own. Entities that are the gold one
    again are left out of the softmax (published: they count as negatives).

    Args:
        scores: [m, e], the total or one unit's.
        batch: Whose answers and repetitions count.

    Returns:
        A scalar.
    """
    return functional.cross_entropy(scores.float().masked_fill(batch.ignore, float("-inf")), batch.gold)


def triplet(scores: Tensor, batch: Batch, *, margin: float, weight: float) -> Tensor:
    """weight * mean of max(0, margin + s_negative - s_gold) over all negatives of the batch: scores [m, e] -> scalar.

    OT-MEL's code adds a triplet loss of the score matrix for the total and for each unit, from a file that was never
    published. This is a guess: the margin, which negatives and which directions it takes are unknown.

    Args:
        scores: [m, e].
        batch: Whose answers and repetitions count.
        margin: By how much the gold entity is to stand above each negative.
        weight: What the loss is multiplied with.

    Returns:
        A scalar.
    """
    scores = scores.float()
    gold = scores.gather(1, batch.gold[:, None])
    negative = ~batch.ignore.expand_as(scores).scatter(1, batch.gold[:, None], True)
    losses = (margin + scores - gold).relu() * negative
    return weight * losses.sum() / negative.sum().clamp(min=1)


def intra_modal_contrastive(
    batch: Batch,
    *,
    temperature: float = 0.03,
    inter_weight: float = 1.0,
    intra_weight: float = 0.8,
    published: bool = False,
) -> Tensor:
    """M3EL's weighted intra-modal contrastive loss (section 3.1), the mean over text and picture.

    Pulls the global vectors of a mention and its entity together, modality by modality, and pushes them from the other
    mentions and entities of the batch; the weights multiply the logits. It reads the vectors before the shared
    LayerNorms. Pairs without the modality are left out, and so are repetitions of the gold entity.

    Args:
        batch: Whose heads have vectors from before the LayerNorms (`raw`).
        temperature: What cosines are divided by.
        inter_weight: Of pairs of a mention and an entity.
        intra_weight: Of pairs of two mentions or two entities.
        published: Repetitions count as negatives, and each sum holds one e^0 more, the self-similarity that the
            official `WeightedContrastiveLoss` multiplies by 0 instead of excluding it.

    Returns:
        A scalar.
    """
    mentions, entities = batch.mentions.raw, batch.entities.raw
    assert mentions is not None
    assert entities is not None
    pairs = len(batch.mentions)
    both = {"text": mentions.has_text & entities.has_text[:pairs]}
    if mentions.image_global is not None and entities.image_global is not None:
        both["image"] = mentions.has_image & entities.has_image[:pairs]
    losses = []
    for modality, present in both.items():
        m = functional.normalize(getattr(mentions, f"{modality}_global").float(), dim=-1)
        e = functional.normalize(getattr(entities, f"{modality}_global")[:pairs].float(), dim=-1)
        weights = (inter_weight / temperature, intra_weight / temperature)
        one = _one_way(e, m, batch, present, weights, published) + _one_way(m, e, batch, present, weights, published)
        losses.append(one / 2)
    return torch.stack(losses).mean()


def _one_way(
    anchors: Tensor, others: Tensor, batch: Batch, present: Tensor, weights: tuple[float, float], published: bool
) -> Tensor:
    """Mean over this process's pairs of -log(positive / (inter sum + intra sum)); anchors, others [pairs, h]."""
    rows, pairs = batch.gold, torch.arange(len(anchors), device=anchors.device)
    inter = weights[0] * anchors[rows] @ others.t()
    intra = weights[1] * anchors[rows] @ anchors.t()
    own, positive = rows[:, None] == pairs[None, :], inter.gather(1, rows[:, None])[:, 0]
    if published:
        denominator = torch.cat([inter, intra.masked_fill(own, 0.0)], dim=1).logsumexp(dim=1)
        return (denominator - positive).mean()
    out = batch.ignore[:, : len(anchors)] | ~present[None, :]
    inter = inter.masked_fill(out & ~own, float("-inf"))
    intra = intra.masked_fill(out | own, float("-inf"))
    loss = torch.cat([inter, intra], dim=1).logsumexp(dim=1) - positive
    # Divided by the pairs of the whole batch, so that averaging over processes gives one process's loss.
    return (loss * present[rows]).sum() / present.sum().clamp(min=1) / batch.share
