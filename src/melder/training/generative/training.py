"""GEMEL from a configuration to what training needs: language model, demonstrations, prompts, a look at the names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch

from melder.data import DataSet, mention_items
from melder.encoders import Towers, check_readable, fingerprint, load_features, save_features
from melder.encoders.sources import ModelSource
from melder.features import Features
from melder.generative.compact_model import Texts, TrainingSentence, train_compact
from melder.generative.demonstrations import Demonstration, Demonstrations
from melder.generative.language_model import LanguageModel, open_language_model, read_language_model
from melder.generative.lora import add_lora, check_lora_readable
from melder.generative.mapper import Mapper
from melder.generative.mapper_start import start_at_names
from melder.generative.mappers import build_mapper
from melder.generative.model import GenerativeModel
from melder.generative.names import name_of
from melder.generative.prompt import Template, prompt_text
from melder.generative.prompt_builder import PromptBuilder
from melder.linking.generative import NAMES, GenerativeLinker
from melder.methods.gemel import COMPACT, GEMELConfiguration
from melder.protocols import Counting, Sampler
from melder.records import MelderError, Mention, Ranks
from melder.runs.directory import run_device
from melder.runs.feature_cache import stored_features
from melder.runs.gemel import (
    Gemel,
    Pictures,
    build_retriever,
    keys_of,
    no_pictures,
    picture_vectors,
    read_pictures,
)
from melder.search.topk import TopK
from melder.training.configuration import Configuration
from melder.training.generative.module import GenerativeModule
from melder.training.generative.prompt_batch import Asked
from melder.training.order import BatchPlan
from melder.training.prepare import OnUnreadable, Rank, new_encoder, sample_items
from melder.training.split import Split, split_data

__all__ = ["PreparedGenerative", "PromptExamples", "prepare_generative"]


@dataclass
class PreparedGenerative:
    """What training needs of GEMEL; fulfils `melder.training.trainings.PreparedTraining`.

    Args:
        model: That is trained.
        examples: Training mentions as prompts.
        split, rank: Mentions to train on and to select on, and what ranks the latter.
        negatives: None: names are written.
    """

    model: Gemel
    examples: PromptExamples
    split: Split
    rank: Rank
    negatives: Sampler | None = None

    def module(self, configuration: Configuration, steps: int) -> GenerativeModule:
        return GenerativeModule(self.model, configuration.training, steps=steps)


@dataclass
class PromptExamples:
    """Training mentions as prompts; a picture is hidden now and then, so that the prefix without one is learned.

    Args:
        asker: Makes prompts.
        mentions, pictures: With answers, and what they show.
        answers: The tokens of the names that answer them.
        shown: The rows of each one's demonstrations.
        drop_image: How often a picture is hidden, from 0 to 1.
    """

    asker: PromptBuilder
    mentions: Sequence[Mention]
    pictures: Pictures
    answers: Sequence[list[int]]
    shown: Sequence[Sequence[int]]
    drop_image: float

    def batch(self, plan: BatchPlan, epoch: int, rows: np.ndarray) -> Asked:
        chosen = [int(row) for row in rows]
        hidden = [bool(plan.hidden(epoch, row, 0.0, self.drop_image)[0, 1]) for row in chosen]
        pictured = [bool(self.pictures.there[row]) for row in chosen]
        pictures = [
            self.pictures.vectors[row] if there and not gone else None
            for row, there, gone in zip(chosen, pictured, hidden, strict=True)
        ]
        prompts = self.asker([self.mentions[row] for row in chosen], pictures, [self.shown[row] for row in chosen])
        return Asked(prompts, [self.answers[row] for row in chosen])


def prepare_generative(
    configuration: Configuration,
    dataset: DataSet,
    cache: Path,
    counting: Counting,
    on_unreadable: OnUnreadable = None,
) -> PreparedGenerative:
    """Read or train the language model, embed pictures and surfaces, and choose every mention's demonstrations.

    The pictures' vectors, and a language model that is trained here, go into `cache` and are found there again.

    Args:
        configuration, dataset: Of the training.
        cache: Where features and language models are kept.
        counting: Starts a progress bar with a title and a total.
        on_unreadable: Told of pictures that cannot be read; None = they are an error.

    Returns:
        Everything that the training loop needs.

    Raises:
        MelderError: A model cannot be read, or a prompt does not fit into its context.
    """
    options = cast(GEMELConfiguration, configuration.method)
    split = split_data(configuration, dataset)
    encoder = _encoder(configuration, dataset, split, cache.parent)
    encoder.on_unreadable = on_unreadable
    pictures = _pictures(configuration, dataset, encoder, "train", split.train, cache, counting)
    retriever = build_retriever(options)
    keys = keys_of(encoder.text if retriever is None else retriever, options, split.train, pictures)
    shown = [
        Demonstration(prompt_text(mention, options.markers), mention.surface, name)
        for mention, name in _answered(dataset, split.train)
    ]
    demonstrations = Demonstrations(shown, keys, pictures.vectors, pictures.there)
    language_model = _language_model(configuration, dataset, split, cache.parent / "language_model", counting)
    torch.manual_seed(configuration.training.seed)
    if options.lora.rank:
        add_lora(language_model, options.lora)
        check_lora_readable(language_model, cache.parent)
    mapper = build_mapper(options, tuple(pictures.vectors.shape[1:]), language_model)
    mapper.fit(pictures.vectors[pictures.there])
    if options.mapper_start == "names":
        _start(mapper, language_model, pictures, shown)
    gemel = Gemel(
        encoder,
        GenerativeModel(language_model, mapper),
        demonstrations,
        options,
        retriever,
        configuration.encoder.precision,
    ).to(run_device())
    linker = GenerativeLinker(gemel, dataset, modalities=configuration.data.modalities, kept=cache.parent / NAMES)
    selection = _pictures(configuration, dataset, encoder, split.source, split.selection, cache, counting)
    row = {mention.id: number for number, mention in enumerate(split.selection)}

    def rank(mentions: Sequence[Mention], best: list[TopK] | None = None) -> Ranks:
        rows = torch.tensor([row[mention.id] for mention in mentions])
        gemel.eval()
        found = linker.ranks(mentions, Pictures(*(part[rows] for part in selection)))
        gemel.train()
        return found

    return PreparedGenerative(gemel, _examples(configuration, split, pictures, linker.asker, gemel), split, rank)


def _start(mapper: Mapper, language_model: LanguageModel, pictures: Pictures, shown: Sequence[Demonstration]) -> None:
    """Of the mentions with pictures; without two of these, of all as if they showed nothing."""
    rows = pictures.there.nonzero().flatten().tolist()
    rows = rows if len(rows) > 1 else list(range(len(shown)))
    names = language_model.name_tokens([shown[row].answer for row in rows])
    start_at_names(mapper, language_model, pictures.vectors[rows], names)


def _examples(
    configuration: Configuration, split: Split, pictures: Pictures, asker: PromptBuilder, gemel: Gemel
) -> PromptExamples:
    demonstrations, options = gemel.demonstrations, gemel.options.demonstrations
    skip = demonstrations.alike(options.skip)
    return PromptExamples(
        asker,
        split.train,
        pictures,
        gemel.model.language_model.name_tokens([demonstration.answer for demonstration in demonstrations.shown]),
        demonstrations.nearest(demonstrations.keys, options.count, skip),
        configuration.training.drop_image,
    )


def _encoder(configuration: Configuration, dataset: DataSet, split: Split, folder: Path) -> Towers:
    texts = [*(entity.description for entity in dataset.entities), *(mention.text for mention in split.train)]
    encoder = new_encoder(configuration, texts)
    check_readable(encoder, sample_items(configuration, dataset, split, encoder), folder)
    return encoder.requires_grad_(False).to(run_device())


def _answered(dataset: DataSet, mentions: Sequence[Mention]) -> list[tuple[Mention, str]]:
    """Mentions with the names that answer them. Raises `MelderError` for an entity without any name."""
    entities = {entity.id: entity for entity in dataset.entities}
    pairs = [(mention, name_of(entities[str(mention.answer)])) for mention in mentions]
    nameless = [mention for mention, name in pairs if not name]
    if nameless:
        raise MelderError(
            f"mention {nameless[0].id!r}: its entity {nameless[0].answer!r} has no name, so no answer can be written "
            f"({len(nameless):,} such mentions); name it, or leave these mentions out"
        )
    return pairs


def _pictures(
    configuration: Configuration,
    dataset: DataSet,
    encoder: Towers,
    part: str,
    mentions: Sequence[Mention],
    cache: Path,
    counting: Counting,
) -> Pictures:
    """The pictures of mentions of a split, read once."""
    row = {mention.id: number for number, mention in enumerate(dataset.split(part))}
    patches = cast(GEMELConfiguration, configuration.method).reads_patches
    features = _features(configuration, dataset, encoder, part, cache, counting)
    rows = torch.tensor([row[mention.id] for mention in mentions])
    if features.image_global is None:
        return no_pictures(len(mentions), encoder.sizes, patches=patches)
    return Pictures(picture_vectors(features, patches=patches)[rows], features.has_image[rows])


def _features(
    configuration: Configuration, dataset: DataSet, encoder: Towers, part: str, cache: Path, counting: Counting
) -> Features:
    """Those that `melder features` wrote, where they are named; else only the pictures' vectors, or their patches."""
    if configuration.data.features is not None:
        seed = configuration.training.seed
        return stored_features(configuration, seed, dataset, encoder, part, configuration.data.features)[1]
    mentions, modalities = dataset.split(part), frozenset(configuration.data.modalities)
    items = mention_items(mentions, dataset, encoder.separator, modalities)
    ids, where = [mention.id for mention in mentions], cache / part
    patches = cast(GEMELConfiguration, configuration.method).reads_patches
    settings = (configuration.encoder, configuration.training.seed, "patches" if patches else "pictures")
    width = configuration.encoder.width
    mark = fingerprint(items, repr(settings if width is None else (*settings, width)))
    try:
        return load_features(where, ids=ids, fingerprint=mark)
    except MelderError:
        read = read_pictures(
            encoder,
            items,
            run_device(),
            configuration.encoder.precision,
            counting(f"encoding {part}", len(items)),
            patches=patches,
        )
    none = torch.zeros(len(items), 1, 1)
    seen = (none[:, 0], read.vectors) if patches else (read.vectors, none)
    features = Features(none[:, 0], none, *seen, image_mask=read.there)
    save_features(features, where, ids=ids, fingerprint=mark)
    return features


