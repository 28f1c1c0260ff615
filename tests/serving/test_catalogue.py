"""Looking entities of a data set up by their names, as people compare names."""

from __future__ import annotations

from pathlib import Path

import pytest

from melder.data import DataSet
from melder.records import Entity
from melder.serving import DataSetCatalogue

NAMES = {"A": "Café Müller", "B": "Müller", "C": "Muller", "D": "O'Neill", "E": "Guinea"}


@pytest.fixture
def catalogue() -> DataSetCatalogue:
    entities = [Entity(id=identity, name=name) for identity, name in NAMES.items()]
    return DataSetCatalogue(DataSet(Path(), entities, layout=None))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("Cafe\u0301 Mu\u0308ller", ["A"]),
        ("cafe muller", ["A"]),
        ("Müller", ["B"]),
        ("Muller", ["C"]),
        ("Mullër", ["B", "C"]),
        ("O’Neill", ["D"]),
        ("Guinea\u200b", ["E"]),
        ("\ufeffGUINEA", ["E"]),
        ("Guine", []),
    ],
)
def test_an_exact_name_counts_before_one_without_diacritics(
    catalogue: DataSetCatalogue, name: str, ids: list[str]
) -> None:
    assert [entity.id for entity in catalogue.named(name)] == ids


@pytest.mark.parametrize("prefix", ["Mu\u0308l", "mül\u200b", "MÜL"])
def test_names_are_completed_however_the_start_is_written(catalogue: DataSetCatalogue, prefix: str) -> None:
    assert [entity.id for entity in catalogue.starting(prefix, 5)] == ["B", "A"]
