"""The nations of the demonstration data: names, a few facts, a sentence, and the geometry of the flag.

The facts were written down for this data set as hints for sentences, not as a gazetteer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from melder.records import Entity

__all__ = ["FACTS", "Nation", "nations"]

FACTS = ("region", "tongue", "near", "capital", "known")
_CONTINENTS = ("Africa", "Americas", "Asia", "Europe", "Oceania")


@dataclass(frozen=True)
class Nation:
    """A nation and its flag.

    Args:
        code: ISO 3166 alpha-2.
        name, aliases: Of the nation.
        continent: That it is in.
        facts: By FACTS.
        about: One sentence with a place for each fact.
        flag: The shapes, in the order in which they are painted.
        ratio: The flag's width over its height.
    """

    code: str
    name: str
    aliases: tuple[str, ...]
    continent: str
    facts: dict[str, str]  # the keys are FACTS
    about: str  # one sentence with a place for each fact
    flag: tuple[str, ...]
    ratio: float

    def entity(self, *images: str) -> Entity:
        """The row of the knowledge base; every fact occurs in its description."""
        return Entity(
            id=self.code,
            name=self.name,
            aliases=self.aliases,
            description=self.about.format_map(self.facts),
            types=("country", self.continent),
            images=images,
        )


@cache
def nations() -> tuple[Nation, ...]:
    """All nations, by code.

    Returns:
        Read once.
    """
    every = [nation for continent in _CONTINENTS for nation in _read(continent)]
    return tuple(sorted(every, key=lambda nation: nation.code))


def _read(continent: str) -> list[Nation]:
    path = Path(__file__).with_name(f"{continent.lower()}.yaml")
    rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [_nation(code, continent, row) for code, row in rows.items()]


def _nation(code: str, continent: str, row: dict[str, object]) -> Nation:
    fields = {**row, "facts": dict(zip(FACTS, row["facts"], strict=True))}  # type: ignore[call-overload]
    for name in ("aliases", "flag"):
        fields[name] = tuple(row[name])  # type: ignore[arg-type]
    return Nation(**{"ratio": 1.5, "code": code, "continent": continent, **fields})  # type: ignore[arg-type]
