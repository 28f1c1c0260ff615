"""Names and descriptions in several languages: from a file to what is shown."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
import torch

import melder
from melder.data import EntityFile
from melder.features import Features, Heads
from melder.io.problems import Problems
from melder.io.progress_lines import ProgressLines
from melder.kb import open_knowledge_base
from melder.languages import Languages
from melder.mentions.dictionary import NameFinder
from melder.records import Entity, MelderError, Mention, languages_of
from melder.units.lexical import Lexical
from samples import unpacked

GERMANY = Entity(
    id="Q183",
    name="Germany",
    aliases=("FRG", "BRD"),
    description="A country.",
    labels={"en": "Germany", "de": "Deutschland", "zh-hans": "德国"},
    descriptions={"en": "A country.", "de": "Ein Land."},
)
POLAND = Entity(id="Q36", name="Poland")


@pytest.mark.parametrize(
    ("wanted", "name", "description"),
    [
        ("de", "Deutschland", "Ein Land."),
        ("fr,de", "Deutschland", "Ein Land."),
        ("de-AT", "Deutschland", "Ein Land."),
        ("zh", "德国", "A country."),
        ("fr", "Germany", "A country."),
        ("EN, de", "Germany", "A country."),
    ],
)
def test_an_entity_is_shown_in_the_first_language_that_it_has(wanted: str, name: str, description: str) -> None:
    shown = GERMANY.in_language(languages_of(wanted))
    assert (shown.name, shown.description) == (name, description)
    assert {*shown.names} == {*GERMANY.names}
    assert POLAND.in_language(languages_of(wanted)) == POLAND
    assert (GERMANY.name_in(languages_of(wanted)), POLAND.name_in(languages_of(wanted))) == (shown.name, POLAND.name)


def test_a_name_in_no_language_stays_a_name() -> None:
    entity = Entity(id="1", name="Kenya", labels={"sw": "Jamhuri ya Kenya"})
    assert entity.in_language(Languages(("sw",))).names == ("Jamhuri ya Kenya", "Kenya")


@pytest.mark.parametrize("text", ["", " , ", "German!", "de,e", "deutschland-und-oesterreich-zusammen"])
def test_what_is_no_language_is_named(text: str) -> None:
    with pytest.raises(MelderError, match="write tags such as de,en"):
        languages_of(text)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "a.jsonl",
            '{"id": "Q183", "name": {"en": "Germany", "de": "Deutschland", "zh-Hans": "德国"}, "aliases": '
            '{"en": ["FRG"], "de": "BRD"}, "description": {"en": "A country.", "de": "Ein Land."}}\n',
        ),
        ("a.json", json.dumps([GERMANY.model_dump()])),
        (
            "a.csv",
            "id,name@en,Name@DE,name@zh-hans,aliases,aliases@de,description@en,description@de\n"
            "Q183,Germany,Deutschland,德国,FRG,BRD,A country.,Ein Land.\n",
        ),
        (
            "a.tsv",
            "ID\tname@en\tname@de\tname@zh_Hans\taliases@en\taliases@de\tdescription@en\tdescription@de\n"
            "Q183\tGermany\tDeutschland\t德国\tFRG\tBRD\tA country.\tEin Land.\n",
        ),
    ],
)
def test_files_say_texts_by_language(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    problems = Problems()
    assert [entity for _, entity in EntityFile(tmp_path / name).entities(problems)] == [GERMANY]
    assert problems.records == []


def test_a_column_without_a_language_is_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,name@de,name,note@de\n1,Wien,Vienna,x\n2,Graz,,x\n", encoding="utf-8")
    source = EntityFile(tmp_path / "a.csv")
    assert [entity.names for _, entity in source.entities(Problems())] == [("Vienna", "Wien"), ("Graz",)]
    source.check()
    assert "columns that are left out: note@de" in source.notes


@pytest.mark.parametrize("name", [{"en": 5}, {"in German": "Wien"}, ["Wien"]])
def test_texts_by_language_that_are_none_are_named(tmp_path: Path, name: object) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"id": "1", "name": name}) + "\n", encoding="utf-8")
    problems = Problems()
    assert list(EntityFile(tmp_path / "a.jsonl").entities(problems)) == []
    assert "record 1, field 'name': must be a text" in str(problems.records[0])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A knowledge base of two entities, one of which has names in three languages."""
    from melder.building.build import build

    directory = unpacked(3, tmp_path_factory.mktemp("languages"))
    lines = [entity.model_dump_json() for entity in (GERMANY, POLAND)]
    (directory / "entities.jsonl").write_text("\n".join(lines), encoding="utf-8")
    build(
        directory / "own",
        EntityFile(directory / "entities.jsonl"),
        run=directory / "run",
        counting=ProgressLines(lambda line: None),
    )
    return directory / "own"


