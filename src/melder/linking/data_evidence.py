r"""Prior and coherence: what a data set says of an entity beside the mention itself. Off by default, fitted on tune.

    score(m, e) = s(m, e) + a log(1 + n(surface, e) / PRESUMED) + c h(m, e)

s is the linker's score. n is how often the surface meant e in training: against an entity that it never meant, the
log-odds of one that it did, shrunk by `PRESUMED` times that it is taken to have meant any. h is how near e is to the
first candidates b' of the other mentions m' of the same text, by the cosine of what the method has as vectors,

    h(m, e) = mean over m' of p(b' | m') cos(e, b'),    p(· | m') = softmax(t s(m', ·)),

less its least over the candidates of m. One pass: the first candidates are those before h is known. Both learn the
habits of a data set (whom its authors call "Bush", which people its captions show together): report them apart.

The temperature t, and then a and c, none below 0, minimise the mean of -log softmax(t score)[answer] over mentions that
training did not show, among the `TOP` first candidates.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from melder.io.atomic import replace_file
from melder.names import folded
from melder.records import MelderError, Mention

__all__ = ["FILE", "TOP", "DataEvidence", "fit_temperature", "fit_weights", "read_evidence", "surface_counts"]

FILE = "prior.json"  # in a run
TOP = 20  # first candidates, which are ordered anew
PRESUMED = 1.0  # times that a surface is taken to have meant any entity before one looks
STRENGTH = 1.0  # of the pull of both weights towards 0, in mentions
ROUNDS = 100  # of L-BFGS at most

Counts = dict[str, dict[str, Annotated[int, Field(ge=0, le=2**53)]]]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class DataEvidence(BaseModel):
    """What is stored in the run.

    Attributes:
        prior, coherence: a and c, in the scale of the linker's scores.
        temperature: t, which makes softmax(t score) the probability that a candidate is the answer.
        counts: By surface, as `melder.names.folded` has it, how often it meant which entity in training.
        mentions, data, split: What the weights were fitted on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prior: Weight
    coherence: Weight
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    counts: Counts
    mentions: int
    data: str
    split: str

    @classmethod
    def of_counts(cls, counts: Counts, *, data: str, split: str) -> DataEvidence:
        """Before its weights are fitted."""
        return cls(prior=0, coherence=0, temperature=1, counts=counts, mentions=0, data=data, split=split)

    def write(self, run: Path) -> None:
        replace_file(run / FILE, (self.model_dump_json(indent=1) + "\n").encode())


def read_evidence(run: Path) -> DataEvidence:
    """What was fitted for a run, or a knowledge base.

    Args:
        run: The directory of either.

    Returns:
        Counts, weights and temperature.

    Raises:
        MelderError: Nothing was, or the file is damaged.
    """
    path, remedy = run / FILE, f"fit it with `melder calibrate {run} --data DIR --prior`"
    if not path.is_file():
        raise MelderError(f"{path}: is missing, so that there are no prior and no coherence; {remedy}")
    try:
        return DataEvidence.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError):
        raise MelderError(f"{path}: is damaged; {remedy}") from None


def surface_counts(mentions: Iterable[Mention]) -> Counts:
    """How often each surface means which entity.

    Args:
        mentions: Of a training split; those without an answer or a surface tell nothing.

    Returns:
        By folded surface and by entity, numbers of mentions.
    """
    counts: Counts = {}
    for mention in mentions:
        surface = folded(mention.surface)
        if surface and mention.answer is not None:
            answers = counts.setdefault(surface, {})
            answers[mention.answer] = answers.get(mention.answer, 0) + 1
    return counts


def log_odds(counts: Counts, surface: str, identities: Sequence[str]) -> list[float]:
    """log(1 + n / PRESUMED) of some entities; 0 for those that the surface never meant."""
    times = counts.get(folded(surface), {})
    return torch.tensor([times.get(identity, 0) / PRESUMED for identity in identities]).log1p().tolist()


def fit_temperature(scores: Tensor, answers: Tensor) -> float:
    """The temperature by which scores are multiplied before a softmax.

    Args:
        scores: [n, candidates], -inf where there is none.
        answers: [n], the places of the answers.

    Returns:
        The one under which the answers are likeliest.
    """
    free = torch.zeros((), dtype=torch.float64, requires_grad=True)
    _minimise(free, lambda: cross_entropy(_times(scores, free.exp()), answers))
    return float(free.detach().exp())


def fit_weights(scores: Tensor, evidence: Tensor, answers: Tensor, temperature: float) -> list[float]:
    """What each kind of evidence counts beside scores.

    Args:
        scores: [n, candidates], -inf where there is none.
        evidence: [n, candidates, kinds]
        answers: [n], the places of the answers.
        temperature: Of the scores.

    Returns:
        A weight a kind, none below 0.
    """
    free = torch.full((evidence.shape[-1],), 0.5, dtype=torch.float64, requires_grad=True)

    def loss() -> Tensor:
        # Squares, which cannot be negative, and are pulled to 0 with the strength of a mention.
        totals = _times(scores, torch.tensor(temperature)) + (evidence.double() * free.square()).sum(dim=-1)
        return cross_entropy(totals, answers) + STRENGTH / len(answers) * free.square().sum()

    _minimise(free, loss)
    weights: list[float] = (free.detach().square() / temperature).tolist()
    return weights


def _times(scores: Tensor, temperature: Tensor) -> Tensor:
    """Of infinite scores, which have no gradient, nothing is taken."""
    there = scores.isfinite()
    return (scores.double().masked_fill(~there, 0.0) * temperature).masked_fill(~there, float("-inf"))


def _minimise(free: Tensor, loss: Callable[[], Tensor]) -> None:
    optimizer = torch.optim.LBFGS([free], max_iter=ROUNDS, line_search_fn="strong_wolfe")

    def step() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        optimizer.step(step)  # type: ignore[no-untyped-call]
