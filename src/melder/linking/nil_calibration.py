"""NIL: the probability that the entity of a mention is not in the knowledge base at all.

What a matcher's ranking shows of it, for the candidates c_1, c_2, … of a mention, best first:

    score    s(c_1)
    margin   s(c_1) - s(c_2)
    lexical  what the lexical unit gives the best name among the first five: its cosine times its learned weight
    picture  whether the mention has one: the scores of those without are others

A logistic regression of these, standardised. It is fitted on held-out mentions, each taken twice: with its entity among
the candidates, and with it taken out of them. Taking it out is a matter of the list; nothing is scored again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from melder.io.atomic import replace_file
from melder.metrics.calibration import calibration, decided
from melder.records import Decided, Link, MelderError, Mention
from melder.search.topk import TopK

__all__ = [
    "FILE",
    "NIL_TOP_K",
    "Nil",
    "Ranking",
    "decide",
    "fit_nil",
    "nil_figures",
    "of_best",
    "of_link",
    "read_nil",
    "sample",
]

FILE = "nil.json"  # in a run
NIL_TOP_K = 5  # candidates that the evidence is taken from; one more is needed where one may be taken out
SAMPLE = 500  # mentions that a training fits on: plenty for five numbers; rankings take longer than ranks
FEATURES = ("score", "margin", "lexical", "picture")

Ranking = Sequence[tuple[object, float, float | None]]  # candidates, best first: what they are, score, lexical part
Number = Annotated[float, Field(allow_inf_nan=False)]


class Nil(BaseModel):
    """A fitted logistic model: the log-odds are intercept + sum of weight * (feature - mean) / scale.

    Attributes:
        share: Of the mentions it is fitted on, the weight of those without their entity: how many NIL mentions to
            expect.
        mentions, candidates, data, split: What it was fitted on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    means: dict[str, Number]
    scales: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]]
    weights: dict[str, Number]
    intercept: Number
    share: float = Field(gt=0, lt=1)
    mentions: int
    candidates: int
    data: str
    split: str

    def probability(self, ranking: Ranking, pictured: bool) -> float:
        """That none of the candidates, the best of all the knowledge base, is right. Without any it is 1."""
        if not ranking:
            return 1.0
        found = evidence(ranking, pictured)
        odds = self.intercept + sum(
            weight * (found[name] - self.means[name]) / self.scales[name] for name, weight in self.weights.items()
        )
        return float(1 / (1 + np.exp(-np.clip(odds, -700, 700))))

    def write(self, run: Path) -> None:
        replace_file(run / FILE, (self.model_dump_json(indent=2) + "\n").encode())


def read_nil(run: Path) -> Nil | None:
    """The calibration of a run, None where there is none.

    Raises:
        MelderError: A damaged file.
    """
    path = run / FILE
    if not path.is_file():
        return None
    try:
        found = Nil.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, ValidationError):
        found = None
    if found is None or not found.means.keys() == found.scales.keys() == found.weights.keys() <= set(FEATURES):
        raise MelderError(f"{path}: is damaged; write it anew with `melder calibrate {run} --data DIR`")
    return found


def evidence(ranking: Ranking, pictured: bool) -> dict[str, float]:
    """The features of a mention by name; of a single candidate the margin is 0."""
    scores = [score for _, score, _ in ranking[:2]]
    found = {"score": scores[0], "margin": scores[0] - scores[-1], "picture": float(pictured)}
    names = (lexical for _, _, lexical in ranking[:NIL_TOP_K] if lexical is not None)
    return {**found, "lexical": max(names, default=0.0)}


def without(ranking: Ranking, answer: object) -> Ranking:
    """The candidates as they are ranked in a knowledge base that lacks `answer`."""
    return [each for each in ranking if each[0] != answer]


def of_link(link: Link) -> Ranking:
    """The candidates of a link."""
    return [(each.id, each.score, each.units.get("lexical")) for each in link.candidates]


