"""From a configuration to what training needs: a model, examples, and a look at the selection set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from melder.data import DataSet, entity_items, mention_items
from melder.data.pictures import Limits
from melder.encoders import Towers, build_encoder, check_readable, train_last_layers
from melder.features import concatenate
from melder.methods import build_matcher, method_of
from melder.protocols import Counting, Sampler
from melder.records import Item, MelderError, Mention, Ranks
from melder.runs.feature_cache import encode_data, stored_features
from melder.runs.model import Model
from melder.runs.model_configuration import ModelConfiguration
from melder.search.topk import TopK
from melder.training.configuration import Configuration
from melder.training.examples import Examples, FeatureExamples, ItemExamples
from melder.training.loop.module import TrainingModule
from melder.training.negatives.candidates import same_entity
from melder.training.negatives.current import FeaturesNow, ItemsNow
from melder.training.negatives.model_free import build_sampler
from melder.training.negatives.planted import Planted, plant
from melder.training.negatives.samplers import player_of
from melder.training.ranking import rank_features, rank_items
from melder.training.split import Split, split_data

SAMPLE = 4  # records of each kind by which an encoder is tried
OnUnreadable = Callable[[Item, Exception], None] | None  # told of pictures that count as missing; None = raise

__all__ = [
    "OnUnreadable",
    "Prepared",
    "Rank",
    "build_model",
    "new_encoder",
    "prepare",
    "sample_items",
]


class Rank(Protocol):
    """Ranks mentions of the selection set with the model as it is then, without what is planted.

    `best`, if given, gets the first candidates of a sample of the mentions
    (`melder.linking.nil_calibration.sample`), for some mentions an element.
    """

    def __call__(self, mentions: Sequence[Mention], best: list[TopK] | None = None) -> Ranks: ...


@dataclass
class Prepared:
    """What training needs of a matching method; fulfils `melder.training.trainings.PreparedTraining`.

    Args:
        model: That is trained.
        examples: Its training examples.
        split: To train on and to select on.
        rank: Ranks mentions of the selection set.
        negatives: Draws rows of entities.
        planted: Counts copies among these, where there are any.
    """

    model: Model
    examples: Examples
    split: Split
    rank: Rank
    negatives: Sampler
    planted: Planted | None = None

    def module(self, configuration: Configuration, steps: int) -> TrainingModule:
        return TrainingModule(
            self.model,
            configuration.training,
            steps=steps,
            mask_duplicates=not configuration.published,
            player=player_of(self.negatives),
            planted=self.planted,
        )


def build_model(configuration: Configuration, dataset: DataSet, train: Sequence[Mention]) -> Model:
    """A new model; n-gram frequencies, and a compact encoder's vocabulary, are fitted on the records.

    Args:
        configuration: Of the training.
        dataset: Of the entities.
        train: Mentions to train on.

    Returns:
        On the CPU.

    Raises:
        MelderError: The encoder or method cannot be built.
    """
    entities = dataset.entities
    texts = [*(f"{' '.join(e.names)} {e.description}" for e in entities), *(mention.text for mention in train)]
    options = configuration.encoder
    encoder = new_encoder(configuration, texts, published=configuration.published)
    encoder.requires_grad_(options.trained).train(options.trained)  # with dropout, where it has any, if trained
    if options.trained_layers is not None:
        train_last_layers(encoder, options.trained_layers)
    matcher = build_matcher(configuration.method, encoder.sizes)
    if matcher.lexical is not None:
        matcher.lexical.fit(name for entity in entities for name in entity.names)
    return Model(encoder, matcher, options.precision)


def new_encoder(configuration: Configuration, texts: Iterable[str], *, published: bool = False) -> Towers:
    """The encoder that a configuration names, before any training.

    Args:
        configuration: Of the training.
        texts: What the vocabulary of a compact encoder is fitted on.
        published: As MIMIC's code feeds CLIP.

    Returns:
        On the CPU.

    Raises:
        MelderError: The specification or what it names does not exist.
    """
    torch.manual_seed(configuration.training.seed)  # of an encoder that starts from nothing
    options = configuration.encoder
    return build_encoder(
        options.name,
        text_length=options.text_length,
        texts=texts,
        published=published,
        pooled=options.pooled,
        width=options.width,
        context=options.context,
        limits=Limits(formats=options.picture_formats, pixels=options.picture_pixels),
    )


def prepare(
    configuration: Configuration,
    dataset: DataSet,
    cache: Path,
    counting: Counting,
    on_unreadable: OnUnreadable = None,
) -> Prepared:
    """Build the model and the examples; features of a frozen encoder go into `cache` unless they are given.

    Args:
        configuration: Of the training.
        dataset: To train on.
        cache: Where features of a frozen encoder are kept.
        counting: Starts a progress bar with a title and a total.
        on_unreadable: Told of pictures that cannot be read; None = they are an error.

    Returns:
        Everything that the training loop needs.

    Raises:
        MelderError: Also for an encoder that could not be read again from a run.
    """
    split = split_data(configuration, dataset)
    model = build_model(configuration, dataset, split.train)
    check_readable(model.encoder, sample_items(configuration, dataset, split, model.encoder), cache.parent)
    model.encoder.on_unreadable = on_unreadable
    fit = method_of(configuration.method).fitting(configuration.method)
    if configuration.encoder.trained:
        if fit is not None:
            raise MelderError(
                "method.whiten and method.calibrated are fitted on what an encoder makes of pictures and texts, which "
                "encoder.trained=true would change; leave one of them out"
            )
        return _trained(configuration, dataset, split, model)
    if configuration.data.features is None:
        for portion in dict.fromkeys(["entities", "train", split.source]):
            encode_data(configuration, configuration.training.seed, dataset, model.encoder, portion, cache, counting)
    return _frozen(configuration, dataset, split, model, configuration.data.features or cache)


def sample_items(configuration: ModelConfiguration, dataset: DataSet, split: Split, encoder: Towers) -> list[Item]:
    """A few mentions and entities, as the encoder is to read them.

    Args:
        configuration: Of the run.
        dataset: Of mentions and entities.
        split: Whose first training mentions are taken.
        encoder: That is to read them.

    Returns:
        Mentions first.
    """
    modalities = frozenset(configuration.data.modalities)
    mentions = mention_items(split.train[:SAMPLE], dataset, encoder.separator, modalities)
    return mentions + entity_items(dataset.entities[:SAMPLE], dataset, encoder.separator, modalities)


def _trained(c: Configuration, dataset: DataSet, split: Split, model: Model) -> Prepared:
    modalities = frozenset(c.data.modalities)
    answers = _answers(dataset, split.train)
    searched, planted = _planted(c, dataset, answers)
    current = ItemsNow(model, searched, split.train, modalities)
    negatives = build_sampler(c.training.negatives, searched, split.train, current, c.training.seed)
    examples = ItemExamples(
        model.encoder, searched, split.train, answers, modalities, c.training, negatives, c.pictures
    )

    def rank(mentions: Sequence[Mention], best: list[TopK] | None = None) -> Ranks:
        return rank_items(model, dataset, modalities, mentions, _answers(dataset, mentions), best)

    return Prepared(model, examples, split, rank, negatives, planted)


def _frozen(c: Configuration, dataset: DataSet, split: Split, model: Model, where: Path) -> Prepared:
    parts = ("entities", "train", split.source)
    seed = c.training.seed
    features = {p: stored_features(c, seed, dataset, model.encoder, p, where)[1] for p in dict.fromkeys(parts)}
    rows = _places(dataset, "train", split.train)
    if (fit := method_of(c.method).fitting(c.method)) is not None:
        fit(model.matcher, features["entities"], features["train"][torch.tensor(rows)])
    answers = _answers(dataset, split.train)
    searched, planted = _planted(c, dataset, answers)
    entities = features["entities"]
    if planted is not None:
        copies = searched.entities[planted.entities :]
        modalities = frozenset(c.data.modalities)
        items = entity_items(copies, searched, model.encoder.separator, modalities, pictures=c.pictures)
        entities = concatenate([entities, model.features(items)])
    current = FeaturesNow(model, features["train"], rows, entities)
    negatives = build_sampler(c.training.negatives, searched, split.train, current, c.training.seed)
    numbers = same_entity(searched)
    examples = FeatureExamples(
        features["train"], rows, entities, answers, c.training, negatives, numbers, padded=c.published
    )

    def rank(mentions: Sequence[Mention], best: list[TopK] | None = None) -> Ranks:
        chosen = features[split.source][torch.tensor(_places(dataset, split.source, mentions))]
        return rank_features(model, chosen, features["entities"], _answers(dataset, mentions), best)

    return Prepared(model, examples, split, rank, negatives, planted)


def _planted(c: Configuration, dataset: DataSet, answers: Sequence[int]) -> tuple[DataSet, Planted | None]:
    """The data set that negatives are drawn from: with copies of some entities after the others, if so configured."""
    share = c.training.negatives.planted
    if not share:
        return dataset, None
    copies, rows = plant(dataset.entities, share, c.training.seed)
    searched = replace(dataset, entities=[*dataset.entities, *copies])
    return searched, Planted(rows, np.array(answers), len(dataset.entities))


def _answers(dataset: DataSet, mentions: Sequence[Mention]) -> list[int]:
    row_of = {entity.id: number for number, entity in enumerate(dataset.entities)}
    return [row_of[str(mention.answer)] for mention in mentions]


def _places(dataset: DataSet, split: str, wanted: Sequence[Mention]) -> list[int]:
    """Where the wanted mentions stand in their split."""
    row = {mention.id: number for number, mention in enumerate(dataset.split(split))}
    return [row[mention.id] for mention in wanted]
