"""The entities that a spaCy pipeline finds: `pip install melder[spacy]`, then `spacy:` and a package or a directory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from melder.records import MelderError

if TYPE_CHECKING:
    from spacy.language import Language

__all__ = ["SpacyFinder"]

# Labels (OntoNotes 5) of numbers, dates and sums, which pipelines call entities and knowledge bases do not hold.
VALUES = frozenset({"CARDINAL", "DATE", "MONEY", "ORDINAL", "PERCENT", "QUANTITY", "TIME"})


class SpacyFinder:
    """The entities of a pipeline, without numbers and dates. Texts go through it one at a time.

    Fulfils `melder.protocols.MentionFinder`.

    Args:
        pipeline: One that finds entities; Melder leaves it as it is.
    """

    reads_names = False

    def __init__(self, pipeline: Language) -> None:
        self._pipeline, self._lock = pipeline, Lock()

    @classmethod
    def open(cls, options: str) -> SpacyFinder:
        """The finder of a pipeline by its package or directory.

        Raises:
            MelderError: None is named, spaCy is not installed, or the pipeline finds no entities.
        """
        if not options:
            raise MelderError("--find spacy: write spacy: and the package or directory of a spaCy pipeline")
        return cls(_pipeline(options))

    def of_names(self, names: Iterable[str]) -> SpacyFinder:
        return self

    def find(self, text: str) -> list[tuple[int, int]]:
        with self._lock:
            doc = self._pipeline(text)
        return [(ent.start_char, ent.end_char) for ent in doc.ents if ent.label_ not in VALUES]


def _pipeline(name: str) -> Language:
    try:
        import spacy
    except ModuleNotFoundError:
        raise MelderError(f"--find spacy:{name} needs spaCy: install it with `pip install 'melder[spacy]'`") from None
    try:
        pipeline = spacy.load(Path(name) if Path(name).is_dir() else name)
    except (OSError, ValueError, ImportError) as error:  # no such package, or one that was made for another spaCy
        reason = str(error).splitlines()[0]
        raise MelderError(f"--find spacy:{name}: cannot be loaded ({reason}); name what `spacy.load` takes") from None
    if not any("doc.ents" in pipeline.get_pipe_meta(step).assigns for step in pipeline.pipe_names):
        steps = ", ".join(pipeline.pipe_names) or "no step at all"
        raise MelderError(f"--find spacy:{name}: finds no entities (it has {steps}); add `ner` or an `entity_ruler`")
    return pipeline
