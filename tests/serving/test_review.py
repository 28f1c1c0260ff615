"""Review, in a browser: the least certain first, a key each, data to train on, and a knowledge base that learns."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from browser import PATIENCE, SHIFT, Browser, needs_chromium
from melder.data.own import read_lines
from melder.io.problems import Problems
from melder.records import Mention
from serving.test_page import TOKEN, no_complaints, running, text_of
from serving.toy import ToySource

LINES = [
    {"id": "sure", "text": "A Papua New Guinea squad", "mention": "Papua New Guinea"},
    {"id": 7, "text": "🏏 Mercury rose", "start": 2, "end": 9, "image": "a.png", "answer": None, "language": "en"},
    {"id": "done", "text": "Guinea", "start": 0, "end": 6, "answer": "GN"},
    {"id": "none", "text": "Nobody here", "surface": "Nobody"},
]
STATUS = "document.getElementById('review-status').textContent"
TITLE = "document.getElementById('case-title').textContent"


def downloaded(browser: Browser, folder: Path) -> list[Mention]:
    """The mentions of train.jsonl, as a person gets it and Melder reads it."""
    browser.send("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    browser.evaluate("document.getElementById('download').click()")
    file, end = folder / "train.jsonl", time.monotonic() + PATIENCE
    while not file.is_file() or not file.stat().st_size:
        assert time.monotonic() < end, "nothing was downloaded"
        time.sleep(0.05)
    problems = Problems()
    mentions = [mention for _, mention in read_lines(file, Mention, problems)]
    assert not problems.records
    return mentions


@needs_chromium
def test_mentions_of_a_file_are_answered_by_keys_exported_and_learned(source: ToySource, tmp_path: Path) -> None:
    (tmp_path / "mentions.jsonl").write_text("\n".join(map(json.dumps, LINES)), encoding="utf-8")
    with running(source, token=TOKEN) as address, Browser(tmp_path / "profile") as browser:
        browser.open(f"{address}#review")
        browser.until("!document.getElementById('review').hidden && !document.getElementById('apply').hidden")
        browser.choose_file("#records", tmp_path / "mentions.jsonl")
        browser.until(f"{TITLE}.startsWith('1 of 3')")
        assert browser.evaluate(STATUS) == "1 mention has an answer already."
        assert browser.evaluate("document.activeElement.id") == "case-title"
        # Two of which nothing is certain come in the file's order, before the one with a lead.
        assert browser.evaluate(TITLE) == "1 of 3: “Mercury”"
        assert browser.evaluate("document.querySelector('#case-text mark').textContent") == "Mercury"
        assert browser.evaluate(text_of("#choices bdi"))[:2] == ["Mercury", "m1"]
        browser.press("2")
        assert browser.evaluate(STATUS) == "“Mercury” means Mercury (m2)."
        browser.press("s")
        assert browser.evaluate(TITLE) == "3 of 3: “Papua New Guinea”"
        browser.press("u")
        assert browser.evaluate(TITLE) == "2 of 3: “Nobody”"
        browser.press("2")
        browser.press("u")
        browser.press("n")
        browser.press("1")
        assert browser.evaluate(TITLE) == "That was the last one"
        answers = {mention.id: mention for mention in downloaded(browser, tmp_path)}
        assert {identity: mention.answer for identity, mention in answers.items()} == {
            "none": None,
            "7": "m2",
            "sure": "PG",
        }
        seven = answers["7"]
        assert (seven.start, seven.end, seven.surface, seven.image, seven.language) == (2, 9, "Mercury", "a.png", "en")

        browser.evaluate("document.getElementById('apply').click()")
        browser.until("document.activeElement.id === 'token'")
        browser.type(TOKEN)
        browser.press("Enter")
        browser.until(f"{STATUS} === 'The knowledge base has learned 2 mentions.'")
        learned = {identity: [new.mention.text for new in taught] for identity, taught in source.learned.items()}
        assert learned == {"m2": ["🏏 Mercury rose"], "PG": ["A Papua New Guinea squad"]}
        assert browser.evaluate("document.getElementById('apply').disabled") is True
        assert no_complaints(browser)


@needs_chromium
def test_the_log_of_the_service_is_reviewed(source: ToySource, tmp_path: Path) -> None:
    with (
        running(source, token=TOKEN, log=tmp_path / "log") as address,
        Browser(tmp_path / "profile") as browser,
    ):
        browser.open(f"{address}#text=Mercury+rose")
        browser.until("document.querySelectorAll('#candidates li').length === 8")
        browser.evaluate("document.getElementById('tab-link').focus()")
        browser.press("ArrowRight")
        assert browser.evaluate("document.activeElement.id") == "tab-review"
        assert browser.evaluate("document.getElementById('ask-and-answer').hidden") is True
        browser.evaluate("document.getElementById('from-log').click()")
        browser.until("document.activeElement.id === 'token'")
        browser.type(TOKEN)
        browser.press("Enter")
        browser.until(f"{TITLE} === '1 of 1: “Mercury”'")
        browser.look(tmp_path / "review.png", 360)
        assert browser.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth") is True
        browser.press("N", modifiers=SHIFT)
        (mention,) = downloaded(browser, tmp_path)
        assert (mention.surface, mention.answer) == ("Mercury", None)
        assert len((tmp_path / "log").read_text().splitlines()) == 1


FAULTS = [
    ("{", "line 1: is no JSON; write one record a line"),
    ("\n[1]", 'line 2: is no record; write {"text": …}'),
    ('{"text": " "}', "line 1: field 'text': must be a text"),
    ('{"text": "Guinea"}', "line 1: needs 'start' and 'end', or a 'mention' that stands in its text"),
    (
        '{"text": "Guinea", "mention": "Mali"}',
        "line 1: needs 'start' and 'end', or a 'mention' that stands in its text",
    ),
    (
        '{"text": "🏏 a", "start": 2, "end": 4}',
        "line 1: fields 'start' and 'end': 2 and 4 are no span of the text of 3 characters",
    ),
    ('{"text": "a  b", "start": 1, "end": 3}', "line 1: fields 'start' and 'end': 1 and 3 cover no words"),
    (
        '{"text": "a b", "start": 0, "end": 1, "surface": "b"}',
        "line 1: fields 'start' and 'end': cover “a”, not the mention “b”",
    ),
    (
        '{"text": "a", "mention": "a", "image": 3}',
        "line 1: field 'image': must be the name of a picture, or a list of names",
    ),
]
ORDER = [  # certainties
    ({"candidates": [], "nil_probability": None}, 0),
    ({"candidates": [{"score": 2}, {"score": 2}, {"score": 1}], "nil_probability": None}, 0),
    ({"candidates": [{"score": 3}, {"score": 2}, {"score": 1}], "nil_probability": None}, 0.5),
    ({"candidates": [{"score": 3}, {"score": 2}, {"score": 1}], "nil_probability": 0.5}, 0),
    ({"candidates": [{"score": 3}, {"score": 1}, {"score": 1}], "nil_probability": 0.125}, 0.75),
    ({"candidates": [{"score": 3}], "nil_probability": None}, 1),
    ({"candidates": [{"score": 3}, {"score": 1}], "nil_probability": None}, 0.3),
]


@needs_chromium
def test_what_is_wrong_in_a_file_is_said_and_how_certain_a_link_is(source: ToySource, tmp_path: Path) -> None:
    with running(source) as address, Browser(tmp_path / "profile") as browser:
        browser.open(address)
        contents = json.dumps([content for content, _ in FAULTS])
        read = f"import('./page/mention_lines.js').then((lines) => {contents}.map(lines.readMentions))"
        assert browser.evaluate(read) == [{"mentions": [], "faults": [fault]} for _, fault in FAULTS]
        links = json.dumps([link for link, _ in ORDER])
        certain = browser.evaluate(f"import('./page/verdict.js').then((to) => {links}.map(to.certainty))")
        assert certain == pytest.approx([value for _, value in ORDER])


@needs_chromium
def test_good_lines_are_reviewed_beside_bad_ones(source: ToySource, tmp_path: Path) -> None:
    content = b'\xef\xbb\xbf{"text": "Guinea", "mention": "Guinea"}\n' + b"{\n" * 5
    with running(source) as address, Browser(tmp_path / "profile") as browser:
        browser.open(f"{address}#review")
        browser.until("!document.getElementById('review').hidden && !document.getElementById('start').hidden")
        (tmp_path / "some.jsonl").write_bytes(content)
        browser.choose_file("#records", tmp_path / "some.jsonl")
        browser.until(f"{TITLE} === '1 of 1: “Guinea”'")
        error = browser.evaluate("document.getElementById('review-error').textContent")
        assert error.startswith("some.jsonl, line 2: is no JSON; write one record a line; some.jsonl, line 3")
        assert error.endswith("; and 2 other faults")
        assert browser.evaluate("document.getElementById('apply').hidden") is True
