"""GEMEL as a run holds it: picture encoder, language model, mapper, and the training mentions that demonstrate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import NamedTuple, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from melder.encoders import Towers, encode, load_encoder
from melder.encoders.sources import ModelSource
from melder.encoders.towers import TextTower
from melder.generative.chat_template import prompt_template
from melder.generative.demonstrations import Demonstrations, join_keys
from melder.generative.language_model import LanguageModel, open_language_model, read_language_model
from melder.generative.mapper import Mapper
from melder.generative.model import GenerativeModel
from melder.generative.prompt import Template
from melder.generative.sentences import embed_texts, open_retriever
from melder.methods.gemel import COMPACT, GEMELConfiguration
from melder.protocols import Precision, Progress
from melder.records import Item, MelderError, Mention
from melder.runs.finite import check_weights
from melder.runs.model_configuration import ModelConfiguration

__all__ = ["Gemel", "Pictures", "build_retriever", "open_gemel"]

CHUNK = 256  # pictures encoded together
_MODEL, _SHOWN = "language_model", "demonstrations"  # directories of a run
_NAMED = ("model.language_model.", "retriever.")  # weights that are not the run's


class Pictures(NamedTuple):
    """vectors [n, g], zeros where there is no picture; there [n]"""

    vectors: Tensor
    there: Tensor

    def rows(self) -> list[Tensor | None]:
        return [vector if there else None for vector, there in zip(self.vectors, self.there.tolist(), strict=True)]


class Gemel(nn.Module):
    """Everything but the names to choose from. `retriever` None = the encoder's text tower finds demonstrations."""

    def __init__(
        self,
        encoder: Towers,
        model: GenerativeModel,
        demonstrations: Demonstrations,
        options: GEMELConfiguration,
        retriever: TextTower | None = None,
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        self.encoder, self.model, self.retriever = encoder, model, retriever
        self.demonstrations, self.options = demonstrations, options
        self.precision: Precision = precision

    @property
    def template(self) -> Template:
        """How its prompts are written."""
        language_model = self.model.language_model
        return prompt_template(self.options.template, language_model.tokenizer, self.options.language_model)

    @property
    def device(self) -> torch.device:
        return self.model.mapper.linear.weight.device

    def pictures(self, items: Sequence[Item], progress: Progress | None = None) -> Pictures:
        """The encoder's global vectors of the items' pictures; their texts are not read."""
        return read_pictures(self.encoder, items, self.device, self.precision, progress)

    def keys(self, mentions: Sequence[Mention], pictures: Pictures) -> Tensor:
        """[n, k] what demonstrations are found by."""
        tower = self.encoder.text if self.retriever is None else self.retriever
        return keys_of(tower, self.options, mentions, pictures)

    def weights(self) -> dict[str, Tensor]:
        """The state that only the run has: encoder and mapper. Language model and retriever are read by name."""
        return {name: each for name, each in self.state_dict().items() if not name.startswith(_NAMED)}

    def save(self, directory: Path) -> None:
        """Write what `model.safetensors` does not hold: the demonstrations, and a language model of the run's own."""
        self.demonstrations.save(directory / _SHOWN)
        if self.options.language_model == COMPACT:
            self.model.language_model.save(directory / _MODEL)


def read_pictures(
    encoder: Towers,
    items: Sequence[Item],
    device: torch.device,
    precision: Precision = "float32",
    progress: Progress | None = None,
) -> Pictures:
    """Global vectors of pictures, a chunk at a time; without vision, of width 1 and never there."""
    bare = [Item(image=item.image) for item in items]
    if encoder.sizes.image_global is None:
        return Pictures(torch.zeros(len(items), 1), torch.zeros(len(items), dtype=torch.bool))
    vectors, there = [torch.zeros(0, encoder.sizes.image_global)], [torch.zeros(0, dtype=torch.bool)]
    for start in range(0, len(bare), CHUNK):
        chunk = bare[start : start + CHUNK]
        features = encode(encoder, chunk, device=device, precision=precision)
        assert features.image_global is not None
        vectors.append(features.image_global * features.has_image[:, None])
        there.append(features.has_image)
        if progress is not None:
            progress(len(chunk))
    return Pictures(torch.cat(vectors), torch.cat(there))


def keys_of(tower: TextTower, options: GEMELConfiguration, mentions: Sequence[Mention], pictures: Pictures) -> Tensor:
    """What demonstrations are found by; nothing is computed where none are shown or a weight is 0."""
    weights = options.demonstrations
    if not weights.count:
        return torch.zeros(len(mentions), 1)
    parts = []
    if weights.surface:
        parts.append((weights.surface, embed_texts(tower, [mention.surface for mention in mentions])))
    if weights.context:
        parts.append((weights.context, embed_texts(tower, [mention.text for mention in mentions])))
    if weights.picture:
        parts.append((weights.picture, pictures.vectors))
    return join_keys(parts)


def build_retriever(options: GEMELConfiguration) -> TextTower | None:
    """The text model that the configuration names for finding demonstrations, if it is needed."""
    chosen = options.demonstrations
    return open_retriever(chosen.retriever, chosen.pooling) if chosen.retriever and chosen.count else None


def open_gemel(directory: Path, configuration: ModelConfiguration) -> Gemel:
    """The model of a run in `directory`.

    Raises:
        MelderError: Something of it is missing or damaged.
    """
    options = cast(GEMELConfiguration, configuration.method)
    encoder = load_encoder(directory / "encoder")
    language_model = _language_model(directory, options)
    demonstrations = Demonstrations.load(directory / _SHOWN)
    width = encoder.sizes.image_global or 1
    mapper = Mapper(width, options.prefix_tokens, language_model.width, published=options.published)
    model = GenerativeModel(language_model, mapper)
    gemel = Gemel(encoder, model, demonstrations, options, build_retriever(options), configuration.encoder.precision)
    _load(gemel, directory / "model.safetensors")
    check_weights(gemel, directory / "model.safetensors")
    return gemel.requires_grad_(False).eval()


def _language_model(directory: Path, options: GEMELConfiguration) -> LanguageModel:
    settings = {"precision": options.precision, "dropout": options.published}
    if options.language_model != COMPACT:
        return open_language_model(options.language_model, kept=directory / _MODEL, **settings)  # type: ignore[arg-type]
    return read_language_model(ModelSource(str(directory / _MODEL), local=True), **settings)  # type: ignore[arg-type]


def _load(gemel: Gemel, file: Path) -> None:
    try:
        missing, unknown = gemel.load_state_dict(load_file(file), strict=False)
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = shorten(str(error), 200, placeholder=" …")
        raise MelderError(f"{file}: cannot be loaded ({reason}); train again") from None
    lacking = [name for name in missing if not name.startswith(_NAMED)] + list(unknown)
    if lacking:
        raise MelderError(f"{file}: cannot be loaded ({lacking[0]} is missing or unknown); train again")
