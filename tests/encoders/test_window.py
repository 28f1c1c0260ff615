"""Of a text that is too long, the words around the mention are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import test_words
import torch

from melder.data import entity_items, mention_items
from melder.encoders import build_encoder, fingerprint, load_encoder
from melder.encoders.tokens import Tokens
from melder.encoders.vocabulary import train_tokenizer
from melder.encoders.window import TextRead, read_text_of
from melder.records import Entity, Item, Mention

FILLER = "The committee met again in spring. Nothing was decided, as before! "
LONG = FILLER * 22  # 1,450 characters


class NoPictures:
    def mention_image(self, path: str) -> Path:
        raise AssertionError

    entity_image = mention_image


class Slow:
    """A tokenizer that does not say where its tokens lie: one for every four characters, and a mark at each end."""

    is_fast, model_max_length, pad_token = False, 512, "[PAD]"

    def __call__(self, text: str, add_special_tokens: bool = True, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": [0] * (-(-len(text) // 4) + 2 * add_special_tokens)}


TOKENIZERS = {
    "byte pairs": lambda: train_tokenizer([FILLER, "Guinea is a rodent in Africa"]),
    "word pieces": test_words.word_pieces,
    "without offsets": Slow,
}


def _item(text: str, surface: str = "Guinea") -> Item:
    start = text.index(surface)
    mention = Mention(id="1", text=text, start=start, end=start + len(surface), surface=surface)
    return mention_items([mention], NoPictures(), ". ")[0]


def _read(text: str, *, kind: str = "byte pairs", length: int = 32, around: bool = True, **options: Any) -> TextRead:
    tokens = Tokens(TOKENIZERS[kind](), length, fixed=False, **options)
    return read_text_of(_item(text), tokens, around=around)


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("before", ["", FILLER, LONG])
@pytest.mark.parametrize("after", ["", f" {FILLER}", f" {LONG}"])
def test_the_mention_is_read_wherever_it_stands(kind: str, before: str, after: str) -> None:
    text = f"{before}Guinea is a rodent.{after}"
    read = _read(text, kind=kind)
    assert read.span is not None
    assert read.text[slice(*read.span)] == "Guinea"
    assert read.text.startswith("Guinea. ")
    assert read.text.removeprefix("Guinea. ") in text
    tokens = Tokens(TOKENIZERS[kind](), 32, fixed=False)
    assert tokens.count(read.text[: read.span[1]]) < tokens.length  # not cut off by the tokenizer
    if before == LONG:
        assert len(read.text) < len(text) / 4
    elif not before:
        assert read.text == f"Guinea. {text}"  # the tokenizer keeps the beginning


def test_a_text_that_fits_is_read_as_it_is() -> None:
    assert _read("They saw Guinea win.") == TextRead("Guinea. They saw Guinea win.", (17, 23))


@pytest.mark.parametrize("around", [True, False])
def test_the_beginning_is_read_where_that_is_wanted(around: bool) -> None:
    text = f"{LONG}Guinea is a rodent."
    assert (_read(text, around=around).text == f"Guinea. {text}") is not around


def test_words_on_both_sides_are_read() -> None:
    words = " ".join(f"word{number}" for number in range(100, 300))
    text = f"{words} Guinea {words}"
    read = _read(text, kind="without offsets", length=60).text.removeprefix("Guinea. ")
    before, after = (side.split() for side in read.split("Guinea"))
    assert min(len(before), len(after)) > 0.7 * max(len(before), len(after)) > 5
    assert set(before) | set(after) <= set(words.split())


def test_the_end_of_a_text_leaves_its_room_to_the_beginning() -> None:
    words = " ".join(f"word{number}" for number in range(100, 300))
    at_end = _read(f"{words} Guinea", kind="without offsets", length=60).text
    between = _read(f"{words} Guinea {words}", kind="without offsets", length=60).text
    assert at_end.endswith("word299 Guinea")
    assert at_end.count("word") >= between.count("word") - 1


def test_it_begins_at_a_sentence_where_there_is_one() -> None:
    text = f"{LONG}It was late. A guest from Guinea spoke. {LONG}"
    assert _read(text, length=60).text.startswith(
        ("Guinea. A guest from Guinea spoke.", "Guinea. It was late. A guest")
    )


@pytest.mark.parametrize("text", ["北京" * 300 + "Guinea" + "東京" * 300, "x" * 900 + "Guinea" + "y" * 900])
def test_text_without_spaces_is_cut_between_tokens(text: str) -> None:
    read = _read(text)
    assert read.span is not None
    assert read.text[slice(*read.span)] == "Guinea"
    assert 20 <= Tokens(TOKENIZERS["byte pairs"](), 32, fixed=False).count(read.text) <= 36


@pytest.mark.parametrize("surface", ["Guinea " * 40, "Guinea " * 400])
def test_a_surface_that_leaves_no_room_is_read_from_its_beginning(surface: str) -> None:
    text = f"{LONG}{surface.strip()} met. {LONG}"
    tokens = Tokens(TOKENIZERS["byte pairs"](), 32, fixed=False)
    assert read_text_of(_item(text, surface.strip()), tokens, around=True).text.endswith(LONG)


def test_a_prompt_comes_first_and_takes_its_room() -> None:
    read = _read(f"{LONG}Guinea is a rodent. {LONG}", prompts={"mention": "find: ", "entity": "is: "})
    assert read.span is not None
    assert read.text.startswith("find: Guinea. ")
    assert read.text[slice(*read.span)] == "Guinea"


@pytest.mark.parametrize("unit", ["a", "Guinea ", "a.", "\u0301", "中"])
@pytest.mark.parametrize("role", ["mention", "context", "entity"])
def test_of_a_text_without_end_no_more_is_tokenized_than_may_be_read(unit: str, role: str) -> None:
    """Tokenizers go through all of a text, whatever is cut off: three million letters took half a minute."""

    class Counted(Slow):
        longest, pad_token_id = 0, 0

        def __call__(self, text: Any, *options: Any, **named: Any) -> Any:
            texts = [text] if isinstance(text, str) else text
            self.longest = max(self.longest, *map(len, texts))
            if isinstance(text, str):
                return super().__call__(text, *options, **named)
            return {name: torch.ones((len(texts), 32), dtype=torch.long) for name in ("input_ids", "attention_mask")}

    long = unit * (1_000_000 // len(unit))
    counted = Counted()
    tokens = Tokens(counted, 32, fixed=True)
    items = {
        "mention": lambda: _item(long, long),
        "context": lambda: _item(f"{long} Peru {long}", "Peru"),
        "entity": lambda: entity_items([Entity(id="Q1", name=long, description=long)], NoPictures(), ". ")[0],
    }
    tokens([read_text_of(items[role](), tokens, around=True).text])
    assert 0 < counted.longest <= 10_000


def test_an_entity_and_a_mention_that_is_nowhere_keep_their_beginning() -> None:
    tokens = Tokens(TOKENIZERS["byte pairs"](), 32, fixed=False)
    entity = entity_items([Entity(id="Q1", name="Guinea", description=LONG)], NoPictures(), ". ")[0]
    mention = mention_items([Mention(id="1", text=LONG, surface="Guinea")], NoPictures(), ". ")[0]
    for item in (entity, mention):
        assert read_text_of(item, tokens, around=True).text == item.text


def test_no_text_has_no_prompt() -> None:
    tokens = Tokens(TOKENIZERS["byte pairs"](), 32, fixed=False, prompts={"entity": "is: "})
    assert read_text_of(Item("", role="entity"), tokens, around=True) == TextRead("")


def _vectors(encoder: Any) -> torch.Tensor:
    texts = [f"{LONG}{LONG}Guinea {tail}" for tail in ("is a rodent.", "is in Africa.")]
    with torch.no_grad():
        return encoder(encoder.prepare([_item(text) for text in texts])).text_global


@pytest.mark.parametrize(
    ("options", "alike"), [({}, False), ({"published": True}, True), ({"context": "beginning"}, True)]
)
def test_texts_that_differ_around_the_mention_alone_are_told_apart(options: Any, alike: bool, tmp_path: Path) -> None:
    encoder = build_encoder("clip:compact", texts=[FILLER, "Guinea is a rodent in Africa"], **options)
    first, second = _vectors(encoder)
    assert torch.equal(first, second) is alike
    encoder.save(tmp_path)
    loaded = load_encoder(tmp_path)
    loaded.load_state_dict(encoder.state_dict())
    assert torch.equal(_vectors(loaded), torch.stack([first, second]))


def test_a_saved_encoder_that_says_nothing_reads_the_beginning(tmp_path: Path) -> None:
    build_encoder("clip:compact", context="beginning").save(tmp_path)
    assert "context" not in (tmp_path / "encoder.json").read_text()
    assert load_encoder(tmp_path).context == "beginning"


def test_features_are_of_the_place_of_a_mention_too() -> None:
    text = f"Guinea is far. {LONG} Guinea is near."
    first, second = (Item(text, span=span, lead=0) for span in ((0, 6), (len(text) - 15, len(text) - 9)))
    assert fingerprint([first], "x") == fingerprint([second], "x")
    assert fingerprint([first], "x", spans=True) != fingerprint([second], "x", spans=True)
