"""What takes mentions and returns ranked candidates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from typing_extensions import Self

from melder.languages import Languages
from melder.protocols.progress import Progress
from melder.records import Entity, Item, Link, Mention, Picture, Ranks

__all__ = ["Linker"]


class Linker(Protocol):
    """Links mentions to the entities of a knowledge base; evaluation, serving and the command line know no more of it.

    Attributes:
        knowledge_base: A data set or a knowledge base on disk.
        data: The data set that mentions name their pictures in.
        model: Has `encoder`, the one that reads them.
        nil: Turns scores into NIL probabilities; None where there are none.
        has_candidates: A search may find its candidates instead of scoring every entity: `search` may be set.
        explains: `melder.linking.explanation` can say what its units matched.
        calibrates: NIL probabilities can be fitted to its scores.
        has_comparable_scores: They can be compared with those of another knowledge base of the same model.
        learns: It takes exemplars: it has `learn` (`melder.linking.ExactLinker`).
        pictures_read: How many pictures of a mention it compares; those behind them are not read.
    """

    nil: Any

    @property
    def knowledge_base(self) -> Any: ...

    @property
    def data(self) -> Any: ...

    @property
    def model(self) -> Any: ...

    @property
    def has_candidates(self) -> bool: ...

    @property
    def explains(self) -> bool: ...

    @property
    def calibrates(self) -> bool: ...

    @property
    def has_comparable_scores(self) -> bool: ...

    @property
    def learns(self) -> bool: ...

    def seen_as(self, surface: str, identities: Sequence[str]) -> Mapping[str, str]:
        """In words, how often exemplars of entities were called by a surface, by id; those without any are left out."""
        ...

    @property
    def pictures_read(self) -> int: ...

    @property
    def compares_pictures(self) -> bool:
        """Whether a mention's picture can change its links."""
        ...

    @property
    def figures(self) -> Mapping[str, Any]:
        """What it counted so far, for a report."""
        ...

    def ablations(self) -> Mapping[str, Linker]:
        """The same linker without something that is worth measuring, by what an evaluation calls it."""
        ...

    def name_in(self, languages: Languages) -> None:
        """Name candidates in the first of some languages in which they have a name."""
        ...

    def items(self, mentions: Sequence[Mention]) -> list[Item]:
        """What the encoder reads of mentions whose pictures lie in the data set."""
        ...

    def item(self, mention: Mention, image: str | Picture | Sequence[str | Picture] | None) -> Item:
        """What the encoder reads of a mention with a picture from anywhere, or several."""
        ...

    def check_picture(self, content: bytes, limits: Any) -> None:
        """Decode a picture that will soon be linked with.

        Raises:
            UnreadablePicture: It is none, or too large.
        """
        ...

    def known_types(self, types: Sequence[str]) -> Any:
        """What `answers` is to be given for entities of any of these types; None where none are named.

        Raises:
            MelderError: No entity has one of the types, or the linker cannot do this.
        """
        ...

    def answers(
        self, mentions: Sequence[Mention], items: Sequence[Item], k: int, types: Any = None
    ) -> Iterator[list[Link]]:
        """Links of a few mentions at a time, in order, to entities of some types or (None) of any."""
        ...

    def entity(self, identity: str) -> Entity | None:
        """The record of an entity; None when there is none with this id."""
        ...

    def link(
        self,
        mentions: Any,
        k: int = 10,
        *,
        mention: str | None = None,
        start: int | None = None,
        end: int | None = None,
        image: Any = None,
        types: str | Sequence[str] = (),
        show_progress: bool = False,
    ) -> Any:
        """The k best entities of one mention (a `Link`), or of each of several (a list of `Link`, in order)."""
        ...

    def close(self) -> None:
        """Give up the files of the knowledge base, and their lock; nothing can be linked afterwards."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def ranks(self, mentions: Sequence[Mention]) -> Ranks:
        """Optimistic and pessimistic ranks of the answers of mentions that all have one."""
        ...

    def links_and_ranks(
        self, mentions: Sequence[Mention], k: int, progress: Progress | None = None
    ) -> tuple[list[Link], Ranks]:
        """Links of all the mentions, and the ranks of the answers of those that have one, in one pass."""
        ...
