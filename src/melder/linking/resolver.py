"""What opens the linker of a run, by the name of the run's method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from melder.data import DataSet
from melder.kb import KnowledgeBase
from melder.protocols import Counting, Linker
from melder.records import Item
from melder.registry import Entry, Registry
from melder.runs.model_configuration import ModelConfiguration

__all__ = ["LINKERS", "Features", "OnUnreadable", "Opening", "linker_of"]

OnUnreadable = Callable[[Item, Exception], None] | None
Features = tuple[DataSet, str, Path]  # a data set, one of its parts, and where the features of that are


@dataclass(frozen=True)
class Opening:
    """What a linker is made of: a run with its configuration, and the entities of a data set or a knowledge base.

    Args:
        data: The data set that mentions are of, by default that of the entities.
        changes: Settings of the method in the place of the run's, which `configuration` has already.
        on_unreadable: Is told of pictures that cannot be read; None: they raise.
        features: What need not be encoded.
        device: As PyTorch calls it; None = a GPU where there is one.
    """

    run: Path
    configuration: ModelConfiguration
    knowledge_base: DataSet | KnowledgeBase
    data: DataSet | None = None
    changes: tuple[str, ...] = ()
    counting: Counting | None = None
    on_unreadable: OnUnreadable = None
    features: Sequence[Features] = ()
    device: str | None = None


# Of methods that do not compare sides; all others link by these, each mention with every entity.
LINKERS = Registry[Callable[[Opening], Linker]](
    "linker",
    "melder.linkers",
    (Entry("gemel", "melder.linking.writing_names:open_generative_linker", "names that a language model writes"),),
)
_MATCHING = Entry("matching", "melder.linking.comparing:open_exact_linker")


def linker_of(method: BaseModel) -> Callable[[Opening], Linker]:
    """What opens the linker of a method with this configuration.

    Args:
        method: A method's configuration.

    Returns:
        A function that opens it.
    """
    name = str(method.name)  # type: ignore[attr-defined]
    return LINKERS.get(name) if name in LINKERS else LINKERS.load(_MATCHING)
