"""Which data set mentions are of, and where their pictures lie."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from melder.data import DataSet
from melder.data.items import MentionPictures
from melder.kb import KnowledgeBase

__all__ = ["data_of_mentions"]


class Files:
    """Where mentions of no data set have their pictures: in the files that they name."""

    def mention_image(self, path: str) -> Path:
        return Path(path)


def data_of_mentions(
    data: DataSet | None, knowledge_base: DataSet | KnowledgeBase
) -> tuple[DataSet | None, MentionPictures]:
    """The data set of a linker's mentions, and what finds the pictures that they name.

    Args:
        data: The one that is named; None = that of the entities, if they are of one.
        knowledge_base: The entities.

    Returns:
        The data set, None where there is none; and the place of pictures.
    """
    dataset = data or (None if knowledge_base.has_sides else cast(DataSet, knowledge_base))
    return dataset, Files() if dataset is None else dataset
