"""Templates: text is escaped wherever it stands, a name that is not given is an error, numbers are written one way."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest
from jinja2 import UndefinedError

import melder
from evaluation.report.test_report import EVIL
from melder.evaluation.report.document import render
from melder.evaluation.report.numbers import format_number

TEMPLATES = sorted(Path(melder.__file__).parent.rglob("templates/**/*.html"))


def test_text_is_escaped_in_elements_and_attributes() -> None:
    page = render("melder.serving", "flyout.html", title=EVIL, texts=(EVIL, " "))
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=&#39;a&#39;&gt;&#34;&amp;") == 2
    assert "<script" not in page
    assert page.count("<p>") == 2  # nothing of a text of spaces


def test_a_value_that_is_not_given_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'texts' is undefined"):
        render("melder.serving", "flyout.html", title="Guinea")


@pytest.mark.parametrize("template", TEMPLATES, ids=[path.name for path in TEMPLATES])
def test_no_template_lets_markup_through_or_runs_anything_of_its_own(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert not re.search(r"\|\s*safe|autoescape|\son\w+=|\sstyle=|https?:|javascript:", text)


def test_templates_are_package_data() -> None:
    assert len(TEMPLATES) > 20
    assert files("melder.serving").joinpath("templates/preview.html").is_file()


@pytest.mark.parametrize(
    ("value", "pattern", "written"),
    [
        (0.25, ".3f", "0.250"),
        (-0.25, ".3f", "−0.250"),
        (-0.0001, ".3f", "0.000"),
        (-0.0001, "+.2f", "+0.00"),
        (0.0, "+.2f", "+0.00"),
        (0, ",", "0"),
        (-1234, ",", "−1,234"),
        (1234567, ",", "1,234,567"),
        (-0.0, ".0%", "0%"),
        (-1e-10, ".3g", "−1e-10"),
        (float("nan"), ".3f", "nan"),
    ],
)
def test_numbers_have_a_real_minus_and_no_sign_on_nothing(value: float, pattern: str, written: str) -> None:
    assert format_number(value, pattern) == written
