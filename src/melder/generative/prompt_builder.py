"""From mentions to prompts: the most similar demonstrations that the context has room for, and the question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from melder.generative.demonstrations import Demonstrations
from melder.generative.language_model import LanguageModel
from melder.generative.prompt import Blocks, Template, answer_room, fitted, prompt_text, write_blocks
from melder.records import Mention

__all__ = ["PromptBuilder"]


class PromptBuilder:
    """Builds prompts; the demonstrations are tokenised once.

    Args:
        limit: Positions of a prompt and its answer together, None = as many as the language model was made for.
        longest_answer: Tokens of the longest name, its end included.
        markers: Mark the mention in the text of the question; demonstrations have theirs already.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        template: Template,
        demonstrations: Demonstrations,
        *,
        prefix_tokens: int,
        limit: int | None,
        longest_answer: int,
        markers: bool = False,
    ) -> None:
        self.language_model, self.template, self.prefix_tokens = language_model, template, prefix_tokens
        self.markers = markers
        self.lead = language_model.tokens([template.lead])[0] if template.lead else []
        self.room = answer_room(language_model, limit, longest_answer)
        texts = [
            template.around_picture(demonstration.text, demonstration.surface, demonstration.answer)
            for demonstration in demonstrations.shown
        ]
        self.blocks = [
            replace(block, picture=demonstrations.picture(row))
            for row, block in enumerate(write_blocks(language_model, texts))
        ]

    def __call__(
        self, mentions: Sequence[Mention], pictures: Sequence[Tensor | None], shown: Sequence[Sequence[int]]
    ) -> list[Blocks]:
        """A prompt a mention; `shown` are the rows of its demonstrations, the most similar last.

        Raises `MelderError` when a question alone is longer than the context.
        """
        texts = [
            self.template.around_picture(prompt_text(mention, self.markers), mention.surface) for mention in mentions
        ]
        questions = write_blocks(self.language_model, texts)
        return [
            fitted(
                [self.blocks[row] for row in rows],
                replace(question, picture=picture),
                self.room,
                self.prefix_tokens,
                mention,
                self.lead,
            )
            for mention, question, picture, rows in zip(mentions, questions, pictures, shown, strict=True)
        ]
