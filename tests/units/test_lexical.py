from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.utils import murmurhash3_32
from torch import Tensor

from melder.features import Features, Heads, Side
from melder.ops.name_hashes import HASHES, gram_places
from melder.units.lexical import Lexical, pack

NAMES = ["Guinea", "Guinea-Bissau", "Equatorial Guinea", "Mali", "Mali Mali mali", "Congo", "北京", "a", "São Tomé"]
# So many buckets that the few n-grams of a test do not collide.
BUCKETS = 2**20


def _side(unit: Lexical, surfaces: Sequence[tuple[str, ...]] | None, count: int | None = None) -> Side:
    rows = len(surfaces) if surfaces is not None else count or 0
    blank = Features(torch.zeros(rows, 1), torch.zeros(rows, 1, 1), surfaces=surfaces)
    return unit.entity_side(Heads(blank.text_global, blank.text_tokens, surfaces=surfaces))


def _scores(unit: Lexical, mentions: Sequence[tuple[str, ...]], entities: Sequence[tuple[str, ...]]) -> Tensor:
    return unit.score(_side(unit, mentions), _side(unit, entities))


def _fitted(names: Sequence[str] = NAMES) -> Lexical:
    unit = Lexical(BUCKETS)
    unit.fit(names)
    return unit


def _cosines(names: Sequence[str], surfaces: Sequence[str]) -> np.ndarray:
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True).fit(names)
    return (vectorizer.transform(surfaces) @ vectorizer.transform(names).T).toarray()


def test_it_is_the_tf_idf_cosine_of_scikit_learn() -> None:
    scores = _scores(_fitted(), [(name,) for name in NAMES], [(name,) for name in NAMES])
    assert np.allclose(scores.detach().numpy(), _cosines(NAMES, NAMES), atol=1e-5)


@given(st.lists(st.text(st.sampled_from("abcäß -"), min_size=1, max_size=12), min_size=1, max_size=6))
def test_it_is_that_of_any_names(names: list[str]) -> None:
    if not any(name.strip() for name in names):
        return
    scores = _scores(_fitted(names), [(name,) for name in names], [(name,) for name in names])
    assert np.allclose(scores.detach().numpy(), _cosines(names, names), atol=1e-5)


def test_other_weights_that_are_loaded_or_fitted_count_from_then_on() -> None:
    unit, other = _fitted(), _fitted(NAMES[:3])
    before = _side(unit, [("Guinea-Bissau",)])["gram"]
    unit.load_state_dict(other.state_dict(), assign=True)  # other memory, as on a GPU
    loaded = _side(unit, [("Guinea-Bissau",)])["gram"]
    assert torch.equal(loaded, _side(other, [("Guinea-Bissau",)])["gram"])
    assert not torch.equal(loaded, before)
    unit.fit(NAMES)
    assert torch.equal(_side(unit, [("Guinea-Bissau",)])["gram"], before)


def test_a_name_is_most_like_itself() -> None:
    scores = _scores(_fitted(), [(name,) for name in NAMES], [(name,) for name in NAMES])
    assert torch.allclose(scores.diagonal(), torch.ones(len(NAMES)))
    assert (scores <= 1 + 1e-6).all()
    assert (scores >= 0).all()


def test_names_with_nothing_in_common_score_zero() -> None:
    assert not _scores(_fitted(), [("Mali",)], [("北京",), ("Congo",)]).any()


def test_the_best_name_counts() -> None:
    unit, names = _fitted(), ("Mali", "Congo", "Guinea-Bissau")
    together = _scores(unit, [("Guinea",), ("Kongo",)], [names])
    apart = _scores(unit, [("Guinea",), ("Kongo",)], [(name,) for name in names])
    assert torch.allclose(together[:, 0], apart.amax(dim=1))


@pytest.mark.parametrize("nothing", [(), ("",), ("   ",)])
def test_an_empty_surface_scores_zero_on_either_side(nothing: tuple[str, ...]) -> None:
    scores = _scores(_fitted(), [("Mali",), nothing], [nothing, ("Mali",)])
    assert torch.allclose(scores, torch.tensor([[0.0, 1.0], [0.0, 0.0]]))


def test_features_without_surfaces_score_zero() -> None:
    unit = _fitted()
    scores = unit.score(_side(unit, None, 2), _side(unit, [("Mali",)]))
    assert scores.shape == (2, 1)
    assert not scores.any()


def test_rare_ngrams_count_more_once_it_is_fitted() -> None:
    names = ["New York", "New Delhi", "New Orleans", "New London"]
    entities = [("New York",), ("Delhi",)]
    plain, fitted = (_scores(unit, [("New Delhi",)], entities)[0] for unit in (Lexical(BUCKETS), _fitted(names)))
    assert fitted[0] < plain[0]
    assert fitted[1] > plain[1]


