r"""How much each unit counts: weights fitted on mentions that training did not show.

    minimise  mean of -log softmax(t (sum_u w_u s_u / U + w cos(names)))[gold]  +  STRENGTH / n * sum_u (log w_u)²

over the weights w_u > 0 of U units and a temperature t, with the names' weight as it was trained. Heads learn the
entities that they are shown, so that their scores are too sure of themselves about others; a held-out part of train
(`training.select_entities`: of other entities) tells how far each unit can be trusted. With few mentions n the weights
stay near 1, the plain mean.

With a gate these are the weights of a mean mention, and those of others, and of names, depend on what is known of them
by slopes S (`melder.methods.gate`). S is pulled to 0, `PULL` times as strongly as the weights are pulled to 1.

Of all entities the softmax is over those of which some unit, or their names, makes one of the first `FIRST`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

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
PULL = 4.0  # of the slopes of a gate, of which there are many
ROUNDS = 100  # of L-BFGS at most

Weighing = Callable[
    [Tensor, Tensor], Tensor
]  # of logarithms and slopes: weights [n or 1, units + 1], the last of names


def fit_unit_weights(matcher: Matcher, mentions: Side, entities: Side, gold: Sequence[int]) -> Mapping[str, float]:
    """Set the weights of the matcher's units.

    Args:
        matcher: It is changed.
        mentions: That all have an answer.
        entities: All of them.
        gold: The rows of the answers.

    Returns:
        By the units' names.
    """
    rows = _spread(mentions.rows, MENTIONS)
    names, sample = tuple(matcher.names_in_use()), mentions.take(rows)
    blocks = [
        _candidates(scores.parts, torch.tensor(gold)[rows[block]])
        for block, scores in score_blocks(matcher, sample, entities)
    ]
    scores, valid = (torch.cat(tensors).cpu() for tensors in zip(*blocks, strict=True))
    units, others = scores[..., : len(names)].double() / len(names), scores[..., len(names) :].double().sum(dim=-1)
    parts = torch.cat([units, others[..., None]], dim=-1)
    if matcher.gate is not None:
        matcher.gate.learn_mentions(sample)
    logs, slopes = _fit(
        parts, valid, _weighing(matcher, sample), 0 if matcher.gate is None else matcher.gate.slopes.shape[1]
    )
    fitted = dict(zip(names, logs.exp().tolist(), strict=True))
    matcher.set_unit_weights(fitted)
    if matcher.gate is not None:
        matcher.gate.slopes.copy_(slopes)
    return fitted


def _weighing(matcher: Matcher, mentions: Side) -> Weighing:
    """How weights come from their logarithms, and from slopes where there is a gate."""
    gate, lexical = matcher.gate, matcher.lexical
    if gate is None:
        return lambda logs, slopes: logs.exp()[None]
    cosine = torch.zeros(()) if lexical is None else lexical.weight.detach()
    on_cpu = mentions.only(["gate"]).to("cpu")
    return lambda logs, slopes: gate.weights(on_cpu, logs, slopes, cosine.cpu())


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


def _fit(parts: Tensor, valid: Tensor, weighing: Weighing, features: int) -> tuple[Tensor, Tensor]:
    """Logarithms of the weights [units], and slopes [units + 1, features], for what units and names add [n, c, units +
    1] where they count 1; the answer stands first."""
    count, units = len(parts), parts.shape[-1] - 1
    answers = torch.zeros(count, dtype=torch.long)
    free = parts.new_zeros(units + 1 + (units + 1) * features, requires_grad=True)  # the temperature's is the first
    optimizer = torch.optim.LBFGS([free], max_iter=ROUNDS, line_search_fn="strong_wolfe")

    def split() -> tuple[Tensor, Tensor]:
        logs, slopes = free[1 : units + 1], free[units + 1 :].view(units + 1, features)
        return logs, slopes

    def loss() -> Tensor:
        optimizer.zero_grad()
        logs, slopes = split()
        weights = weighing(torch.cat([logs, logs.new_zeros(1)]), slopes)
        totals = free[0].exp() * (parts * weights[:, None]).sum(dim=-1)
        value = cross_entropy(totals.masked_fill(~valid, float("-inf")), answers)
        value = value + STRENGTH / count * (logs.square().sum() + PULL * slopes.square().sum())
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    logs, slopes = split()
    return logs.detach(), slopes.detach()
