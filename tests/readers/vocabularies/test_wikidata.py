"""Wikidata's dumps and results of queries, small and made by hand in the published formats."""

from __future__ import annotations

import bz2
import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from melder.cli import app
from melder.records import BadData, Entity, MelderError

Run = Callable[..., tuple[list[Entity], str, int]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs an importer; gives the entities, what was said, and the exit status."""

    def imported(kind: str, source: Path, *more: str) -> tuple[list[Entity], str, int]:
        out = tmp_path / "out.jsonl"
        status = app(["kb", "import", kind, str(source), "--out", str(out), *more], standalone_mode=False)
        entities = [Entity.model_validate_json(line) for line in out.read_text(encoding="utf-8").splitlines()]
        return entities, capsys.readouterr().err, int(status or 0)

    return imported


def term(language: str, value: str) -> dict[str, str]:
    return {"language": language, "value": value}


def statement(value: object, rank: str = "normal") -> dict[str, Any]:
    return {"mainsnak": {"snaktype": "value", "datavalue": {"value": value}}, "rank": rank}


def item(identity: str, labels: dict[str, str], **more: Any) -> dict[str, Any]:
    return {
        "type": "item",
        "id": identity,
        "labels": {code: term(code, text) for code, text in labels.items()},
        "descriptions": {},
        "aliases": {},
        "claims": {},
        **more,
    }


def kinds(*ids: str, rank: str = "normal") -> list[dict[str, Any]]:
    return [statement({"entity-type": "item", "id": identity}, rank) for identity in ids]


PARIS = item(
    "Q90",
    {"en": "Paris", "de": "Paris", "fr": "Paris (ville)"},
    descriptions={"en": term("en", "capital of France"), "de": term("de", "Hauptstadt Frankreichs")},
    aliases={"en": [term("en", "City of Light")], "de": [term("de", "Lutetia")], "fr": [term("fr", "Paname")]},
    claims={
        "P31": [*kinds("Q515"), *kinds("Q1", rank="deprecated")],
        "P18": [statement("Tour Eiffel.jpg"), statement("Paris night.jpg", "preferred")],
    },
)
DUMP = [
    PARIS,
    item("Q515", {"en": "city", "de": "Stadt"}, claims={"P279": kinds("Q486972")}, aliases=[], descriptions=[]),
    item("Q64", {"de": "Berlin"}, claims={"P31": kinds("Q515")}),
    item("Q84", {"mul": "London"}, claims={"P31": kinds("Q515", "Q999")}),
    item("Q2807", {"ja": "マドリード"}, claims={"P31": kinds("Q515")}),
    item("Q5", {"en": "human"}),
    {"type": "property", "id": "P31", "labels": {"en": term("en", "instance of")}, "claims": {}},
]


def dump(directory: Path, entities: list[dict[str, Any]], name: str = "dump.json", *, array: bool = True) -> Path:
    lines = [json.dumps(entity, separators=(",", ":"), ensure_ascii=False) for entity in entities]
    text = "[\n" + ",\n".join(lines) + "\n]\n" if array else "\n".join(lines) + "\n"
    path, data = directory / name, text.encode()
    path.write_bytes({".gz": gzip.compress, ".bz2": bz2.compress}.get(path.suffix, bytes)(data))
    return path


@pytest.mark.parametrize("name", ["dump.json", "dump.json.gz", "dump.json.bz2"])
@pytest.mark.parametrize("array", [True, False])
def test_instances_of_a_class_come_with_names_in_the_languages_that_are_wanted(
    tmp_path: Path, run: Run, name: str, array: bool
) -> None:
    entities, said, status = run(
        "wikidata", dump(tmp_path, DUMP, name, array=array), "--class", "Q515", "--lang", "de,en"
    )
    assert status == 0
    assert entities == [
        Entity(
            id="Q90",
            name="Paris",
            aliases=("Lutetia", "City of Light"),
            description="Hauptstadt Frankreichs",
            types=("Stadt",),
            labels={"de": "Paris", "en": "Paris"},
            descriptions={"de": "Hauptstadt Frankreichs", "en": "capital of France"},
        ),
        Entity(id="Q64", name="Berlin", types=("Stadt",)),
        Entity(id="Q84", name="London", types=("Stadt", "Q999")),
    ]
    for words in (
        "3 entities are not among those asked for",
        "1 entity without a label in these languages",
        "1 type has no label in the dump",
    ):
        assert words in said


def test_everything_is_taken_that_has_a_name(tmp_path: Path, run: Run) -> None:
    entities, said, _ = run("wikidata", dump(tmp_path, DUMP), "--lang", "en", "--no-type-names")
    assert [(entity.id, entity.types) for entity in entities] == [
        ("Q90", ("Q515",)),
        ("Q515", ()),
        ("Q84", ("Q515", "Q999")),
        ("Q5", ()),
    ]
    assert "1 property or lexeme is left out" in said


def test_entities_are_chosen_by_their_ids(tmp_path: Path, run: Run) -> None:
    (tmp_path / "ids.txt").write_text("Q5\nQ64\n\nQ404\n")
    entities, _, _ = run("wikidata", dump(tmp_path, DUMP), "--ids", str(tmp_path / "ids.txt"), "--lang", "de,en")
    assert [entity.id for entity in entities] == ["Q64", "Q5"]


def test_direct_subclasses_count_too(tmp_path: Path, run: Run) -> None:
    entities, _, _ = run("wikidata", dump(tmp_path, DUMP), "--class", "Q486972")
    assert [entity.id for entity in entities] == ["Q515"]


def test_pictures_are_listed_and_never_fetched(tmp_path: Path, run: Run) -> None:
    entities, said, _ = run("wikidata", dump(tmp_path, [PARIS]), "--pictures", str(tmp_path / "list.tsv"))
    address = "https://commons.wikimedia.org/wiki/Special:FilePath/Paris_night.jpg?width=512"
    assert (tmp_path / "list.tsv").read_text() == f"Paris_night.jpg\t{address}\n"
    assert entities[0].images == (address,)
    assert "fetch them as you like" in said


@pytest.mark.parametrize("picture", ["Paris_night.jpg", "Paris night.jpg", "paris_night.JPG"])
def test_what_was_imported_can_be_checked_before_and_after_its_pictures_are_fetched(
    tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str], picture: str
) -> None:
    run("wikidata", dump(tmp_path, [PARIS]), "--pictures", str(tmp_path / "list.tsv"))
    check = ["kb", "check", str(tmp_path / "out.jsonl"), "--images", str(tmp_path)]
    assert not app(check, standalone_mode=False)
    assert "1 picture is an address, and no file of that name is there" in capsys.readouterr().err
    (tmp_path / picture).write_bytes(b"a picture")
    assert not app(check, standalone_mode=False)
    said = capsys.readouterr()
    assert "is an address" not in said.err
    assert re.search(r"with a picture that is there *│ *1", said.out)


def test_a_line_that_is_no_entity_is_named_and_the_others_are_taken(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "dump.json"
    broken = [
        '{"id":"Q1","labels":{"en":{}}}',
        "3",
        '{"type":"item"',
        '{"labels":{}}',
        "[]",
        '{"id":"Q2","claims":{"P31":7}}',
    ]
    path.write_text("[\n" + ",\n".join([*broken, json.dumps(PARIS)]) + "\n]\n")
    entities, said, status = run("wikidata", path)
    assert ([entity.id for entity in entities], status) == (["Q90"], 3)
    assert "6 records left out" in said
    assert "record 4: is not JSON" in said
    assert "record 2: is no entity of a Wikibase" in said


@pytest.mark.parametrize(
    ("name", "cut", "words"),
    [("d.json.gz", 20, "is cut off"), ("d.json.bz2", 20, "is cut off"), ("d.json.bz2", None, "cannot be read")],
)
def test_a_dump_that_is_not_whole_is_named(tmp_path: Path, run: Run, name: str, cut: int | None, words: str) -> None:
    path = dump(tmp_path, DUMP, name)
    path.write_bytes(path.read_bytes()[:-cut] if cut else b"{}")
    with pytest.raises(MelderError, match=words):
        run("wikidata", path)
    assert not list(tmp_path.glob("out*"))


HEADER = ["item", "itemLabel", "itemDescription", "itemAltLabel", "class", "classLabel", "pic"]
ENTITY, FILE = "http://www.wikidata.org/entity/", "http://commons.wikimedia.org/wiki/Special:FilePath/"
ROWS = [
    [
        f"{ENTITY}Q90",
        "Paris",
        'the "city"',
        "City of Light, Paname",
        f"{ENTITY}Q515",
        "city",
        f"{FILE}Tour%20Eiffel.jpg",
    ],
    [f"{ENTITY}Q90", "Paris", 'the "city"', "City of Light, Paname", f"{ENTITY}Q5119", "capital", ""],
    [f"{ENTITY}Q64", "Berlin", "", "", f"{ENTITY}Q515", "city", ""],
]
EXPECTED = [
    Entity(
        id="Q90",
        name="Paris",
        description='the "city"',
        aliases=("City of Light", "Paname"),
        types=("city", "capital"),
        images=("https://commons.wikimedia.org/wiki/Special:FilePath/Tour%20Eiffel.jpg?width=512",),
    ),
    Entity(id="Q64", name="Berlin", types=("city",)),
]


def as_csv() -> str:
    return "\r\n".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in [HEADER, *ROWS])


def as_tsv() -> str:
    def of(cell: str) -> str:
        if not cell:
            return ""
        return f"<{cell}>" if cell.startswith("http") else '"' + cell.replace('"', '\\"') + '"@en'

    return "\n".join(["\t".join(f"?{name}" for name in HEADER), *("\t".join(map(of, row)) for row in ROWS)])


def as_json() -> str:
    bindings = [
        {name: {"type": "literal", "value": cell} for name, cell in zip(HEADER, row, strict=True) if cell}
        for row in ROWS
    ]
    return json.dumps({"head": {"vars": HEADER}, "results": {"bindings": bindings}})


@pytest.mark.parametrize(
    ("name", "text"), [("q.csv", as_csv()), ("q.tsv", as_tsv()), ("q.json", as_json()), ("q.srj", as_json())]
)
def test_results_of_queries_are_read_in_every_format(tmp_path: Path, run: Run, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    entities, said, status = run("wikidata", tmp_path / name, "--pictures", str(tmp_path / "list.tsv"))
    assert (entities, status) == (EXPECTED, 0)
    assert "1 entity has several rows" in said
    assert (tmp_path / "list.tsv").read_text().split("\t")[1].strip().endswith("/Tour%20Eiffel.jpg?width=512")


@pytest.mark.parametrize(
    ("content", "more", "words"),
    [
        ("city,name\nQ90,Paris\n", (), "has no variable with a label, such as .item and .itemLabel"),
        (as_csv(), ("--class", "Q5"), "--class and --ids go with dumps"),
        (as_csv(), ("--lang", " , "), "write tags such as de,en"),
    ],
)
def test_what_cannot_be_imported_is_named(
    tmp_path: Path, run: Run, content: str, more: tuple[str, ...], words: str
) -> None:
    (tmp_path / "q.csv").write_text(content)
    with pytest.raises(MelderError, match=words):
        run("wikidata", tmp_path / "q.csv", *more)


def test_files_are_checked_before_anything_is_read(tmp_path: Path, run: Run) -> None:
    with pytest.raises(MelderError, match="there is no such file"):
        run("wikidata", tmp_path / "none.json")
    with pytest.raises(MelderError, match=r"give the file the ending \.jsonl"):
        app(
            ["kb", "import", "wikidata", str(dump(tmp_path, DUMP)), "--out", str(tmp_path / "a.csv")],
            standalone_mode=False,
        )
    with pytest.raises(MelderError, match="nothing in it is wanted"):
        run("wikidata", dump(tmp_path, DUMP), "--class", "Q404")
    (tmp_path / "broken.json").write_text("<html>\n")
    with pytest.raises(BadData, match="is not JSON"):
        run("wikidata", tmp_path / "broken.json")


def of_class(identity: str, name: str, above: list[str], kind: list[str]) -> dict[str, Any]:
    return item(identity, {"en": name}, claims={"P279": kinds(*above), "P31": kinds(*kind)})


# Q1 is the class of places; cities, towns and spa towns are below it, and the last two below each other.
CLASSES = [
    of_class("Q10", "Bath", [], ["Q4"]),
    of_class("Q2", "city", ["Q1"], []),
    of_class("Q3", "town", ["Q2", "Q4"], []),
    of_class("Q4", "spa town", ["Q3"], []),
    of_class("Q11", "Berlin", [], ["Q2"]),
    of_class("Q12", "Nobody", [], ["Q5"]),
    of_class("Q13", "Somewhere", [], ["Q1"]),
]
ENTITY = "http://www.wikidata.org/entity/"
TEXT_PREDICATES = {
    "labels": "http://www.w3.org/2000/01/rdf-schema#label",
    "descriptions": "http://schema.org/description",
    "aliases": "http://www.w3.org/2004/02/skos/core#altLabel",
}


def as_triples(entities: list[dict[str, Any]]) -> str:
    lines = list[str]()
    for value in entities:
        subject = f"<{ENTITY}{value['id']}>"
        lines.append(f"<https://www.wikidata.org/wiki/Special:EntityData/{value['id']}> <http://x/about> {subject} .")
        for kind, predicate in TEXT_PREDICATES.items():
            for code, terms in value[kind].items():
                for text in terms if isinstance(terms, list) else [terms]:
                    lines.append(f"{subject} <{predicate}> {json.dumps(text['value'], ensure_ascii=False)}@{code} .")
        for name, statements in value["claims"].items():
            for each in statements:
                content = each["mainsnak"]["datavalue"]["value"]
                address = f"{ENTITY}{content['id']}" if isinstance(content, dict) else f"http://commons/{content}"
                address = address.replace(" ", "%20")
                lines.append(f"{subject} <http://www.wikidata.org/prop/direct/{name}> <{address}> .")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", ["dump.json", "dump.nt", "dump.nt.gz"])
@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        (["--class", "Q1"], ["Q2", "Q13"]),
        (["--class", "Q1", "--all-subclasses"], ["Q10", "Q2", "Q3", "Q4", "Q11", "Q13"]),
        (["--class", "Q3", "--all-subclasses"], ["Q10", "Q3", "Q4"]),
        (["--subclasses", "list"], ["Q10", "Q3", "Q11"]),
    ],
)
def test_instances_of_the_classes_below_a_class_are_wanted_too(
    tmp_path: Path, run: Run, name: str, more: list[str], wanted: list[str]
) -> None:
    (tmp_path / "list").write_text('"http://www.wikidata.org/entity/Q2"\nQ4\n')
    options = [str(tmp_path / each) if each == "list" else each for each in more]
    source = dump(tmp_path, CLASSES)
    if name != "dump.json":
        data = as_triples(CLASSES).encode()
        source = tmp_path / name
        source.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    entities, _, status = run("wikidata", source, *options)
    assert ([entity.id for entity in entities], status) == (wanted, 0)


def test_truthy_triples_say_what_the_other_dump_says(tmp_path: Path, run: Run) -> None:
    odd = item("Q7", {"en": 'A "quoted"\nname \u00e9 \U0001f600', "de": "Ein Name"}, claims={"P31": kinds("Q515")})
    wanted = run("wikidata", dump(tmp_path, [odd, CLASSES[0]]), "--lang", "en,de")[0]
    (tmp_path / "d.nt").write_text(as_triples([odd, CLASSES[0]]), encoding="utf-8")
    assert run("wikidata", tmp_path / "d.nt", "--lang", "en,de")[0] == wanted
    assert wanted[0].name == 'A "quoted"\nname \u00e9 \U0001f600'


def test_pictures_of_triples_are_listed(tmp_path: Path, run: Run) -> None:
    paris = item("Q90", {"en": "Paris"}, claims={"P18": [statement("Paris night.jpg")]})
    (tmp_path / "d.nt").write_text(as_triples([paris]), encoding="utf-8")
    entities, _, _ = run("wikidata", tmp_path / "d.nt", "--pictures", str(tmp_path / "list.tsv"))
    assert (tmp_path / "list.tsv").read_text() == f"Paris_night.jpg\t{entities[0].images[0]}\n"
