"""A question with lettered answers: what a causal language model reads, and how likely it finds each letter.

    Which of the answers does the mention in the text mean? Answer with one letter.       the same for all: read once
    Text: kite: A red kite was seen over the river                                        once a mention
    A. Red kite: a bird of prey                                                           once an order
    B. none of these
    Answer: B

A model likes some letters and places more than others, whatever stands there. So every mention is asked in several
orders, which are turns of one shuffled order, and the log-likelihoods of an answer's letters are averaged. The shuffle
is a function of the seed and of what is asked, not of what is asked beside it.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from melder.generative.language_model import LanguageModel
from melder.generative.prefilled import PrefilledModel, Prompt
from melder.records import MelderError

__all__ = ["LetterReader", "Question", "answer_orders"]

INSTRUCTION = "Which of the answers does the mention in the text mean? Answer with one letter.\n"
ENDING = "Answer:"
PLACE = "\x1a"  # stands for the question while the chat template is filled


@dataclass(frozen=True)
class Question:
    """A question to which letters are the answers.

    Args:
        text: With the mention in it.
        answers: To choose from, without line breaks.
    """

    text: str
    answers: Sequence[str]


class LetterReader:
    """Asks a language model lettered questions.

    Args:
        language_model: What is asked.
        text_length, answer_length: Tokens that are read of a text and of an answer.
        answers: Of one question at most.
        shuffles: Orders of the answers; never more than there are answers.
        chat: Ask in the tokenizer's chat template, if it has one.

    Raises:
        MelderError: Letters are no tokens of this model, or so long a question does not fit into its context.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        *,
        text_length: int,
        answer_length: int,
        answers: int,
        shuffles: int = 4,
        chat: bool = True,
        seed: int = 43,
    ) -> None:
        self.language_model = language_model
        self.text_length, self.answer_length = text_length, answer_length
        self.shuffles, self.seed = shuffles, seed
        before, after = _frame(language_model, chat)
        self._before = language_model.tokens([before + INSTRUCTION])[0]
        self._after, self._letters = _letter_tokens(language_model, after)
        self._labels = language_model.tokens([f"{letter}." for letter in ascii_uppercase])
        self._title, self._break = language_model.tokens(["Text:", "\n"])
        self._check_length(answers)
        self._start: PrefilledModel | None = None

    def log_likelihoods(self, questions: Sequence[Question]) -> list[npt.NDArray[np.float64]]:
        """Of each question the mean log-likelihoods [answers] of its answers' letters among the letters offered."""
        orders = [self._orders(question) for question in questions]
        pieces = [self._pieces(question) for question in questions]
        rows = [
            [*self._listed([answers[place] for place in order]), *self._after]
            for (_, answers), question_orders in zip(pieces, orders, strict=True)
            for order in question_orders
        ]
        owners = [number for number, question_orders in enumerate(orders) for _ in question_orders]
        logits = self._logits([text for text, _ in pieces], owners, rows)
        means = [np.zeros(len(question.answers)) for question in questions]
        every_order = [order for question_orders in orders for order in question_orders]
        for owner, order, row in zip(owners, every_order, logits, strict=True):
            letters = row[self._letters[: len(order)]].double().log_softmax(dim=0)
            means[owner][order] += letters.cpu().numpy() / len(orders[owner])
        return means

    def _logits(self, texts: Sequence[list[int]], owners: Sequence[int], rows: Sequence[list[int]]) -> Tensor:
        """[rows, vocabulary] after the common beginning, the text of each row's owner, and the row."""
        if not rows:
            return torch.zeros(0, 1)
        if self._start is None:
            tokens = torch.tensor([self._before], device=self.language_model.device)
            embedded = self.language_model.embed(tokens)
            self._start = PrefilledModel(self.language_model.model, Prompt(embedded, torch.ones_like(tokens)))
        asked = self._start.repeated(len(texts))
        read, depths, valid = _left_padded(texts, [0] * len(texts))
        asked.read(read, depths, _visible(np.zeros((len(texts), 0), bool), valid), last=1)
        index = np.array(owners)
        asked.keep(index)
        lengths = [len(texts[owner]) for owner in owners]
        read, depths, more = _left_padded(rows, lengths)
        return asked.read(read, depths, _visible(valid[index], more), last=1)[:, -1]

    def _pieces(self, question: Question) -> tuple[list[int], list[list[int]]]:
        """The tokens of a question's text and of its answers, cut to what is read."""
        tokens = self.language_model.tokens([f" {text}" for text in (question.text, *question.answers)])
        text = [*self._title, *tokens[0][: self.text_length], *self._break]
        return text, [row[: self.answer_length] for row in tokens[1:]]

    def _listed(self, answers: Sequence[list[int]]) -> list[int]:
        lines = ([*label, *answer, *self._break] for label, answer in zip(self._labels, answers, strict=False))
        return [token for line in lines for token in line]

    def _orders(self, question: Question) -> list[npt.NDArray[np.int64]]:
        asked = zlib.crc32("\n".join([question.text, *question.answers]).encode())
        return answer_orders(len(question.answers), self.shuffles, [self.seed, asked])

    def _check_length(self, answers: int) -> None:
        line = max(map(len, self._labels)) + self.answer_length + len(self._break)
        most = len(self._before) + len(self._title) + self.text_length + len(self._break) + answers * line
        most += len(self._after)
        limit = self.language_model.limit
        if limit is not None and most > limit:
            raise MelderError(
                f"language model '{self.language_model.name}': a question may take {most:,} positions, the model has "
                f"{limit:,}; lower rerank.top, rerank.entity_length or rerank.text_length"
            )


