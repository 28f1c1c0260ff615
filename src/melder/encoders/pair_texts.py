"""What a model that reads a mention and an entity together is shown of both: two texts of limited length."""

from __future__ import annotations

from typing import Any

from melder.data.items import joined, mention_item
from melder.encoders.tokens import Tokens
from melder.encoders.window import read_text_of
from melder.languages import AS_WRITTEN, Languages
from melder.records import Entity, Mention

__all__ = ["PairTexts"]

BETWEEN = ": "  # a surface and its context, a name and a description


class PairTexts:
    """Texts of mentions and entities on one line, cut to so many tokens of a tokenizer.

    Args:
        tokenizer: Of transformers; it is not changed.
        text_length: Tokens of a surface with the words around the mention.
        entity_length: Tokens of a name with its description.
    """

    def __init__(self, tokenizer: Any, *, text_length: int, entity_length: int) -> None:
        self._mention = Tokens(tokenizer, min(text_length, tokenizer.model_max_length), fixed=False)
        self._entity = Tokens(tokenizer, min(entity_length, tokenizer.model_max_length), fixed=False)

    def mention(self, mention: Mention) -> str:
        """The surface, and of a longer text the words around it."""
        return _cut(read_text_of(mention_item(mention, None, BETWEEN), self._mention, around=True).text, self._mention)

    def entity(self, entity: Entity) -> str:
        """The name and the beginning of the description; the id of an entity that has neither."""
        return _cut(joined(entity.name, entity.description, BETWEEN) or entity.id, self._entity)

    def pair(self, mention: Mention, entity: Entity, languages: Languages = AS_WRITTEN) -> tuple[str, str]:
        """What is read of both, in training and in linking alike.

        Args:
            mention: With its text.
            entity: A candidate.
            languages: It is read in that of the mention's text, or else in the first of these that it has.

        Returns:
            The text of the mention, and that of the entity.
        """
        shown = entity.in_language(languages.after(mention.language))
        return self.mention(mention), self.entity(shown)


def _cut(text: str, tokens: Tokens) -> str:
    line = " ".join(text.split())
    pieces = tokens.pieces(line)
    return line if len(pieces) <= tokens.length else line[: pieces[tokens.length - 1][1]]
