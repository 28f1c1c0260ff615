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
from melder.features import Features, Sizes
from melder.generative.chat_template import prompt_template
from melder.generative.demonstrations import Demonstrations
from melder.generative.language_model import LanguageModel, open_language_model, read_language_model
from melder.generative.lora import LORA, add_lora
from melder.generative.mappers import build_mapper
from melder.generative.model import GenerativeModel
from melder.generative.prompt import Template
from melder.generative.sentences import open_retriever
from melder.methods.gemel import COMPACT, GEMELConfiguration
from melder.protocols import Precision, Progress
from melder.records import Item, MelderError, Mention
from melder.runs.demonstration_keys import demonstration_keys, with_keys
from melder.runs.finite import check_weights
from melder.runs.model_configuration import ModelConfiguration

__all__ = ["Gemel", "Pictures", "build_retriever", "no_pictures", "open_gemel", "picture_vectors"]

CHUNK = 256  # pictures encoded together
_MODEL, _SHOWN = "language_model", "demonstrations"  # directories of a run
_NAMED = ("model.language_model.", "retriever.")  # weights that are not the run's, but for LoRA's


class Pictures(NamedTuple):
    """vectors [n, g], or [n, patches, g], zeros where there is no picture; there [n]"""

    vectors: Tensor
    there: Tensor

    def rows(self) -> list[Tensor | None]:
        return [vector if there else None for vector, there in zip(self.vectors, self.there.tolist(), strict=True)]


class Gemel(nn.Module):
    """Everything of a GEMEL model but the names to choose from.

    Args:
        encoder: Of pictures; its text tower finds demonstrations where there is no retriever.
        model: The language model with what maps pictures into it.
        demonstrations: Answered mentions that a prompt shows.
        options: Of the method.
        retriever: Finds demonstrations by their texts; None = the encoder's text tower does.
        precision: What the encoder computes in.
    """

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
    def retrieving(self) -> TextTower:
        """What embeds surfaces and texts to find demonstrations."""
        return self.encoder.text if self.retriever is None else self.retriever

    @property
    def device(self) -> torch.device:
        return next(self.model.mapper.parameters()).device

    def pictures(self, items: Sequence[Item], progress: Progress | None = None) -> Pictures:
        """What the mapper reads of the items' pictures; their texts are not read."""
        patches = self.options.reads_patches
        return read_pictures(self.encoder, items, self.device, self.precision, progress, patches=patches)

    def keys(self, mentions: Sequence[Mention], pictures: Pictures) -> Tensor:
        """[n, k] what demonstrations are found by."""
        return keys_of(self.retrieving, self.options, mentions, pictures)

    def weights(self) -> dict[str, Tensor]:
        """The state that only the run has: encoder, mapper, LoRA. Language model and retriever are read by name."""
        return {name: tensor for name, tensor in self.state_dict().items() if _of_run(name)}

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
    *,
    patches: bool = False,
) -> Pictures:
    """Global vectors of pictures, or their patches, a chunk at a time; without vision as `no_pictures`."""
    bare = [Item(image=item.image) for item in items]
    if encoder.sizes.image_global is None or not bare:
        return no_pictures(len(bare), encoder.sizes, patches=patches)
    vectors, there = list[Tensor](), list[Tensor]()
    for start in range(0, len(bare), CHUNK):
        chunk = bare[start : start + CHUNK]
        features = encode(encoder, chunk, device=device, precision=precision)
        vectors.append(picture_vectors(features, patches=patches))
        there.append(features.has_image)
        if progress is not None:
            progress(len(chunk))
    return Pictures(torch.cat(vectors), torch.cat(there))


def no_pictures(count: int, sizes: Sizes, *, patches: bool = False) -> Pictures:
    """Pictures that are not there.

    Args:
        count: n.
        sizes: Of the encoder's features; without vision the width is 1.
        patches: Whether the mapper reads patches; there is one then, of zeros.

    Returns:
        n of them.
    """
    width = sizes.image_tokens if patches else sizes.image_global
    shape = (count, 1, width or 1) if patches else (count, width or 1)
    return Pictures(torch.zeros(shape), torch.zeros(count, dtype=torch.bool))


def picture_vectors(features: Features, *, patches: bool = False) -> Tensor:
    """What the mapper reads of pictures.

    Args:
        features: [n], of an encoder with vision.
        patches: Whether it reads patches.

    Returns:
        [n, g], or [n, patches, g]; zeros where there is no picture.
    """
    vectors = features.image_tokens if patches else features.image_global
    assert vectors is not None
    return vectors.float() * features.has_image.view(-1, *[1] * (vectors.dim() - 1))


def keys_of(tower: TextTower, options: GEMELConfiguration, mentions: Sequence[Mention], pictures: Pictures) -> Tensor:
    """[n, k] what demonstrations of mentions are found by."""
    surfaces, texts = [mention.surface for mention in mentions], [mention.text for mention in mentions]
    return demonstration_keys(tower, options.demonstrations, surfaces, texts, pictures.vectors)


def build_retriever(options: GEMELConfiguration) -> TextTower | None:
    """The text model that the configuration names for finding demonstrations, if it is needed.

    Args:
        options: Of the method.

    Returns:
        None where the encoder's own text tower is used, or no demonstrations are shown.

    Raises:
        MelderError: There is no such model.
    """
    chosen = options.demonstrations
    return open_retriever(chosen.retriever, chosen.pooling) if chosen.retriever and chosen.count else None


def open_gemel(directory: Path, configuration: ModelConfiguration) -> Gemel:
    """The model of a run in `directory`.

    Args:
        directory: Of the run.
        configuration: That the run was trained with.

    Returns:
        On the CPU, in evaluation mode.

    Raises:
        MelderError: Something of it is missing or damaged.
    """
    options = cast(GEMELConfiguration, configuration.method)
    encoder = load_encoder(directory / "encoder")
    language_model = _language_model(directory, options)
    demonstrations = Demonstrations.load(directory / _SHOWN)
    if options.lora.rank:
        add_lora(language_model, options.lora)
    mapper = build_mapper(options, tuple(demonstrations.pictures.shape[1:]), language_model)
    model = GenerativeModel(language_model, mapper)
    gemel = Gemel(encoder, model, demonstrations, options, build_retriever(options), configuration.encoder.precision)
    _load(gemel, directory / "model.safetensors")
    gemel.demonstrations = with_keys(demonstrations, directory, options.demonstrations, gemel.retrieving)
    check_weights(gemel, directory / "model.safetensors")
    return gemel.requires_grad_(False).eval()


def _language_model(directory: Path, options: GEMELConfiguration) -> LanguageModel:
    settings = {"precision": options.precision, "dropout": options.published}
    if options.language_model != COMPACT:
        return open_language_model(options.language_model, kept=directory / _MODEL, **settings)  # type: ignore[arg-type]
    return read_language_model(ModelSource(str(directory / _MODEL), local=True), **settings)  # type: ignore[arg-type]


def _of_run(name: str) -> bool:
    return LORA in name or not name.startswith(_NAMED)


def _load(gemel: Gemel, file: Path) -> None:
    try:
        missing, unknown = gemel.load_state_dict(load_file(file), strict=False)
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = shorten(str(error), 200, placeholder=" …")
        raise MelderError(f"{file}: cannot be loaded ({reason}); train again") from None
    lacking = [name for name in missing if _of_run(name)] + list(unknown)
    if lacking:
        raise MelderError(f"{file}: cannot be loaded ({lacking[0]} is missing or unknown); train again")
