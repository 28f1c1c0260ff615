"""The inverted index of names against the lexical unit that scores every name."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from melder.features import Features, Heads, Side
from melder.io import scratch
from melder.search.hybrid import HybridIndex
from melder.search.indexes import names as names_module
from melder.search.indexes import postings
from melder.search.indexes.names import NameIndex
from melder.units.lexical import Lexical

FIRST = ("Ann", "Anne", "Bo", "Guinea", "New Guinea", "Mali", "Kongo", "Saint Anna", "Upper", "San", "Li")
LAST = ("Lee", "Leigh", "Bissau", "of the Congo", "River", "City", "Li", "Santos", "Sands", "Linn", "Republic")
BUCKETS = 2**14


def names(count: int, seed: int) -> list[tuple[str, ...]]:
    draw = np.random.default_rng(seed)

    def name() -> str:
        return f"{draw.choice(FIRST)} {draw.choice(LAST)}{draw.choice(['', ' II', ' ' + str(draw.integers(40))])}"

    return [tuple(dict.fromkeys(name() for _ in range(draw.integers(0, 4)))) for _ in range(count)]


ENTITIES = names(600, 1)
SURFACES = [(text,) for text in ("Ann Lee", "Guinea", "Lee Ann 7", "xyzw", "the Republic of the Congo", "Santo", "A")]


@pytest.fixture(scope="module")
def unit() -> Lexical:
    unit = Lexical(buckets=BUCKETS)
    unit.fit([name for row in ENTITIES for name in row])
    return unit


def side(unit: Lexical, surfaces: list[tuple[str, ...]]) -> Side:
    heads = Heads(torch.zeros(len(surfaces), 1), torch.zeros(len(surfaces), 1, 1), surfaces=surfaces)
    assert isinstance(heads, Features)
    return unit.entity_side(heads)


@pytest.fixture(scope="module")
def index(unit: Lexical) -> NameIndex:
    whole = side(unit, ENTITIES)
    return NameIndex.build([whole.take(slice(0, 250)), whole.take(slice(250, 600))], BUCKETS)


def surfaces(unit: Lexical) -> list[tuple[np.ndarray, np.ndarray]]:
    given = side(unit, SURFACES)
    return [(given["bucket"][row, 0].numpy(), given["gram"][row, 0].numpy()) for row in range(len(SURFACES))]


def test_cosines_are_those_of_the_unit(unit: Lexical, index: NameIndex) -> None:
    expected = unit.score(side(unit, SURFACES), side(unit, ENTITIES)).numpy()
    assert expected.max() > 0.99
    found = np.stack([index.cosines(*surface) for surface in surfaces(unit)])
    assert np.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("k", [1, 5, 64, 1000])
def test_the_best_are_those_of_all_cosines(unit: Lexical, index: NameIndex, k: int) -> None:
    for surface, expected in zip(
        surfaces(unit), unit.score(side(unit, SURFACES), side(unit, ENTITIES)).numpy(), strict=True
    ):
        found, cosines, _ = index.search(*surface, k)
        assert len(found) == len(set(found.tolist())) == min(k, int((expected > 0).sum()))
        assert np.allclose(cosines, np.sort(expected)[::-1][: len(found)], atol=1e-6)
        assert np.allclose(expected[found], cosines, atol=1e-6)


def test_one_that_was_saved_finds_the_same(unit: Lexical, index: NameIndex, tmp_path: Path) -> None:
    index.save(tmp_path / "names")
    again = NameIndex.open(tmp_path / "names")
    for surface in surfaces(unit):
        for one, other in zip(again.search(*surface, 9), index.search(*surface, 9), strict=True):
            assert np.array_equal(one, other)


def test_entities_without_names_are_not_found(unit: Lexical) -> None:
    index = NameIndex.build([side(unit, [(), ("Ann Lee",), ()])], BUCKETS)
    surface = surfaces(unit)[0]
    assert index.search(*surface, 5).rows.tolist() == [1]
    assert index.cosines(*surface)[[0, 2]].tolist() == [0, 0]
    assert NameIndex.build([], BUCKETS).search(*surface, 5).rows.tolist() == []


def test_beyond_the_postings_that_are_read_whole_all_that_look_alike_are_found(
    unit: Lexical, index: NameIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = [index.search(*surface, 600)[:2] for surface in surfaces(unit)]
    monkeypatch.setattr(names_module, "POSTINGS", 0)
    fewer = 0
    for surface, (rows, cosines) in zip(surfaces(unit), exact, strict=True):
        found, values, _ = index.search(*surface, 600)
        alike = int((cosines > names_module.UNREAD + 1e-3).sum())
        assert np.allclose(values[:alike], cosines[:alike], atol=1e-6)
        assert np.allclose(values, index.cosines(*surface)[found], atol=1e-6)
        fewer += len(found) < len(rows)
    assert fewer


@pytest.mark.parametrize("postings", [0, 10**6])
def test_rows_that_are_asked_about_are_told_exactly(
    unit: Lexical, index: NameIndex, monkeypatch: pytest.MonkeyPatch, postings: int
) -> None:
    monkeypatch.setattr(names_module, "POSTINGS", postings)
    monkeypatch.setattr(names_module, "LOOKED_UP", 5)
    asked = np.array([599, 0, 3, 3, 410, 57])
    for surface in surfaces(unit):
        found = index.search(*surface, 1, asked).of_asked
        assert np.allclose(found, index.cosines(*surface)[asked], atol=1e-6)


def test_only_the_best_names_are_looked_up(unit: Lexical, index: NameIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names_module, "POSTINGS", 0)
    monkeypatch.setattr(names_module, "LOOKED_UP", 40)
    looked_up = list[int]()
    real = NameIndex._looked_up
    monkeypatch.setattr(
        NameIndex, "_looked_up", lambda self, gram, names: looked_up.append(len(names)) or real(self, gram, names)
    )
    for surface in surfaces(unit):
        found, values, _ = index.search(*surface, 1)
        assert np.allclose(values, index.cosines(*surface)[found], atol=1e-6)
    assert 40 <= max(looked_up) < 200


def test_many_names_of_few_entities_do_not_take_the_places_of_others(
    unit: Lexical, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [tuple(f"Ann Lee {row} {nth}" for nth in range(10)) for row in range(80)]
    index = NameIndex.build([side(unit, names)], BUCKETS)
    monkeypatch.setattr(names_module, "POSTINGS", 0)
    monkeypatch.setattr(names_module, "LOOKED_UP", 5)
    surface = surfaces(unit)[0]
    assert len(index.search(*surface, 40).rows) == 40
    rows = np.full(80, -1)
    rows[[3, 71]] = [3, 71]  # all others were removed
    indexed = HybridIndex(None, index, rows)
    mention = Side(
        {
            "lexical.bucket": torch.from_numpy(surface[0])[None, None],
            "lexical.gram": torch.from_numpy(surface[1])[None, None],
        }
    )
    assert indexed.candidates(torch.zeros(1, 0), mention, 2, 2, [1.0])[0].rows.tolist() == [3, 71]


def test_searches_of_threads_do_not_meet(unit: Lexical, index: NameIndex) -> None:
    expected = [index.search(*surface, 9).cosines for surface in surfaces(unit)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda surface: index.search(*surface, 9).cosines, surfaces(unit) * 40))
    assert all(np.array_equal(each, expected[n % len(expected)]) for n, each in enumerate(found))


@pytest.mark.parametrize(("rows", "at_once"), [(97, 1009), (13, 4096), (600, 251)])
def test_an_index_larger_than_memory_is_the_same(
    unit: Lexical, index: NameIndex, rows: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "HELD", 1000)
    monkeypatch.setattr(postings, "AT_ONCE", at_once)
    whole = side(unit, ENTITIES)
    built = NameIndex.build([whole.take(slice(start, start + rows)) for start in range(0, 600, rows)], BUCKETS)
    for name in names_module.ARRAYS:
        assert np.array_equal(getattr(built, name), getattr(index, name)), name
