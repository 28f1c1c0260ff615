"""Demonstrations: training mentions with their answers, of which each mention is shown the most similar ones.

The similarity of two mentions is a weighted sum of cosines of their surfaces, texts and pictures; published: of
the surfaces alone. Each mention has one key, its normalised vectors times the roots of their weights, one after the
other, so that the similarity is an inner product of keys. A picture that is not there is a zero.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import normalize

from melder.io.atomic import replace_file
from melder.io.tensors import write_tensors
from melder.ops.largest import largest
from melder.records import MelderError

__all__ = ["Demonstration", "Demonstrations", "join_keys"]

AT_ONCE = 256  # mentions × 20,000 demonstrations are 20 MB of similarities
_TENSORS, _RECORDS = "demonstrations.safetensors", "demonstrations.jsonl"


@dataclass(frozen=True)
class Demonstration:
    """What a demonstration says.

    Args:
        text: Of the mention.
        surface: Of the mention.
        answer: The name that answers.
    """

    text: str
    surface: str
    answer: str


@dataclass(frozen=True)
class Demonstrations:
    """All training mentions, to choose from.

    Args:
        shown: [N], what each says.
        keys: [N, k], by which they are found.
        pictures: [N, g], zeros where there is none.
        there: [N], whether there is a picture.
    """

    shown: Sequence[Demonstration]
    keys: Tensor
    pictures: Tensor
    there: Tensor

    def __len__(self) -> int:
        return len(self.shown)

    def nearest(self, keys: Tensor, count: int, skip: Sequence[Sequence[int]] | None = None) -> list[list[int]]:
        """For each key [n, k] the `count` most similar rows, the most similar last; `skip` are rows left out, by key.

        Of equally similar ones the earlier are taken, and stand nearer the end.
        """
        neighbours: list[list[int]] = []
        for start in range(0, len(keys) if count else 0, AT_ONCE):
            scores = keys[start : start + AT_ONCE].float() @ self.keys.float().T
            left_out = skip[start : start + AT_ONCE] if skip is not None else [()] * len(scores)
            for row, rows in enumerate(left_out):
                scores[row, list(rows)] = -torch.inf
            neighbours += [_best(row, count) for row in scores]
        return neighbours if count else [[] for _ in keys]

    def alike(self, skip: Literal["identical", "itself"]) -> list[list[int]]:
        """For each row the rows that may not demonstrate it: itself, or all with its surface and text (published)."""
        if skip == "itself":
            return [[row] for row in range(len(self))]
        groups: dict[tuple[str, str], list[int]] = {}
        for row, demonstration in enumerate(self.shown):
            groups.setdefault((demonstration.surface, demonstration.text), []).append(row)
        return [groups[demonstration.surface, demonstration.text] for demonstration in self.shown]

    def picture(self, row: int) -> Tensor | None:
        return self.pictures[row] if bool(self.there[row]) else None

    def save(self, directory: Path) -> None:
        """Write everything into two files of `directory`."""
        directory.mkdir(parents=True, exist_ok=True)
        tensors = {"keys": self.keys, "pictures": self.pictures, "there": self.there}
        write_tensors(directory / _TENSORS, tensors)
        lines = [
            json.dumps([demonstration.text, demonstration.surface, demonstration.answer], ensure_ascii=False) + "\n"
            for demonstration in self.shown
        ]
        replace_file(directory / _RECORDS, "".join(lines).encode())

    @staticmethod
    def load(directory: Path) -> Demonstrations:
        """What `save` wrote.

        Raises:
            MelderError: It is not there or damaged.
        """
        try:
            tensors = load_file(directory / _TENSORS)
            lines = (directory / _RECORDS).read_text(encoding="utf-8").split("\n")[:-1]
            demonstrations = Demonstrations([Demonstration(*json.loads(line)) for line in lines], **tensors)
        except (OSError, SafetensorError, ValueError, TypeError) as error:
            reason = str(error).partition("\n")[0]
            raise MelderError(f"{directory}: no demonstrations can be read ({reason}); train again") from None
        if (
            not len(demonstrations.shown)
            == len(demonstrations.keys)
            == len(demonstrations.pictures)
            == len(demonstrations.there)
        ):
            raise MelderError(f"{directory}: its two files hold different numbers of demonstrations; train again")
        return demonstrations


def join_keys(vectors: Sequence[tuple[float, Tensor]]) -> Tensor:
    """Keys of several vectors, each with a weight.

    Args:
        vectors: Weights and vectors [n, width]; those of weight 0 are left out.

    Returns:
        [n, sum of the widths]; the inner product of two is the weighted sum of cosines.

    Raises:
        MelderError: Every weight is 0.
    """
    parts = [weight**0.5 * normalize(vector.float(), dim=-1) for weight, vector in vectors if weight]
    if not parts:
        raise MelderError("demonstrations: surface, context and picture all have weight 0; give one of them a weight")
    return torch.cat(parts, dim=1)


def _best(scores: Tensor, count: int) -> list[int]:
    """Columns of the `count` best scores [N], best last; of ties the earlier ones, the earliest last."""
    values, columns = largest(scores, count)
    return columns[values > -torch.inf].flip(0).tolist()  # type: ignore[no-any-return]
