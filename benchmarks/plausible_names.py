"""Names as a knowledge base has them, made from a seed, and a byte-level BPE tokenizer trained on them."""

from __future__ import annotations

import random
from itertools import islice

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

ONSETS = [*"bcdfghjklmnprstvwz", "br", "ch", "cl", "dr", "fl", "gr", "kl", "pr", "qu", "sh", "st", "th", "tr"]
VOWELS = [*"aeiou", "ai", "au", "ea", "ee", "ia", "ie", "io", "oo", "ou"]
CODAS = ["", "", "", "n", "r", "s", "l", "m", "ck", "nd", "rt", "th", "ng", "x"]
KINDS = ("film", "album", "novel", "politician", "footballer", "river", "village", "song", "band", "painter", "ship")
PLACES = ("Museum", "University", "Bridge", "Castle", "Church", "Island", "Lake", "Mountain", "Park", "Railway")


def plausible_names(count: int, seed: int = 0) -> list[str]:
    """`count` different names: people, places, titles, and homonyms told apart in brackets."""
    draw = random.Random(seed)
    words = sorted({_word(draw) for _ in range(60_000)})
    weights = [1 / (rank + 20) for rank in range(len(words))]  # a few words are in many names
    supply = iter(())
    names: dict[str, None] = {}
    while len(names) < count:
        drawn = list(islice(supply, 4))
        if len(drawn) < 4:
            supply = iter(draw.choices(words, weights, k=400_000))
            continue
        names[_name(draw, drawn)] = None
    return list(names)


def trained_tokenizer(names: list[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A tokenizer like OPT's: bytes, no space before a text, `</s>` ends it."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=["<s>", "<pad>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(names, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="</s>", eos_token="</s>", pad_token="<pad>")


def _word(draw: random.Random) -> str:
    syllables = (draw.choice(ONSETS) + draw.choice(VOWELS) + draw.choice(CODAS) for _ in range(draw.randint(1, 3)))
    return "".join(syllables).capitalize()


def _name(draw: random.Random, words: list[str]) -> str:
    one, two, three, four = words
    forms = (
        f"{one} {two}",
        f"{one} {two} {three}",
        f"{one} {two} ({draw.choice(KINDS)})",
        f"{one} ({draw.randint(1850, 2025)} {draw.choice(KINDS)})",
        f"{one} {draw.choice(PLACES)}",
        f"{one}, {two}",
        f"{one} {draw.choice(PLACES)} of {two} {three}",
        f"The {one} of {two} {four}",
    )
    return draw.choice(forms)
