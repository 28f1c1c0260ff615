"""A language model as a second stage: each candidate scored by the likelihood of its letter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from melder.encoders.pair_texts import PairTexts
from melder.generative.language_model import open_language_model
from melder.generative.letters import LetterReader, Question
from melder.languages import AS_WRITTEN, Languages
from melder.linking.second_stage import Opinion
from melder.records import Entity, Item, Mention
from melder.runs.directory import run_device
from melder.runs.rerank_configuration import RerankConfiguration

__all__ = ["LettersStage", "open_letters_stage"]

KEPT = "rerank_language_model"  # in a run: a GGUF file's weights as plain numbers; it may be removed
NONE = "none of these"


class LettersStage:
    """Asks a language model which candidate a mention means; fulfils `melder.linking.second_stage.SecondStage`.

    Args:
        letters: Asks the model lettered questions.
        texts: What of mentions and entities stands in a question.
        nil: Offer the answer "none of these".
        at_once: Mentions asked together.
    """

    name = "language_model"
    reader = None

    def __init__(self, letters: LetterReader, texts: PairTexts, *, nil: bool, at_once: int) -> None:
        self.letters, self.texts = letters, texts
        self.nil, self.at_once = nil, at_once
        self.languages = AS_WRITTEN

    def opinions(
        self, mentions: Sequence[Mention], items: Sequence[Item], candidates: Sequence[Sequence[Entity]]
    ) -> list[Opinion]:
        questions = [self._question(*pair) for pair in zip(mentions, candidates, strict=True)]
        asked = [question for question in questions if question is not None]
        likelihoods = iter(self.letters.log_likelihoods(asked))
        return [
            Opinion(np.zeros(0)) if question is None else self._opinion(next(likelihoods)) for question in questions
        ]

    def name_in(self, languages: Languages) -> None:
        self.languages = languages

    def close(self) -> None:
        """There is nothing open."""

    def _question(self, mention: Mention, entities: Sequence[Entity]) -> Question | None:
        if not entities:
            return None
        languages = self.languages.after(mention.language)
        answers = [self.texts.entity(entity.in_language(languages)) for entity in entities]
        return Question(self.texts.mention(mention), [*answers, *([NONE] if self.nil else [])])

    def _opinion(self, likelihoods: np.ndarray) -> Opinion:
        if not self.nil:
            return Opinion(likelihoods)
        scores, none = likelihoods[:-1], float(likelihoods[-1])
        return Opinion(scores, none - float(np.logaddexp.reduce(scores)))


def open_letters_stage(look: RerankConfiguration, run: Path, device: str | None = None) -> LettersStage:
    """The stage that a second look describes.

    Args:
        look: Settings of the second look, which name a language model.
        run: Of the first stage; the weights of a GGUF file are kept in it as plain numbers.
        device: As PyTorch calls it; None = a GPU where there is one.

    Returns:
        The stage, its model on the device.

    Raises:
        MelderError: There is no such language model, or it cannot answer by letters.
    """
    model = open_language_model(str(look.model), precision=look.precision, kept=run / KEPT).to(run_device(device))
    letters = LetterReader(
        model,
        text_length=look.text_length,
        answer_length=look.entity_length,
        answers=look.top + look.nil,
        shuffles=look.shuffles,
        chat=look.chat,
        seed=look.seed,
    )
    texts = PairTexts(model.tokenizer, text_length=look.text_length, entity_length=look.entity_length)
    return LettersStage(letters, texts, nil=look.nil, at_once=look.at_once)
