"""The page of an explanation: what it holds without its script, and what the script makes of it in a browser."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from browser import needs_chromium, run_probe
from evaluation.report.explained import SAID, TOLD, WORDS, explanation, page
from evaluation.report.test_report import EVIL, digest, png, read
from melder.evaluation.report import ExplanationPage, document, write_explanation
from melder.evaluation.report.headlines import explanation_headline
from melder.evaluation.report.heat import CLEAR, LEVELS
from melder.linking.evidence import MatchedPictures, Read

SCRIPT = Path(document.__file__).with_name("explanation.js").read_text(encoding="utf-8")
STYLE = Path(document.__file__).with_name("explanation.css").read_text(encoding="utf-8")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    write_explanation(tmp_path / "why.html", page(tmp_path))
    return tmp_path / "why.html"


def text_of(markup: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", markup))


def test_hostile_names_and_texts_stay_text(tmp_path: Path) -> None:
    hostile = explanation(EVIL)
    told = Read(text=EVIL * 2, head=len(EVIL), words=((0, 4), (9, 20), (20, 30), (30, 99)), grid=(2, 2))
    hostile = hostile.model_copy(update={"read": told})
    write_explanation(tmp_path / "why.html", replace(page(tmp_path, EVIL), explanation=hostile))
    reader = read(tmp_path / "why.html")
    assert reader.inside("script") == [SCRIPT]
    assert not [name for _, name, _ in reader.attributes if name.startswith("on") or name == "style"]
    assert all(value.startswith("data:") for _, name, value in reader.attributes if name == "src")
    assert reader.inside("h1") == [f"“{EVIL}” → {EVIL}"]


def test_nothing_is_fetched_and_only_its_own_style_and_script_are_allowed(plain: Path) -> None:
    text = plain.read_text(encoding="utf-8")
    assert not re.search(r"https?:|url\(|@import|<link|\shref=\"(?!#)", re.sub(r"base64,[^\"]+", "", text))
    (style,), (script,) = (re.findall(f"<{tag}>(.*?)</{tag}>", text, flags=re.DOTALL) for tag in ("style", "script"))
    assert (STYLE in style, script) == (True, SCRIPT)
    assert f"style-src '{digest(style)}'; script-src '{digest(script)}'" in unescape(text)


def test_style_and_script_know_every_level() -> None:
    assert re.findall(r'\[data-heat="(\d)"\]', STYLE) == [str(level) for level in range(1, LEVELS + 1)]
    assert f"const LEVELS = {LEVELS};" in SCRIPT


def sides(plain: Path, modality: str) -> list[str]:
    """The mention's and the first candidate's side of a unit."""
    text = plain.read_text(encoding="utf-8")
    return re.findall(r"<figure>.*?</figure>", text[text.index(f'class="compared {modality}"') :], re.DOTALL)[:2]


def test_the_text_is_shown_whole_with_its_words_marked(plain: Path) -> None:
    mention, entity = (re.findall(r'<p class="places.*?</p>', side)[0] for side in sides(plain, "text"))
    assert (text_of(mention), text_of(entity)) == (TOLD.text, SAID.text)
    assert re.findall(r'class="(word[^"]*)"', mention) == ["word head", "word", "word meant", "word"]
    assert re.findall(r'data-heat="(\d)"', mention) == ["0", "5", "9", "0"]
    assert "unread" not in mention
    assert '<span class="unread"> of stripes</span>' in entity


def test_places_of_the_entity_carry_their_weights(plain: Path) -> None:
    mention, entity = sides(plain, "text")
    assert re.findall(r'data-to="([^"]*)"', entity) == ["1000 2000 6000 1000", "2500 5000 1500 1000"]
    assert "data-to" not in mention
    assert re.findall(r'data-to="([^"]*)"', sides(plain, "image")[1])[2] == "2500 2500 2500 2500"


def test_patches_cover_the_picture_row_by_row(plain: Path) -> None:
    mention, entity = sides(plain, "image")
    corners = re.findall(r'<rect x="(.*?)" y="(.*?)" width="50.000%" height="50.000%"', mention)
    assert corners == [("0.000%", "0.000%"), ("50.000%", "0.000%"), ("0.000%", "50.000%"), ("50.000%", "50.000%")]
    assert re.findall('aria-label="(.*?)"', mention)[:2] == ["row 1, column 1", "row 1, column 2"]
    assert '<text x="75.000%" y="75.000%">1</text>' in mention
    assert '<text x="25.000%" y="25.000%">1</text>' in entity


def test_each_candidate_has_a_section_with_what_its_units_matched(plain: Path) -> None:
    first, second = re.findall(r'<section id="candidate-\d".*?</section>', plain.read_text(encoding="utf-8"), re.DOTALL)
    assert re.findall("<h3>(.*?) <small>", first) == ["text", "image"]
    assert re.findall("<h3>(.*?) <small>", second) == ["text"]
    assert "lexical: compared whole texts" in first
    assert "image, lexical: compared whole texts" in second
    assert "adds 2.000 to the score" in first
    assert re.findall("<dt>(.*?)</dt>", first) == ["text", "image", "lexical"]


def test_the_strongest_pairs_are_listed_without_punctuation(plain: Path) -> None:
    tables = re.findall("<tbody>(.*?)</tbody>", plain.read_text(encoding="utf-8"), re.DOTALL)
    assert [re.findall("<t[hd][^>]*>(.*?)</t[hd]>", each) for each in tables[:2]] == [
        ["Guinea", "Guinea", "60\u00a0%"],  # flag matched the full stop best
        ["1: row 1, column 1", "row 2, column 2", "70\u00a0%", "2: row 1, column 2", "row 1, column 1", "40\u00a0%"],
    ]


def test_weight_that_fell_on_no_word_is_told(plain: Path) -> None:
    text = plain.read_text(encoding="utf-8")
    assert text.count("5.0\u00a0% of all weight fell on marks that stand for no word.") == 2
    assert "stand for no patch" not in text


def test_the_answer_comes_first_and_how_to_read_it_last(plain: Path) -> None:
    text = plain.read_text(encoding="utf-8")
    answer = "“Guinea” is linked to Guinea, 2.500 ahead of Mali"
    assert text.index(answer) < text.index('id="candidate-1"') < text.index("How to read the colours")


@pytest.mark.parametrize(
    ("scores", "units", "said"),
    [
        (
            (3.0, 1.0),
            ({"lexical": 2.0, "text": 1.0}, {"text": 1.0}),
            ", 2.000 ahead of b, mostly by the names (+2.000).",
        ),
        (
            (1.0, 0.5),
            ({"text": 1.5, "image": -0.5}, {"text": 0.5, "image": 0.0}),
            ", 0.500 ahead of b, mostly by the texts (+1.000); the pictures point the other way (−0.500).",
        ),
        (
            (1.0, 0.5),
            ({"image_to_text": 1.0}, {}),
            ", 0.500 ahead of b, mostly by the scores of image to text (+1.000).",
        ),
        ((1.0, 0.5), ({}, {}), ", 0.500 ahead of b."),
        ((1.0, 0.9999), ({"text": 1.0}, {"text": 1.0}), ", level with b."),
        ((1.0,), ({"text": 1.0},), ", the only candidate."),
    ],
)
def test_the_answer_is_one_sentence(scores: tuple[float, ...], units: tuple[dict[str, float], ...], said: str) -> None:
    whole = explanation()
    candidates = tuple(
        whole.candidates[0].model_copy(update={"name": name, "score": score, "units": parts})
        for name, score, parts in zip("ab", scores, units, strict=False)
    )
    assert (
        explanation_headline(whole.model_copy(update={"candidates": candidates})).text
        == f"“Guinea” is linked to a{said}"
    )


def test_shares_near_an_even_one_are_not_listed(tmp_path: Path) -> None:
    """Of five places an even share is 0.2: 0.29 is noise, 0.31 is not."""
    weights = ((0.29, 0.25, 0.23, 0.23), (0.23, 0.2, 0.31, 0.26))
    words = WORDS.model_copy(update={"weights": weights})
    even = WORDS.model_copy(update={"weights": (weights[0], weights[0])})
    listed = {}
    for name, unit in {"one": words, "none": even}.items():
        candidate = explanation().candidates[0].model_copy(update={"aligned": {"text": unit}})
        whole = explanation().model_copy(update={"candidates": (candidate,)})
        write_explanation(tmp_path / "why.html", ExplanationPage(whole))
        text = (tmp_path / "why.html").read_text(encoding="utf-8")
        listed[name] = re.findall("<tr><th.*?</tr>", text), "No word stands out" in text
    assert listed == {
        "one": (['<tr><th scope="row">flag</th><td>Guinea</td><td>31\u00a0%</td></tr>'], False),
        "none": ([], True),
    }


def test_style_script_and_lists_agree_on_what_stands_out() -> None:
    assert f"const CLEAR = {CLEAR};" in SCRIPT


def test_a_page_without_candidates_says_so(tmp_path: Path) -> None:
    empty = explanation().model_copy(update={"candidates": ()})
    write_explanation(tmp_path / "why.html", ExplanationPage(empty))
    assert read(tmp_path / "why.html").inside("h1") == ["“Guinea” → no entity"]


PROBE = """<!doctype html><pre id="said"></pre><iframe src="why.html" width="360" height="800"></iframe><script>
const frame = document.querySelector("iframe");
frame.onload = () => {
  const page = frame.contentDocument, Event = frame.contentWindow.Event, said = {};
  const Key = frame.contentWindow.KeyboardEvent, Pointer = frame.contentWindow.PointerEvent;
  const sections = [...page.querySelectorAll(".candidate")];
  const shown = () => sections.map((each) => each.getClientRects().length > 0);
  const [text, image] = sections[0].querySelectorAll(".compared");
  const places = (side) => [...text.querySelectorAll(".places")[side].querySelectorAll("[data-place]")];
  const heat = (side) => places(side).map((place) => Number(place.dataset.heat));
  const line = () => sections[0].querySelector(".matched").textContent;
  const press = (key) => page.activeElement.dispatchEvent(new Key("keydown", { key, bubbles: true, cancelable: true }));
  said.sections = shown();
  said.rest = [heat(0), heat(1)];
  places(1)[0].dispatchEvent(new Pointer("pointerover", { pointerType: "mouse", bubbles: true }));
  said.hover = [heat(0), heat(1), line()];
  text.dispatchEvent(new Pointer("pointerleave"));
  said.left = [heat(0), heat(1), line()];
  places(0)[0].focus();
  press("ArrowRight");
  press("ArrowRight");
  said.walked = [page.activeElement.textContent, heat(0), heat(1), line()];
  said.stops = places(0).map((place) => place.tabIndex);
  press("Escape");
  said.escaped = [heat(0), line()];
  image.querySelectorAll(".places")[1].querySelectorAll("rect")[1].focus();
  press("ArrowDown");
  said.patch = [page.activeElement.getAttribute("aria-label"), page.activeElement.getAttribute("aria-selected")];
  const tabs = [...page.querySelectorAll("[role=tab]")];
  tabs[0].focus();
  press("ArrowRight");
  said.tabs = [shown(), tabs.map((tab) => tab.getAttribute("aria-selected")), page.activeElement === tabs[1]];
  said.width = page.documentElement.scrollWidth <= page.documentElement.clientWidth;
  document.getElementById("said").textContent = JSON.stringify(said);
};
</script>"""


@needs_chromium
def test_choosing_a_word_shows_what_it_matched(plain: Path) -> None:
    (plain.parent / "probe.html").write_text(PROBE, encoding="utf-8")
    said = run_probe(plain.parent / "probe.html")
    rest = [[0, 5, 9, 0], [9, 7]]
    assert said == {
        "sections": [True, False],
        "rest": rest,
        "hover": [
            [0, 0, 9, 0],
            [0, 0],
            "Guinea, “Guinea” took most from: “Guinea” (60\u00a0%)",
        ],
        "left": [*rest, ""],
        "walked": [
            "Guinea", [0, 0, 0, 0], [5, 0], "Mention, “Guinea” gave most to: “Guinea” (60\u00a0%)"
        ],
        "stops": [-1, -1, 0, -1],
        "escaped": [rest[0], ""],
        "patch": ["row 2, column 2", "true"],
        "tabs": [[False, True], ["false", "true"], True],
        "width": True,
    }  # fmt: skip


def test_it_says_which_of_several_pictures_matched(tmp_path: Path) -> None:
    whole = page(tmp_path)
    first, *others = whole.explanation.candidates
    matched = first.model_copy(update={"pictures": {"image": MatchedPictures(mention=1, entity=0)}})
    explanation = whole.explanation.model_copy(update={"candidates": (matched, *others)})
    shown = replace(whole, explanation=explanation, shown=(png(tmp_path / "other.png"), *whole.shown))
    assert shown.matched(matched) == ["image: picture 2 of 2 of the mention"]
    assert shown.matched(first) == []
    (view,) = (each for each in shown.alignments(matched) if each.modality == "image")
    assert view.sides[0].picture == whole.shown[0]
    write_explanation(tmp_path / "why.html", shown)
    assert "picture 2 of 2 of the mention" in (tmp_path / "why.html").read_text(encoding="utf-8")