def test_frequencies_are_part_of_the_state() -> None:
    fitted, other = _fitted(), Lexical(BUCKETS)
    assert "inverse_frequency" in fitted.state_dict()
    other.load_state_dict(fitted.state_dict())
    pairs = [("Guinea",)], [("Guinea-Bissau",), ("Mali",)]
    assert torch.equal(_scores(other, *pairs), _scores(fitted, *pairs))


@given(st.floats(0.01, 100), st.floats(-50, 50))
def test_the_weight_is_never_negative(start: float, step: float) -> None:
    unit = Lexical(16, initial_weight=start)
    assert unit.weight.item() == pytest.approx(start, rel=1e-4)
    with torch.no_grad():
        unit.log_weight += step
    assert unit.weight >= 0


def test_the_weight_stays_above_its_floor() -> None:
    unit = Lexical(16, initial_weight=10.0, floor=5.0)
    assert unit.weight.item() == pytest.approx(10.0)
    unit.set_weight(7.0)
    assert unit.weight.item() == pytest.approx(7.0)
    with torch.no_grad():
        unit.log_weight -= 100
    assert unit.weight.item() == 5.0


def test_the_weight_grows_when_names_tell_the_answer() -> None:
    unit = _fitted()
    optimizer = torch.optim.SGD([unit.log_weight], lr=0.1)
    before = unit.weight.item()
    scores = unit.weight * _scores(unit, [("Mali",), ("Congo",)], [("Mali",), ("Congo",)])
    torch.nn.functional.cross_entropy(scores, torch.arange(2)).backward()
    optimizer.step()
    assert unit.weight.item() > before


def test_names_are_packed_as_unit_vectors_padded_with_zeros() -> None:
    buckets, grams = pack([("Mali", "Guinea-Bissau"), (), ("a",)], BUCKETS, np.ones(BUCKETS))
    assert buckets.shape == grams.shape
    assert grams.shape[:2] == (3, 2)
    lengths = np.linalg.norm(grams, axis=-1)
    assert np.allclose(lengths, [[1, 1], [0, 0], [1, 0]])


PART = 0.8


def _with_parts(mentions: Sequence[str], entities: Sequence[tuple[str, ...]], part: float = PART) -> Tensor:
    unit = Lexical(BUCKETS, part=part)
    unit.fit(NAMES)
    return unit.score(_mention_side(unit, mentions), _side(unit, entities))


def _mention_side(unit: Lexical, surfaces: Sequence[str]) -> Side:
    rows = len(surfaces)
    return unit.mention_side(Heads(torch.zeros(rows, 1), torch.zeros(rows, 1, 1), surfaces=[(s,) for s in surfaces]))


@pytest.mark.parametrize("surface", ["Jordan", "jordan,", "Michael", "(Jeffrey)", "Jeffrey Jordan"])
def test_whole_words_of_a_name_count_as_a_part(surface: str) -> None:
    scores = _with_parts([surface], [("Michael Jeffrey Jordan",), ("Jordanes",), ("Air", "The Michael Jeffrey Jordan")])
    assert scores[0, 0] >= PART - 1e-6
    assert scores[0, 1] < PART
    assert scores[0, 2] >= PART - 1e-6


@pytest.mark.parametrize("surface", ["Michael Jordan", "Jord", "Jordan Michael"])
def test_what_is_no_run_of_whole_words_counts_as_its_n_grams(surface: str) -> None:
    names = [("Michael Jeffrey Jordan",), ("Mali",)]
    assert torch.allclose(_with_parts([surface], names), _with_parts([surface], names, part=0.0))


def test_the_whole_name_still_counts_most() -> None:
    scores = _with_parts(["Jordan"], [("Jordan",), ("Michael Jordan",)])
    assert scores[0, 0] == pytest.approx(1, abs=1e-5)
    assert scores[0, 1] == pytest.approx(PART, abs=1e-6)


@given(st.lists(st.text(st.sampled_from("ab -"), max_size=12), min_size=1, max_size=5))
def test_parts_never_take_anything_away(names: list[str]) -> None:
    entities = [(name, *names[:2]) for name in names]
    without, with_parts = (_with_parts(names, entities, part) for part in (0.0, PART))
    assert (with_parts >= without - 1e-6).all()
    assert (with_parts <= without.clamp(min=PART) + 1e-6).all()


