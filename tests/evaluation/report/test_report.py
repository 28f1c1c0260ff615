from __future__ import annotations

import base64
import hashlib
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from melder.evaluation.report import ConfusedPair, Example, ReportPage, Shown, document, write_report
from melder.evaluation.report.charts import rank_counts
from melder.evaluation.report.thumbnails import Album, EmbeddedPicture
from melder.metrics.metrics import metrics
from melder.metrics.unit_margins import UnitMargin
from melder.records import Ranks

EVIL = "</title></style><script>alert(1)</script><img src=x onerror='a'>\"&"
SCRIPT = Path(document.__file__).with_name("report.js").read_text(encoding="utf-8")
RANKS = Ranks(np.array([1, 1, 1, 2, 7, 30]), np.array([1, 1, 2, 2, 7, 30]))


def png(path: Path, size: tuple[int, int] = (900, 600)) -> Path:
    Image.new("RGB", size, "#ce1126").save(path)
    return path


def page(tmp_path: Path, name: str = "Guinea") -> ReportPage:
    figures = metrics(RANKS, candidates=50, resamples=50)
    shown = [
        Shown("Q1", name, 1.5, {"text": 1.0, name: -0.5}, png(tmp_path / "e.png"), gold=True),
        Shown(name, name, 0.5, {"text": 0.25, name: 0.25}),
    ]
    sentence = f"{name} won the toss"
    example = Example(sentence, 0, len(name), name, name, shown, png(tmp_path / "m.png"), id=name, rank=1.0)
    wrong = replace(example, start=None, end=None, candidates=shown[::-1], picture=b"damaged", rank=2.0, groups=[name])
    return ReportPage(
        title=name,
        summary=name,
        run={name: name},
        metrics=figures,
        name_match=metrics(Ranks(RANKS.pessimistic, RANKS.pessimistic), candidates=50, resamples=50),
        ranks=RANKS,
        modalities={"text only": figures, name: figures},
        slices={name: figures},
        units={name: UnitMargin(0.75, (0.5, 0.9), 2.0, -1.0, 5)},
        confused=[ConfusedPair(shown[0], shown[1], 3, 1)],
        examples=[example],
        errors=[wrong],
        wrong=1,
    )


