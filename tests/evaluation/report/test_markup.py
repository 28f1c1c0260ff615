from __future__ import annotations

from melder.evaluation.report.markup import Markup, element, join


def test_text_is_escaped_and_markup_is_not() -> None:
    assert element("p", "a < b & ", element("b", "c")) == "<p>a &lt; b &amp; <b>c</b></p>"


def test_attributes_are_escaped_and_none_is_left_out() -> None:
    assert element("i", class_='"><script>', aria_label="x", id=None) == (
        '<i class="&quot;&gt;&lt;script&gt;" aria-label="x"></i>'
    )


def test_void_elements_have_no_end() -> None:
    assert element("img", alt="") == '<img alt="">'


def test_markup_joined_with_a_string_is_text_again() -> None:
    assert join([Markup("<b>") + "x"]) == "&lt;b&gt;x"