def _language_model(
    configuration: Configuration, dataset: DataSet, split: Split, where: Path, counting: Counting
) -> LanguageModel:
    """The one that the configuration names; `lm:compact` is trained once and kept."""
    options = cast(GEMELConfiguration, configuration.method)
    if options.language_model != COMPACT:
        return open_language_model(
            options.language_model, precision=options.precision, dropout=options.published, kept=where
        )
    if not (where / "finished").is_file():
        progress = counting("training the language model", options.compact.steps)
        texts = _texts(configuration, dataset, split, options)
        train_compact(texts, options.compact, configuration.training.seed, progress).save(where)
        (where / "finished").touch()
    source = ModelSource(str(where), local=True)
    return read_language_model(source, precision=options.precision, dropout=options.published)


def _texts(configuration: Configuration, dataset: DataSet, split: Split, options: GEMELConfiguration) -> Texts:
    entities = {entity.id: entity for entity in dataset.entities}
    sees = "image" in configuration.data.modalities
    examples = [
        TrainingSentence(
            prompt_text(mention, options.markers),
            mention.surface,
            name,
            entities[str(mention.answer)].description,
            sees and mention.image is not None,
        )
        for mention, name in _answered(dataset, split.train)
    ]
    named = [(name_of(entity), entity.description) for entity in dataset.entities]
    descriptions = [". ".join(words for words in pair if words) for pair in named if pair[0]]
    template = Template(options.template)
    return Texts(examples, descriptions, template, options.prefix_tokens, options.demonstrations.count)
