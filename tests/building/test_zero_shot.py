"""A knowledge base for which nothing was trained: every kind of evidence has the same noise, and names more than it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import torch
from safetensors.torch import save_file

import melder
from encoders import tiny_models
from melder.building.build import add_entities, build
from melder.building.zero_shot import name_weight
from melder.data import EntityFile
from melder.linking.exact import ExactLinker
from melder.records import Entity, Mention

ENTITIES = 64
NOISE = 1.0  # the deviation of the difference of two entities' evidence, √(2 · 2) / 2
WORDS = ["red", "kite", "apple", "green", "lake", "tower", "old", "bridge"]


def silent(title: str, total: int) -> Callable[[int], None]:
    return lambda done: None


def _name(number: int) -> str:
    return f"{WORDS[number % 8]} {WORDS[number // 8]} {number}"


def _write(folder: Path, *, narrow: float, count: int = ENTITIES) -> tuple[str, EntityFile]:
    """Entities, and an encoder that looks their pictures up: vectors around one mean, as far apart as `narrow` says."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = torch.Generator().manual_seed(0)
    vectors = 1 + narrow * torch.randn(2 * ENTITIES, 24, generator=draw)
    names = [f"{number}.png" for number in range(2 * ENTITIES)]
    tensors = {"image_global": vectors, "image_tokens": vectors[:, None].clone()}
    save_file(tensors, folder / "features.safetensors", metadata={"names": json.dumps(names)})
    rows = [{"id": f"E{n}", "name": _name(n), "images": [f"{n}.png"]} for n in range(count)]
    (folder / "entities.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    text = tiny_models.bert(folder / "bert")
    return f"precomputed:{folder / 'features.safetensors'}+{text}", EntityFile(folder / "entities.jsonl")


def _built(folder: Path, *, narrow: float = 0.1, count: int = ENTITIES) -> ExactLinker:
    encoder, source = _write(folder, narrow=narrow, count=count)
    build(folder / "kb", source, encoder=encoder, kind="float32", counting=silent)
    return cast(ExactLinker, melder.load(folder / "kb"))


@pytest.fixture(scope="module", params=[0.01, 0.1, 1.0])
def linker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ExactLinker:
    return _built(tmp_path_factory.mktemp("kb"), narrow=request.param)


def test_texts_and_pictures_have_the_same_noise_however_narrow_an_encoder_is(linker: ExactLinker) -> None:
    side = linker.source.side(torch.arange(ENTITIES))
    apart = ~torch.eye(ENTITIES, dtype=torch.bool)
    with torch.inference_mode():
        parts = linker.model.matcher.score(side, side).parts
    assert parts["image"][apart].std() == pytest.approx(1, rel=0.05)
    assert parts["text"][apart].std() == pytest.approx(1, rel=0.05)


def test_an_exact_and_unique_name_is_not_overruled_by_noise(linker: ExactLinker) -> None:
    mentions = [
        Mention(id=str(n), text=_name(n), start=0, end=len(_name(n)), surface=_name(n), image=f"{ENTITIES + n}.png")
        for n in range(ENTITIES)
    ]
    links = cast(list[melder.Link], linker.link(mentions))
    overruled = 0
    for number, link in enumerate(links):
        first, named = link.candidates[0], next(c for c in link.candidates if c.id == f"E{number}")
        if first.id != named.id:
            overruled += 1
            assert _evidence(first) - _evidence(named) > NOISE
    assert overruled <= 0.05 * ENTITIES  # pictures are drawn at random: a few are far from what they should be


def _evidence(candidate: melder.Candidate) -> float:
    """What texts and pictures add to the score: the mean of two, each with a deviation of 1."""
    return candidate.units["text"] + candidate.units["image"]


def test_its_own_picture_finds_an_entity_whose_name_is_shared(linker: ExactLinker) -> None:
    shared = [n for n in range(ENTITIES) if n % 8 == 0]  # all of them are called red
    mentions = [Mention(id=str(n), text="red", start=0, end=3, surface="red", image=f"{n}.png") for n in shared]
    links = cast(list[melder.Link], linker.link(mentions))
    assert [link.candidates[0].id for link in links] == [f"E{n}" for n in shared]


def test_a_missing_picture_is_worth_that_of_an_unrelated_entity(linker: ExactLinker) -> None:
    side = linker.source.side(torch.arange(ENTITIES))
    apart = ~torch.eye(ENTITIES, dtype=torch.bool)
    unit = linker.model.matcher.units["image"]  # type: ignore[attr-defined]
    with torch.inference_mode():
        scores = unit.score(side.part("image"), side.part("image"))[apart]
    assert float(unit.absent.constant.detach()) == pytest.approx(float(scores.mean()), abs=0.05)


def test_every_search_answers_alike(linker: ExactLinker) -> None:
    mentions = [Mention(id="m", text="old bridge", start=0, end=10, surface="old bridge", image="70.png")]
    exact = cast(list[melder.Link], linker.link(mentions))[0]
    for search in ("certified", "flat"):
        other = cast(ExactLinker, melder.load(linker.knowledge_base.directory, candidates=search))
        found = cast(list[melder.Link], other.link(mentions))[0]
        assert [candidate.id for candidate in found.candidates] == [candidate.id for candidate in exact.candidates]


def test_entities_that_are_added_are_scored_as_the_others(tmp_path: Path) -> None:
    linker = _built(tmp_path)
    more = EntityFile(tmp_path / "entities.jsonl")
    add_entities(tmp_path / "kb", [Entity(id="new", name="xanadu", images=("100.png",))], more)
    changed = cast(ExactLinker, melder.load(tmp_path / "kb"))
    mention = Mention(id="m", text="xanadu", start=0, end=6, surface="xanadu", image="100.png")
    (link,) = cast(list[melder.Link], changed.link([mention]))
    assert link.candidates[0].id == "new"
    old = Mention(id="m", text="red", start=0, end=3, surface="red", image="8.png")
    (before,), (after,) = (cast(list[melder.Link], each.link([old])) for each in (linker, changed))
    assert before.candidates[0] == after.candidates[0]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_few_entities_make_a_knowledge_base_too(count: int, tmp_path: Path) -> None:
    linker = _built(tmp_path, count=count)
    mention = Mention(id="m", text=_name(0), start=0, end=len(_name(0)), surface=_name(0), image="0.png")
    (link,) = cast(list[melder.Link], linker.link([mention]))
    assert link.candidates[0].id == "E0"
    assert all(math.isfinite(candidate.score) for candidate in link.candidates)


def test_the_order_of_the_table_changes_nothing(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    encoder, source = _write(one, narrow=0.1)
    _write(other, narrow=0.1)
    lines = (other / "entities.jsonl").read_text(encoding="utf-8").splitlines()
    (other / "entities.jsonl").write_text("\n".join(reversed(lines)), encoding="utf-8")
    build(one / "kb", source, encoder=encoder, counting=silent)
    build(other / "kb", EntityFile(other / "entities.jsonl"), encoder=encoder, counting=silent)
    states = [cast(ExactLinker, melder.load(folder / "kb")).model.state_dict() for folder in (one, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_names_weigh_what_noise_amounts_to() -> None:
    weights = [name_weight(count) for count in (1, 100, 10_000)]
    assert weights == sorted(weights)
    draw = torch.randn(50, 10_000, generator=torch.Generator().manual_seed(0))
    assert weights[-1] > draw.amax(dim=1).mean()
