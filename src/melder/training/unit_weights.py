r"""How much each unit counts: weights fitted on mentions that training did not show.

    minimise  mean of -log softmax(t (sum_u w_u s_u / U + w cos(names)))[gold]  +  STRENGTH / n * sum_u (log w_u)²

over the weights w_u > 0 of U units and a temperature t, with the names' weight as it was trained. Heads learn the
entities that they are shown, so that their scores are too sure of themselves about others; a held-out part of train
(`training.select_entities`: of other entities) tells how far each unit can be trusted. With few mentions n the weights
stay near 1, the plain mean.

Of all entities the softmax is over those of which some unit, or their names, makes one of the first `FIRST`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from melder.features import Side
from melder.protocols import Matcher
from melder.runs.model import score_blocks

__all__ = ["fit_unit_weights"]

FIRST = 64  # entities that a unit brings in
MENTIONS = 1000  # that are looked at: of a handful of weights more tell nothing new
STRENGTH = 1.0  # of the pull towards 1, in mentions
ROUNDS = 100  # of L-BFGS at most


def fit_unit_weights(matcher: Matcher, mentions: Side, entities: Side, gold: Sequence[int]) -> Mapping[str, float]:
    """Set the weights of the matcher's units, and return them by name; `gold` are rows of the mentions' answers."""
    rows = _spread(mentions.rows, MENTIONS)
    names = tuple(matcher.names_in_use())
    blocks = [
        _candidates(scores.parts, torch.tensor(gold)[rows[block]])
        for block, scores in score_blocks(matcher, mentions.take(rows), entities)
    ]
    scores, valid = (torch.cat(tensors).cpu() for tensors in zip(*blocks, strict=True))
    units, others = scores[..., : len(names)].double(), scores[..., len(names) :].double()
    weights = _fit(units / len(names), others.sum(dim=-1), valid)
    fitted = dict(zip(names, weights.tolist(), strict=True))
    matcher.set_unit_weights(fitted)
    return fitted


def _spread(count: int, most: int) -> Tensor:
    number = min(count, most)
    return torch.arange(number) * count // max(number, 1)


def _candidates(parts: Mapping[str, Tensor], gold: Tensor) -> tuple[Tensor, Tensor]:
    """Of scores [b, entities] by unit: those [b, c, units] of the answer and then of the first ones of every unit, and
    [b, c] True where an entity stands there for the first time."""
    scores = torch.stack(list(parts.values()), dim=-1)
    first = scores.topk(min(FIRST, scores.shape[1]), dim=1).indices.flatten(1)
    rows = torch.cat([gold[:, None], first], dim=1)
    repeated = (rows[:, :, None] == rows[:, None, :]).tril(-1).any(dim=-1)
    return scores.gather(1, rows[..., None].expand(-1, -1, scores.shape[-1])), ~repeated


def _fit(units: Tensor, names: Tensor, valid: Tensor) -> Tensor:
    """The weights [units] of scores [n, c, units], beside what names add [n, c], the answer first."""
    answers = torch.zeros(len(units), dtype=torch.long)
    logs = torch.zeros(units.shape[-1] + 1, dtype=units.dtype, requires_grad=True)  # the temperature's last
    optimizer = torch.optim.LBFGS([logs], max_iter=ROUNDS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        totals = logs[-1].exp() * (units @ logs[:-1].exp() + names)
        value = cross_entropy(totals.masked_fill(~valid, float("-inf")), answers)
        value = value + STRENGTH / len(units) * logs[:-1].square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    return logs[:-1].detach().exp()
