"""What finds mentions where nobody has marked any, by name."""

from __future__ import annotations

from collections.abc import Callable

from melder.mentions.affixes import RULE_NAMES
from melder.protocols import MentionFinder
from melder.registry import Entry, Registry

__all__ = ["FINDERS", "open_finder"]

NAMES = (
    "names and aliases of the entities; names:none finds them as they are written, names:RULE,RULE by some of the "
    f"rules {', '.join(RULE_NAMES)}"
)
SPACY = "the entities of a spaCy pipeline; spacy:PIPELINE names its package or directory"
FINDERS = Registry[Callable[[str], MentionFinder]](
    "finder of mentions",
    "melder.finders",
    (
        Entry("names", "melder.mentions.dictionary:NameFinder.open", NAMES),
        Entry("spacy", "melder.mentions.spacy:SpacyFinder.open", SPACY, "spacy"),
    ),
    "spacy: and the package or directory of a spaCy pipeline",
)


def open_finder(spec: str) -> MentionFinder:
    """The finder that a specification names; one that reads names is made for those of a catalogue by `of_names`.

    Args:
        spec: A name of `melder list finders`, perhaps with options behind a colon.

    Returns:
        The finder.

    Raises:
        MelderError: There is none of that name, or what it needs is not there.
    """
    open_it, options = FINDERS.resolve(spec)
    return open_it(options)
