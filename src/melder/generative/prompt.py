"""Prompts: demonstrations and the question about a mention, each with the prefix of its picture.

A prompt is a list of blocks, the last one the question. Each block's text is tokenised by itself, and nothing stands
between blocks, as in the published code: no token of beginning, no separator but what the template holds. The prefix
stands before its block, as published, or where the template has {picture}; what comes before and after it is then
tokenised apart. All before a prompt's first prefix is the same whatever the mapper has learned.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from torch import Tensor

from melder.generative.language_model import LanguageModel
from melder.records import MelderError, Mention

__all__ = ["Block", "Blocks", "Template", "fitted", "prompt_text", "write_blocks"]

_FIELD = re.compile(r"\{(text|mention|answer)\}")
_PICTURE = "{picture}"


@dataclass(frozen=True)
class Block:
    """A demonstration, or the question.

    Args:
        tokens: Of its text.
        picture: Its vector [picture_width], or [patches, picture_width]; None = no picture.
        place: How many of the tokens stand before the picture's prefix.
    """

    tokens: Sequence[int]
    picture: Tensor | None
    place: int = 0


@dataclass(frozen=True)
class Blocks:
    """A prompt.

    Args:
        blocks: Demonstrations, and the question last.
        dropped: How many demonstrations were too many for the context.
        lead: Tokens that stand before all.
    """

    blocks: Sequence[Block]
    dropped: int = 0
    lead: Sequence[int] = ()

    def positions(self, prefix_tokens: int) -> int:
        """How long the prompt is, prefixes included."""
        return len(self.lead) + sum(prefix_tokens + len(block.tokens) for block in self.blocks)

    @property
    def content(self) -> Hashable:
        """Equal for prompts that a language model cannot tell apart."""
        pictures = (None if block.picture is None else block.picture.cpu().numpy().tobytes() for block in self.blocks)
        texts = tuple((*block.tokens[: block.place], None, *block.tokens[block.place :]) for block in self.blocks)
        return tuple(self.lead), texts, tuple(pictures)

    @property
    def head(self) -> list[int]:
        """The tokens before the first prefix, which no mapper changes."""
        first = self.blocks[0]
        return [*self.lead, *first.tokens[: first.place]]


@dataclass(frozen=True)
class Template:
    """How a block is written.

    Args:
        pattern: A text with {text}, {mention} and, last of these, {answer}, and perhaps {picture}.
        lead: What stands once, before all blocks.
    """

    pattern: str
    lead: str = ""

    def question(self, text: str, mention: str) -> str:
        """All that stands before the answer."""
        return "".join(self.around_picture(text, mention))

    def demonstration(self, text: str, mention: str, answer: str) -> str:
        """The question with its answer."""
        return "".join(self.around_picture(text, mention, answer))

    def around_picture(self, text: str, mention: str, answer: str | None = None) -> tuple[str, str]:
        """What stands before the picture and after it; without an answer up to its place."""
        pattern = self.pattern if answer is not None else self.pattern[: self.pattern.index("{answer}")]
        before, picture, after = pattern.partition(_PICTURE)
        before, after = (before, after) if picture else ("", pattern)
        return self._filled(before, text, mention, answer or ""), self._filled(after, text, mention, answer or "")

    def _filled(self, pattern: str, text: str, mention: str, answer: str) -> str:
        """What is filled in is not looked at again: braces in texts are only braces."""
        values = {"text": text, "mention": mention, "answer": answer}
        return _FIELD.sub(lambda match: values[match[1]], pattern)


def prompt_text(mention: Mention, markers: bool) -> str:
    """The text of a mention as a prompt has it.

    Args:
        mention: With a text.
        markers: Write `[START_ENT] mention [END_ENT]` where the mention stands, as GENRE does and files of GEMEL's may,
            whose reader takes them out; a mention that does not occur in its text has none.

    Returns:
        The text.
    """
    if not markers or mention.start is None or mention.end is None:
        return mention.text
    before, after = mention.text[: mention.start], mention.text[mention.end :]
    return f"{before}[START_ENT] {mention.text[mention.start : mention.end]} [END_ENT]{after}"


def write_blocks(language_model: LanguageModel, texts: Sequence[tuple[str, str]]) -> list[Block]:
    """Blocks without pictures.

    Args:
        language_model: Whose tokens these are.
        texts: What stands before each one's picture, and after it.

    Returns:
        In their order.
    """
    befores = language_model.tokens([before for before, _ in texts])
    afters = language_model.tokens([after for _, after in texts])
    return [Block([*before, *after], None, len(before)) for before, after in zip(befores, afters, strict=True)]


def fitted(
    demonstrations: Sequence[Block],
    question: Block,
    room: int,
    prefix_tokens: int,
    mention: Mention,
    lead: Sequence[int] = (),
) -> Blocks:
    """A prompt of at most `room` positions: the demonstrations farthest from the question are dropped first.

    Args:
        demonstrations: The nearest last.
        question: Of the mention.
        room: Positions that there are.
        prefix_tokens: Positions that a picture takes.
        mention: For messages.
        lead: Tokens that stand before all.

    Returns:
        The prompt.

    Raises:
        MelderError: Not even the question fits, which no dropping can mend.
    """
    needed = Blocks([question], lead=lead).positions(prefix_tokens)
    left = room - needed
    if left < 0:
        raise MelderError(
            f"mention {mention.id!r}, field 'text': its question has {needed:,} "
            f"positions, but the language model has room for {room:,} beside the answer; shorten the text"
        )
    chosen: list[Block] = []
    for block in reversed(demonstrations):
        left -= prefix_tokens + len(block.tokens)
        if left < 0:
            break
        chosen.append(block)
    return Blocks([*reversed(chosen), question], dropped=len(demonstrations) - len(chosen), lead=lead)


def answer_room(language_model: LanguageModel, limit: int | None, longest_answer: int) -> int:
    """Positions that a prompt may have so that the longest answer fits behind it."""
    limits = [length for length in (limit, language_model.limit) if length is not None]
    return min(limits, default=1 << 30) - longest_answer