def answer_orders(answers: int, shuffles: int, seed: Sequence[int]) -> list[npt.NDArray[np.int64]]:
    """So many orders of answers as arrays of their places, turns of one shuffled order, evenly spread.

    With as many orders as answers, every answer stands once at every place.

    Args:
        answers: How many there are.
        shuffles: How many orders, at most one an answer.
        seed: Of the shuffled order.

    Returns:
        Arrays of places, [answers] each.
    """
    shuffled = np.random.default_rng(seed).permutation(answers)
    count = min(shuffles, answers)
    return [np.roll(shuffled, turn * answers // count) for turn in range(count)]


def _frame(language_model: LanguageModel, chat: bool) -> tuple[str, str]:
    """What stands before and behind a question: of a chat model the turns of its template.

    Raises:
        MelderError: The template cannot be used.
    """
    tokenizer = language_model.tokenizer
    if not chat or not tokenizer.chat_template:
        return "", ENDING
    turn = [{"role": "user", "content": PLACE + ENDING}]
    try:
        filled = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        before, after = filled.split(PLACE)
    except Exception as error:  # a template is a program, and raises what it likes
        reason = str(error).strip().partition("\n")[0]
        raise MelderError(
            f"language model '{language_model.name}': its chat template cannot be used ({reason}); set "
            "rerank.chat=false"
        ) from None
    return before, after


def _letter_tokens(language_model: LanguageModel, after: str) -> tuple[list[int], list[int]]:
    """The tokens behind the answers up to the letter, and the one token of each letter.

    Behind words a letter is written with a space, where the tokenizer does that with all of them alike; at the start
    of a turn without one.
    """
    for space in (" ", "") if after.endswith(ENDING) else ("",):
        rows = language_model.tokens([f"{space}{letter}" for letter in ascii_uppercase])
        shared, letters = rows[0][:-1], [row[-1] for row in rows]
        if all(row[:-1] == shared for row in rows) and len(set(letters)) == len(letters):
            return [*language_model.tokens([after])[0], *shared], letters
    raise MelderError(
        f"language model '{language_model.name}': its tokenizer has no token for each letter, so no answer can be read "
        "off; use another"
    )


def _left_padded(
    rows: Sequence[Sequence[int]], starts: Sequence[int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Tokens, depths from `starts` on, and which positions are tokens, [rows, longest] each."""
    longest = max(map(len, rows))
    tokens, depths = np.zeros((len(rows), longest), np.int64), np.zeros((len(rows), longest), np.int64)
    valid = np.zeros((len(rows), longest), bool)
    for place, (row, start) in enumerate(zip(rows, starts, strict=True)):
        first = longest - len(row)
        tokens[place, first:], valid[place, first:] = row, True
        depths[place, first:] = np.arange(start, start + len(row))
    return tokens, depths, valid


def _visible(before: npt.NDArray[np.bool_], valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """[rows, q, before + q]: a token attends to what is valid before it, and to itself."""
    causal = np.tril(np.ones((valid.shape[1], valid.shape[1]), bool))
    own = causal & valid[:, None, :]
    earlier = np.broadcast_to(before[:, None, :], (len(valid), valid.shape[1], before.shape[1]))
    return np.concatenate([earlier, own], axis=2)
