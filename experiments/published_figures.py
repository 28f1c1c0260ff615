"""What `run_published.py` runs: the published figures, and the recipes that say what they were published with.

`hours` are what to expect of one A100-class GPU. M3EL's are from its published logs, of a GPU that they do not name
(57 s an epoch of 20, 5 minutes a look at dev, 10 minutes for test); the others are reckoned from these by their steps
and operations. None was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COLUMNS", "PUBLISHED", "PublishedRow"]

COLUMNS = ("hits@1", "hits@3", "hits@5", "mrr")
CANDIDATES = {"wikimel": 109_976, "richpediamel": 160_935, "wikidiverse": 132_460}
CLIP = ("openai/clip-vit-base-patch32",)
OPT = ("facebook/opt-6.7b", "princeton-nlp/sup-simcse-roberta-large")
UNKNOWN = (None, None, None, None)


@dataclass(frozen=True)
class PublishedRow:
    """A method on a data set as published.

    Args:
        data: The name of the recipe.
        figures: Percent on test, in the order of `COLUMNS`; None = not published, or not known here.
        hours: Of training and test on one A100-class GPU.
        weights: Names on the hub that the recipe needs.
        ranked: Against all entities, of which `CANDIDATES` says how many; for the others no number is published.
    """

    method: str
    data: str
    figures: tuple[float | None, ...]
    hours: float
    weights: tuple[str, ...] = CLIP
    ranked: bool = True

    @property
    def recipe(self) -> str:
        return f"experiments/{self.method}/{self.data}.yaml"

    @property
    def slug(self) -> str:
        return f"{self.method}-{self.data}"

    @property
    def candidates(self) -> int | None:
        return CANDIDATES[self.data] if self.ranked else None


PUBLISHED = [
    PublishedRow("m3el", "wikimel", (88.84, 95.20, 96.71, 92.30), 1.5),
    PublishedRow("m3el", "richpediamel", (82.82, 92.73, 95.34, 88.26), 1.5),
    PublishedRow("m3el", "wikidiverse", (74.06, 86.57, 90.04, 81.29), 1),
    PublishedRow("ot_mel", "wikimel", (88.97, 95.63, 96.96, 92.59), 3),
    PublishedRow("ot_mel", "richpediamel", (83.30, 92.39, 94.83, 88.27), 3),
    PublishedRow("ot_mel", "wikidiverse", (66.07, 82.82, 87.39, 75.43), 2),
    PublishedRow("mimic", "wikimel", (87.98, 95.07, 96.37, 91.82), 1.5),
    PublishedRow("mimic", "richpediamel", (81.02, 91.77, 94.38, 86.95), 1.5),
    PublishedRow("mimic", "wikidiverse", (63.51, 81.04, 86.43, 73.44), 1),
    PublishedRow("clip", "wikimel", (83.23, 92.10, 94.51, 88.23), 0.5),
    PublishedRow("clip", "richpediamel", (67.78, 85.22, 90.04, 77.57), 0.5),
    PublishedRow("clip", "wikidiverse", (61.21, 79.63, 85.18, 71.69), 0.5),
    PublishedRow("gemel", "wikimel", (75.53, None, None, None), 8, OPT, ranked=False),
    PublishedRow("gemel", "wikidiverse", (82.77, None, None, None), 5, OPT, ranked=False),
    PublishedRow("pgmel", "wikimel", UNKNOWN, 0.5, ranked=False),
    PublishedRow("pgmel", "richpediamel", UNKNOWN, 0.5, ranked=False),
    PublishedRow("pgmel", "wikidiverse", UNKNOWN, 0.5, ranked=False),
]
