"""What finds mentions when a request marks none: names of entities, or the entities of a spaCy pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from melder.mentions.dictionary import MentionFinder
from melder.records import MelderError
from melder.serving.source import Served

if TYPE_CHECKING:
    from spacy.language import Language

__all__ = ["NAMES", "Finder", "SpacyFinder", "finder_of", "named"]

NAMES = "names"
SPACY = "spacy:"
# Labels (OntoNotes 5) of numbers, dates and sums, which pipelines call entities and knowledge bases do not hold.
VALUES = frozenset({"CARDINAL", "DATE", "MONEY", "ORDINAL", "PERCENT", "QUANTITY", "TIME"})


class Finder(Protocol):
    """Finds mentions in a text; threads may share it."""

    def find(self, text: str) -> list[tuple[int, int]]:
        """[start, end) of each, in code points and in order."""
        ...


class SpacyFinder:
    """The entities of a pipeline, without numbers and dates. Texts go through it one at a time."""

    def __init__(self, pipeline: Language) -> None:
        self._pipeline, self._lock = pipeline, Lock()

    def find(self, text: str) -> list[tuple[int, int]]:
        with self._lock:
            doc = self._pipeline(text)
        return [(ent.start_char, ent.end_char) for ent in doc.ents if ent.label_ not in VALUES]


def finder_of(name: str) -> Finder | None:
    """The finder that `melder serve --find` names, `spacy:` and a package or a directory; None for names of entities.

    Raises MelderError when there is none of that name, spaCy is not installed, or the pipeline finds no entities.
    """
    if name == NAMES:
        return None
    pipeline = name.removeprefix(SPACY)
    if pipeline in ("", name):
        raise MelderError(f"--find {name}: write {NAMES}, or {SPACY} and the package or directory of a spaCy pipeline")
    return SpacyFinder(_pipeline(pipeline))


def named(served: Served, rules: Sequence[str]) -> Finder:
    """The finder of the names and aliases of all entities, with these rules for what is written onto them; reads all
    names."""
    return MentionFinder(served.catalogue.names(), rules)


def _pipeline(name: str) -> Language:
    try:
        import spacy
    except ModuleNotFoundError:
        raise MelderError(f"--find {SPACY}{name} needs spaCy: install it with `pip install 'melder[spacy]'`") from None
    try:
        pipeline = spacy.load(Path(name) if Path(name).is_dir() else name)
    except (OSError, ValueError, ImportError) as error:  # no such package, or one that was made for another spaCy
        reason = str(error).splitlines()[0]
        raise MelderError(f"--find {SPACY}{name}: cannot be loaded ({reason}); name what `spacy.load` takes") from None
    if not any("doc.ents" in pipeline.get_pipe_meta(each).assigns for each in pipeline.pipe_names):
        steps = ", ".join(pipeline.pipe_names) or "no step at all"
        raise MelderError(f"--find {SPACY}{name}: finds no entities (it has {steps}); add `ner` or an `entity_ruler`")
    return pipeline
