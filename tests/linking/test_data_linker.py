"""Prior and coherence: the first candidates of a linker, ordered anew by what a data set says of them."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import melder
from linking.second_looks import by_pairs
from melder.data import load
from melder.evaluation.evaluate import EvaluationOptions, evaluate_run
from melder.linking import ExactLinker
from melder.linking.data_evidence import (
    FILE,
    TOP,
    DataEvidence,
    fit_temperature,
    fit_weights,
    log_odds,
    read_evidence,
    surface_counts,
)
from melder.linking.data_linker import DataLinker, coherences, fit_on_links
from melder.records import MelderError, Mention
from melder.training.calibrate import CalibrationOptions, calibrate


@pytest.fixture(scope="module")
def matching(small_run: Path, small_data: Path) -> ExactLinker:
    linker = melder.load(small_run, data=small_data)
    assert isinstance(linker, ExactLinker)
    return linker


@pytest.fixture(scope="module")
def mentions(small_data: Path) -> list[Mention]:
    return [mention for mention in load(small_data).split("dev") if mention.answer is not None]


def evidence(counts: dict[str, dict[str, int]] | None = None, prior: float = 2.0) -> DataEvidence:
    made = DataEvidence.of_counts(counts or {}, data="small", split="tune")
    return made.model_copy(update={"prior": prior, "coherence": 3.0})


def counting(title: str, total: int) -> Callable[[int], None]:
    return lambda done: None


def test_surfaces_are_counted_as_names_are_compared() -> None:
    said = [("Bush", "a"), ("BUSH", "a"), ("bush", "b"), ("Müller", "c"), ("", "d"), ("nobody", None)]
    counted = surface_counts(Mention(id=str(n), surface=s, answer=answer) for n, (s, answer) in enumerate(said))
    assert counted == {"bush": {"a": 2, "b": 1}, "müller": {"c": 1}}
    assert log_odds(counted, "Bush", ["a", "b", "c"]) == pytest.approx([math.log(3), math.log(2), 0.0])
    assert log_odds(counted, "Rice", ["a"]) == [0.0]


def test_a_prior_adds_its_log_odds_and_no_more(matching: ExactLinker, mentions: list[Mention]) -> None:
    before = matching.link(mentions, k=TOP)
    last = before[0].candidates[-1].id
    counts = surface_counts([mentions[0].model_copy(update={"answer": last})] * 50)
    linker = DataLinker(matching, evidence(counts, prior=1000.0), prior=True, coherence=False)
    for first, second, mention in zip(before, linker.link(mentions, k=TOP), mentions, strict=True):
        scores = {candidate.id: candidate for candidate in first.candidates}
        for candidate in second.candidates:
            assert candidate.score == pytest.approx(scores[candidate.id].score + candidate.units["prior"])
            assert sum(candidate.units.values()) == pytest.approx(candidate.score, rel=1e-4, abs=1e-3)
        if mention.surface == mentions[0].surface:
            assert second.candidates[0].id == last
            assert second.candidates[0].units["prior"] == pytest.approx(1000 * math.log(51))


def test_ranks_are_those_of_the_links(matching: ExactLinker, mentions: list[Mention]) -> None:
    counts = surface_counts(mentions)
    linker = DataLinker(matching, evidence(counts, prior=1e6), prior=True, coherence=False)
    links, ranks = linker.links_and_ranks(mentions, TOP)
    for link, mention, rank in zip(links, mentions, ranks.realistic.tolist(), strict=True):
        scores = {candidate.id: candidate.score for candidate in link.candidates}
        if mention.answer in scores:
            assert rank == 1 + sum(score > scores[mention.answer] for score in scores.values())
    assert (ranks.realistic <= matching.ranks(mentions).realistic + len(counts)).all()


def test_a_prior_that_knows_nothing_changes_nothing(matching: ExactLinker, mentions: list[Mention]) -> None:
    linker = DataLinker(matching, evidence(), prior=True, coherence=False)
    for first, second in zip(matching.link(mentions), linker.link(mentions), strict=True):
        assert [candidate.id for candidate in first.candidates] == [candidate.id for candidate in second.candidates]


def test_coherence_needs_another_mention_of_the_text(matching: ExactLinker, mentions: list[Mention]) -> None:
    alone = [
        mention.model_copy(update={"text": f"{mention.text} {n}", "start": None, "end": None})
        for n, mention in enumerate(mentions)
    ]
    assert coherences(matching, alone, matching.link(alone), 1.0) == {}
    together = [mention.model_copy(update={"text": "one text", "start": None, "end": None}) for mention in mentions[:3]]
    near = coherences(matching, together, links := matching.link(together), 1.0)
    assert sorted(near) == [0, 1, 2]
    for row, values in near.items():
        assert len(values) == len(links[row].candidates)
        assert min(values) == 0.0
        assert max(values) <= 2.0


def test_coherence_raises_the_other_mentions_answer_most(matching: ExactLinker, mentions: list[Mention]) -> None:
    """The cosine of an entity with itself is the largest there is."""
    pair = [mentions[0], mentions[0].model_copy(update={"id": "again"})]
    best = matching.link(pair)[0].candidates[0].id
    near = coherences(matching, pair, links := matching.link(pair), 1.0)
    highest = max(range(len(near[0])), key=lambda place: near[0][place])
    assert links[0].candidates[highest].id == best


def test_fitted_weights_find_what_tells_and_drop_what_does_not() -> None:
    draw = torch.Generator().manual_seed(0)
    answers = torch.randint(TOP, (400,), generator=draw)
    gold = torch.nn.functional.one_hot(answers, TOP).double()
    scores = 4 * gold + 2 * torch.randn(400, TOP, generator=draw).double()
    telling, noise = gold + torch.randn(400, TOP, generator=draw), torch.randn(400, TOP, generator=draw)
    temperature = fit_temperature(scores, answers)
    weights = fit_weights(scores, torch.stack([telling, noise, -telling], dim=-1), answers, temperature)
    assert 0.5 < temperature < 2
    assert weights[0] > 0.5
    assert max(weights[1:]) < 0.2 * weights[0]
    assert fit_temperature(10 * scores, answers) == pytest.approx(temperature / 10, rel=0.05)


def test_calibrate_fits_it_and_evaluate_reads_it(small_run: Path, small_data: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small_run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints")))
    with pytest.raises(MelderError, match=r"melder calibrate .* --prior"):
        evaluate_run(run, small_data, "dev", EvaluationOptions(prior=True), counting=counting)
    nil = calibrate(run, small_data, CalibrationOptions(prior=True), counting=counting)
    fitted = read_evidence(run)
    assert (fitted.split, nil.split) == ("tune", "tune")
    assert fitted.counts
    plain = evaluate_run(run, small_data, "dev", counting=counting)
    with_both = evaluate_run(run, small_data, "dev", EvaluationOptions(prior=True, coherence=True), counting=counting)
    assert with_both.figures["mentions"] == plain.figures["mentions"]
    units = with_both.links[0].candidates[0].units
    assert {"prior", "coherence"} >= set(units) - set(plain.links[0].candidates[0].units)
    written = (run / FILE).read_text()
    for damaged in ("{}", "[" * 100_000, f'{written[: written.rindex("}")]}, "counts": {{"kite": {{"Q1": -3}}}}}}'):
        (run / FILE).write_text(damaged)
        with pytest.raises(MelderError, match="is damaged; fit it with"):
            melder.load(run, data=small_data, prior=True)


def test_what_does_not_go_together_is_one_line(
    matching: ExactLinker, small_run: Path, small_data: Path, mentions: list[Mention]
) -> None:
    with pytest.raises(MelderError, match="leave these out"):
        evaluate_run(small_run, small_data, "dev", EvaluationOptions(prior=True, nil_threshold=0.5), counting=counting)
    learned = melder.load(small_run, data=small_data)
    assert isinstance(learned, ExactLinker)
    learned.learn(mentions[:1])
    with pytest.raises(MelderError, match=r"fitted without its second look; .* rerank\.top=0"):
        melder.load(small_run, data=small_data, changes=by_pairs(weight=0.5), prior=True)
    with pytest.raises(MelderError, match="leave prior out"):
        DataLinker(learned, evidence(), prior=True, coherence=False)
    empty = matching.link(mentions[0]).model_copy(update={"candidates": ()})
    with pytest.raises(MelderError, match="first 20 candidates"):
        fit_on_links(matching, mentions[:1], [empty], evidence())
