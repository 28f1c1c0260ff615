"""What `run_table.py` runs: the rows of the tables of docs/results.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

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
    language_model: Row | None = None  # whose run of the same seed has trained the language model of this one
    matching: Row | None = None  # whose run of the same seed finds the candidates that this one orders anew

    @property
    def method(self) -> str:
        return self.recipe.split("/")[1]

    @property
    def slug(self) -> str:
        """Rows of several tables that are one training share it."""
        shared = ["shared-language-model"] if self.language_model else []
        ends = [*shared, *([] if self.frozen else ["trained"])]
        return "-".join([self.data, self.method, *self.variant, *self.settings, *ends])

    @property
    def variant(self) -> list[str]:
        """What stands between the data set and `.offline` in the recipe's name: grocery.smollm2.offline.yaml."""
        return self.recipe.rpartition("/")[2].removesuffix(".offline.yaml").split(".")[1:]

    @property
    def many_entities(self) -> bool:
        """Where an evaluation had better score only what could be ahead."""
        return self.data in TEXTS

    @property
    def shares_features(self) -> bool:
        """Rows of one data set do, unless the encoder learns, the mentions are made for the row, or only pictures are
        read, whose vectors are there already."""
        made = any(setting.startswith("data.from_entities=") for setting in self.settings)
        return self.frozen and self.method != "gemel" and not made

    @property
    def precomputed(self) -> bool:
        return self.data == "grocery" and self.frozen


def recipe(method: str, data: str) -> str:
    return f"experiments/{method}/{data}.offline.yaml"


def smollm2(data: str) -> str:
    return f"experiments/gemel/{data}.smollm2.offline.yaml"


def modalities() -> Iterator[Row]:
    """What text and picture add to each other."""
    grocery = recipe("m3el", "grocery")
    yield Row("modalities", "grocery", "text and picture", grocery, seeds=FIVE)
    yield Row("modalities", "grocery", "text only", grocery, ("data.modalities=[text]",))
    yield Row("modalities", "grocery", "picture only", grocery, ("data.modalities=[image]",))
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
        yield Row("ablations of M3EL", "grocery", name, recipe("m3el", "grocery"), (setting,))


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


def generative() -> Iterator[Row]:
    """GEMEL with pictures and with vectors of zeros in their place, with and without demonstrations, alone and over
    M3EL's candidates; then with SmolLM2, which has read of the world. The toy's rows of one seed share the language
    model that the first of them trains, but for the texts alone, which train one of their own that has never read of
    pictures."""
    table, data, zeros, bare = "generative", "grocery", "data.modalities=[text]", "method.demonstrations.count=0"
    first = Row(table, data, "pictures, 2 demonstrations", recipe("gemel", data), seeds=THREE)
    without = replace(first, name="pictures, no demonstrations", settings=(bare,), language_model=first)
    m3el = Row(table, data, "m3el, which finds candidates", recipe("m3el", data), seeds=THREE)
    over = {"matching": m3el, "evaluation": ("--set", "method.matching.top=10")}
    yield first
    yield without
    yield replace(without, name="zero vectors, 2 demonstrations", settings=(zeros,))
    yield replace(without, name="zero vectors, no demonstrations", settings=(zeros, bare))
    yield m3el
    yield replace(first, name="over m3el's best ten, 2 demonstrations", **over)
    yield replace(without, name="over m3el's best ten, no demonstrations", **over)
    yield replace(first, name="texts alone, 2 demonstrations", settings=(zeros,))
    yield replace(first, name="texts alone, no demonstrations", settings=(zeros, bare))
    large = Row(table, data, "SmolLM2, pictures, no demonstrations", smollm2(data))
    yield large
    for count in (2, 8):
        shown = f"method.demonstrations.count={count}"
        yield replace(large, name=f"SmolLM2, pictures, {count} demonstrations", settings=(shown,))
    yield replace(large, name="SmolLM2, zero vectors", settings=(zeros,))
    yield replace(large, name="SmolLM2 over m3el's best ten", **over)
    for mapper in ("bottleneck", "resampler"):
        chosen = (f"method.mapper={mapper}", "method.mapper_start=random")
        yield replace(large, name=f"SmolLM2, {mapper}", settings=chosen)
    yield replace(large, name="SmolLM2, LoRA of rank 8", settings=("method.lora.rank=8",))


ROWS = [*modalities(), *methods(), *untrained(), *ablations(), *assignments(), *without_labels(), *generative()]
