"""A published way to link, and what compares mentions with entities in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from pydantic import BaseModel
from torch import Tensor, nn

from melder.features import Features, Scores, Side, Sizes
from melder.protocols.units import SideTensor, Unit

__all__ = ["FitFeatures", "LexicalUnit", "Matcher", "MentionGate", "Method"]


class LexicalUnit(Unit, Protocol):
    """The unit that compares names, whose cosines a search knows before it reads an entity.

    Attributes:
        buckets: So many n-grams it tells apart.
        weight: What a cosine is multiplied with in the total, a scalar.
        fold: Whether it compares names as people do (`melder.names`); those of earlier runs differ by case only.
    """

    fold: bool

    @property
    def buckets(self) -> int: ...

    @property
    def weight(self) -> Tensor: ...

    def set_weight(self, weight: float) -> None:
        """Have the weight start, or stay, at another value above 0."""
        ...

    def fit(self, names: Iterable[str]) -> None:
        """Learn how frequent n-grams are from the names of a knowledge base."""
        ...


class MentionGate(Protocol):
    """Has weights of units, and of names, depend on the mention; sides of mentions have what it reads of them.

    Attributes:
        slopes: [units + 1, features], by how much what is known of a mention changes the logarithms of the weights.
    """

    slopes: Tensor

    def learn_entities(self, side: Side) -> None:
        """Learn what it needs of the entities; before sides of mentions are made."""
        ...

    def learn_mentions(self, side: Side) -> None:
        """Learn what mentions are like; before weights are fitted."""
        ...

    def weights(self, mentions: Side, logs: Tensor, slopes: Tensor, cosine: Tensor) -> Tensor:
        """[mentions, units + 1], the last of names, by the logarithms [units + 1] of weights of a mean mention.

        Args:
            cosine: What a cosine of names counts without a gate.
        """
        ...


class Matcher(Protocol):
    """What compares features of mentions with those of entities; an `nn.Module`, in training or not.

    Sides have a unit's name and a dot in front of every tensor's name. Search, evaluation, training and the store know
    no more of a method than this.

    Attributes:
        training: It is in training, as `nn.Module` has it.
        heads: From `Features` to what `mention_side_of` and `entity_side_of` take.
        lexical: The unit named "lexical", which compares names; None where names are not compared.
        has_bounds: `mention_bounds` and `entity_bounds` say how much it can score at most, so that an answer can be
            certified.
        entity_tensors: How the store may hold the tensors of an entity side, by their names there.
        pictures: How many pictures of a mention or an entity it compares, where they have as many.
        weighted: Its units have weights, which are to be fitted on mentions that it was not trained on.
        gate: Has these weights depend on the mention; None where they do not.
    """

    training: bool

    @property
    def heads(self) -> Callable[[Features], Any]: ...

    @property
    def lexical(self) -> LexicalUnit | None: ...

    @property
    def has_bounds(self) -> bool: ...

    @property
    def entity_tensors(self) -> Mapping[str, SideTensor]: ...

    @property
    def pictures(self) -> int: ...

    @property
    def weighted(self) -> bool: ...

    @property
    def gate(self) -> MentionGate | None: ...

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]: ...

    def train(self, mode: bool = True) -> Matcher: ...

    def eval(self) -> Matcher: ...

    def mention_side(self, features: Features) -> Side:
        """Tensors whose first axis is the mention."""
        ...

    def entity_side(self, features: Features) -> Side:
        """Tensors whose first axis is the entity."""
        ...

    def mention_side_of(self, heads: Any) -> Side:
        """The same of what the heads made."""
        ...

    def entity_side_of(self, heads: Any) -> Side:
        """The same of what the heads made."""
        ...

    def score(self, mentions: Side, entities: Side, cosines: Tensor | None = None) -> Scores:
        """Scores [mentions, entities]; `cosines` of names, of that shape, where they are known already."""
        ...

    def contributions(self, scores: Scores) -> dict[str, Tensor]:
        """What each unit adds to the total, [mentions, entities] by name; their sum is the total."""
        ...

    def set_unit_weights(self, weights: Mapping[str, float]) -> None:
        """Have each unit count so much in the total, outside of training."""
        ...

    def name_weights(self, mentions: Side) -> Tensor:
        """[mentions], what a cosine of names counts in the total; asked only where there is `lexical`."""
        ...

    def losses(self, batch: Any, scores: Scores) -> dict[str, Tensor]:
        """Scalars by name of a `melder.methods.losses.Batch`; training adds them up."""
        ...

    def names_in_use(self, *, lexical: bool = False) -> Collection[str]:
        """The units whose sides `score` reads; the lexical one only if asked for."""
        ...

    def units_in_use(self) -> Sequence[tuple[str, Unit]]:
        """Those that an explanation may ask what they matched, by name, without the lexical one."""
        ...

    def mention_vectors(self, side: Side) -> Tensor:
        """[mentions, d]: their inner products with `entity_vectors` order a first stage; d = 0 where there are none."""
        ...

    def entity_vectors(self, side: Side) -> Tensor:
        """[entities, d]; see `mention_vectors`."""
        ...

    def mention_bounds(self, side: Side) -> Tensor:
        """[mentions, b]: their inner products with `entity_bounds` are at least the scores without the lexical part.

        Raises:
            MelderError: It has no bounds.
        """
        ...

    def entity_bounds(self, side: Side) -> Tensor:
        """[entities, b]; see `mention_bounds`."""
        ...


class FitFeatures(Protocol):
    """Has a matcher learn of what a frozen encoder made of entities and, where there are some, of mentions."""

    def __call__(self, matcher: Matcher, entities: Features, mentions: Features | None = None) -> None: ...


class Method(Protocol):
    """A published way to link: its settings, its matcher, and what it can do.

    Attributes:
        compares: It scores entities by features of them, so that these can be stored, searched and calibrated; a method
            that does not registers its own storage, training and linker (docs/extending.md).
        trains_encoder, samples_negatives, trains_in_processes: What its training can be asked for.
    """

    @property
    def configuration(self) -> type[BaseModel]: ...

    @property
    def compares(self) -> bool: ...

    @property
    def trains_encoder(self) -> bool: ...

    @property
    def samples_negatives(self) -> bool: ...

    @property
    def trains_in_processes(self) -> bool: ...

    @property
    def fitting(self) -> Callable[[Any], FitFeatures | None]:
        """Of a configuration: what a matcher is to learn of features alone, before it is trained or used; None =
        nothing."""
        ...

    def build(self, configuration: BaseModel, sizes: Sizes) -> Matcher:
        """The matcher that a configuration describes, for an encoder of these sizes.

        Raises:
            MelderError: The method does not compare.
        """
        ...
