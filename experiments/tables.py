"""What `run_table.py` runs: the rows of the tables of docs/results.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["ROWS", "Row"]

FIVE = (43, 44, 45, 46, 47)
THREE = FIVE[:3]
TEXTS = ("wikimel", "richpediamel", "wikidiverse")
NAMELESS = ("method.lexical=false",)
STUDENT = ("--set", "method.assignment=attention")


@dataclass(frozen=True)
class Row:
    """One line of a table: a recipe, what differs from it, the seeds, and against which candidates."""

    table: str
    data: str
    name: str
    recipe: str
    settings: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (43,)
    frozen: bool = True
    candidates: tuple[str, ...] = ("",)  # "" = the data set's own entities
    evaluation: tuple[str, ...] = ()  # further options of `melder evaluate`

    @property
    def slug(self) -> str:
        """Rows of several tables that are one training share it."""
        method = self.recipe.split("/")[1]
        return "-".join([self.data, method, *self.settings, *([] if self.frozen else ["trained"])])

    @property
    def many_entities(self) -> bool:
        """Where an evaluation had better score only what could be ahead."""
        return self.data in TEXTS

    @property
    def shares_features(self) -> bool:
        """Rows of one data set do, unless the encoder learns or the mentions are made for the row."""
        return self.frozen and not any(setting.startswith("data.from_entities=") for setting in self.settings)

    @property
    def precomputed(self) -> bool:
        return self.data == "grocery" and self.frozen


def recipe(method: str, data: str) -> str:
    return f"experiments/{method}/{data}.offline.yaml"


def modalities() -> Iterator[Row]:
    """What text and picture add to each other."""
    grocery = recipe("m3el", "grocery")
    yield Row("modalities", "grocery", "text and picture", grocery, seeds=FIVE)
    yield Row("modalities", "grocery", "text only", grocery, ("data.modalities=[text]",), THREE)
    yield Row("modalities", "grocery", "picture only", grocery, ("data.modalities=[image]",), THREE)
    compact = "experiments/m3el/grocery-compact.offline.yaml"
    yield Row("modalities", "grocery", "clip:compact from scratch", compact, seeds=THREE, frozen=False)


def methods() -> Iterator[Row]:
    """The methods under one encoder and one budget, with and without names compared as strings."""
    for data in ("grocery", *TEXTS):
        for method in ("m3el", "mimic", "ot_mel", "clip"):
            candidates = ("", "union") if method == "m3el" and data in TEXTS[:2] else ("",)
            yield Row("methods", data, method, recipe(method, data), candidates=candidates)
            yield Row("methods", data, f"{method}, without names", recipe(method, data), NAMELESS)


def untrained() -> Iterator[Row]:
    for data in ("grocery", *TEXTS):
        yield Row("untrained", data, "clip, untrained", recipe("clip", data), ("training.epochs=0",))


def ablations() -> Iterator[Row]:
    """M3EL less one of its parts."""
    changes = {
        "without the contrastive loss": "method.contrastive=null",
        "without cross-modal units": "method.units=[text,image]",
        "one direction (CMM)": "method.cross=uni",
        "without the text unit": "method.units=[image,cross]",
        "without the picture unit": "method.units=[text,cross]",
    }
    for name, setting in changes.items():
        yield Row("ablations of M3EL", "grocery", name, recipe("m3el", "grocery"), (setting,), THREE)


def assignments() -> Iterator[Row]:
    """OT-MEL's plan, its distilled student, and what else assigns tokens."""
    changes = {
        "attention instead of transport": "method.assignment=attention",
        "learned marginals": "method.marginals=learned",
    }
    pictured = {
        "without fusion": "method.units=[text,image]",
        "without the text unit": "method.units=[image,fusion]",
        "without the picture unit": "method.units=[text,fusion]",
    }
    table = "ablations of OT-MEL"
    for data in ("grocery", "wikimel"):
        yield Row(table, data, "transport", recipe("ot_mel", data))
        yield Row(table, data, "its student", recipe("ot_mel", data), evaluation=STUDENT)
        for name, change in (changes | ({} if data in TEXTS else pictured)).items():  # texts alone have one unit
            yield Row(table, data, name, recipe("ot_mel", data), (change,))


def without_labels() -> Iterator[Row]:
    """The encoder as it is, trained on mentions made from the entities, and trained on the labelled ones."""
    table, data, made = "without labels", "grocery", ("data.from_entities=8", "training.negatives.sampler=lexical")
    compact = "experiments/m3el/grocery-compact.offline.yaml"
    yield Row(table, data, "zero-shot: clip, untrained", recipe("clip", data), ("training.epochs=0",))
    yield Row(table, data, "from the entities: clip", recipe("clip", data), made, THREE)
    yield Row(table, data, "from the entities: m3el", recipe("m3el", data), made, THREE)
    yield Row(table, data, "from the entities: m3el, clip:compact", compact, made, THREE, frozen=False)
    yield Row(table, data, "supervised: clip", recipe("clip", data))
    yield Row(table, data, "supervised: m3el", recipe("m3el", data), seeds=FIVE)
    yield Row(table, data, "supervised: m3el, clip:compact", compact, seeds=THREE, frozen=False)


ROWS = [*modalities(), *methods(), *untrained(), *ablations(), *assignments(), *without_labels()]
