"""The page at /: its policy, and what people do with it, in a browser (skipped where there is no Chromium)."""

from __future__ import annotations

import json
import re
import shlex
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
def running(source: ToySource, **settings: object) -> Iterator[str]:
    """A service that listens, in a thread; its address."""
    listener = listen("127.0.0.1", 0)
    app = create_application(source, source.open(), ServiceSettings(**settings))  # type: ignore[arg-type]
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
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

        # What cannot be explained is not offered.
        browser.evaluate("document.getElementById('remove').click(); document.getElementById('link').click()")
        browser.until(
            "document.querySelectorAll('#read button').length === 2 && !document.getElementById('links').hidden"
        )
        assert browser.evaluate("document.getElementById('why').hidden") is True

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
    monkeypatch.setattr("melder.serving.routers.page.shows_matches", lambda linker: True)
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


def text_of(selector: str) -> str:
    """JavaScript for the texts of some elements."""
    return f"[...document.querySelectorAll({json.dumps(selector)})].map(one => one.textContent)"


def no_complaints(browser: Browser) -> bool:
    """Nothing was thrown, refused by the policy or not there."""
    return not [entry for entry in browser.log if "exceptionDetails" in entry or entry["entry"]["level"] == "error"]


@needs_chromium
def test_an_answer_has_an_address_that_asks_the_same_again(source: ToySource, tmp_path: Path) -> None:
    with running(source) as address, Browser(tmp_path / "profile") as browser:
        browser.open(address)
        browser.until("document.querySelectorAll('#offered option').length === 5")
        browser.type("🏏 and Guinea won & went + 100 %")
        browser.press("Home")
        browser.press("ArrowRight", 6)
        browser.press("ArrowRight", 6, SHIFT)
        browser.until("document.querySelector('#chosen mark')?.textContent === 'Guinea'")
        browser.evaluate("document.getElementById('options').open = true; document.getElementById('k').value = '2'")
        browser.evaluate("document.getElementById('type').focus()")
        browser.type("island")
        browser.press("Enter")
        browser.type("country")
        browser.evaluate("document.getElementById('link').click()")
        browser.until("document.querySelectorAll('#candidates li').length === 2")
        asked = {"text": "🏏 and Guinea won & went + 100 %", "mentions": [{"start": 6, "end": 12}], "k": 2}
        shared = browser.evaluate("location.href")
        assert shared.startswith(f"{address}#text=")
        assert shared.endswith("&mention=6-12&type=island&type=country&k=2")
        command = browser.evaluate("document.querySelectorAll('#programs pre')[1].textContent")
        body = json.loads(shlex.split(command)[-1])
        assert body == asked | {"types": ["island", "country"]}
        seen = list(source.opened[0].seen)

        browser.open("about:blank")
        browser.open(shared)
        browser.until("document.querySelectorAll('#candidates li').length === 2")
        assert source.opened[0].seen == seen * 2
        assert browser.evaluate(text_of("#types button")) == ["island ×", "country ×"]
        assert browser.evaluate("document.querySelector('#chosen mark').textContent") == "Guinea"
        assert no_complaints(browser)


CURLS = [
    ({"text": 'it\'s "so" $HOME `x`'}, ""),
    ({"text": "-d @/etc/passwd", "mentions": [{"start": 0, "end": 2}]}, ""),
    ({"text": "@/etc/passwd;type=x", "k": 3, "types": ["a'b"], "image": "data:"}, 'it\'s; a "flag".png'),
    ({"text": "<file\nline", "image": "data:"}, "-F.png"),
]


@needs_chromium
def test_curl_says_what_the_page_asked_whatever_is_in_it(source: ToySource, tmp_path: Path) -> None:
    with running(source) as address, Browser(tmp_path / "profile") as browser:
        browser.open(address)
        for question, name in CURLS:
            call = f"import('./page/request.js').then((to) => to.curl({json.dumps(question)}, {json.dumps(name)}))"
            words = shlex.split(browser.evaluate(call))
            assert words[:2] == ["curl", f"{address}link"]
            if not name:
                assert json.loads(words[-1]) == question
                continue
            fields = dict(word.split("=", 1) for word in words[3:-2:2])
            assert set(words[2:-2:2]) == {"--form-string"}
            assert {field: json.loads(value) if field != "text" else value for field, value in fields.items()} == {
                field: value for field, value in question.items() if field != "image"
            }
            escaped = name.replace('"', '\\"')
            assert words[-2:] == ["-F", f'image=@"{escaped}"']


