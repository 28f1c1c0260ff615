"""A cross-encoder: a model that reads a mention and an entity together and says how well they go together.

It is a published model of text pairs (a sequence classification model of transformers with one number), or the run's
own text tower, which reads both as one text and gets a linear layer over the mean of its tokens. Trained, it lies in
the run's directory `rerank`: weights as safetensors, tokenizer and configuration as transformers reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from melder.encoders import Towers, load_encoder
from melder.encoders.pair_texts import PairTexts
from melder.encoders.pretrained import new_model, read_config, read_model, read_tokenizer
from melder.encoders.sources import ModelSource, find_source
from melder.encoders.tokens import Tokens
from melder.io.tensors import write_tensors
from melder.protocols import Inputs
from melder.records import MelderError
from melder.runs.finite import check_weights
from melder.runs.rerank_configuration import DIRECTORY, OWN, RerankConfiguration

__all__ = ["CrossEncoder", "Pair", "open_cross_encoder", "pair_texts", "save_cross_encoder", "start_cross_encoder"]

WEIGHTS, MODEL, TOWER = "model.safetensors", "pair", "encoder"  # in a run's directory `rerank`
MARKS = 8  # tokens that a tokenizer puts around and between two texts, and then some

Pair = tuple[str, str]  # what is read of a mention and of an entity


class CrossEncoder(Protocol):
    """An `nn.Module` that scores pairs of texts."""

    tokenizer: Any

    def prepare(self, pairs: Sequence[Pair]) -> Inputs:
        """Tensors [n, L] of n pairs."""
        ...

    def __call__(self, inputs: Inputs) -> Tensor:
        """[n] scores; the softmax over candidates of one mention is what is trained."""
        ...

    def save(self, directory: Path) -> None:
        """Write what is no weight."""
        ...


class PairModel(nn.Module):
    """A sequence classification model of transformers with one number; fulfils `CrossEncoder`."""

    def __init__(self, model: Any, tokenizer: Any, length: int) -> None:
        super().__init__()
        self.encoder, self.tokenizer, self.length = model, tokenizer, length

    def prepare(self, pairs: Sequence[Pair]) -> Inputs:
        left, right = zip(*pairs, strict=True)
        cut = {"truncation": "longest_first", "max_length": self.length}
        return dict(self.tokenizer(list(left), list(right), padding=True, return_tensors="pt", **cut))

    def forward(self, inputs: Inputs) -> Tensor:
        logits: Tensor = self.encoder(**inputs).logits
        return logits[:, 0]

    def save(self, directory: Path) -> None:
        self.encoder.config.save_pretrained(directory / MODEL)
        self.tokenizer.save_pretrained(directory / MODEL)


class TowerPair(nn.Module):
    """A text tower that reads mention and entity as one text, and a linear layer; fulfils `CrossEncoder`."""

    def __init__(self, towers: Towers, length: int) -> None:
        super().__init__()
        self.encoder, width = towers, towers.text.widths[1]
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 1))
        self.tokenizer = towers.text.tokens.tokenizer
        self.tokens = Tokens(self.tokenizer, length, fixed=False, padded=towers.text.tokens.padded)

    def prepare(self, pairs: Sequence[Pair]) -> Inputs:
        between = f" {self.tokenizer.sep_token or '|'} "
        return self.tokens([between.join(pair) for pair in pairs])

    def forward(self, inputs: Inputs) -> Tensor:
        _, states = self.encoder.text(inputs)
        mask = inputs["attention_mask"][..., None].to(states.dtype)
        scores: Tensor = self.head((states * mask).sum(dim=1) / mask.sum(dim=1))
        return scores[:, 0]

    def save(self, directory: Path) -> None:
        self.encoder.save(directory / TOWER)


def pair_texts(encoder: CrossEncoder, look: RerankConfiguration) -> PairTexts:
    """What it is shown of mentions and entities.

    Args:
        encoder: With a tokenizer.
        look: How many tokens are shown of either.

    Returns:
        What makes the texts.
    """
    return PairTexts(encoder.tokenizer, text_length=look.text_length, entity_length=look.entity_length)


def start_cross_encoder(look: RerankConfiguration, run: Path) -> CrossEncoder:
    """The cross-encoder that training starts from: its layer on top may be new.

    Args:
        look: Which model it is.
        run: Whose text tower may be taken.

    Returns:
        The cross-encoder, on the CPU.

    Raises:
        MelderError: There is no such model, or it does not read texts so long.
    """
    torch.manual_seed(look.seed)
    if look.cross == OWN:
        return _own(load_run_tower(run), look)
    return _published(str(look.cross), look)[0]


def open_cross_encoder(look: RerankConfiguration, run: Path, *, trained: bool) -> CrossEncoder:
    """The cross-encoder of a second look.

    Args:
        look: Which model it is.
        run: That holds it, where it is trained.
        trained: Whether the run holds one; otherwise the published one with its own layer on top is taken.

    Returns:
        In evaluation mode.

    Raises:
        MelderError: It is not there or damaged, or has learned nothing of pairs yet.
    """
    if not trained:
        return _ready(look, run)
    place = run / DIRECTORY
    if (place / TOWER).is_dir():
        encoder: Any = _own(load_encoder(place / TOWER), look)
    else:
        source = ModelSource(str(place / MODEL), local=True)
        model = new_model(AutoModelForSequenceClassification, read_config(source), source)
        encoder = PairModel(model, read_tokenizer(source), _length(look))
    _load(encoder, place / WEIGHTS)
    check_weights(encoder, place / WEIGHTS)
    return encoder.requires_grad_(False).eval()  # type: ignore[no-any-return]


def save_cross_encoder(encoder: CrossEncoder, run: Path) -> None:
    """Write a trained cross-encoder into a run.

    Args:
        encoder: Trained.
        run: The run's directory.
    """
    place, module = run / DIRECTORY, encoder
    encoder.save(place)
    write_tensors(place / WEIGHTS, module.state_dict())  # type: ignore[attr-defined]


def load_run_tower(run: Path) -> Towers:
    """The text tower of a run, with its weights, and without its pictures."""
    towers = load_encoder(run / "encoder")
    weights = load_file(run / WEIGHTS)
    own = {name.removeprefix("encoder."): tensor for name, tensor in weights.items() if name.startswith("encoder.")}
    towers.load_state_dict(own)
    return Towers(towers.spec, towers.text, None, towers.separator, towers.context)


def _ready(look: RerankConfiguration, run: Path) -> CrossEncoder:
    remedy = f"train it first, with `melder rerank {run} --data DIR rerank.cross={look.cross}`"
    if look.cross == OWN:
        raise MelderError(f"rerank.cross: own: the run's text tower has not learned to read pairs; {remedy}")
    encoder, missing = _published(str(look.cross), look)
    if missing:
        raise MelderError(f"rerank.cross: '{look.cross}' has no layer that scores pairs ({missing[0]}); {remedy}")
    return encoder.requires_grad_(False).eval()  # type: ignore[attr-defined, no-any-return]


def _own(towers: Towers, look: RerankConfiguration) -> TowerPair:
    """The tower is tried with so long a text: none says how many tokens it reads."""
    length, tower = _length(look), towers.text
    tokenizer = tower.tokens.tokenizer
    try:
        pair = TowerPair(Towers(towers.spec, tower, None, towers.separator, towers.context), length)
        with torch.no_grad():
            pair.encoder.text(pair.tokens([" ".join(["a"] * length)]))
    except Exception:
        most = min(tower.tokens.length, tokenizer.model_max_length)
        raise MelderError(
            f"rerank.cross: own: the run's text tower does not read {length} tokens, {MARKS} of them marks, but was "
            f"trained with {most}; lower rerank.text_length and rerank.entity_length"
        ) from None
    return pair


def _published(spec: str, look: RerankConfiguration) -> tuple[PairModel, Sequence[str]]:
    """The model of this name, and the weights that it lacks."""
    source = find_source(spec)
    config = read_config(source)
    config.num_labels = 1
    most = getattr(config, "max_position_embeddings", None)
    if most is not None and most < _length(look):
        raise MelderError(
            f"rerank.cross: '{spec}' reads {most} tokens at most, {MARKS} of them marks; lower rerank.text_length and "
            "rerank.entity_length"
        )
    model, report = read_model(AutoModelForSequenceClassification, source, config=config)
    return PairModel(model, read_tokenizer(source), _length(look)), sorted(report["missing_keys"])


def _length(look: RerankConfiguration) -> int:
    return look.text_length + look.entity_length + MARKS


def _load(encoder: nn.Module, file: Path) -> None:
    try:
        encoder.load_state_dict(load_file(file))
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = shorten(str(error), 200, placeholder=" …")
        raise MelderError(f"{file}: cannot be loaded ({reason}); train the second look again") from None
