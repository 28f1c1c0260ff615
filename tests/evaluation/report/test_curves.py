"""The charts of a training in a report."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from evaluation.report.test_report import EVIL, page, read
from melder.evaluation.report import write_report
from melder.evaluation.report.curves import HEIGHT, WIDTH, Curves, charts, read_curves


def logged(run: Path, name: str, text: str) -> None:
    (run / "logs").mkdir(exist_ok=True)
    (run / "logs" / name).write_text(text, encoding="utf-8")


def test_logs_of_a_training_that_went_on_are_one(tmp_path: Path) -> None:
    logged(tmp_path, "metrics-1.csv", "epoch,loss_total,step\n0,3,9\n0,2.5,19\n")
    logged(
        tmp_path, "metrics.csv", "epoch,generator_entropy,loss_total,mrr,step\n0,0.5,2,,19\n1,,,0.25,29\n1,nan,x,,39\n"
    )
    curves = read_curves(tmp_path)
    assert curves == {"mrr": [(29, 0.25)], "generator_entropy": [(19, 0.5)], "loss_total": [(9, 3.0), (19, 2.0)]}
    assert list(curves) == ["mrr", "generator_entropy", "loss_total"]


def test_a_run_without_logs_has_no_charts(tmp_path: Path) -> None:
    assert read_curves(tmp_path) == {}
    logged(tmp_path, "metrics.csv", "")
    assert read_curves(tmp_path) == {}


def drawn(directory: Path, training: Curves) -> str:
    write_report(directory / "r.html", replace(page(directory), training=training))
    return re.findall(r'<div class="curves">.*?</div>', (directory / "r.html").read_text(encoding="utf-8"), re.DOTALL)[
        0
    ]


def test_a_chart_is_a_line_from_the_first_step_to_the_last_and_from_the_lowest_to_the_highest(tmp_path: Path) -> None:
    text = drawn(tmp_path, {"generator_rank": [(0, 1.0), (10, 3.0), (40, 2.0)]})
    assert re.findall(r'points="([^"]*)"', text) == [f"0.0,{HEIGHT}.0 {WIDTH / 4},0.0 {WIDTH}.0,{HEIGHT / 2}"]
    assert "mean rank of what the generator picks: 2 at step 40" in text
    assert re.findall(r"<text.*?>(.*?)</text>", text) == ["3", "1"]


def test_a_long_training_has_a_short_line_and_a_single_value_a_dot(tmp_path: Path) -> None:
    (long,) = charts({"loss": [(step, float(step)) for step in range(10_000)]})
    assert (len(long.points.split()), long.last_step, long.last_value) == (200, 9999, 9999.0)
    assert "<circle" not in drawn(tmp_path, {"loss": [(0, 1.0), (1, 2.0)]})
    assert '<circle cx="0.0" cy="90.0"' in drawn(tmp_path, {"mrr": [(5, 0.5)]})


def test_names_from_a_log_are_text(tmp_path: Path) -> None:
    drawn(tmp_path, {EVIL: [(0, 1.0)]})
    assert f"{EVIL.replace('_', ' ')}: 1 at step 0" in read(tmp_path / "r.html").inside("figcaption")