@needs_chromium
def test_descriptions_come_with_the_links_and_no_room_is_left_for_pictures_that_are_not_there(
    source: ToySource, tmp_path: Path
) -> None:
    with running(source) as address, Browser(tmp_path / "profile") as browser:
        browser.open(address)
        browser.type("Guinea won")
        browser.press("Enter", modifiers=CTRL)
        browser.until("document.querySelectorAll('#candidates .description').length === 8")
        requested = browser.evaluate("performance.getEntriesByType('resource').map(one => new URL(one.name).pathname)")
        assert [path for path in requested if path.startswith(("/entities", "/link"))] == ["/link"]
        assert browser.evaluate("document.querySelectorAll('#candidates .picture').length") == 0
        assert no_complaints(browser)


UNITS = [
    ([{"lexical": 1.0, "image": 0.0}, {"lexical": 2.0, "image": -0.001}], ["name"]),
    ([{"lexical": 1.0, "image": 0.0}, {"lexical": 2.0, "image": 0.5}], ["name", "picture"]),
    ([{"seen_often": 0.0}], []),
    ([], []),
]


@needs_chromium
def test_a_unit_that_says_nothing_of_any_candidate_is_left_out(source: ToySource, tmp_path: Path) -> None:
    with running(source) as address, Browser(tmp_path / "profile") as browser:
        browser.open(address)
        for units, shown in UNITS:
            candidates = json.dumps([{"id": "a", "name": "a", "score": 1, "units": own} for own in units])
            call = f"import('./page/candidates.js').then((to) => to.cards({candidates}, {{}}, {{}}, null)"
            names = f"{call}.slice(0, 1).flatMap(card => [...card.querySelectorAll('dt')].map(one => one.textContent)))"
            assert browser.evaluate(names) == shown


TOKEN = "0123456789abcdef-token"


@needs_chromium
def test_people_teach_and_the_token_is_asked_for_once(source: ToySource, tmp_path: Path) -> None:
    with running(source, token=TOKEN) as address, Browser(tmp_path / "profile") as browser:
        browser.open(address)
        browser.until("!document.getElementById('start').hidden")
        browser.type("The Guinea pig won")
        browser.press("Enter", modifiers=CTRL)
        browser.until("document.querySelectorAll('.confirm').length === 8")
        confirm = "document.querySelectorAll('.confirm')[{}].click()"
        browser.evaluate(confirm.format(1))
        browser.until("document.getElementById('ask-token').open")
        for word in ("wrong", TOKEN):
            browser.until("document.activeElement.id === 'token' && document.getElementById('ask-token').open")
            browser.type(word)
            browser.press("Enter")
            if word == "wrong":
                browser.until("document.querySelector('#ask-token .error').textContent.includes('does not take')")
        browser.until("document.getElementById('status').textContent.startsWith('Learned: “Guinea pig” means')")
        browser.evaluate(confirm.format(0))
        browser.until("document.getElementById('status').textContent.includes('means Guinea pig (pig)')")
        assert browser.evaluate("document.getElementById('ask-token').open") is False
        (taught,) = source.learned["pig"]
        mention = taught.mention
        assert (mention.surface, mention.start, mention.text) == ("Guinea pig", 4, "The Guinea pig won")
        assert len(source.learned) == 2
        kept = "JSON.stringify([localStorage, sessionStorage, document.cookie, location.href, document.body.innerHTML])"
        assert TOKEN not in browser.evaluate(kept)


@needs_chromium
def test_without_a_token_nobody_is_offered_to_teach(source: ToySource, tmp_path: Path) -> None:
    with running(source) as address, Browser(tmp_path / "profile") as browser:
        browser.open(f"{address}#text=Guinea")
        browser.until("document.querySelectorAll('#candidates li').length === 8")
        assert browser.evaluate("document.querySelectorAll('.confirm').length") == 0
        assert browser.evaluate("document.getElementById('none').hidden") is True
