"""What exemplars add to scores: how it shrinks, what it stands, and that every search finds the same with it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from melder.features import Features, Side
from melder.kb.exemplars import ExemplarRecord, Exemplars, join_exemplars
from melder.search.exemplars.memory import UNIT, ExemplarMemory, adjustments_of, global_vectors
from melder.search.exemplars.search import ExemplarSearch
from melder.search.exemplars.similarity import Similarity
from melder.search.filters import EntityFilter, Types
from melder.search.resolver import build_search
from rounding import close
from search.test_searches import ENTITIES, Held, made
from units.made import TERMS

WIDTH = 24
CONDITION = 32  # at least the largest variance of the vectors below over the smallest, once there is a ridge


def directions(count: int, seed: int = 0) -> Tensor:
    return normalize(torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed)), dim=1)


def photographs(entity: int, count: int, seed: int) -> Tensor:
    """Pictures of an entity: its own direction, and what differs from one to the next."""
    noise = torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(1000 * entity + seed))
    return normalize(directions(40)[entity] + 0.15 * noise, dim=1)


def exemplars(entity: int, count: int, surface: str = "it", seed: int = 0) -> Exemplars:
    records = [ExemplarRecord(f"{entity}-{seed}-{number}", str(entity), surface) for number in range(count)]
    return Exemplars(records, torch.zeros(count, 8), photographs(entity, count, seed), torch.ones(count))


def memory(*parts: Exemplars) -> ExemplarMemory:
    joined = join_exemplars(parts)
    return ExemplarMemory(joined, {record.entity: int(record.entity) for record in joined.records})


def asked(entity: int, surface: str = "it", count: int = 1, picture: bool = True) -> Features:
    return Features(
        text_global=torch.zeros(count, 8),
        text_tokens=torch.zeros(count, 1, 8),
        image_global=photographs(entity, count, seed=7),
        image_tokens=torch.zeros(count, 1, 8),
        image_mask=torch.full((count,), picture),
        surfaces=[(surface,)] * count,
    )


def test_exemplars_speak_for_the_entity_that_they_show_and_against_the_others() -> None:
    added = memory(*(exemplars(entity, 5) for entity in range(8))).adjustments(asked(3, count=6))
    assert (added.argmax(dim=1) == 3).all()
    assert (added[:, 3] > 0).all()
    assert added[:, [0, 1, 2, 4, 5, 6, 7]].mean() < 0


def test_what_is_said_for_and_against_an_entity_grows_with_the_number_of_its_exemplars() -> None:
    few, more = (memory(*(exemplars(entity, count) for entity in range(8))) for count in (1, 8))
    for_few, for_more = few.adjustments(asked(3)), more.adjustments(asked(3))
    assert 0 < for_few[0, 3] < for_more[0, 3]
    assert for_more[0, 0] < for_few[0, 0] < 0


def test_a_single_exemplar_in_all_is_found_again_and_does_little_elsewhere() -> None:
    alone = memory(exemplars(3, 1, surface="the small green ones"))
    same = Features(**{**asked(3, "The small green  ones").__dict__, "image_global": photographs(3, 1, seed=0)})
    assert alone.adjustments(same)[0, 0] > 1
    assert -3 < alone.adjustments(asked(5, "pears"))[0, 0] < 0


def test_the_surface_counts_and_is_compared_as_people_compare_names() -> None:
    names = memory(*(exemplars(entity, 3, surface=f"Name {entity}") for entity in range(8)))
    for surface in ("name 2", "NAME  2", "Ｎame 2"):
        assert int(names.adjustments(asked(9, surface, picture=False)).argmax()) == 2


def test_a_mention_without_a_picture_is_judged_by_mentions_without_one() -> None:
    learned = memory(*(exemplars(entity, 5, surface=f"name {entity}") for entity in range(8)))
    blind, seeing = (learned.adjustments(asked(3, "name 3", picture=picture)) for picture in (False, True))
    assert blind[0].argmax() == seeing[0].argmax() == 3
    assert blind[0, 3] > 0


def test_the_order_of_learning_changes_nothing() -> None:
    parts = [exemplars(entity, 4) for entity in range(6)]
    mentions = asked(2, count=3)
    assert torch.equal(memory(*parts).adjustments(mentions), memory(*reversed(parts)).adjustments(mentions))


@pytest.mark.parametrize("share", [0.1, 0.2])
def test_a_few_wrong_ones_do_not_spoil_an_entity(share: float) -> None:
    count, entities = 10, range(12)
    parts = [exemplars(entity, count, surface="apple") for entity in entities]
    right, wrong = memory(*parts), memory(*poisoned(parts, share))
    hits = [sum(recognised(learned, entity) for entity in entities) for learned in (right, wrong)]
    assert hits[0] > 0.9 * 8 * len(entities)
    assert hits[1] >= 0.95 * hits[0]


def recognised(learned: ExemplarMemory, entity: int) -> int:
    """How many of eight new photographs of an entity speak for it most."""
    return int((learned.adjustments(asked(entity, "apple", count=8)).argmax(dim=1) == entity).sum())


def poisoned(parts: Sequence[Exemplars], share: float) -> list[Exemplars]:
    """The first exemplars of each entity say that they are the next entity's."""
    changed = []
    for number, part in enumerate(parts):
        following = parts[(number + 1) % len(parts)].records[0].entity
        records = [
            record._replace(entity=following) if place < share * len(part) else record
            for place, record in enumerate(part.records)
        ]
        changed.append(Exemplars(records, part.text, part.image, part.scale))
    return changed


