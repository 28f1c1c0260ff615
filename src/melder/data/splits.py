"""Sets a part of train aside to select on, so that dev is looked at once."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

from melder.data.dataset import DataSet
from melder.records import MelderError, Mention

__all__ = ["TUNE", "selection_split", "tune_split"]

TUNE = "tune"  # the part of train that is set aside


def tune_split(
    mentions: Sequence[Mention], seed: int, share: float = 0.1, *, by_entity: bool = False
) -> tuple[list[Mention], list[Mention]]:
    """(rest, tune): a seeded `share` of the mentions to select on, and the others to train on, in their order.

    Mentions with the same picture or the same text stay on one side. A text that comes with several pictures is a
    template ("Milk in a shop"), not a shared source: it holds nothing together, or whole classes would move. Which side
    a mention falls on does not depend on the order of `mentions`; their ids must be unique.

    Args:
        by_entity: Mentions with the same answer stay on one side too, so that no entity of one side is an answer on the
            other.

    Returns:
        Both.

    Raises:
        MelderError: No such part can be set aside.
    """
    if not 0 < share < 1:
        raise MelderError(f"the share to tune on is {share}; use a number between 0 and 1")
    room = max(1, round(share * len(mentions)))
    tune: set[str] = set()
    for group in sorted(_groups(mentions, by_entity), key=lambda group: _draw(seed, min(group))):
        if len(group) <= room - len(tune):
            tune.update(group)
    if not tune or len(tune) == len(mentions):
        raise MelderError(
            f"{len(mentions)} mentions cannot be split into train and tune without parting those that share "
            f"a text or a picture{' or an answer' if by_entity else ''}; add mentions, or select on dev"
        )
    return [m for m in mentions if m.id not in tune], [m for m in mentions if m.id in tune]


def selection_split(
    dataset: DataSet, select_on: str, seed: int, *, fraction: float = 1.0, by_entity: bool = False
) -> tuple[list[Mention], list[Mention], str]:
    """Which mentions are trained on and which are selected on, of those that have an answer.

    Args:
        dataset: Of the mentions.
        select_on: `tune` parts train as `tune_split` does; `dev` takes the development set, as published.
        seed: Of the tune split.
        fraction: Of train there is this first share only, in file order: MIMIC's low-resource setting (its issue 2).
        by_entity: As in `tune_split`.

    Returns:
        Mentions to train on, mentions to select on, and the split that these are of.

    Raises:
        MelderError: A split is missing or has no answers, or no part can be set aside.
    """
    mentions = dataset.split("train")
    train = _answered(dataset, "train", mentions[: max(1, round(fraction * len(mentions)))])
    if select_on == TUNE:
        return *tune_split(train, seed, by_entity=by_entity), "train"
    return train, _answered(dataset, select_on, dataset.split(select_on)), select_on


def _answered(dataset: DataSet, split: str, mentions: Sequence[Mention]) -> list[Mention]:
    answered = [mention for mention in mentions if mention.answer is not None]
    if not answered:
        raise MelderError(f"{dataset.directory}, split {split!r}: no mention has an answer; training needs some")
    return answered


def _draw(seed: int, identifier: str) -> bytes:
    return hashlib.blake2b(f"{seed} {identifier}".encode(), digest_size=16).digest()


def _groups(mentions: Sequence[Mention], by_entity: bool) -> Iterable[list[str]]:
    """Ids of mentions that share a source, directly or through others."""
    parents = {mention.id: mention.id for mention in mentions}

    def root(identifier: str) -> str:
        while parents[identifier] != identifier:
            parents[identifier] = parents[parents[identifier]]  # shortens the way of the next search
            identifier = parents[identifier]
        return identifier

    for sharing in _sharing(mentions, by_entity):
        for identifier in sharing[1:]:
            parents[root(identifier)] = root(sharing[0])
    groups = defaultdict(list)
    for mention in mentions:
        groups[root(mention.id)].append(mention.id)
    return groups.values()


def _sharing(mentions: Sequence[Mention], by_entity: bool) -> Iterable[list[str]]:
    by_picture: dict[str, list[str]] = defaultdict(list)
    by_text: dict[str, list[str]] = defaultdict(list)
    by_answer: dict[str, list[str]] = defaultdict(list)
    pictures: dict[str, set[str]] = defaultdict(set)
    for mention in mentions:
        for image in mention.images:
            by_picture[image].append(mention.id)
            pictures[mention.text].add(image)
        if by_entity and mention.answer is not None:
            by_answer[mention.answer].append(mention.id)
        if mention.text.strip():
            by_text[mention.text].append(mention.id)
    return [
        *by_picture.values(),
        *by_answer.values(),
        *(ids for text, ids in by_text.items() if len(pictures[text]) < 2),
    ]
