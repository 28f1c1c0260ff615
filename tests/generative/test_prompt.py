"""Prompts: the published words, and what happens where the context is too short."""

from __future__ import annotations

import pytest
import torch

from melder.data.gemel import unmarked
from melder.generative.prompt import Block, Blocks, Template, fitted, prompt_text
from melder.methods.gemel import PUBLISHED_TEMPLATE, GEMELConfiguration
from melder.records import MelderError, Mention

MENTION = Mention(id="m1", surface="kite")


def test_the_published_template() -> None:
    template = Template(PUBLISHED_TEMPLATE)
    question = "[Text]A kite.\n[Question]What does kite mentioned in the text refer to?\n[Answer]"
    assert template.question("A kite.", "kite") == question
    assert template.demonstration("A kite.", "kite", "Red kite") == question + "Red kite\n"


@pytest.mark.parametrize(
    ("text", "surface"),
    [
        ("[START_ENT] UK [END_ENT] voted", "UK"),
        ("UK and [START_ENT] UK [END_ENT]", "UK"),
        ("the [START_ENT] Málaga [END_ENT], again", "Málaga"),
        ("nothing is marked of this", "UK"),
    ],
)
def test_markers_that_a_reader_took_out_come_back(text: str, surface: str) -> None:
    plain, start, end = unmarked(text, surface)
    mention = Mention(id="m", text=plain, start=start, end=end, surface=surface)
    assert prompt_text(mention, markers=True) == text
    assert prompt_text(mention, markers=False) == plain


def test_a_picture_stands_where_the_template_says() -> None:
    template = Template("{text} {mention} [{picture}] {answer}\n")
    assert template.around_picture("A kite.", "kite") == ("A kite. kite [", "] ")
    assert template.around_picture("A kite.", "kite", "Red kite") == ("A kite. kite [", "] Red kite\n")
    assert template.question("{picture}", "kite") == "{picture} kite [] "
    assert Template(PUBLISHED_TEMPLATE).around_picture("A kite.", "kite")[0] == ""


def test_what_stands_before_the_first_picture_is_the_prompts_head() -> None:
    blocks = [Block([1, 2, 3], None, 2), Block([4, 5], None, 1)]
    assert Blocks(blocks, lead=[9]).head == [9, 1, 2]
    assert Blocks(blocks[1:]).head == [4]
    assert Blocks([Block([1, 2], None)]).head == []


def test_braces_in_texts_are_only_braces() -> None:
    assert Template("{text} {mention}: {answer}").demonstration("{mention}", "{answer}", "{text}") == (
        "{mention} {answer}: {text}"
    )


@pytest.mark.parametrize(
    "template",
    [
        "{text} {mention}",
        "{answer} {text} {mention}",
        "{text} {text} {answer}",
        "",
        "{text} {mention} {answer} {picture}",
        "{picture} {text} {mention} {picture} {answer}",
        "{image} {text} {mention} {answer}",
    ],
)
def test_a_template_needs_its_fields(template: str) -> None:
    with pytest.raises(ValueError, match="once each"):
        GEMELConfiguration(template=template)


@pytest.mark.parametrize(("room", "kept"), [(40, 3), (39, 3), (38, 2), (30, 2), (20, 1), (19, 1), (9, 0)])
def test_demonstrations_are_dropped_from_the_far_end_and_counted(room: int, kept: int) -> None:
    blocks = [_block(number) for number in range(4)]  # each takes 4 + 6 positions, the last is the question
    prompt = fitted(blocks[:3], _block(3, length=5), room, 4, MENTION)
    assert list(prompt.blocks[:-1]) == blocks[3 - kept : 3]
    assert prompt.dropped == 3 - kept
    assert prompt.positions(4) <= room


def test_a_question_without_room_is_an_error_that_names_the_mention() -> None:
    with pytest.raises(MelderError, match=r"mention 'm1', field 'text': its question has 10 positions.* room for 9"):
        fitted([], _block(0), 9, 4, MENTION)


def _block(number: int, length: int = 6) -> Block:
    return Block([number] * length, torch.tensor([float(number)]))