def first_name(base: Path, mention: Mention, language: str | None = None) -> str:
    linker = melder.load(base, language=language)
    (link,) = linker.link([mention])
    return next(candidate.name for candidate in link.candidates if candidate.id == "Q183")


@pytest.mark.parametrize(
    ("of_text", "wanted", "name"),
    [(None, None, "Germany"), (None, "de,en", "Deutschland"), ("zh", "de", "德国"), ("fr", "de", "Deutschland")],
)
def test_candidates_are_named_in_the_language_of_the_mention_or_as_wished(
    base: Path, of_text: str | None, wanted: str | None, name: str
) -> None:
    mention = Mention(id="1", text="德国", start=0, end=2, surface="德国", language=of_text)
    assert first_name(base, mention, wanted) == name


@pytest.mark.parametrize("name", ["Deutschland", "德国", "FRG", "germany"])
def test_every_name_is_compared_and_looked_up(base: Path, name: str) -> None:
    with open_knowledge_base(base) as opened:
        assert [entity.id for entity in opened.records(opened.named(name))] == ["Q183"]
    link = melder.load(base).link(name)
    assert isinstance(link, melder.Link)
    assert link.candidates[0].id == "Q183"


def test_a_knowledge_base_is_served_in_a_language(base: Path) -> None:
    pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
    from melder.serving.opening import source_of

    served = source_of(base, None, languages=languages_of("de")).open()
    assert served.close is not None
    entity = served.catalogue.entity("Q183")
    assert entity is not None
    assert (entity.name, entity.description) == ("Deutschland", "Ein Land.")
    assert [each.name for each in served.catalogue.named("Germany")] == ["Deutschland"]
    assert [each.name for each in served.catalogue.starting("Germ", 5)] == ["Deutschland"]
    served.close()


UNSPACED = [
    (["几内亚", "日本"], "昨天几内亚赢了日本队", ["几内亚", "日本"]),
    (["中华人民共和国", "人民"], "中华人民共和国成立", ["中华人民共和国"]),
    (["ガーナ", "が国"], "ガーナとわが国は", ["ガーナ", "が国"]),
    (["パリ"], "ﾊﾟﾘへ行く", ["ﾊﾟﾘ"]),
    (["กรุงเทพ", "ประเทศไทย"], "ไปกรุงเทพในประเทศไทย", ["กรุงเทพ", "ประเทศไทย"]),
    (["น้ำ"], "มีน้ำมาก", ["น้ำ"]),
    (["ລາວ"], "ໃນລາວ", ["ລາວ"]),
    (["ភ្នំពេញ"], "ទៅភ្នំពេញ", ["ភ្នំពេញ"]),
]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(("names", "text", "expected"), UNSPACED)
def test_names_are_found_where_words_have_no_spaces(
    names: list[str], text: str, expected: list[str], form: str
) -> None:
    written = unicodedata.normalize(form, text)
    mentions = [written[start:end] for start, end in NameFinder(names).find(written)]
    assert mentions == [unicodedata.normalize(form, name) for name in expected]


@pytest.mark.parametrize(
    ("surface", "names"),
    [
        ("几内亚", ["几内亚共和国", "赤道地区", "日本"]),
        ("ガーナ", ["ガーナ共和国", "カナダ", "ガンビア"]),
        ("กรุงเทพ", ["กรุงเทพมหานคร", "เชียงใหม่", "ประเทศไทย"]),
    ],
)
def test_a_name_is_most_like_the_one_that_it_begins_without_spaces_too(surface: str, names: list[str]) -> None:
    unit = Lexical(2**18, part=0.85, fold=True)
    unit.fit(names)
    scores = unit.score(unit.mention_side(_heads([(surface,)])), unit.entity_side(_heads([(name,) for name in names])))
    assert scores[0].argmax() == 0
    assert scores[0, 0] > 2 * scores[0, 1:].max()


def _heads(surfaces: list[tuple[str, ...]]) -> Heads:
    blank = Features(torch.zeros(len(surfaces), 1), torch.zeros(len(surfaces), 1, 1), surfaces=surfaces)
    return Heads(blank.text_global, blank.text_tokens, surfaces=surfaces)
