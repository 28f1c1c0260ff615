"""Searches that do not score every entity, against scoring every entity."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from melder.features import Features, Scores, Side, Sizes
from melder.io.checksums import WholeFile, digest_blocks
from melder.kb.format.arrays import write_arrays
from melder.kb.format.codebook import CodebookFile
from melder.kb.format.fewer_tokens import with_fewer_tokens
from melder.kb.format.learning_codebooks import learn_codebook
from melder.kb.format.mapped_arrays import MappedArrays
from melder.kb.format.packing import pack, restore
from melder.kb.format.rounding import BITS, StorageDtype
from melder.methods import build_matcher, method_of
from melder.methods.clip import CLIPConfiguration
from melder.methods.m3el import M3ELConfiguration
from melder.methods.matcher import UnitMatcher
from melder.methods.mimic import MIMICConfiguration
from melder.methods.ot_mel import OTMELConfiguration
from melder.methods.pgmel import PGMELConfiguration
from melder.records import Entity, MelderError
from melder.search import two_stage
from melder.search.bounded import BoundedSearch, UpperBounds
from melder.search.candidates import entity_vectors, mention_vectors
from melder.search.resolver import build_search
from melder.search.two_stage import TwoStage
from rounding import close, rounding
from units.made import BLIND, SIZES, TERMS, features, lacking

MENTIONS, ENTITIES = 20, 300
METHODS = {
    "m3el": M3ELConfiguration(hidden=8, image_width=7),
    "m3el without names": M3ELConfiguration(hidden=8, image_width=7, lexical=False, cross="uni"),
    "m3el, published": M3ELConfiguration(hidden=8, image_width=7, published=True),
    "m3el by transport": M3ELConfiguration(hidden=8, image_width=7, assignment="transport"),
    "m3el, whitened and weighed": M3ELConfiguration(hidden=8, image_width=7, whiten=True, unit_weights="fitted"),
    "m3el, gated": M3ELConfiguration(hidden=8, image_width=7, whiten=True, unit_weights="gated"),
    "m3el, gated without names": M3ELConfiguration(hidden=8, image_width=7, unit_weights="gated", lexical=False),
    "clip, gated": CLIPConfiguration(unit_weights="gated"),
    "mimic": MIMICConfiguration(hidden=8, image_width=7),
    "mimic of the figure": MIMICConfiguration(hidden=8, image_width=7, variant="figure"),
    "clip": CLIPConfiguration(),
    "clip, fitted": CLIPConfiguration(temperature=1.0, whiten=("text", "image"), calibrated=True, lexical_exact=1.0),
    "ot_mel": OTMELConfiguration(hidden=8, token_width=9),
    "pgmel": PGMELConfiguration(hidden=8),
}


class Held:
    """Sides as a source gives them."""

    has_records = True

    def __init__(self, side: Side, step: int = 128) -> None:
        self.whole, self.step = side, step

    def __len__(self) -> int:
        return self.whole.rows

    def blocks(self) -> Iterator[tuple[int, Side]]:
        for first in range(0, len(self), self.step):
            yield first, self.whole.take(slice(first, first + self.step))

    def side(self, rows: Tensor, units: Collection[str] | None = None) -> Side:
        return (self.whole if units is None else self.whole.only(units)).take(rows)

    def rows(self, identities: Sequence[str]) -> dict[str, int]:
        return {each: int(each) for each in identities}

    def records(self, rows: Sequence[int]) -> list[Entity]:
        return [Entity(id=str(row)) for row in rows]


def some(count: int, seed: int, vision: bool) -> Features:
    given = features(count, seed, vision=vision, aliases=2)
    rows = list(range(0, count, 9))
    return lacking(given, text=rows[1:4], image=rows[3:]) if vision else lacking(given, text=rows[1:4])


def made(name: str, seed: int = 0, sizes: Sizes = SIZES) -> tuple[UnitMatcher, Features, Features]:
    """A matcher with random weights, mentions and entities."""
    torch.manual_seed(seed)
    matcher = build_matcher(METHODS[name], sizes).eval()
    with torch.no_grad():
        for parameter in matcher.parameters():
            if parameter.dim() < 2:
                parameter.add_(0.3 * torch.randn_like(parameter))
    vision = sizes.image_global is not None
    if (fit := method_of(METHODS[name]).fitting(METHODS[name])) is not None:
        fit(matcher, some(ENTITIES, 2 * seed + 2, vision))
    if matcher.weighted:
        matcher.set_unit_weights({name: 0.4 + number for number, name in enumerate(matcher.names_in_use())})
    if matcher.gate is not None:
        with torch.no_grad():
            matcher.gate.learn_entities(matcher.entity_side(some(ENTITIES, 2 * seed + 2, vision)))
            matcher.gate.learn_mentions(matcher.mention_side(some(MENTIONS, 2 * seed + 1, vision)))
        matcher.gate.slopes.normal_(std=0.3)
    return matcher, some(MENTIONS, 2 * seed + 1, vision), some(ENTITIES, 2 * seed + 2, vision)


def stored(matcher: UnitMatcher, side: Side, kind: StorageDtype, path: Path, tokens: int | None = None) -> Side:
    """A side as a knowledge base gives it back."""
    declared, codebook, file = matcher.entity_tensors, None, None
    side = side if tokens is None else with_fewer_tokens(side, declared, tokens)
    if kind in BITS:
        codebook = learn_codebook(side, declared, BITS[kind])
        codebook.save(path.with_suffix(".codebook"))
        file = CodebookFile(path.with_suffix(".codebook"), WholeFile.of(path.with_suffix(".codebook")))
    packed = pack(side, kind, declared, codebook)
    places = write_arrays(path, packed.arrays, packed.by_row, dense=kind in BITS)
    return restore(MappedArrays(path, places, digest_blocks(path), packed.flat, codebook=file), slice(0, side.rows))


def check(matcher: UnitMatcher, mentions: Side, source: Held, k: int) -> BoundedSearch:
    """The certified search answers exactly as scoring all entities does."""
    search = BoundedSearch.build(matcher, source)
    with torch.inference_mode():
        scores = matcher.score(mentions, source.whole).total
    expected = scores.topk(k, dim=1)
    for row, best in enumerate(search.best(mentions, k)):
        assert close(best.totals[0], expected.values[row], TERMS)
        assert close(scores[row, best.rows[0]], expected.values[row], TERMS)
        assert close(sum(best.parts.values())[0], best.totals[0], TERMS)  # type: ignore[index]
    return search


@pytest.mark.parametrize("k", [1, 10])
@pytest.mark.parametrize("sizes", [SIZES, BLIND], ids=["vision", "blind"])
@pytest.mark.parametrize("name", METHODS)
def test_certified_is_exact_for_every_method(name: str, sizes: Sizes, k: int) -> None:
    matcher, mentions, entities = made(name, sizes=sizes)
    with torch.inference_mode():
        check(matcher, matcher.mention_side(mentions), Held(matcher.entity_side(entities)), k)


@pytest.mark.parametrize(
    ("kind", "tokens", "matchers"),
    [
        ("float32", None, 1),
        ("float16", None, 1),
        ("int8", None, 10),
        ("residual2", 3, 2),
        ("residual1", 1, 2),
        ("float32", 2, 1),
    ],
)
def test_certified_is_exact_on_many_mentions_of_stored_sides(
    kind: StorageDtype, tokens: int | None, matchers: int, tmp_path: Path
) -> None:
    for seed in range(matchers):
        matcher, _, entities = made("m3el", seed)
        mentions = some(100, 1000 + seed, vision=True)
        with torch.inference_mode():
            side = stored(matcher, matcher.entity_side(entities), kind, tmp_path / f"{seed}.bin", tokens)
            check(matcher, matcher.mention_side(mentions), Held(side), 1 + seed % 3)


def test_certified_scores_few_where_the_local_part_is_small() -> None:
    matcher, mentions, entities = made("m3el")
    with torch.no_grad():
        for name in ("text", "image"):
            matcher.units[name].target.weight.mul_(0.01)  # type: ignore[union-attr, operator]
    search = check(matcher, matcher.mention_side(mentions), Held(matcher.entity_side(entities)), 1)
    assert search.scored < 0.25 * MENTIONS * ENTITIES


@pytest.mark.parametrize("name", METHODS)
def test_upper_bounds_are_above_every_score(name: str) -> None:
    matcher, mentions, entities = made(name, seed=3)
    sides = matcher.mention_side(mentions), matcher.entity_side(entities)
    search = BoundedSearch.build(matcher, Held(sides[1]))
    with torch.inference_mode():
        scores = matcher.score(*sides).total
        queries = matcher.mention_bounds(sides[0])
    for row in range(MENTIONS):
        bounds = search.upper_bounds(sides[0].take(slice(row, row + 1)), queries[row]).values
        assert (bounds >= scores[row]).all()


@pytest.mark.parametrize("name", ["m3el", "m3el without names", "mimic"])
def test_ranks_by_upper_bounds_are_the_exact_ranks(name: str) -> None:
    matcher, mentions, entities = made(name)
    sides = matcher.mention_side(mentions), matcher.entity_side(entities)
    search, gold = BoundedSearch.build(matcher, Held(sides[1])), torch.arange(MENTIONS) * 13
    with torch.inference_mode():
        scores = matcher.score(*sides).total.double()
    own = scores.gather(1, gold[:, None])
    ranks = search.ranks(sides[0], gold)
    apart = rounding(TERMS, float(scores.abs().max()))
    assert (ranks.optimistic >= 1 + (scores > own + apart).sum(dim=1).numpy()).all()
    assert (ranks.pessimistic <= (scores >= own - apart).sum(dim=1).numpy()).all()
    assert (ranks.optimistic <= ranks.pessimistic).all()


@pytest.mark.parametrize("name", ["m3el", "clip", "m3el without names"])
def test_two_stages_are_exact_when_every_entity_is_a_candidate(name: str) -> None:
    matcher, mentions, entities = made(name)
    sides = matcher.mention_side(mentions), matcher.entity_side(entities)
    search = TwoStage.build(matcher, Held(sides[1]), "flat")
    search.near = search.named = search.kept = ENTITIES
    with torch.inference_mode():
        expected = matcher.score(*sides).total.topk(5, dim=1).values
    found = torch.cat([best.totals for best in search.best(sides[0], 5)])
    assert close(found, expected, TERMS)


def test_two_stages_score_only_candidates_of_either_index() -> None:
    matcher, mentions, entities = made("m3el")
    sides = matcher.mention_side(mentions), matcher.entity_side(entities)
    search = TwoStage.build(matcher, Held(sides[1]), "flat")
    search.near = search.named = 7
    candidates = [each.rows for each in search.candidates(sides[0], 3)]
    assert all(7 <= len(each) <= 14 for each in candidates[4:])
    assert search.parts[0].index is not None
    assert search.parts[0].names is not None
    search.best(sides[0], 3)
    assert search.scored == sum(map(len, candidates))


@pytest.mark.parametrize("pairs", [1, 50, 10_000])
@pytest.mark.parametrize("name", METHODS)
def test_many_mentions_get_the_answers_of_one_by_one(name: str, pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(two_stage, "PAIRS", pairs)
    matcher, mentions, entities = made(name)
    if mentions.surfaces is not None:
        mentions.surfaces = [mentions.surfaces[row % 7] for row in range(MENTIONS)]  # several of one surface
    side, search = matcher.mention_side(mentions), TwoStage.build(matcher, Held(matcher.entity_side(entities)), "flat")
    search.near, search.named, search.kept = 15, 15, 20
    together = search.best(side, 5)
    for row in range(MENTIONS):
        (alone,) = search.best(side.take(slice(row, row + 1)), 5)
        assert alone.rows.tolist() == together[row].rows.tolist()
        assert close(alone.totals, together[row].totals, TERMS)


def test_an_entity_is_read_once_for_the_mentions_of_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    matcher, mentions, entities = made("m3el")
    side, source = matcher.mention_side(mentions), Held(matcher.entity_side(entities))
    search, read = TwoStage.build(matcher, source, "flat"), list[list[int]]()
    search.near, search.named, search.kept = 40, 40, 60
    candidates = [each.rows for each in search.candidates(side, 3)]
    take = source.side
    monkeypatch.setattr(
        source, "side", lambda entity_rows, units: read.append(entity_rows.tolist()) or take(entity_rows, units)
    )
    monkeypatch.setattr(two_stage, "PAIRS", 300)
    search.best(side, 3)
    assert 1 < len(read) < MENTIONS
    assert all(rows == sorted(set(rows)) and len(rows) <= 300 for rows in read)
    assert sum(map(len, read)) < sum(map(len, candidates)) == search.scored


@pytest.mark.parametrize(("entities", "near"), [(10, 64), (50_000, 64), (1_000_000, 125)])
def test_of_more_entities_more_are_candidates_by_vectors(entities: int, near: int) -> None:
    assert TwoStage(made("clip")[0], range(entities), []).near == near  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["m3el", "m3el without names", "clip"])
def test_of_the_candidates_the_likeliest_are_kept(name: str) -> None:
    matcher, mentions, entities = made(name)
    sides = matcher.mention_side(mentions), matcher.entity_side(entities)
    search = TwoStage.build(matcher, Held(sides[1]), "flat")
    search.kept = ENTITIES
    everyone = [each.rows for each in search.candidates(sides[0], 2)]
    search.kept = 20
    chosen = [each.rows for each in search.candidates(sides[0], 2)]
    likely = mention_vectors(matcher, sides[0]) @ entity_vectors(matcher, sides[1]).t()
    if matcher.lexical is not None:
        with torch.inference_mode():
            likely = likely + matcher.lexical.weight * matcher.lexical.score(*(side.part("lexical") for side in sides))
    for row, (kept, candidates) in enumerate(zip(chosen, everyone, strict=True)):
        assert len(kept) == 20 < len(candidates)
        assert set(kept.tolist()) <= set(candidates.tolist())
        least = likely[row, candidates].topk(20).values[-1]
        assert (likely[row, kept] >= least - 1e-2 * float(likely[row].abs().max())).all()


@pytest.mark.parametrize("name", ["certified", "flat"])
def test_of_equal_scores_the_first_entities_are_the_answer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever order they were scored in."""

    def level(matcher: UnitMatcher, mentions: Side, entities: Side, cosines: Tensor | None = None) -> Scores:
        return Scores(torch.zeros(mentions.rows, entities.rows), {})

    matcher, mentions, entities = made("m3el without names")
    monkeypatch.setattr(UnitMatcher, "score", level)
    monkeypatch.setattr(UnitMatcher, "contributions", lambda matcher, scores: scores.parts)
    search = build_search(name, matcher, Held(matcher.entity_side(entities)))
    if isinstance(search, BoundedSearch):
        bounds = UpperBounds(torch.rand(ENTITIES, generator=torch.Generator().manual_seed(0)), None)
        monkeypatch.setattr(
            BoundedSearch, "upper_bounds", lambda *arguments: bounds._replace(values=bounds.values.clone())
        )
    assert isinstance(search, BoundedSearch | TwoStage)
    side = matcher.mention_side(mentions)
    for row, best in enumerate(search.best(side, 40)):
        scored = range(ENTITIES)
        if isinstance(search, TwoStage):
            scored = search.candidates(side.take(slice(row, row + 1)), 40)[0].rows.tolist()
        assert best.rows.tolist() == [list(scored)[:40]]


def test_a_unit_without_a_bound_is_refused() -> None:
    matcher, _, entities = made("clip")
    side = matcher.entity_side(entities)
    bare = UnitMatcher(matcher.heads, {"text": Bare()})
    with pytest.raises(MelderError, match="the unit 'text' has no bound"):
        build_search("certified", bare, Held(side))
    with pytest.raises(MelderError, match="no vectors and no names"):
        build_search("flat", bare, Held(side))


def test_an_unknown_search_lists_those_that_there_are() -> None:
    matcher, _, entities = made("clip")
    with pytest.raises(MelderError, match="there is no search 'nearly'; there are certified, flat, hnsw, faiss"):
        build_search("nearly", matcher, Held(matcher.entity_side(entities)))


class Bare(nn.Module):
    """A unit that scores, and hands nothing out."""

    has_vectors = has_bounds = aligns = reads_pictures = False
