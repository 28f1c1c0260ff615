"""One case a check, which `test_every_check.py` puts through everything that a check promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from audit.made import Made, encoded, photo

Rows = dict[str, set[str]]  # part → ids


@dataclass(frozen=True)
class Case:
    """What is planted in the data set, and the rows that the check then finds, for each of its kinds."""

    plant: Callable[[Made], None]
    finds: dict[str, Rows]
    skip_bad: bool = False


def _shared_texts(data: Made) -> None:
    data.mention("dev", 0).update(_same(data, 0, "text", "start", "end", "surface", "answer", "image"))
    data.mention("dev", 1).update(text=data.mention("train", 1)["text"], surface="", start=None, end=None)
    data.mention("dev", 1)["image"] = data.mention("train", 1)["image"]
    plain = data.mention("train", 2)["text"]
    data.mention("test", 0).update(text=plain.upper().replace(".", " !"), surface="", start=None, end=None)
    data.mention("test", 0)["image"] = data.mention("train", 2)["image"]
    data.mention("test", 1).update(_same(data, 3, "text", "start", "end", "surface"))


def _same(data: Made, place: int, *fields: str) -> dict[str, object]:
    return {name: data.mention("train", place)[name] for name in fields}


def _shared_captions(data: Made) -> None:
    for place, (split, row) in enumerate([("train", 0), ("train", 1), ("dev", 0), ("test", 0)]):
        data.mention(split, row)["id"] = f"caption7-{place}"
        data.mention(split, row).update(text="One caption.", surface="", start=None, end=None)
    data.mention("train", 2)["id"] = "caption8-0"


def _shared_pictures(data: Made) -> None:
    data.mention("dev", 0)["image"] = data.mention("train", 0)["image"]
    data.files["m5.png"] = data.files["m1.png"]
    data.files["m6.png"] = encoded(photo(2), compress_level=1)
    data.files["m7.png"] = encoded(photo(3).resize((70, 60)), "JPEG", quality=60)
    data.files["none.png"] = encoded(photo(999))
    for number in range(10):
        split, blank = ("train", "test")[number % 2], f"blank{number}"
        mention = {"id": blank, "text": f"Text {number}", "image": "none.png", "answer": f"B{number}"}
        data.splits[split].append(mention)
        data.entities.append({"id": f"B{number}", "name": f"Blank {number}"})


def _own_pictures(data: Made) -> None:
    data.entities[0]["images"].append("m0.png")
    data.files["e1.png"] = data.files["m1.png"]
    data.files["e4.png"] = encoded(photo(4), compress_level=1)
    data.files["e5.png"] = encoded(photo(5).resize((60, 60)), "JPEG", quality=60)
    data.entities[6]["images"] = ["elsewhere/m6.png"]


def _betraying(data: Made) -> None:
    data.mention("train", 0)["id"] = "caption-Q070-1"
    data.mention("dev", 0).update(id="x", image="q470.png")
    data.mention("dev", 1)["image"] = "the_Falcon-thing.png"
    data.mention("test", 1)["answer"] = data.mention("test", 0)["answer"]
    for number in range(8, 13):
        data.entities.append({"id": f"P{number}", "name": f"Place {number}"})
        data.splits["train"].append({"id": str(number), "text": f"Text {number}", "answer": f"P{number}"})


def _copied_pictures(data: Made) -> None:
    data.files["m1.png"] = encoded(photo(0), compress_level=1)
    data.files["e3.png"] = encoded(photo(102), compress_level=1)
    data.files["e5.png"] = encoded(photo(104).resize((60, 60)), "JPEG", quality=60)


def _repeats(data: Made) -> None:
    data.splits["train"].append({**data.mention("train", 0), "id": "again"})
    data.splits["dev"].append({**data.mention("dev", 0), "id": "against", "answer": "Q370"})


def _gaps(data: Made) -> None:
    data.mention("train", 0).update(text=" ", start=None, end=None)
    data.mention("train", 1).update(surface="", start=None, end=None)
    data.mention("train", 2).update(surface="absent", start=None, end=None)
    data.entities[0]["name"] = ""
    data.entities[1]["description"] = " "
    data.mention("train", 3)["image"] = None
    data.entities[2]["images"] = []
    data.mention("dev", 0)["image"] = "lost.png"
    data.entities[3]["images"] = ["e3.png", "n" * 300]
    data.files["m5.png"] = b"no picture"
    data.files["e4.png"] = b""


def _answers(data: Made) -> None:
    data.mention("train", 0)["answer"] = None
    data.mention("dev", 1)["answer"] = "Q999"


def _homonyms(data: Made) -> None:
    data.entities[1]["name"] = data.entities[0]["name"]
    data.entities[3]["name"] = "QUARRY--Thing"
    data.entities[6].update(name="Quarry thing", description=" what one knows of: the lantern")
    data.entities[4].update(name="quarry thing")


def _seen_entities(data: Made) -> None:
    data.mention("dev", 0)["answer"] = "Q070"
    data.mention("test", 1).update(_same(data, 1, "answer", "surface", "start", "end", "text"))


def _surfaces(data: Made) -> None:
    data.entities[0]["name"] = "harbour"
    data.entities[1]["name"] = "VIOLIN!"
    data.entities[2]["aliases"] = ["Glacier"]
    data.entities[4]["aliases"] = ["lantern"]
    data.entities[5]["aliases"] = ["Lantern"]


CASES: dict[str, Case] = {
    "shared texts": Case(
        _shared_texts,
        {
            "same question": {"train": {"train0"}, "dev": {"dev4"}},
            "same text": {"train": {"train1"}, "dev": {"dev5"}},
            "same text but for writing": {"train": {"train2"}, "test": {"test6"}},
            "same text, other pictures": {"train": {"train3"}, "test": {"test7"}},
        },
    ),
    "shared captions": Case(
        _shared_captions,
        {
            "same caption": {
                "train": {"caption7-0", "caption7-1"},
                "dev": {"caption7-2"},
                "test": {"caption7-3"},
            }
        },
    ),
    "shared pictures": Case(
        _shared_pictures,
        {
            "same file": {"train": {"train0"}, "dev": {"dev4"}},
            "same bytes": {"train": {"train1"}, "dev": {"dev5"}},
            "same pixels": {"train": {"train2"}, "test": {"test6"}},
            "near-duplicate": {"train": {"train3"}, "test": {"test7"}},
            "placeholder": {
                "train": {f"blank{number}" for number in range(0, 10, 2)},
                "test": {f"blank{number}" for number in range(1, 10, 2)},
            },
        },
    ),
    "own pictures": Case(
        _own_pictures,
        {
            "same file": {"train": {"train0"}},
            "same bytes": {"train": {"train1"}},
            "same pixels": {"dev": {"dev4"}},
            "near-duplicate": {"dev": {"dev5"}},
            "same name": {"test": {"test6"}},
        },
    ),
    "betraying": Case(
        _betraying,
        {
            "answer in the id": {"train": {"caption-Q070-1"}},
            "place as the id": {"train": {str(number) for number in range(8, 13)}},
            "answer in the picture's name": {"dev": {"x"}},
            "name in the picture's name": {"dev": {"dev5"}},
            "order of rows": {"test": {"test7"}},
        },
    ),
    "copied pictures": Case(
        _copied_pictures,
        {
            "several names": {"train": {"train0", "train1"}, "entities": {"Q270", "Q370"}},
            "same for several entities": {"entities": {"Q270", "Q370"}},
            "near-duplicate for several entities": {"entities": {"Q470", "Q570"}},
        },
    ),
    "repeats": Case(
        _repeats,
        {
            "repeated mention": {"train": {"train0", "again"}},
            "contradicting answers": {"dev": {"dev4", "against"}},
        },
    ),
    "gaps": Case(
        _gaps,
        {
            "no text": {"train": {"train0"}},
            "no surface": {"train": {"train1"}},
            "surface not in the text": {"train": {"train2"}},
            "no name": {"entities": {"Q070"}},
            "no description": {"entities": {"Q170"}},
            "no picture": {"train": {"train3"}, "entities": {"Q270"}},
            "picture absent": {"dev": {"dev4"}, "entities": {"Q370"}},
            "picture unreadable": {"dev": {"dev5"}, "entities": {"Q470"}},
        },
    ),
    "answers": Case(
        _answers,
        {
            "NIL": {"train": {"train0"}},
            "not in the knowledge base": {"dev": {"record 2"}},
            "never an answer": {"entities": {"Q070", "Q570"}},
        },
        skip_bad=True,
    ),
    "homonyms": Case(
        _homonyms,
        {
            "same name": {"train": {"train0", "train1"}, "entities": {"Q070", "Q170"}},
            "same name but for writing": {
                "train": {"train0", "train1", "train3"},
                "dev": {"dev4"},
                "test": {"test6"},
                "entities": {"Q070", "Q170", "Q370", "Q470", "Q670"},
            },
            "same name and description": {
                "dev": {"dev4"},
                "test": {"test6"},
                "entities": {"Q470", "Q670"},
            },
        },
    ),
    "seen entities": Case(
        _seen_entities,
        {
            "entity": {"dev": {"dev4"}, "test": {"test7"}},
            "entity and surface": {"test": {"test7"}},
        },
    ),
    "surfaces": Case(
        _surfaces,
        {
            "equal to the name": {"train": {"train0"}},
            "equal but for writing": {"train": {"train0", "train1"}},
            "name or alias": {"train": {"train0", "train1", "train2"}, "dev": {"dev4"}},
            "only one has the name": {"train": {"train0", "train1", "train2"}},
        },
    ),
}
