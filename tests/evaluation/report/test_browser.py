"""The script of the page, in a browser: what the form leaves to be seen. Skipped where there is no Chromium."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from browser import needs_chromium, run_probe
from evaluation.report.test_report import page
from melder.evaluation.report import Shown, write_report

PROBE = """<!doctype html><pre id="said"></pre><iframe src="report.html" width="360" height="800"></iframe><script>
const frame = document.querySelector("iframe");
frame.onload = async () => {
  const page = frame.contentDocument, form = page.getElementById("filter"), said = {};
  const note = (name) => {
    const seen = [...page.querySelectorAll(".filtered article")].filter((each) => each.getClientRects().length);
    said[name] = [seen.map((each) => each.querySelector("small").textContent), form.querySelector("output").value];
  };
  const pick = (name, field, value) => {
    form.elements[field].value = value;
    form.elements[field].dispatchEvent(new Event("input", { bubbles: true }));
    note(name);
  };
  note("start");
  pick("rank", "rank", "3 3");
  pick("rank and words", "words", "GUINÉE");
  form.reset();
  await new Promise((done) => setTimeout(done, 20));
  note("reset");
  pick("last rank", "rank", "1001");
  form.reset();
  pick("group", "group", "1");
  page.querySelector("[data-show]").click();
  note("button");
  said.focus = page.activeElement.name;
  said.width = page.documentElement.scrollWidth <= page.documentElement.clientWidth;
  document.getElementById("said").textContent = JSON.stringify(said);
};
</script>"""


@needs_chromium
def test_the_form_leaves_what_was_asked_for(tmp_path: Path) -> None:
    whole = page(tmp_path)
    (error,) = whole.errors
    other = [Shown("Q3", "Mali", 2.0), Shown("Q4", "Chad", 1.0, gold=True)]
    errors = [
        replace(error, id="one"),
        replace(error, id="two", rank=2.5, text="En Guinée", candidates=other, groups=["Guinea", "odd"]),
        replace(error, id="three", rank=3.0, candidates=other, groups=["odd"], surface="Mali", text="", answer="Chad"),
        replace(error, id="four", rank=2000.0, groups=[]),
    ]
    slices = {**whole.slices, "odd": whole.metrics}
    write_report(tmp_path / "report.html", replace(whole, errors=errors, slices=slices))
    (tmp_path / "probe.html").write_text(PROBE, encoding="utf-8")
    said = run_probe(tmp_path / "probe.html")
    every = ["one", "two", "three", "four"]
    assert said.pop("focus") == "confusion"
    assert said.pop("width") is True
    assert {name: ids for name, (ids, _) in said.items()} == {
        "start": [f"mention {id}" for id in every],
        "rank": ["mention two", "mention three"],
        "rank and words": ["mention two"],
        "reset": [f"mention {id}" for id in every],
        "last rank": ["mention four"],
        "group": ["mention two", "mention three"],
        "button": ["mention one", "mention four"],
    }
    assert said["rank"][1] == "2 of 4"


PAGES = """<!doctype html><pre id="said"></pre><iframe src="report.html" width="WIDTH" height="800"></iframe><script>
const frame = document.querySelector("iframe");
frame.onload = () => {
  const page = frame.contentDocument, said = {};
  const container = page.querySelector(".filtered"), bar = container.nextElementSibling;
  const [previous, next] = bar.querySelectorAll("button");
  const note = (name) => {
    const seen = [...container.children].filter((article) => article.getClientRects().length);
    const ends = [seen[0], seen.at(-1)].map((article) => article.querySelector("small").textContent);
    const place = bar.querySelector("span").textContent;
    said[name] = [seen.length, ...ends, place, previous.disabled, next.disabled, bar.hidden];
  };
  note("start");
  next.click();
  note("second");
  while (!next.disabled) next.click();
  note("last");
  previous.click();
  note("back");
  const form = page.getElementById("filter");
  form.elements.rank.value = "3 3";
  form.elements.rank.dispatchEvent(new Event("input", { bubbles: true }));
  note("filtered");
  document.getElementById("said").textContent = JSON.stringify(said);
};
</script>"""


@needs_chromium
@pytest.mark.parametrize(("width", "size"), [(1000, 20), (360, 5)])
def test_errors_come_in_pages_of_twenty_and_on_a_phone_of_five(tmp_path: Path, width: int, size: int) -> None:
    whole = page(tmp_path)
    errors = [replace(whole.errors[0], id=str(number), rank=3.0 if number % 9 == 0 else 2.0) for number in range(45)]
    write_report(tmp_path / "report.html", replace(whole, errors=errors))
    (tmp_path / "probe.html").write_text(PAGES.replace("WIDTH", str(width)), encoding="utf-8")
    last = 45 - (45 % size or size)  # mentions before the last page

    def seen(first: int, end: int) -> list[object]:
        place = f"{first + 1}–{end} of 45"
        return [end - first, f"mention {first}", f"mention {end - 1}", place, first == 0, end == 45, False]

    assert run_probe(tmp_path / "probe.html") == {
        "start": seen(0, size),
        "second": seen(size, 2 * size),
        "last": seen(last, 45),
        "back": seen(last - size, last),
        "filtered": [5, "mention 0", "mention 36", "1–5 of 5", True, True, True],
    }
