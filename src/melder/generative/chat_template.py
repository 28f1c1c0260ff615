"""Prompts in the form that a chat model was trained on: each block a question by the user and the model's answer.

The form is the tokenizer's chat template. It is asked for one conversation of one turn and for one of two equal turns;
what the second has more is a turn, and what stands before the first turn (the system's message) is the prompt's lead.
"""

from __future__ import annotations

from typing import Any

from melder.generative.prompt import Template
from melder.methods.gemel import CHAT
from melder.records import MelderError

__all__ = ["prompt_template"]

QUESTION, ANSWER = "{text}\nWhat does {mention} mentioned in the text refer to?", "{answer}"


def prompt_template(pattern: str, tokenizer: Any, name: str) -> Template:
    """The template that a configuration means: its own words, or `chat`.

    Args:
        pattern: A text with {text}, {mention} and {answer}, or `chat`.
        tokenizer: The language model's, whose chat template is asked.
        name: The language model's, for errors.

    Returns:
        The template.

    Raises:
        MelderError: The tokenizer has no chat template, or one whose turns cannot be told apart.
    """
    if pattern != CHAT:
        return Template(pattern)
    turn = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]
    try:
        one, two = (tokenizer.apply_chat_template(turn * count, tokenize=False) for count in (1, 2))
    except Exception as error:  # a template is a program, and raises what it likes
        reason = str(error).strip().partition("\n")[0]
        raise MelderError(
            f"method.template: chat: language model '{name}' has no chat template that can be used ({reason}); "
            "write a template with {text}, {mention} and {answer}"
        ) from None
    second = two[len(one) :]
    if not (two.startswith(one) and one.endswith(second) and _has_fields(second)):
        raise MelderError(
            f"method.template: chat: the turns of the chat template of '{name}' differ from each other; write a "
            "template with {text}, {mention} and {answer}"
        )
    return Template(second, lead=one[: len(one) - len(second)])


def _has_fields(pattern: str) -> bool:
    counts = [pattern.count(field) for field in ("{text}", "{mention}", "{answer}")]
    return counts == [1, 1, 1] and pattern.index("{answer}") > pattern.index("{mention}") > pattern.index("{text}")
