"""Languages of names and descriptions, by the tags of BCP 47 (de, pt-br, zh-hans) in lower case.

Which of several texts is shown is a wish in an order: the first language that has one. A tag that is not there stands
for a wider one (de-at: de) and for narrower ones (zh: zh-hans), as RFC 4647 looks languages up.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

__all__ = ["AS_WRITTEN", "LanguageTag", "Languages", "is_tag"]

NONE = ("mul", "")  # of all languages, as Wikidata says; of no language, as RDF and JSON-LD say
TAG = re.compile(r"[a-z]{2,8}(-[a-z0-9]{1,8})*")


@dataclass(frozen=True)
class Languages:
    """Languages in the order in which they are wanted; after them what is in no language.

    Args:
        wanted: tags in lower case; none = no wish
    """

    wanted: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Languages:
        """Of tags with commas between them, such as `de,en`.

        Args:
            text: as a command line has it

        Returns:
            the languages in this order

        Raises:
            ValueError: There is none, or what is no tag.
        """
        tags = tuple(tag.strip().lower().replace("_", "-") for tag in text.split(",") if tag.strip())
        if not tags:
            raise ValueError(f"{text!r} names no language: write tags such as de,en")
        if wrong := next((tag for tag in tags if not is_tag(tag)), None):
            raise ValueError(f"{wrong!r} is no tag of a language: write tags such as de,en")
        return cls(tags)

    def after(self, tag: str | None) -> Languages:
        """These, wanted only where there is nothing in another language; of None these themselves."""
        return self if tag is None else Languages((tag.lower(), *self.wanted))

    def first(self, texts: Mapping[str, str]) -> str:
        """The text of the first language that has one.

        Args:
            texts: by tag, in lower case

        Returns:
            the text; "" where none of these languages has one
        """
        return next((text for tag in self._order if (text := next(_of(tag, texts), ""))), "")

    def every(self, texts: Mapping[str, Sequence[str]]) -> Iterable[str]:
        """The texts of all these languages, in their order."""
        return (text for tag in self._order for text in texts.get(tag, ()) if text)

    def only(self, texts: Mapping[str, str]) -> dict[str, str]:
        """The texts in these languages by their tags, where there are several: the first is shown anyway."""
        texts = {tag: texts[tag] for tag in self.wanted if texts.get(tag)}
        return texts if len(texts) > 1 else {}

    @property
    def _order(self) -> tuple[str, ...]:
        return (*self.wanted, *NONE)


AS_WRITTEN = Languages()


def is_tag(text: str) -> bool:
    """Whether a text, in lower case, may be the tag of a language."""
    return TAG.fullmatch(text) is not None


def _language(text: str) -> str:
    tag = text.lower()
    if not is_tag(tag):
        raise ValueError(f"{reprlib.repr(text)} is no tag of a language, such as de or pt-br")
    return tag


LanguageTag = Annotated[str, AfterValidator(_language)]


def _of(tag: str, texts: Mapping[str, str]) -> Iterator[str]:
    """The texts that a tag stands for: its own, those of wider tags, those of narrower ones in their order."""
    pieces = tag.split("-")
    wider = ("-".join(pieces[:length]) for length in range(len(pieces), 0, -1))
    yield from (texts[name] for name in wider if texts.get(name))
    if tag:
        yield from (texts[name] for name in sorted(texts) if name.startswith(f"{tag}-") and texts[name])
