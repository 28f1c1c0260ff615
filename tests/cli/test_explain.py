"""`melder link --explain`"""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.conftest import Melder
from training.small import small_run


def test_link_writes_a_page_that_explains_it(melder: Melder, small_data: Path, tmp_path: Path) -> None:
    page = tmp_path / "new" / "why.html"
    asked = ("--text", "A <b>red</b> kite & a fox", "--mention", "kite", "--image", small_data / "images/0.png")
    said = melder("link", small_run(), "--data", small_data, *asked, "-k", 3, "--explain", page)
    assert said.status == 0
    assert "'kite' in 'A <b>red</b> kite & a fox'" in said.out
    text = page.read_text(encoding="utf-8")
    assert text.count('<section id="candidate-') == 3
    assert text.count('class="places words"') == text.count('class="places patches"') == 6
    assert "<b>" not in text
    assert "A &lt;b&gt;red&lt;/b&gt; kite &amp; a fox" in text


def test_a_link_as_json_can_be_explained_too(melder: Melder, small_data: Path, tmp_path: Path) -> None:
    asked = ("--text", "a fox", "--json", "--explain", tmp_path / "why.html")
    said = melder("link", small_run(), "--data", small_data, *asked)
    assert said.status == 0
    assert said.out.startswith("{")
    assert 'class="places patches"' not in (tmp_path / "why.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--input", "mentions.jsonl", "--explain", "why.html"), "--explain shows one mention; give it with --text"),
        (("--text", "a fox", "--explain", "."), "is a directory"),
        (("--text", "a fox", "--mention", "ox ", "--explain", "why.html"), "does not occur in the text"),
    ],
)
def test_a_page_that_cannot_be_is_refused(
    melder: Melder, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: object, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    said = melder("link", small_run(), "--data", small_data, *arguments)  # type: ignore[misc]
    assert words in said.error
    assert not (tmp_path / "why.html").exists()
