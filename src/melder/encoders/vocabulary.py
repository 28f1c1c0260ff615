"""Trains a byte-level BPE tokenizer on the texts of a data set, for a text model that starts from nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

__all__ = ["MOST_TOKENS", "train_tokenizer"]

MOST_TOKENS = 8_000  # one data set has few words; more would leave most embeddings untrained
PAD, START, END = "<pad>", "<start>", "<end>"


def train_tokenizer(texts: Iterable[str], *, exact: bool = False) -> Any:
    """A tokenizer `<start> … <end>` over lower-cased bytes; the same texts give the same one.

    Every string can be written with it: what was never seen falls back on single bytes.

    Args:
        texts: that it is trained on
        exact: keep case and every blank, so that a text can be read back from its tokens: for a model that writes

    Returns:
        of transformers
    """
    bpe = Tokenizer(models.BPE())
    if not exact:
        bpe.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=not exact)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=MOST_TOKENS,
            min_frequency=2,
            special_tokens=[PAD, START, END],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    marks = [(START, bpe.token_to_id(START)), (END, bpe.token_to_id(END))]
    bpe.post_processor = processors.TemplateProcessing(single=f"{START} $A {END}", special_tokens=marks)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token=PAD, bos_token=START, eos_token=END)
