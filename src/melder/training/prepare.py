"""From a configuration to what training needs: a model, examples, and a look at the selection set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from melder.data import DataSet, entity_items, load, mention_items, tune_split
from melder.encoders import build_encoder
from melder.linking.model import Model
from melder.methods import build_matcher
from melder.records import Mention
from melder.training.configuration import Configuration
from melder.training.examples import Examples, FeatureExamples, ItemExamples
from melder.training.frozen import Counting, encode_data, stored_features
from melder.training.look import look_at_features, look_at_items

__all__ = ["Prepared", "Split", "build_model", "open_data", "prepare", "split_data"]


@dataclass
class Split:
    """Mentions to train on and to select on, NIL ones left out, and the selection set's name (train or dev)."""

    train: list[Mention]
    selection: list[Mention]
    source: str


@dataclass
class Prepared:
    """`look` gives hits@1 and mrr of a sample of the selection set with the model as it is then."""

    model: Model
    examples: Examples
    mentions: int
    look: Callable[[], Mapping[str, float]]


def open_data(configuration: Configuration) -> DataSet:
    """The data set that the configuration names."""
    data = configuration.data
    return load(data.directory, data.layout, data.text_field, data.skip_bad)


def split_data(configuration: Configuration, dataset: DataSet) -> Split:
    """`select_on: tune` holds out a seeded tenth of train; `dev` selects on the development set, as published."""
    train = [mention for mention in dataset.split("train") if mention.answer is not None]
    if configuration.training.select_on == "tune":
        rest, tune = tune_split(train, configuration.training.seed)
        return Split(list(rest), list(tune), "train")
    return Split(train, [mention for mention in dataset.split("dev") if mention.answer is not None], "dev")


def build_model(configuration: Configuration, dataset: DataSet, train: Sequence[Mention]) -> Model:
    """A new model; n-gram frequencies, and a compact encoder's vocabulary, are fitted on the records."""
    torch.manual_seed(configuration.training.seed)
    entities = dataset.entities
    texts = [*(f"{' '.join(e.names)} {e.description}" for e in entities), *(mention.text for mention in train)]
    published = bool(getattr(configuration.method, "published", False))
    options = configuration.encoder
    encoder = build_encoder(options.name, text_length=options.text_length, texts=texts, published=published)
    encoder.requires_grad_(options.trained)
    matcher = build_matcher(configuration.method, encoder.sizes)
    if matcher.lexical is not None:
        matcher.lexical.fit(name for entity in entities for name in entity.names)
    return Model(encoder, matcher)


def prepare(configuration: Configuration, dataset: DataSet, cache: Path, counting: Counting) -> Prepared:
    """Build the model and the examples; features of a frozen encoder go into `cache` unless they are given."""
    split = split_data(configuration, dataset)
    model = build_model(configuration, dataset, split.train)
    make = _trained if configuration.encoder.trained else _frozen
    return make(configuration, dataset, split, model, cache, counting)


def _trained(
    c: Configuration, dataset: DataSet, split: Split, model: Model, cache: Path, counting: Counting
) -> Prepared:
    modalities, separator = frozenset(c.data.modalities), model.encoder.separator
    answers, sample = _answers(dataset, split.train), _sample(split.selection, c.training.validate_mentions)
    examples = ItemExamples(model.encoder, dataset, split.train, answers, modalities, c.training)
    mentions = mention_items(sample, dataset, separator, modalities)
    entities = entity_items(dataset.entities, dataset, separator, modalities)
    look = partial(look_at_items, model, mentions, entities, _answers(dataset, sample))
    return Prepared(model, examples, len(split.train), look)


def _frozen(
    c: Configuration, dataset: DataSet, split: Split, model: Model, cache: Path, counting: Counting
) -> Prepared:
    where = c.data.features or cache
    if c.data.features is None:
        for part in dict.fromkeys(["entities", "train", split.source]):
            encode_data(c, dataset, model.encoder, part, where, counting)
    parts = {part: stored_features(c, dataset, model.encoder, part, where) for part in {"train", split.source}}
    entities = stored_features(c, dataset, model.encoder, "entities", where)
    answers, rows = _answers(dataset, split.train), _places(dataset, "train", split.train)
    examples = FeatureExamples(parts["train"], rows, entities, answers, c.training)
    sample = _sample(split.selection, c.training.validate_mentions)
    chosen = parts[split.source][torch.tensor(_places(dataset, split.source, sample))]
    look = partial(look_at_features, model, chosen, entities, _answers(dataset, sample))
    return Prepared(model, examples, len(split.train), look)


def _answers(dataset: DataSet, mentions: Sequence[Mention]) -> list[int]:
    column = {entity.id: number for number, entity in enumerate(dataset.entities)}
    return [column[str(mention.answer)] for mention in mentions]


def _places(dataset: DataSet, split: str, wanted: Sequence[Mention]) -> list[int]:
    """Where the wanted mentions stand in their split."""
    row = {mention.id: number for number, mention in enumerate(dataset.split(split))}
    return [row[mention.id] for mention in wanted]


def _sample(mentions: Sequence[Mention], count: int | None) -> list[Mention]:
    """Every so many of the mentions, so that they come from the whole list."""
    step = max(1, len(mentions) // count) if count else 1
    return list(mentions)[::step][:count]
