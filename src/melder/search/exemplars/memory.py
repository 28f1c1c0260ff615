r"""The evidence of exemplars: how much more, or less, likely than by its record alone an entity is meant.

A mention m and an exemplar x are alike by

    ℓ(m, x) = z_image + 0.3 z_text + 5 [same surface]

with z of `Similarity`; a modality that either lacks counts 0. An entity e with n exemplars gets their soft mean, which
leans to the nearest ones without hanging on a single one, standardised by what the most alike *other* entity of an
exemplar gets (mean and deviation over exemplars, with the modalities that m has):

    s(m, e) = T log mean_x exp(ℓ(m, x) / T),        z(m, e) = (s(m, e) - mean) / deviation

    score(m, e) = matcher(m, e) + w d (n / (n + 1) log(1 + exp(2 (z - ½))) - 2 n / (n + 2))

d is how far the matcher's scores of unrelated entities lie apart, so that w means the same for every method. An entity
without exemplars keeps its score. One whose exemplars all look different loses a little: without that, entities that
were learned would win over those that were not. A single exemplar counts half for an entity, a third against it: what
is said shrinks to the entity's own record. The constants were chosen on training mentions (docs/learning.md).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import normalize, softplus

from melder.features import Features, Side
from melder.kb.exemplars import Exemplars
from melder.names import folded
from melder.search.exemplars.similarity import Similarity

__all__ = ["UNIT", "ExemplarMemory", "adjustments_of", "global_vectors", "without_adjustments"]

UNIT = "exemplars"  # what their evidence is called among the units
TENSOR = f"{UNIT}.adjustment"  # in the side of mentions
IMAGE, TEXT, SURFACE = 1.0, 0.3, 5.0
SOFTNESS = 4.0  # T: one wrong exemplar of ten hardly counts
SLOPE, OFFSET, PENALTY = 2.0, 0.5, 2.0
FOR, AGAINST = 1.0, 2.0  # so many exemplars count half, for an entity and against it
WEIGHT = 3.0  # w
NULLS, NULL_MEAN, NULL_DEVIATION = 4, 2.0, 1.5  # exemplars that are presumed, and their most alike other entities
SAMPLE = 256  # exemplars whose most alike other entity is looked for
AT_ONCE = 32  # mentions compared with all exemplars at a time
FAR = 80.0  # exponents below it are as good as none


class ExemplarMemory:
    """The exemplars of entities of a source.

    Args:
        exemplars: Those that there are; of entities that are gone they count for nothing.
        entity_rows: The row of each entity that is there, by its id.

    Attributes:
        rows: [e] the entities that have exemplars, ascending.
        counts: [e] of their exemplars.
    """

    def __init__(self, exemplars: Exemplars, entity_rows: Mapping[str, int]) -> None:
        rows = [row for row, record in enumerate(exemplars.records) if record.entity in entity_rows]
        # In the order of their keys, which are digests: the same whenever, and in whatever order, they were learned.
        exemplars = exemplars.take(sorted(rows, key=lambda row: exemplars.records[row].key))
        meant = torch.tensor([entity_rows[record.entity] for record in exemplars.records], dtype=torch.long)
        self.rows, self._owner, self.counts = torch.unique(meant, return_inverse=True, return_counts=True)
        self._surfaces = [folded(record.surface) for record in exemplars.records]
        self._written = [record.surface for record in exemplars.records]
        self._surface_ids: dict[str, int] = {}
        ids = [self._surface_ids.setdefault(surface, len(self._surface_ids)) for surface in self._surfaces]
        self._surface = torch.tensor([number if self._surfaces[row] else -2 for row, number in enumerate(ids)])
        text, image = exemplars.text, exemplars.image
        self._text = Similarity(text, text.any(dim=1), self._owner)
        self._image = Similarity(image, image.any(dim=1), self._owner)
        self._scale = float(exemplars.scale.median())
        self._nulls: dict[tuple[bool, bool], tuple[float, float]] = {}

    def beside(self, side: Side, features: Features) -> Side:
        """The side of mentions, and what is added to the scores of `rows` for each of them."""
        return Side({**side, TENSOR: self.adjustments(features).to(side.device)})

    def adjustments(self, features: Features) -> Tensor:
        """[mentions, rows], what is added to the score of each of these entities."""
        text, image = global_vectors(features)
        surfaces = features.surfaces or [()] * len(features)
        ids = torch.tensor([self._surface_ids.get(folded(" ".join(names)), -1) for names in surfaces])
        has_text, has_image = features.has_text.cpu(), features.has_image.cpu() & (image.shape[1] > 0)
        pieces = [self.rows.new_zeros(0, len(self.rows)).float()]
        for start in range(0, len(features), AT_ONCE):
            rows = slice(start, start + AT_ONCE)
            alike = self._alike(
                self._text.of(text[rows], has_text[rows]),
                self._image.of(image[rows], has_image[rows]) if image.shape[1] else None,
                ids[rows],
            )
            patterns = zip(has_text[rows].tolist(), has_image[rows].tolist(), strict=True)
            means, deviations = torch.tensor([self._null(*pattern) for pattern in patterns]).unbind(dim=1)
            pieces.append(self._evidence((self._of_entities(alike) - means[:, None]) / deviations[:, None]))
        return torch.cat(pieces)

    def added_to(self, rows: Tensor, adjustments: Tensor) -> Tensor:
        """[m, n] for any entities `rows` [n], of `adjustments` [m, e]; 0 for those without exemplars."""
        place = torch.searchsorted(self.rows, rows).clamp(max=len(self.rows) - 1)
        return torch.where(self.rows[place] == rows, adjustments[:, place], 0.0)

    def words(self, entity_row: int, surface: str) -> str | None:
        """How often, and as what, an entity was seen; None for one without exemplars."""
        places = (self.rows == entity_row).nonzero().flatten()
        if not len(places):
            return None
        rows = (self._owner == places[0]).nonzero().flatten().tolist()
        same = [row for row in rows if self._surfaces[row] == folded(surface) != ""]
        if same:
            return f"seen {_times(len(same))} as {self._written[same[0]]!r}"
        names = Counter(self._written[row] for row in rows if self._surfaces[row])
        often = f", most often as {names.most_common(1)[0][0]!r}" if names else ""
        return f"seen {_times(len(rows))}{often}, never as {surface!r}"

    def _alike(self, text: Tensor, image: Tensor | None, ids: Tensor) -> Tensor:
        """ℓ [m, n]"""
        alike = TEXT * text + SURFACE * (ids[:, None] == self._surface[None])
        return alike if image is None else alike + IMAGE * image

    def _of_entities(self, alike: Tensor) -> Tensor:
        """s [m, e] of ℓ [m, n]"""
        highest = alike.amax(dim=1, keepdim=True)
        terms = ((alike - highest) / SOFTNESS).clamp(min=-FAR).exp()
        sums = terms.new_zeros(len(alike), len(self.rows)).index_add_(1, self._owner, terms)
        soft_mean: Tensor = highest + SOFTNESS * (sums / self.counts).log()
        return soft_mean

    def _evidence(self, standardised: Tensor) -> Tensor:
        supporting, opposing = self.counts / (self.counts + FOR), self.counts / (self.counts + AGAINST)
        evidence = supporting * softplus(SLOPE * (standardised - OFFSET)) - PENALTY * opposing
        added: Tensor = WEIGHT * self._scale * evidence
        return added

    def _null(self, has_text: bool, has_image: bool) -> tuple[float, float]:
        """Mean and deviation of what the most alike other entity of an exemplar gets, shrunk to what is presumed, for
        mentions that have a text, a picture or both."""
        if (has_text, has_image) not in self._nulls:
            self._nulls[has_text, has_image] = self._measured_null(has_text, has_image)
        return self._nulls[has_text, has_image]

    def _measured_null(self, has_text: bool, has_image: bool) -> tuple[float, float]:
        rows = torch.arange(min(SAMPLE, len(self._owner)))
        text, image = self._text.among(rows) * has_text, self._image.among(rows) * has_image
        ids = self._surface[rows] if has_text else torch.full((len(rows),), -1)
        of_entities = self._of_entities(self._alike(text, image, ids))
        of_entities[rows, self._owner[rows]] = -math.inf
        nearest = of_entities.amax(dim=1).double()
        nearest = nearest[nearest > -math.inf]
        mean = (nearest.sum() + NULLS * NULL_MEAN) / (len(nearest) + NULLS)
        square = (nearest - mean).square().sum() + NULLS * NULL_DEVIATION**2
        return float(mean), float((square / (len(nearest) + NULLS)).sqrt())


def global_vectors(features: Features) -> tuple[Tensor, Tensor]:
    """Text [m, g] and picture [m, v] of length one, on the CPU; zeros where there is none, v = 0 without vision.

    Args:
        features: Of m mentions.

    Returns:
        Vectors of text and of picture.
    """
    text = normalize(features.text_global.float(), dim=1) * features.has_text[:, None]
    if features.image_global is None:
        return text.cpu(), text.new_zeros(len(text), 0).cpu()
    return text.cpu(), (normalize(features.image_global.float(), dim=1) * features.has_image[:, None]).cpu()


def adjustments_of(mentions: Side) -> Tensor | None:
    """[m, e] of a side that `ExemplarMemory.beside` made.

    Args:
        mentions: The side of m mentions.

    Returns:
        What is added to scores of entities that have exemplars; None where nothing is.
    """
    found = mentions.get(TENSOR)
    return None if found is None else found.cpu()


def without_adjustments(mentions: Side) -> Side:
    """The side as the matcher made it.

    Args:
        mentions: A side, with adjustments or without.

    Returns:
        The side without them.
    """
    return Side({name: tensor for name, tensor in mentions.items() if name != TENSOR})


def _times(count: int) -> str:
    return "once" if count == 1 else "twice" if count == 2 else f"{count} times"
