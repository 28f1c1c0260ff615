r"""Attention taught by transport: OT-MEL's distillation, which its abstract names, its figure draws and its code lacks.

For every pair of an entity and a mention with plan P and attention logits Z [L_e, L_m],

    loss = KL(rows(P) || rows(Z)) + KL(columns(P) || columns(Z))

where rows(P) are P's rows divided by their sums and rows(Z) the softmax of Z over them, and columns likewise. The plan
is the teacher and gets no gradient of this loss. Afterwards rows(Z) can stand in the plan's place
(`assignment: attention`).

The published code detaches the plans between mentions and entities from their similarities, so that no task teaches
them which tokens are alike. A student that shares its queries and keys with such a teacher moves it: both drift, and
the student does not catch up (`teacher: drifting`). So the teacher either learns from the task, whose gradient then
passes through the plan (`task`), or stays what it was when training began (`frozen`: queries and keys of its own,
which are a function of the seed and no part of the run). Plans within an item always have the task's gradient.

The figure names row and column softmaxes of the plan. The entries of a plan are small and nearly equal, and so is
their softmax; here it is that of their logarithms, which at temperature 1 is the plan itself. A temperature divides
both logarithms and logits, and the loss is multiplied by its square (Hinton, Vinyals and Dean, 2015). The paper's
weight, scale and direction are not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

import torch
from torch import Tensor

from melder.features import Alignment, Heads, Side
from melder.methods.losses import Batch
from melder.ops.masks import uniform_weights
from melder.units.transport_fusion import OTFusion
from melder.units.transport_local import OTGlobalLocal

__all__ = ["Distillation", "divergence"]


@dataclass(frozen=True)
class Distillation:
    """The loss of a batch: weight * mean over the units, and over the two directions of the fusion.

    Pairs are those of groups of `group` mentions and their gold entities, so that each mention has its own entity and
    group - 1 others: all pairs of a batch would be as costly as scoring it several times. Units compare pairs that
    both have the modality, the fusion items that have text and picture.

    Args:
        teachers: Units whose plans teach those of the same names; the others teach themselves.
    """

    units: Mapping[str, OTGlobalLocal]
    fusion: OTFusion | None
    teachers: Mapping[str, OTGlobalLocal] = field(default_factory=dict)
    weight: float = 1.0
    temperature: float = 1.0
    group: int = 8

    def __call__(self, batch: Batch) -> Tensor:
        own = _rows(batch.mentions, batch.gold), _rows(batch.entities, batch.gold)
        losses = [
            self._unit(unit, self.teachers.get(name), *own)
            for name, unit in self.units.items()
            if unit.modality == "text" or _sees(*own)
        ]
        if self.fusion is not None and _sees(*own):
            losses += [self._items(self.fusion, heads) for heads in own]
        return self.weight * torch.stack(losses).mean()

    def _unit(self, unit: OTGlobalLocal, teacher: OTGlobalLocal | None, mentions: Heads, entities: Heads) -> Tensor:
        """Mean over the pairs of all groups."""
        mention_side, entity_side = unit.mention_side(mentions), unit.entity_side(entities)
        taught = None if teacher is None else _sides(teacher, mentions, entities)
        losses, present = [], []
        for rows in _groups(len(mentions), self.group):
            m, e = mention_side.take(rows), entity_side.take(rows)
            row_mask, column_mask, mass = e.get("mask"), m.get("mask"), e.get("mass")
            alignment = unit.align(m, e, "transport")
            if teacher is not None and taught is not None:
                own, others = (side.take(rows) for side in taught)
                mass = others.get("mass")
                alignment = Alignment(teacher.align(own, others, "transport").weights, alignment.logits)
            masks = None if row_mask is None else row_mask[None], None if column_mask is None else column_mask[:, None]
            losses.append(divergence(alignment, *masks, mass, self.temperature).flatten())
            present.append((m["present"][:, None] & e["present"][None]).flatten())
        return _mean(torch.cat(losses), torch.cat(present))

    def _items(self, fusion: OTFusion, heads: Heads) -> Tensor:
        """Mean over the items that have text and picture, of both directions."""
        limits = fusion.limits(heads)
        alignments = fusion.align(heads, "transport")
        losses = [
            divergence(alignment, of.get("row_mask"), of.get("column_mask"), of.get("row_mass"), self.temperature)
            for alignment, of in zip(alignments.values(), limits, strict=True)
        ]
        return _mean(torch.stack(losses).mean(dim=0), heads.has_both)


def _rows(heads: Heads, rows: Tensor) -> Heads:
    """Without names, which are not compared here: to pick them, a GPU would have to be waited for."""
    return cast(Heads, replace(heads, surfaces=None)[rows])


def divergence(
    alignment: Alignment, row_mask: Tensor | None, column_mask: Tensor | None, mass: Tensor | None, temperature: float
) -> Tensor:
    """[...]: both divergences of an alignment whose weights [..., n, m] are a plan's rows divided by their sums.

    Means over the valid rows and columns; masks [..., n], [..., m], and the rows' marginals `mass` [..., n].

    Args:
        alignment: Weights [..., n, m], the teacher, which gets no gradient, and logits, the student.
        row_mask, column_mask: [..., n] and [..., m], True = valid; None = all are.
        mass: [..., n], the rows' marginals; None where they are uniform.
        temperature: What the logarithms of both are divided by.

    Returns:
        [...], the sum of the divergence over rows and that over columns.
    """
    plan = alignment.weights.detach()
    if mass is not None:
        plan = plan * mass.detach()[..., None]
    teacher = plan.clamp(min=torch.finfo(plan.dtype).tiny).log()
    rows = _divergence(teacher, alignment.logits, row_mask, column_mask, temperature)
    columns = _divergence(teacher.mT, alignment.logits.mT, column_mask, row_mask, temperature)
    return rows + columns


def _divergence(
    teacher: Tensor, student: Tensor, row_mask: Tensor | None, column_mask: Tensor | None, temperature: float
) -> Tensor:
    """Mean over the valid rows of KL(softmax(teacher) || softmax(student)) over the valid columns, [...]."""
    valid = torch.ones_like(student, dtype=torch.bool)
    if column_mask is not None:
        valid = valid & (column_mask | ~column_mask.any(dim=-1, keepdim=True))[..., None, :]
    hidden = ~valid
    taught, learned = (
        (logits / temperature).masked_fill(hidden, float("-inf")).log_softmax(dim=-1).masked_fill(hidden, 0.0)
        for logits in (teacher, student)
    )
    divergence = (taught.exp() * (taught - learned)).sum(dim=-1) * temperature**2
    if row_mask is None:
        return divergence.mean(dim=-1)
    return (divergence * uniform_weights(row_mask, divergence.dtype)).sum(dim=-1)


def _sides(teacher: OTGlobalLocal, mentions: Heads, entities: Heads) -> tuple[Side, Side]:
    """Of a frozen teacher, which is no part of the matcher and so is not moved with it."""
    teacher.to(mentions.text_tokens.device)
    with torch.no_grad():
        return teacher.mention_side(mentions), teacher.entity_side(entities)


def _mean(losses: Tensor, present: Tensor) -> Tensor:
    return (losses * present).sum() / present.sum().clamp(min=1)


def _sees(*sides: Heads) -> bool:
    return all(heads.image_tokens is not None for heads in sides)


def _groups(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))