def test_names_of_many_words_have_a_limited_number_of_parts() -> None:
    long = " ".join(f"w{number}" for number in range(100))
    side = _side(Lexical(BUCKETS, part=PART), [(long, "other")])
    assert (side["gram"][0, -1] > 0).sum() == 64 * HASHES


def test_strangers_in_the_same_bucket_are_no_part() -> None:
    draw = random.Random(0)
    names = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=10)) for _ in range(4000)]
    unit = Lexical(2**14, part=PART)
    unit.fit(names)
    entities = [(f"{one} {other}",) for one, other in zip(names[::2], names[1::2], strict=True)]
    scores = unit.score(_mention_side(unit, names[:100]), _side(unit, entities))
    assert (scores >= PART - 1e-6).nonzero()[:, 1].tolist() == [number // 2 for number in range(100)]


def _folding(mention: str, *entities: str, part: float = PART) -> list[float]:
    unit = Lexical(BUCKETS, part=part, fold=True)
    unit.fit([*NAMES, *entities])
    return unit.score(_mention_side(unit, [mention]), _side(unit, [(name,) for name in entities]))[0].tolist()


@pytest.mark.parametrize(
    ("mention", "name"),
    [
        ("Cafe\u0301 Mu\u0308ller", "Café Müller"),
        ("Guinea\u200b", "Guinea"),
        ("\ufeffGuinea", "Guinea"),
        ("Côte d’Ivoire", "Côte d'Ivoire"),
        ("Guinea‑Bissau", "Guinea-Bissau"),
        ("STRASSE", "Straße"),
    ],
)
@pytest.mark.parametrize("part", [0.0, PART])
def test_names_that_look_the_same_score_one(mention: str, name: str, part: float) -> None:
    assert _folding(mention, name, part=part)[0] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("exact", "folded", "other"), [("Müller", "Muller", "Möller"), ("Łódź", "Lodz", "Łomża")])
def test_an_exact_form_is_better_than_a_folded_one_and_that_better_than_none(
    exact: str, folded: str, other: str
) -> None:
    for mention, names in {exact: (exact, folded, other), folded: (folded, exact, other)}.items():
        scores = _folding(mention, *names)
        assert scores[0] > scores[1] > scores[2]
        whole = _folding(mention, *(f"Anna {name}" for name in names))
        assert whole[0] > whole[1] > whole[2]


def test_without_folding_only_case_is_one() -> None:
    unit = Lexical(BUCKETS)
    assert _scores(unit, [("GUINEA",)], [("Guinea",)]) == pytest.approx(1, abs=1e-5)
    assert _scores(unit, [("Guinea\u200b",)], [("Guinea",)]) < 0.95


def _exact(mention: str, *entities: tuple[str, ...], exact: float = 1.0) -> list[float]:
    unit = Lexical(BUCKETS, part=PART, fold=True, exact=exact)
    unit.fit([*NAMES, *(name for names in entities for name in names)])
    return unit.score(_mention_side(unit, [mention]), _side(unit, entities))[0].tolist()


@pytest.mark.parametrize(
    ("mention", "name"),
    [("Guinea", "Guinea"), ("guinea", "Guinea"), ("Mali Mali mali", "Mali Mali mali"), ("北京", "北京")],
)
@pytest.mark.parametrize("exact", [0.5, 1.0, 3.0])
def test_a_surface_that_is_all_of_a_name_counts_more(mention: str, name: str, exact: float) -> None:
    scores = _exact(mention, ("Else", name), (f"{name} Minor",), ("Xanadu",), exact=exact)
    assert scores[0] == pytest.approx(1 + exact, abs=1e-4)
    assert max(scores[1:]) <= 1 + 1e-5


def test_names_that_are_only_alike_count_as_without_it() -> None:
    entities = [("Guinea-Bissau",), ("Equatorial Guinea", "Guinea Ecuatorial"), ("Guineas",)]
    assert _exact("Guinea", *entities) == pytest.approx(_exact("Guinea", *entities, exact=0.0))


def test_without_its_diacritics_a_name_is_exact_but_less() -> None:
    with_marks, without, part = _exact("Muller", ("Müller",), ("Muller",), ("Muller Ann",))
    assert without > with_marks > part
    assert with_marks > 1.5


@pytest.mark.parametrize(
    "name", ["", " ", "a", "New York", "New  York\u00a0City", "ΣΑΣ ΟΔΟΣ", "İstanbul 2", "a\tb\nc", "北京 市"]
)
def test_words_have_the_n_grams_that_scikit_learn_gives_the_whole_name(name: str) -> None:
    analyse = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4)).build_analyzer()
    assert list(gram_places(name, BUCKETS)) == [abs(murmurhash3_32(gram)) % BUCKETS for gram in analyse(name)]
