"""The reliability diagram of a report."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from evaluation.report.test_report import page
from melder.evaluation.report import write_report

BINS = [
    {"low": 0.0, "high": 0.1, "count": 30, "predicted": 0.05, "observed": 0.0, "observed_ci": [0.0, 0.1]},
    {"low": 0.5, "high": 0.6, "count": 10, "predicted": 0.5, "observed": 1.0, "observed_ci": [0.7, 1.0]},
]
NIL: dict[str, Any] = {
    "auroc": 0.875, "brier": 0.125, "ece": 0.25, "bins": BINS, "mentions": 20, "share": 0.5, "fitted_on": "data, tune"
}  # fmt: skip


def drawn(directory: Path, nil: dict[str, Any]) -> str:
    write_report(directory / "r.html", replace(page(directory), nil=nil))
    text = (directory / "r.html").read_text(encoding="utf-8")
    return re.findall(r'<section id="none-of-these">.*?</section>', text, re.DOTALL)[0]


def test_a_bin_is_a_dot_at_its_shares_with_its_interval(tmp_path: Path) -> None:
    text = drawn(tmp_path, NIL)
    assert re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', text) == [("51.0", "300.0"), ("186.0", "0.0")]
    lines = re.findall(r'x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)" class="interval"', text)
    assert lines == [("51.0", "300.0", "51.0", "270.0"), ("186.0", "90.0", "186.0", "0.0")]
    assert re.search(r'x1="36.0" y1="300.0" x2="336.0" y2="0.0" class="diagonal"', text)


def test_its_numbers_stand_in_a_table_and_in_words(tmp_path: Path) -> None:
    text = drawn(tmp_path, NIL)
    assert "AUROC 0.875, Brier score 0.125, calibration error 0.250." in text
    assert "<td>100.0% <small>[70.0%, 100.0%]</small></td>" in text
    assert text.count("<table") == 1
    assert "threshold" not in text


def test_a_threshold_and_real_nil_mentions_are_told_of(tmp_path: Path) -> None:
    at = {"threshold": 0.5, "precision": None, "recall": 0.25}
    real = {**NIL, **at, "auroc": None, "mentions": 14, "nil": 1}
    text = drawn(tmp_path, {**NIL, **at, "real": real})
    assert "From 0.5 on, “none of these” has precision – and recall 0.250." in text
    assert "1 of 14 mentions have no entity in fact. Brier score" in text
    assert text.count("<table") == 2


def test_everything_is_inside_the_drawing(tmp_path: Path) -> None:
    numbers = [float(n) for n in re.findall(r' (?:x|y|cx|cy|x1|x2|y1|y2)="([\d.-]+)"', drawn(tmp_path, NIL))]
    assert 0 <= min(numbers) <= max(numbers) <= 336
