"""NIL probabilities: evidence, calibration of known models, decisions, and the run's file."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from melder.data import load
from melder.linking import ExactLinker, open_run
from melder.linking.load import load as load_linker
from melder.linking.nil_calibration import (
    NIL_TOP_K,
    Nil,
    Ranking,
    decide,
    evidence,
    fit_nil,
    nil_figures,
    of_best,
    of_link,
    read_nil,
    without,
)
from melder.records import Candidate, Link, MelderError, Mention
from melder.search.topk import TopK

RANKING: Ranking = [
    ("a", 5.0, 1.0),
    ("b", 3.5, 4.0),
    ("c", 3.0, 0.0),
    ("d", 1.0, 2.0),
    ("e", 0.0, 0.0),
    ("f", 0.0, 9.0),
]


def link(*scores: float, probability: float | None = None) -> Link:
    candidates = tuple(Candidate(id=f"Q{n}", name="", score=score) for n, score in enumerate(scores))
    return Link(id="m", start=None, end=None, surface="s", nil_probability=probability, candidates=candidates)


def test_evidence_is_read_off_the_first_candidates() -> None:
    assert evidence(RANKING, True) == {"score": 5.0, "margin": 1.5, "lexical": 4.0, "picture": 1.0}
    assert evidence(without(RANKING, "a"), False) == {"score": 3.5, "margin": 0.5, "lexical": 9.0, "picture": 0.0}
    assert evidence([("a", 2.0, None)], False) == {"score": 2.0, "margin": 0.0, "lexical": 0.0, "picture": 0.0}


def test_taking_an_answer_out_of_the_list_is_taking_its_column_out_of_the_scores() -> None:
    """The evidence is that of a ranking of the other columns, whichever column the answer is."""
    scores, names = torch.randn(1, 12), torch.rand(1, 12)
    best = TopK(1, NIL_TOP_K + 1)
    best.update(0, scores, {"lexical": names})
    for answer in range(12):
        others = [column for column in range(12) if column != answer]
        fewer = TopK(1, NIL_TOP_K)
        fewer.update(0, scores[:, others], {"lexical": names[:, others]})
        expected = evidence(of_best(fewer, 0), True)
        assert evidence(without(of_best(best, 0), answer), True) == expected


def test_the_probabilities_of_a_known_model_are_found_again() -> None:
    """Best scores are N(1, 1) with the entity and N(-1, 1) without, every margin is 2: the log-odds of NIL are -2 s."""
    second = np.random.default_rng(1).normal(-1, 1, 20_000).tolist()
    rankings: list[Ranking] = [[("answer", s + 2, None), ("x", s, None), ("y", s - 2, None)] for s in second]
    nil = fit_nil(rankings, ["answer"] * 20_000, [True] * 20_000, candidates=3, data="d", split="s")
    assert nil is not None
    for score in (-3.0, -1.0, 0.0, 0.5, 2.0):
        expected = 1 / (1 + math.exp(2 * score))
        assert nil.probability([("x", score, None), ("y", score - 2, None)], True) == pytest.approx(expected, abs=0.02)
    assert nil.weights["picture"] == 0  # it never differs
    assert "lexical" not in nil.weights


def test_a_share_moves_the_log_odds_by_its_own() -> None:
    """With no evidence at all the probability is the share of NIL mentions that was said."""
    rankings: list[Ranking] = [[("a", 1.0, None), ("b", 1.0, None), ("c", 1.0, None)]] * 10
    for share in (0.5, 0.1):
        nil = fit_nil(rankings, ["a"] * 10, [False] * 10, candidates=3, data="d", split="s", share=share)
        assert nil is not None
        assert nil.probability(rankings[0], False) == pytest.approx(share, abs=1e-4)


def test_it_is_a_logistic_function_of_standardised_evidence() -> None:
    nil = made(weights={"score": -2.0, "margin": 0.5}, means={"score": 1.0, "margin": 0.0}, intercept=0.25)
    expected = 1 / (1 + math.exp(-(0.25 - 2.0 * (5.0 - 1.0) + 0.5 * 1.5)))
    assert nil.probability(RANKING, True) == pytest.approx(expected)
    assert nil.probability([], True) == 1
    assert nil.probability([("a", -1e9, None), ("b", -2e9, None)], True) == pytest.approx(1)


def test_nothing_is_fitted_where_nothing_can_be_taken_out() -> None:
    assert fit_nil([[("a", 1.0, None)]], ["a"], [True], candidates=1, data="d", split="s") is None


def test_figures_are_of_each_entity_taken_out_and_of_real_nil_mentions() -> None:
    nil = made(weights={"score": -5.0, "margin": 0.0})
    mentions = [Mention(id="m", surface="s", answer=answer) for answer in ("Q0", "Q0", None)]
    links = [link(3, -2), link(2, -1), link(-3, -4)]
    figures = nil_figures(nil, mentions, links, 0.5)
    assert figures is not None
    assert (figures["mentions"], figures["auroc"], figures["precision"], figures["recall"]) == (2, 1.0, 1.0, 1.0)
    assert (figures["real"]["mentions"], figures["real"]["nil"], figures["real"]["auroc"]) == (3, 1, 1.0)
    assert sum(bin_["count"] for bin_ in figures["bins"]) == 4
    assert figures["fitted_on"] == "data, tune"
    bare = nil_figures(nil, mentions[:2], links[:2])
    assert bare is not None
    assert "real" not in bare
    assert "precision" not in bare


def test_a_threshold_decides() -> None:
    assert decide(link(1, probability=0.4), 0.5).answer == "Q0"
    assert decide(link(1, probability=0.5), 0.5).answer is None
    assert decide(link(probability=1.0), 1.0).answer is None
    assert json.loads(decide(link(1, probability=0.9), 0.5).model_dump_json())["answer"] is None
    with pytest.raises(MelderError, match="melder calibrate"):
        decide(link(1), 0.5)


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    assert read_nil(tmp_path) is None
    nil = made(weights={"score": -1.0, "margin": 0.0})
    nil.write(tmp_path)
    assert read_nil(tmp_path) == nil
    content = json.loads((tmp_path / "nil.json").read_text())
    for bad in (
        "{",
        "[]",
        json.dumps(content | {"weights": {"luck": 1.0}}),
        json.dumps(content | {"intercept": "NaN"}),
    ):
        (tmp_path / "nil.json").write_text(bad)
        with pytest.raises(MelderError, match="is damaged; write it anew"):
            read_nil(tmp_path)


def test_training_leaves_the_calibration_that_its_links_carry(small_run: Path, small_data: Path) -> None:
    nil = read_nil(small_run)
    assert nil is not None
    assert (nil.candidates, nil.split) == (12, "tune")
    mentions = load(small_data).split("dev")
    linker = load_linker(small_run, small_data)
    one, many = linker.link(mentions, 1), linker.link(mentions, 12)
    assert isinstance(one, list)
    assert isinstance(many, list)
    expected = [nil.probability(of_link(each), m.image is not None) for each, m in zip(many, mentions, strict=True)]
    assert [each.nil_probability for each in many] == pytest.approx(expected)
    assert [each.nil_probability for each in one] == pytest.approx(expected)
    assert {len(each.candidates) for each in one} == {1}


def test_without_a_calibration_the_probability_is_null(small_run: Path, small_data: Path) -> None:
    linker = ExactLinker(open_run(small_run)[0], load(small_data))
    found = linker.link("a fox by the river", mention="fox")
    assert isinstance(found, Link)
    assert found.nil_probability is None


def test_other_settings_have_other_scores_and_no_probability(small_run: Path, small_data: Path) -> None:
    changed = load_linker(small_run, small_data, changes=["method.hidden=16"])
    found = changed.link("a fox by the river", mention="fox")
    assert isinstance(found, Link)
    assert found.nil_probability is None


def made(weights: dict[str, float], means: dict[str, float] | None = None, intercept: float = 0.0) -> Nil:
    return Nil(
        means=means or dict.fromkeys(weights, 0.0),
        scales=dict.fromkeys(weights, 1.0),
        weights=weights,
        intercept=intercept,
        share=0.5,
        mentions=1,
        candidates=2,
        data="data",
        split="tune",
    )
