"""The page at /: its policy, and what people do with it, in a browser (skipped where there is no Chromium)."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import pytest
import uvicorn
from starlette.testclient import TestClient

from browser import CTRL, PATIENCE, SHIFT, Browser, needs_chromium
from melder.linking.evidence import AlignedUnit, ExplainedCandidate, Explanation, Read
from melder.records import Item, Link, Mention
from melder.serving import ServiceSettings, create_application, listen
from serving.toy import ToySource, picture

PARTS = [each.name for each in files("melder.serving").joinpath("page").iterdir() if each.name != "index.html"]


def test_the_page_may_run_only_what_the_service_itself_gives(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(each.split(" ", 1) for each in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert not re.search(r"<script(?![^>]* src=)|\son\w+=|\sstyle=|https?:", answer.text)


@pytest.mark.parametrize("part", PARTS)
def test_every_part_of_the_page_is_served_and_asks_nobody_else(client: TestClient, part: str) -> None:
    answer = client.get(f"/page/{part}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/css" if part.endswith("css") else "text/javascript")
    assert not re.search(r"https?://|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", answer.text)


@pytest.mark.parametrize("part", ["settings.py", "..%2fsettings.py", "index.html"])
def test_nothing_but_parts_of_the_page_is_served(client: TestClient, part: str) -> None:
    assert client.get(f"/page/{part}").status_code == 404


@contextmanager
def running(source: ToySource) -> Iterator[str]:
    """A service that listens, in a thread; its address."""
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(
        uvicorn.Config(create_application(source, source.open(), ServiceSettings()), log_level="error")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        listener.close()


@needs_chromium
def test_people_link_mentions_by_keyboard_find_them_and_read_what_went_wrong(source: ToySource, tmp_path: Path) -> None:
    (tmp_path / "flag.png").write_bytes(picture())
    (tmp_path / "no.png").write_bytes(b"no picture")
    with running(source) as address, Browser(tmp_path / "profile") as browser:
        browser.open(address)
        browser.look(tmp_path / "wide.png", 1280)
        linker = source.opened[0]

        # A mention by keyboard alone, behind a letter that is two units of UTF-16, with a picture.
        browser.type("🏏 and\nGuinea won")
        browser.press("Home")
        browser.press("ArrowRight", 6, SHIFT)
        browser.until("document.querySelector('#chosen mark').textContent === 'Guinea'")
        browser.choose_file("#file", tmp_path / "flag.png")
        browser.press("Enter", modifiers=CTRL)
        browser.until("document.querySelectorAll('#candidates .description').length === 8")
        assert browser.evaluate("document.activeElement.textContent") == "“Guinea”: uncertain, Guinea or Guinea-Bissau"
        assert browser.evaluate("document.querySelector('#candidates h3').textContent") == "Guinea"
        assert (linker.seen, linker.pictures) == (["Guinea"], [picture()])

        # Names and descriptions full of HTML are still text.
        assert browser.evaluate("[...document.querySelectorAll('h3')].map(e => e.textContent)").count(
            "<script>alert(1)</script>"
        )
        assert browser.evaluate("[...document.querySelectorAll('.description')].map(e => e.textContent)").count(
            '"><img src=x onerror=alert(1)>'
        )
        assert (
            browser.evaluate("document.querySelectorAll('#candidates :is(script, b, [onerror], [src=x])').length") == 0
        )

        # Without a selection names are found; each can be looked at.
        browser.evaluate("document.getElementById('clear').click(); document.getElementById('text').select()")
        browser.type("Mercury, not Papua New Guinea")
        browser.press("Enter", modifiers=CTRL)
        browser.until("document.querySelectorAll('#read button').length === 2")
        words = "[...document.querySelectorAll('#read button')].map(button => button.firstChild.textContent)"
        assert browser.evaluate(words) == ["Mercury", "Papua New Guinea"]
        under = "[...document.querySelectorAll('#read .under')].map(answer => answer.textContent)"
        assert browser.evaluate(under) == ["uncertain", "Papua New Guinea"]
        browser.evaluate("document.querySelectorAll('#read button')[1].click()")
        assert browser.evaluate("document.querySelector('#candidates h3').textContent") == "Papua New Guinea"

        # A mistake is a sentence.
        browser.choose_file("#file", tmp_path / "no.png")
        browser.evaluate("document.getElementById('link').click()")
        browser.until("!document.getElementById('error').hidden")
        assert browser.evaluate("document.getElementById('error').textContent").startswith("The picture given: not a")
        assert browser.evaluate("document.getElementById('links').hidden") is True

        # What cannot be explained is said too.
        browser.evaluate("document.getElementById('remove').click(); document.getElementById('link').click()")
        browser.until(
            "document.querySelectorAll('#read button').length === 2 && !document.getElementById('why').hidden"
        )
        browser.evaluate("document.getElementById('why').click()")
        browser.until("document.getElementById('status').textContent.includes('cannot be explained')")

        browser.look(tmp_path / "narrow.png", 360)
        assert browser.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth") is True
        assert not [each for each in browser.log if "exceptionDetails" in each or each["entry"]["source"] == "security"]


def test_the_page_is_told_what_it_stands_for(client: TestClient) -> None:
    about = client.get("/page/about").json()
    assert (about["name"], about["entities"], about["types"], about["pictures"]) == ("toys", 8, 5, True)
    assert about["examples"] == ["What is Guinea?", "What is Papua New Guinea?", "What is Slash?"]


def test_a_knowledge_base_that_does_not_see_says_so(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.toy.ToyLinker.compares_pictures", False, raising=False)
    assert client.get("/page/about").json()["pictures"] is False


VERDICTS = [
    ([9.0, 4.0, 1.0], None, ["a", "clearly ahead"]),
    ([9.0, 8.0, 1.0], None, ["a", "ahead of b"]),
    ([7.27, 7.15, 2.0], None, [None, "uncertain, a or b"]),
    ([2.0, 2.0], None, [None, "uncertain, a or b"]),
    ([2.0, 1.0], None, ["a", "ahead of b"]),
    ([-1.0, -4.0, -5.0], 0.25, ["a", "clearly ahead, 75\u00a0% that it is among these"]),
    ([9.0, 1.0, 0.0], 0.75, [None, "probably none of these (75\u00a0%)"]),
    ([9.0, 1.0, 0.0], 0.999, [None, "probably none of these (99\u00a0%)"]),
    ([1.0], None, ["a", "the only candidate"]),
    ([], None, [None, "no candidate"]),
]


@needs_chromium
def test_the_answer_is_said_in_words(source: ToySource, tmp_path: Path) -> None:
    with running(source) as address, Browser(tmp_path / "profile") as browser:
        browser.open(address)
        links = [
            {
                "nil_probability": nil,
                "candidates": [{"name": "abc"[place], "score": score} for place, score in enumerate(scores)],
            }
            for scores, nil, _ in VERDICTS
        ]
        found = browser.evaluate(f"import('./page/verdict.js').then((words) => {json.dumps(links)}.map(words.verdict))")
        assert found == [said for _, _, said in VERDICTS]
        namesakes = [{"id": identity, "name": "Mercury", "score": 1.0} for identity in ("m1", "m2")]
        link = json.dumps({"nil_probability": None, "candidates": namesakes})
        verdict = f"import('./page/verdict.js').then((words) => words.verdict({link}))"
        assert browser.evaluate(verdict) == [None, "uncertain, Mercury (m1) or Mercury (m2)"]


@needs_chromium
def test_an_empty_page_offers_examples_and_a_phone_shows_the_answer_first(source: ToySource, tmp_path: Path) -> None:
    with running(source) as address, Browser(tmp_path / "profile") as browser:
        browser.open(address)
        browser.until("!document.getElementById('start').hidden")
        assert browser.evaluate("document.getElementById('base').textContent") == (
            "Links a mention, in a text and a picture, to an entity of toys: "
            "8 entities · 5 types · compares texts and pictures."
        )
        browser.look(tmp_path / "empty.png", 390)
        browser.evaluate("document.querySelector('#examples button').click()")
        browser.until("!document.getElementById('links').hidden")
        browser.look(tmp_path / "answer.png", 390)
        assert browser.evaluate("document.getElementById('title').getBoundingClientRect().top < 400") is True
        assert browser.evaluate("document.getElementById('start').hidden") is True
        evidence = "[...document.querySelectorAll('.evidence')].map(one => one.open)"
        assert browser.evaluate(evidence) == [True, *[False] * 7]
        browser.evaluate("document.getElementById('edit').click()")
        assert browser.evaluate("document.activeElement.id") == "text"
        assert browser.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth") is True


@needs_chromium
def test_where_pictures_are_not_compared_none_is_asked_for(
    source: ToySource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.toy.ToyLinker.compares_pictures", False, raising=False)
    with running(source) as address, Browser(tmp_path / "profile") as browser:
        browser.open(address)
        browser.until("document.getElementById('base').textContent.includes('compares texts only')")
        assert browser.evaluate("document.getElementById('drop').hidden") is True


def matched(linker: object, mention: Mention, link: Link, item: Item) -> Explanation:
    """Both words of the mention's text and of the entity's, and four patches of either picture."""
    words = AlignedUnit(modality="text", weights=((0.9, 0.1), (0.5, 0.5)), received=(0.7, 0.3))
    patches = AlignedUnit(modality="image", weights=((0.25,) * 4,) * 4, received=(0.7, 0.1, 0.1, 0.1))
    best = link.candidates[0]
    told = Read(text="🏏 Guinea won", head=0, words=((2, 8), (9, 12)), grid=(2, 2))
    entity = Read(text="Guinea <b>", head=6, words=((0, 6), (7, 10)), grid=(2, 2))
    explained = ExplainedCandidate(**best.model_dump(), read=entity, aligned={"text": words, "image_local": patches})
    return Explanation(id=link.id, surface=link.surface, read=told, candidates=(explained,))


@needs_chromium
def test_what_matched_lies_over_words_and_pictures(
    source: ToySource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("melder.serving.service.explainable", lambda linker: linker)
    monkeypatch.setattr("melder.serving.service.explain", matched)
    (tmp_path / "flag.png").write_bytes(picture())
    with running(source) as address, Browser(tmp_path / "profile") as browser:
        browser.open(address)
        browser.type("🏏 Guinea won")
        browser.choose_file("#file", tmp_path / "flag.png")
        browser.press("Enter", modifiers=CTRL)
        browser.until("document.querySelectorAll('#candidates .description').length === 8")
        browser.evaluate("document.getElementById('why').click()")
        browser.until("document.querySelectorAll('.veil').length === 2")
        shares = "each => each.style.getPropertyValue('--share')"
        words = browser.evaluate(
            f"[...document.querySelectorAll('.words span')].map(each => [each.textContent, ({shares})(each)])"
        )
        assert words == [["Guinea", "1.000"], ["won", "0.000"], ["Guinea", "0.286"], ["<b>", "0.000"]]
        patches = browser.evaluate(
            f"[...document.querySelectorAll('.veil')].map(each => [...each.children].map({shares}))"
        )
        assert patches == [["1.000", "0.000", "0.000", "0.000"], ["0.000"] * 4]
        assert browser.evaluate("document.querySelector('.matched .note').textContent") == (
            "Strongest: “Guinea” with “Guinea” (90\xa0%), “<b>” with “Guinea” (50\xa0%), “<b>” with “won” (50\xa0%)"
        )
        browser.until("document.querySelector('.veiled img').naturalWidth === 20")
        assert not [each for each in browser.log if "exceptionDetails" in each or each["entry"]["source"] == "security"]