def test_words_say_how_often_and_as_what_an_entity_was_seen() -> None:
    learned = memory(exemplars(1, 5, "granny smith"), exemplars(1, 1, "the green one", seed=1), exemplars(2, 2, ""))
    assert learned.words(1, "Granny Smith") == "seen 5 times as 'granny smith'"
    assert learned.words(1, "the green one") == "seen once as 'the green one'"
    assert learned.words(1, "apple") == "seen 6 times, most often as 'granny smith', never as 'apple'"
    assert learned.words(2, "apple") == "seen twice, never as 'apple'"
    assert learned.words(7, "apple") is None


def test_similarity_is_that_of_cosines_where_there_are_few_and_ignores_what_is_missing() -> None:
    vectors, present = directions(6), torch.tensor([True] * 5 + [False])
    similarity = Similarity(vectors, present, torch.arange(6))
    alike = similarity.of(vectors, present)
    assert (alike[:5, :5].argmax(dim=1) == torch.arange(5)).all()
    assert not alike[5].any()
    assert not alike[:, 5].any()


@pytest.mark.parametrize(("count", "entities"), [(2, 1), (9, 9), (60, 7), (300, 30)])
def test_similarity_is_the_cosine_of_vectors_whitened_by_exemplars(count: int, entities: int) -> None:
    generator = torch.Generator().manual_seed(count)
    spread = torch.linspace(0.2, 3.0, WIDTH)
    vectors, owner = torch.randn(count, WIDTH, generator=generator) * spread, torch.arange(count) % entities
    vectors += directions(entities, seed=1)[owner]
    similarity = Similarity(vectors, torch.ones(count, dtype=torch.bool), owner)
    cosines = similarity.vectors @ similarity.vectors.t()
    assert close(cosines, whitened_cosines(vectors.double(), owner).float(), terms=CONDITION * (count + WIDTH))


def whitened_cosines(vectors: Tensor, owner: Tensor) -> Tensor:
    """As the module's formula says it, with the root of the matrix."""
    count = len(vectors)
    centred = vectors - vectors.sum(dim=0) / (count + 16)
    groups = [centred[owner == entity] for entity in owner.unique()]
    several = [group for group in groups if len(group) > 1]
    within = sum(
        ((group - group.mean(dim=0)).t() @ (group - group.mean(dim=0)) * len(group) / (len(group) - 1)).double()
        for group in several
    )
    of_within = sum(len(group) for group in several)
    every = centred.t() @ centred / count
    mean_variance = every.trace() / WIDTH
    covariance = within / (of_within + 100) if several else torch.zeros_like(every)
    covariance = covariance + 0.1 * every * count / (count + 100)
    covariance += (0.1 + 0.1 * 100 / (count + 100)) * mean_variance * torch.eye(WIDTH)
    variance, axes = torch.linalg.eigh(covariance)
    whitened = normalize(centred @ (axes / variance.sqrt()) @ axes.t(), dim=1)
    return whitened @ whitened.t()


@pytest.mark.parametrize("name", ["certified", "flat", "hnsw"])
@pytest.mark.parametrize("k", [1, 10])
def test_every_search_finds_what_scoring_all_finds(name: str, k: int) -> None:
    matcher, mentions, entities = made("m3el")
    learned, source = learned_of(mentions), Held(matcher.entity_side(entities))
    side = learned.beside(matcher.mention_side(mentions), mentions)
    added = adjustments_of(side)
    assert added is not None
    search = build_search(name, matcher, source)
    if name != "certified":
        search.near = search.named = search.kept = ENTITIES  # type: ignore[attr-defined]
    with torch.inference_mode():
        whole = learned.added_to(torch.arange(ENTITIES), added)
        expected = (matcher.score(side, source.whole).total + whole).topk(k, dim=1)
    assert (expected.indices[:, :1] != matcher.score(side, source.whole).total.topk(1, dim=1).indices).any()
    for row, best in enumerate(ExemplarSearch(search, matcher, source, learned).best(side, added, k)):
        assert close(best.totals[0], expected.values[row], TERMS)
        assert close(sum(best.parts.values())[0], best.totals[0], TERMS)  # type: ignore[index]
        assert close(best.parts[UNIT][0], whole[row, best.rows[0]], TERMS)


def test_only_the_entities_of_a_filter_are_found() -> None:
    matcher, mentions, entities = made("m3el")
    learned, source = learned_of(mentions), Typed(matcher.entity_side(entities))
    side = learned.beside(matcher.mention_side(mentions), mentions)
    added = adjustments_of(side)
    assert added is not None
    among = EntityFilter(Types(("odd",)), source)  # type: ignore[arg-type]
    search = ExemplarSearch(build_search("certified", matcher, source), matcher, source, learned)
    with torch.inference_mode():
        totals = matcher.score(side, source.whole).total + learned.added_to(torch.arange(ENTITIES), added)
    for row, best in enumerate(search.best(side, added, 5, among)):
        assert close(best.totals[0], totals[row, 1::2].topk(5).values, TERMS)


class Typed(Held):
    """Every other entity is of the type odd."""

    def typed(self, types: Sequence[str], *, every: bool = False) -> object:
        return torch.arange(1, ENTITIES, 2).numpy()


def learned_of(mentions: Features) -> ExemplarMemory:
    """A memory in which each mention means an entity of its own, with a scale at which that decides."""
    text, image = global_vectors(mentions)
    surfaces = mentions.surfaces or []
    records = [
        ExemplarRecord(f"{row:03d}", str(7 * row + row % 2), "".join(names)) for row, names in enumerate(surfaces)
    ]
    rows = {record.entity: int(record.entity) for record in records}
    return ExemplarMemory(Exemplars(records, text, image, torch.full((len(records),), 0.5)), rows)


def test_a_side_without_adjustments_has_none() -> None:
    assert adjustments_of(Side({"text.present": torch.ones(2)})) is None
