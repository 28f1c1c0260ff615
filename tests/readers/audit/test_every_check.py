"""What every check promises. A check without a case in `cases.py` fails the last test."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.cases import CASES, Rows
from audit.made import Made, made
from melder.data.audit import CHECKS, Audited, Finding, audit


@pytest.fixture(params=CASES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def planted(name: str) -> Made:
    data = made()
    CASES[name].plant(data)
    return data


@pytest.fixture
def audited(name: str, planted: Made, tmp_path: Path) -> Audited:
    return planted.audited(tmp_path, skip_bad=CASES[name].skip_bad)


def found(findings: list[Finding]) -> dict[str, Rows]:
    """Rows by kind, without the parts in which there are none."""
    return {
        finding.kind: {part: set(ids) for part, ids in finding.rows.items() if ids}
        for finding in findings
        if finding.found
    }


def test_it_finds_what_is_planted_and_nothing_else(name: str, audited: Audited) -> None:
    assert found(CHECKS[name](audited)) == CASES[name].finds


def test_every_kind_of_finding_is_planted(name: str, audited: Audited) -> None:
    assert {finding.kind for finding in CHECKS[name](audited)} == CASES[name].finds.keys()


def test_it_finds_nothing_where_there_is_nothing(name: str, tmp_path: Path) -> None:
    findings = CHECKS[name](made().audited(tmp_path))
    assert found(findings) == {}
    assert not any(finding.example or finding.remedies or finding.groups for finding in findings)


def test_a_finding_counts_rows_that_it_looked_at_once(name: str, audited: Audited) -> None:
    for finding in CHECKS[name](audited):
        assert finding.rows.keys() <= finding.of.keys()
        assert all(0 <= count <= finding.of[part] for part, count in finding.counts.items())
        assert all(len(ids) == len(set(ids)) for ids in finding.rows.values())


def test_a_finding_shows_an_example_of_its_rows(name: str, audited: Audited) -> None:
    assert all(finding.example for finding in CHECKS[name](audited))


def test_only_leaks_are_left_out_and_only_rows_that_there_are(name: str, audited: Audited) -> None:
    known = {(split, m.id) for split, mentions in audited.splits.items() for m in mentions}
    known |= {("entities", entity.id) for entity in audited.entities}
    for finding in CHECKS[name](audited):
        assert bool(finding.remedies) == (finding.severity == "leak")
        assert all((each.part, each.id) in known and each.reason for each in finding.remedies)


@pytest.mark.parametrize(
    "name", [case for case in CASES if case != "answers"]
)  # which names records that were left out by their place
def test_the_order_of_the_rows_does_not_matter(name: str, planted: Made, audited: Audited, tmp_path: Path) -> None:
    before = found(CHECKS[name](audited))
    for rows in planted.splits.values():
        rows.reverse()
    after = found(CHECKS[name](planted.audited(tmp_path)))
    for rows_of in (before, after):
        rows_of.pop("order of rows", None)
    assert after == before


@pytest.mark.parametrize("splits", [(), ("dev",), ("dev", "test"), ("train",)])
def test_a_data_set_may_lack_splits(name: str, planted: Made, splits: tuple[str, ...], tmp_path: Path) -> None:
    planted.splits = {split: planted.splits[split] for split in splits}
    audited = planted.audited(tmp_path, skip_bad=CASES[name].skip_bad)
    assert all(finding.of.keys() <= {*splits, "entities"} for finding in CHECKS[name](audited))


def test_every_check_has_a_case_and_runs(tmp_path: Path) -> None:
    assert CASES.keys() == CHECKS.keys()
    assert audit(made().audited(tmp_path)).keys() == CHECKS.keys()
