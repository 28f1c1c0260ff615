"""A cross-encoder from a configuration to what training needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from melder.data import DataSet
from melder.linking.cross_stage import CrossStage
from melder.metrics.ranks import rank_among
from melder.protocols import Counting, Linker, Sampler
from melder.records import Entity, MelderError, Mention, Ranks
from melder.runs.cross_encoder import pair_texts, start_cross_encoder
from melder.runs.directory import run_device
from melder.search.topk import TopK
from melder.training.configuration import Configuration, TrainingConfiguration
from melder.training.prepare import Rank
from melder.training.rerank.candidates import first_candidates
from melder.training.rerank.configuration import RerankTrainingConfiguration
from melder.training.rerank.module import CrossExamples, CrossModule
from melder.training.split import Split

__all__ = ["PreparedCross", "cross_training", "prepare_cross"]


@dataclass
class PreparedCross:
    """What training needs of a cross-encoder; fulfils `melder.training.trainings.PreparedTraining`.

    Args:
        model: The cross-encoder.
        examples: Pairs of mentions and candidates.
        split: To train on and to select on.
        rank: Ranks mentions of the selection set.
        negatives: None: they are the first stage's candidates.
    """

    model: Any
    examples: CrossExamples
    split: Split
    rank: Rank
    negatives: Sampler | None = None

    def module(self, configuration: Configuration, steps: int) -> CrossModule:
        return CrossModule(self.model, configuration.training, steps=steps)


def cross_training(settings: RerankTrainingConfiguration) -> TrainingConfiguration:
    """The settings of the training loop.

    Args:
        settings: Of the second look.

    Returns:
        As for any training.
    """
    chosen = settings.training
    shared = ["batch_size", "epochs", "learning_rate", "weight_decay", "warmup_steps", "validate_every_steps"]
    shared += ["validate_mentions", "patience", "checkpoint_every"]
    return TrainingConfiguration(
        **{name: getattr(chosen, name) for name in shared},
        matcher_learning_rate=chosen.head_learning_rate,
        epsilon=1e-8,
        schedule="linear",
        gradient_clip=1.0,
        seed=settings.seed,
    )


def prepare_cross(
    settings: RerankTrainingConfiguration,
    run: Path,
    out: Path,
    linker: Linker,
    dataset: DataSet,
    split: Split,
    counting: Counting,
) -> PreparedCross:
    """The cross-encoder, and mentions with what the first stage finds for them.

    Args:
        settings: Of the second look.
        run: The run of the first stage.
        out: Where candidates are kept, to go on with.
        linker: The first stage.
        dataset: The mentions' data set, whose entities are searched.
        split: Mentions to train on, of which the first so many are taken, and to select on.
        counting: Starts a progress bar with a title and a total.

    Returns:
        Everything that the training loop needs.

    Raises:
        MelderError: No mention has a wrong candidate to learn from.
    """
    look, chosen = settings.look(), settings.training
    encoder: Any = start_cross_encoder(look, run)
    encoder.requires_grad_(True).to(run_device())
    entities = {entity.id: entity for entity in dataset.entities}
    train, selection = split.train[: chosen.mentions], split.selection
    found = first_candidates(linker, train, look.top, out / "train.jsonl", counting, "first stage")
    wrong = [
        [identity for identity in identities if identity != mention.answer]
        for mention, identities in zip(train, found, strict=True)
    ]
    rows = [row for row, identities in enumerate(wrong) if identities]
    if not rows:
        raise MelderError(
            f"{run}: its first stage finds no wrong candidate for any training mention, so there is nothing to learn; "
            "leave the second look out"
        )
    learned = [train[row] for row in rows]
    texts, candidates = pair_texts(encoder, look), [wrong[row] for row in rows]
    examples = CrossExamples(encoder, texts, learned, candidates, entities, chosen.negatives)
    of_selection = first_candidates(linker, selection, look.top, out / "selection.jsonl", counting, "first stage")
    rank = _ranking(CrossStage(encoder, look), selection, of_selection, entities)
    return PreparedCross(encoder, examples, Split(learned, selection, split.source), rank)


def _ranking(
    stage: CrossStage, selection: Sequence[Mention], found: Sequence[Sequence[str]], entities: Mapping[str, Entity]
) -> Rank:
    """Ranks among the candidates, by the cross-encoder alone; an answer that is not among them is behind them."""
    candidates = {mention.id: identities for mention, identities in zip(selection, found, strict=True)}

    def rank(mentions: Sequence[Mention], best: list[TopK] | None = None) -> Ranks:
        stage.encoder.eval()
        pairs = []
        for start in range(0, len(mentions), stage.at_once):
            block = mentions[start : start + stage.at_once]
            records = [[entities[identity] for identity in candidates[mention.id]] for mention in block]
            opinions = stage.opinions(block, [], records)
            pairs += [
                _place(candidates[mention.id], str(mention.answer), opinion.scores)
                for mention, opinion in zip(block, opinions, strict=True)
            ]
        stage.encoder.train()
        optimistic, pessimistic = np.array(pairs, np.int64).reshape(-1, 2).T
        return Ranks(optimistic, pessimistic)

    return rank


def _place(identities: Sequence[str], answer: str, scores: np.ndarray) -> tuple[int, int]:
    if answer not in identities:
        return len(identities) + 1, len(identities) + 1
    return rank_among(scores, identities.index(answer))
