"""Links as other programs read them: each format read again by a reader that is not Melder's."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melder.export.annotated_text import LinkedMention
from melder.export.formats import FORMATS, WriterOptions, format_of
from melder.export.link_table import guarded
from melder.records import Candidate, Decided, Link, Mention

TEI = "{http://www.tei-c.org/ns/1.0}"
XML = "{http://www.w3.org/XML/1998/namespace}"
GUINEA = "Guinea won the toss"
PREFIX = "https://kb.example/"


def linked(
    text: str, start: int | None, end: int | None, answer: str = "GN", *, nil: float | None = None, number: int = 1
) -> LinkedMention:
    surface = text if start is None else text[start:end]
    mention = Mention(id=f"m{number}", text=text, start=start, end=end, surface=surface)
    candidate = Candidate(id=answer, name="Guinea", score=2.5)
    link = Link(id=mention.id, start=start, end=end, surface=surface, nil_probability=nil, candidates=(candidate,))
    return LinkedMention(mention, link)


def write(name: str, pairs: Sequence[LinkedMention], **options: Any) -> str:
    file = io.StringIO()
    writer = FORMATS[name].open(file, WriterOptions(**{"entities": PREFIX, "k": 2} | options))
    writer.write(pairs)
    writer.finish()
    return file.getvalue()


TEXTS = [
    [linked(GUINEA, 0, 6), linked(GUINEA, 15, 19, number=2)],
    [linked('<Guinea> & "Mali" 😀', 1, 7), linked('<Guinea> & "Mali" 😀', 18, 19, "a b", number=2)],
    [linked("几内亚赢了\r\n比赛\x0b", 0, 3), linked("Mali", 0, 4, "http://dbpedia.org/resource/Mali", number=3)],
]


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_has_a_name_an_ending_and_a_media_type_of_its_own(name: str) -> None:
    form = FORMATS[name]
    assert [each.name for each in FORMATS.values() if each.media_type == form.media_type] == [name]
    assert all(format_of(Path(f"links{ending.upper()}")) is form for ending in form.endings)


@pytest.mark.parametrize("name", FORMATS)
def test_no_links_at_all_are_a_whole_file(name: str) -> None:
    content = write(name, [])
    if name == "web-annotation":
        assert json.loads(content)["total"] == 0
    elif name == "tei":
        assert ElementTree.fromstring(content).find(f".//{TEI}rs") is None
    else:
        assert content.count("\n") <= 1


@pytest.mark.parametrize("pairs", TEXTS)
def test_tei_says_the_text_and_what_is_meant(pairs: Sequence[LinkedMention]) -> None:
    root = ElementTree.fromstring(write("tei", pairs))
    texts = list(dict.fromkeys(pair.mention.text for pair in pairs))
    assert ["".join(block.itertext()) for block in root.iter(f"{TEI}ab")] == [
        text.replace("\x0b", "\ufffd") for text in texts
    ]
    assert [("".join(rs.itertext()), rs.get("n")) for rs in root.iter(f"{TEI}rs")] == [
        (pair.mention.surface, pair.mention.id) for pair in pairs
    ]
    assert root.find(f".//{TEI}rs").get("ref") == f"{PREFIX}GN"  # type: ignore[union-attr]


spans = st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(lambda span: span[0] < span[1])


@given(st.lists(spans, max_size=6))
def test_tei_holds_mentions_however_they_overlap(places: list[tuple[int, int]]) -> None:
    text = "abcdef<&>jkl"
    pairs = [linked(text, start, end, number=number) for number, (start, end) in enumerate(places)]
    root = ElementTree.fromstring(write("tei", pairs or [linked(text, 0, 1)]))
    (block,) = root.iter(f"{TEI}ab")
    assert "".join(block.itertext()) == text
    pieces: dict[str, str] = {}
    for rs in root.iter(f"{TEI}rs"):
        pieces[str(rs.get("n"))] = pieces.get(str(rs.get("n")), "") + "".join(rs.itertext())
        assert (rs.get(f"{XML}id") is not None) == (rs.get("next") is not None or rs.get("prev") is not None)
    assert pieces == {f"m{n}": text[start:end] for n, (start, end) in enumerate(places)} or not places


@pytest.mark.parametrize("pairs", TEXTS)
def test_web_annotations_have_places_words_and_an_address(pairs: Sequence[LinkedMention]) -> None:
    collection = json.loads(write("web-annotation", pairs))
    assert (collection["@context"], collection["type"]) == ("http://www.w3.org/ns/anno.jsonld", "AnnotationCollection")
    items = collection["first"]["items"]
    assert collection["total"] == len(items) == len(pairs)
    for item, (mention, _) in zip(items, pairs, strict=True):
        place, words = item["target"]["selector"]
        assert mention.text[place["start"] : place["end"]] == words["exact"] == mention.surface
        assert words["prefix"] + words["exact"] + words["suffix"] == mention.text  # of texts so short
    assert items[0]["body"]["source"] == f"{PREFIX}GN"
    assert len({item["target"]["source"]["id"] for item in items}) == len({pair.mention.text for pair in pairs})


@pytest.mark.parametrize("pairs", TEXTS)
def test_nif_is_what_the_service_reads(pairs: Sequence[LinkedMention]) -> None:
    rdflib = pytest.importorskip("rdflib", reason="needs melder[nif]")
    from melder.export.nif import ITS, NIF

    graph = rdflib.Graph().parse(data=write("nif", pairs), format="turtle")
    for mention, _ in pairs:
        (phrase,) = graph.subjects(NIF.anchorOf, rdflib.Literal(mention.surface))
        context = graph.value(phrase, NIF.referenceContext)
        text = str(graph.value(context, NIF.isString))
        assert text == mention.text
        begin, end = (int(str(graph.value(phrase, name))) for name in (NIF.beginIndex, NIF.endIndex))
        assert text[begin:end] == mention.surface
    answers = {str(answer) for answer in graph.objects(None, ITS.taIdentRef)}
    assert f"{PREFIX}GN" in answers
    assert not any(" " in answer for answer in answers)
    pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
    from melder.serving.nif import read_nif

    _, texts = read_nif(write("nif", pairs).encode(), 4000)
    assert sorted(text.text for text in texts) == sorted({pair.mention.text for pair in pairs})


def test_what_is_none_of_the_entities_has_no_address() -> None:
    pairs = [linked(GUINEA, 0, 6, nil=0.9)]
    assert "taIdentRef" not in write("nif", pairs)
    assert " ref=" not in write("tei", pairs)
    (item,) = json.loads(write("web-annotation", pairs))["first"]["items"]
    assert (item["motivation"], "body" in item) == ("highlighting", False)
    mention, link = linked(GUINEA, 0, 6, nil=0.9)
    decided = [LinkedMention(mention, Decided(**link.model_dump(), answer="GN"))]
    assert f'ref="{PREFIX}GN"' in write("tei", decided)
    assert "taConfidence" in write("nif", decided)


@pytest.mark.parametrize("name", ["nif", "tei", "web-annotation"])
def test_a_mention_without_a_text_is_one_itself(name: str) -> None:
    mention = Mention(id="1", text="elsewhere", surface="owl", language="de")
    link = Link(id="1", start=None, end=None, surface="owl", candidates=())
    content = write(name, [LinkedMention(mention, link)])
    assert "owl" in content
    assert "elsewhere" not in content
    assert '"de"' in content


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-SUM(A1)", "'-SUM(A1)"),
        ("@cmd", "'@cmd"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("＝1+1", "'＝1+1"),
        ("-5", "-5"),
        ("+1.5", "+1.5"),
        ("a=b", "a=b"),
    ],
)
def test_no_cell_is_computed(text: str, cell: str) -> None:
    assert guarded(text) == cell
    pair = linked(f"{text} x", 0, len(text), text)
    for name, delimiter in (("csv", ","), ("tsv", "\t")):
        row = next(csv.DictReader(io.StringIO(write(name, [pair]), newline=""), delimiter=delimiter))
        assert (row["mention"], row["id_1"]) == (cell, cell)
