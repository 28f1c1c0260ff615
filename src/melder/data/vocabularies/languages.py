"""Which of the languages of a vocabulary names and descriptions are taken from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from melder.records import MelderError

__all__ = ["Languages"]

NONE = ("mul", "")  # of all languages, as Wikidata says; of no language, as RDF and JSON-LD say


@dataclass(frozen=True)
class Languages:
    """Languages in the order in which they are wanted; after them what is in no language."""

    wanted: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Languages:
        """Of codes with commas between them, such as `de,en`.

        Raises:
            MelderError: There is none.
        """
        codes = tuple(code.strip().lower() for code in text.split(",") if code.strip())
        if not codes:
            raise MelderError(f"--lang {text!r}: write codes of languages, such as de,en")
        return cls(codes)

    def first(self, texts: Mapping[str, str]) -> str:
        """The text of the first language that has one; "" where none has."""
        return next((texts[code] for code in self._order if texts.get(code)), "")

    def every(self, texts: Mapping[str, Sequence[str]]) -> Iterable[str]:
        """The texts of all these languages, in their order."""
        return (text for code in self._order for text in texts.get(code, ()) if text)

    @property
    def _order(self) -> tuple[str, ...]:
        return (*self.wanted, *NONE)