def sample(mentions: int) -> slice:
    """Which of so many selection mentions a training fits on."""
    return slice(0, mentions, max(1, -(-mentions // SAMPLE)))


def of_best(best: TopK, row: int) -> Ranking:
    """The candidates of one mention, by row."""
    names = best.parts["lexical"][row].tolist() if "lexical" in best.parts else [None] * best.rows.shape[1]
    return list(zip(best.rows[row].tolist(), best.totals[row].tolist(), names, strict=True))


def fit_nil(
    rankings: Sequence[Ranking],
    answers: Sequence[object],
    pictured: Sequence[bool],
    *,
    candidates: int,
    data: str,
    split: str,
    share: float = 0.5,
) -> Nil | None:
    """Fit on mentions with their candidates (at least `NIL_TOP_K` + 1, unless there are fewer), answers, and whether
    they have a picture. None when there are fewer than two candidates, so that nothing can be taken out.
    """
    if candidates < 2 or not rankings:
        return None
    rows, absent = _rows(rankings, answers, pictured)
    names = [name for name in FEATURES if name != "lexical" or _named(rankings)]
    values = np.array([[found[name] for name in names] for found in (evidence(*row) for row in rows)])
    means, scales = values.mean(axis=0), values.std(axis=0)
    scales[scales == 0] = 1.0
    weight = np.where(absent, share, 1 - share)
    from sklearn.linear_model import LogisticRegression  # slow to import, and not needed to link

    model = LogisticRegression(max_iter=1000).fit((values - means) / scales, absent, sample_weight=2 * weight)
    return Nil(
        means=dict(zip(names, means.tolist(), strict=True)),
        scales=dict(zip(names, scales.tolist(), strict=True)),
        weights=dict(zip(names, model.coef_[0].tolist(), strict=True)),
        intercept=float(model.intercept_[0]),
        share=share,
        mentions=len(rankings),
        candidates=candidates,
        data=data,
        split=split,
    )


def nil_figures(
    nil: Nil, mentions: Sequence[Mention], links: Sequence[Link], threshold: float | None = None
) -> dict[str, Any] | None:
    """How good the probabilities are on mentions that were not fitted on: AUROC, Brier score, calibration error, bins.

    On the mentions with an answer, each with its entity and with it taken out, weighed by the share that the model
    presumes; `real` is the same of all mentions as they are, where there are both NIL and other ones. With a
    `threshold`, precision and recall of the answer "none of these". None when no mention has an answer.
    """
    known = [(of_link(link), m.answer, m.image is not None) for m, link in zip(mentions, links, strict=True)]
    answered = [row for row in known if row[1] is not None]
    if not answered or max(len(ranking) for ranking, _, _ in answered) < 2:
        return None
    rows, absent = _rows(*zip(*answered, strict=True))
    figures = _figures(nil, rows, absent, np.where(absent, nil.share, 1 - nil.share), threshold)
    figures |= {"mentions": len(answered), "share": nil.share, "fitted_on": f"{nil.data}, {nil.split}"}
    if len(answered) < len(known):
        real = np.array([answer is None for _, answer, _ in known])
        seen = [(ranking, pictured) for ranking, _, pictured in known]
        of_real = _figures(nil, seen, real, np.ones(len(real)), threshold)
        figures["real"] = {**of_real, "mentions": len(real), "nil": int(real.sum())}
    return figures


def decide(link: Link, threshold: float) -> Decided:
    """The link with an answer: null, none of these, where NIL is at least as probable as `threshold`.

    Raises:
        MelderError: A link without a NIL probability.
    """
    if link.nil_probability is None:
        raise MelderError(
            "there are no NIL probabilities to compare with the threshold: calibrate the run first, "
            "with `melder calibrate RUN --data DIR`, and use it as it is, without --set"
        )
    nothing = link.nil_probability >= threshold or not link.candidates
    return Decided(**dict(link), answer=None if nothing else link.candidates[0].id)


def _rows(
    rankings: Iterable[Ranking], answers: Iterable[object], pictured: Iterable[bool]
) -> tuple[list[tuple[Ranking, bool]], npt.NDArray[np.bool_]]:
    """Every mention with its entity, then every mention without it; and which rows are without."""
    triples = list(zip(rankings, answers, pictured, strict=True))
    there = [(ranking, shown) for ranking, _, shown in triples]
    gone = [(without(ranking, answer), shown) for ranking, answer, shown in triples]
    return there + gone, np.repeat([False, True], len(triples))


def _named(rankings: Sequence[Ranking]) -> bool:
    return any(lexical is not None for ranking in rankings for _, _, lexical in ranking)


def _figures(
    nil: Nil,
    rows: Sequence[tuple[Ranking, bool]],
    absent: npt.NDArray[np.bool_],
    weight: npt.NDArray[np.float64],
    threshold: float | None,
) -> dict[str, Any]:
    probability = np.array([nil.probability(*row) for row in rows])
    figures = calibration(absent, probability, weight)
    return figures if threshold is None else {**figures, **decided(absent, probability, weight, threshold)}