class Reader(HTMLParser):
    """Collects tags, attributes, and text without empty lines; checks that elements close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.text: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.extend((tag, name, value or "") for name, value in attrs)
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and (data.strip() or self.open[-1] in ("script", "style")):
            self.text.append((self.open[-1], data if self.open[-1] == "script" else data.strip("\n")))

    def inside(self, tag: str) -> list[str]:
        return [data for around, data in self.text if around == tag]


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert not reader.open
    return reader


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    write_report(tmp_path / "report.html", page(tmp_path))
    return tmp_path / "report.html"


def test_hostile_records_stay_text(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", page(tmp_path, EVIL))
    reader = read(tmp_path / "report.html")
    assert reader.inside("script") == [SCRIPT]
    assert reader.tags.count("script") == 1
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    assert [value[:23] for tag, name, value in reader.attributes if (tag, name) == ("img", "src")] == [
        "data:image/jpeg;base64,"
    ] * 4
    assert reader.inside("title") == reader.inside("h1") == [EVIL]


def test_nothing_is_fetched(plain: Path) -> None:
    text = plain.read_text(encoding="utf-8")
    assert not re.search(
        r"https?:|//[a-z]|url\(|@import|<link|\ssrc=\"(?!data:)|\shref=\"(?!#)", re.sub(r"base64,[^\"]+", "", text)
    )
    assert not [name for _, name, _ in read(plain).attributes if name == "style"]


def test_the_policy_allows_the_style_and_the_script_of_the_page_and_nothing_else(plain: Path) -> None:
    text = plain.read_text(encoding="utf-8")
    (style,), (script,) = (re.findall(f"<{tag}>(.*?)</{tag}>", text, flags=re.DOTALL) for tag in ("style", "script"))
    (policy,) = [v for _, name, v in read(plain).attributes if name == "content" and "default-src" in v]
    assert policy == (
        f"default-src 'none'; img-src data:; style-src '{digest(style)}'; script-src '{digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def test_pictures_are_small_copies_with_a_description(plain: Path) -> None:
    attributes = read(plain).attributes
    sources = [value for tag, name, value in attributes if (tag, name) == ("img", "src")]
    sizes = [Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).size for source in sources]
    assert sizes == [(112, 75), (360, 240), (112, 75), (112, 75)]
    described = [value for tag, name, value in attributes if (tag, name) == ("img", "alt")]
    assert described == ["Picture of Guinea", "Picture that goes with “Guinea”", *["Picture of Guinea"] * 2]


def test_pictures_that_are_missing_or_unreadable_are_said_to_be(plain: Path) -> None:
    spans = read(plain).inside("span")
    assert spans.count("no picture") == 3
    assert spans.count("unreadable picture") == 1


def test_pictures_stop_where_the_page_is_full(tmp_path: Path) -> None:
    album, pictures = Album(limit=2000), [png(tmp_path / f"{n}.png") for n in range(9)]
    made = [album.thumbnail(picture, 360) for picture in pictures]
    embedded = [copy for copy in made if isinstance(copy, EmbeddedPicture)]
    assert made == [*embedded, *["left out: the page is full"] * (9 - len(embedded))]
    assert 0 < len(embedded) < 9
    assert sum(len(copy.source) for copy in embedded) > 2000


def test_a_picture_is_decoded_once(tmp_path: Path) -> None:
    album, picture = Album(), png(tmp_path / "a.png")
    first = album.thumbnail(picture, 50)
    picture.unlink()
    assert album.thumbnail(picture, 50) == first


def test_the_mention_is_marked_in_its_sentence(plain: Path) -> None:
    reader = read(plain)
    assert reader.inside("mark") == ["Guinea", "Guinea"]
    assert " won the toss" in reader.inside("p")
    assert " — Guinea won the toss" in reader.inside("p")


def test_right_and_wrong_answers_are_told_apart(plain: Path) -> None:
    verdicts = [text for text in read(plain).inside("p") if text[0] in "✓✗"]
    assert verdicts == ["✓ Linked to Guinea", "✗ Right answer: Guinea, at rank 2"]
    assert read(plain).inside("span").count("gold") == 2


@pytest.mark.parametrize(
    ("hits", "baseline", "said", "tone"),
    [
        (0.899, 0.455, "Hits@1 89.9%, name match 45.5%: 44.4 points above comparing names.", "right"),
        (0.36, 0.455, "Hits@1 36.0%, name match 45.5%: 9.5 points below comparing names.", "wrong"),
        (0.51, 0.5, "Hits@1 51.0%, name match 50.0%: 1.0 point above comparing names.", "right"),
        (0.5, 0.5, "Hits@1 50.0%, name match 50.0%: no better than comparing names.", "wrong"),
    ],
)
def test_hits_at_1_beside_name_match_come_first(
    tmp_path: Path, hits: float, baseline: float, said: str, tone: str
) -> None:
    whole = page(tmp_path)
    changed = replace(
        whole, metrics=whole.metrics | {"hits@1": hits}, name_match=whole.name_match | {"hits@1": baseline}
    )
    write_report(tmp_path / "r.html", changed)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert f'<p class="headline {tone}">{said}</p>' in text[: text.index("<nav")]


def test_what_was_run_comes_last(plain: Path) -> None:
    assert read(plain).inside("h2")[-1] == "What was run"
    assert [tag for tag in read(plain).tags if tag in ("dl", "article")][-1] == "dl"


def test_cards_show_the_figure_its_interval_and_the_baseline(plain: Path, tmp_path: Path) -> None:
    shown, low_high = page(tmp_path).metrics["hits@1"], page(tmp_path).metrics["hits@1_ci"]
    texts = read(plain).inside("p")
    assert f"{shown:.3f}" in texts
    assert f"[{low_high[0]:.3f}, {low_high[1]:.3f}]" in texts
    assert f"name match {2 / 6:.3f} " in texts


def test_parts_of_a_score_are_drawn_on_one_scale_with_negative_parts_red_and_to_the_left(plain: Path) -> None:
    bars = re.findall(
        r'<rect x="([\d.]+)%" width="([\d.]+)%" height="100%" rx="3" class="(bar[a-z ]*)"/>', plain.read_text()
    )
    # parts 1, -0.5, 0.25, 0.25: zero lies at a third of the width
    against = ("0.00", "33.33", "bar against")
    expected = [("33.33", "66.67", "bar"), against, ("33.33", "16.67", "bar"), ("33.33", "16.67", "bar")]
    assert bars[-8:-4] == expected


def test_tables_have_headers_for_columns_and_rows(plain: Path) -> None:
    scopes = [value for tag, name, value in read(plain).attributes if (tag, name) == ("th", "scope")]
    assert {"row", "col"} == set(scopes)
    assert read(plain).tags.count("table") == 4


def test_sections_without_contents_are_left_out(tmp_path: Path) -> None:
    bare = replace(page(tmp_path), modalities={}, slices={}, units={}, confused=(), examples=(), errors=())
    write_report(tmp_path / "bare.html", bare)
    assert read(tmp_path / "bare.html").inside("h2") == ["Scores", "Where the right entity stands", "What was run"]


def test_the_contents_lead_to_every_section(plain: Path) -> None:
    reader = read(plain)
    anchors = [value for tag, name, value in reader.attributes if (tag, name) == ("section", "id")]
    assert [value for tag, name, value in reader.attributes if (tag, name) == ("a", "href")] == [
        f"#{a}" for a in anchors
    ]
    assert reader.inside("a") == reader.inside("h2")
    assert len(anchors) == len(set(anchors)) == 9


def test_a_unit_has_its_share_and_margins(plain: Path) -> None:
    assert {"75.0% ", "+2.00"} <= set(read(plain).inside("td"))
    assert "−1.00" in read(plain).inside("span")
    assert re.findall(r'(<span class="negative">)?−1.00(</span>)?', plain.read_text(encoding="utf-8"))[0][0]
    assert "[50.0%, 90.0%]" in read(plain).inside("small")


def test_errors_say_what_they_can_be_filtered_by(plain: Path) -> None:
    reader = read(plain)
    data = [(name, value) for tag, name, value in reader.attributes if tag == "article"]
    assert data == [("data-rank", "2"), ("data-groups", "0"), ("data-confusion", "0")]
    assert reader.inside("option") == ["any", "Guinea", "any", "2 (1)", "any", "Guinea / Guinea"]
    assert [v for tag, name, v in reader.attributes if (tag, name) == ("option", "value")] == [
        "",
        "0",
        "",
        "2 2",
        "",
        "0",
    ]


def test_what_needs_the_script_is_hidden_without_it(plain: Path) -> None:
    hidden = [tag for tag, name, _ in read(plain).attributes if name == "hidden"]
    assert hidden == ["button", "form"]


def test_every_field_has_a_label(plain: Path) -> None:
    assert read(plain).inside("label") == ["Group ", "Right answer at rank ", "Taken for one another ", "Words "]


def test_more_errors_than_are_shown_are_counted(tmp_path: Path, plain: Path) -> None:
    assert any(text.startswith("All errors, ") for text in read(plain).inside("p"))
    write_report(tmp_path / "more.html", replace(page(tmp_path), wrong=1234))
    assert any(text.startswith("The 1 surest of 1,234 wrong") for text in read(tmp_path / "more.html").inside("p"))


def test_the_histogram_counts_every_mention_once() -> None:
    counts = rank_counts(RANKS)
    assert counts == {"1": 2, "2": 2, "3": 0, "4–5": 0, "6–10": 1, "11–20": 0, "21–100": 1}
    far = Ranks(np.array([1001, 10**6]), np.array([1001, 10**6]))
    assert rank_counts(far)["over 1,000"] == 2
