from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from melder.features import Features, Heads, Rows, Side, concatenate
from melder.further_pictures import FurtherPictures
from units.made import features, lacking

COUNT = 5
SELECTIONS: dict[str, Rows] = {
    "slice": slice(1, 4),
    "nothing": slice(0, 0),
    "numbers": torch.tensor([4, 0, 0]),
    "mask": torch.tensor([True, False, False, True, True]),
}


def _same(one: Features, other: Features) -> bool:
    ours, theirs = one.tensors(), other.tensors()
    tensors = ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    return (
        tensors
        and (one.surfaces is None) == (other.surfaces is None)
        and list(one.surfaces or []) == list(other.surfaces or [])
    )


@pytest.mark.parametrize("rows", SELECTIONS.values(), ids=SELECTIONS)
def test_rows_are_taken_of_everything(rows: Rows) -> None:
    given_features = features(COUNT, 1)
    chosen = given_features[rows]
    numbers = torch.arange(COUNT)[rows].tolist()
    assert len(chosen) == len(numbers)
    assert chosen.surfaces is not None
    assert list(chosen.surfaces) == [given_features.surfaces[number] for number in numbers]  # type: ignore[index]
    for name, tensor in given_features.tensors().items():
        assert torch.equal(chosen.tensors()[name], tensor[numbers])


def test_what_is_absent_stays_absent() -> None:
    blind = replace(features(COUNT, 1, vision=False), surfaces=None, text_mask=None)[1:3]
    assert blind.image_global is blind.image_tokens is blind.image_mask is blind.text_mask is blind.surfaces is None


def test_text_is_there_where_a_token_is_valid() -> None:
    given_features = lacking(features(COUNT, 1), text=[1, 4])
    assert given_features.has_text.tolist() == [True, False, True, True, False]
    assert replace(given_features, text_mask=None).has_text.all()


def test_pictures_are_there_unless_the_mask_says_otherwise_or_there_is_no_vision() -> None:
    given_features = lacking(features(COUNT, 1), image=[0])
    assert given_features.has_image.tolist() == [False, True, True, True, True]
    assert replace(given_features, image_mask=None).has_image.all()
    assert not features(COUNT, 1, vision=False).has_image.any()


def test_both_are_there_where_text_and_picture_are() -> None:
    given_features = lacking(features(COUNT, 1), text=[0], image=[1])
    assert Heads(**given_features.tensors()).has_both.tolist() == [False, False, True, True, True]


@pytest.mark.parametrize("masked", [True, False])
def test_without_hides_text_with_its_surfaces_and_pictures(masked: bool) -> None:
    given_features = features(COUNT, 1)
    if not masked:
        given_features = replace(given_features, text_mask=None, image_mask=None)
    gone = torch.tensor([True, False, False, False, True])
    hidden = given_features.without(text=gone, image=~gone)
    assert torch.equal(hidden.has_text, ~gone)
    assert torch.equal(hidden.has_image, gone)
    assert [bool(names) for names in hidden.surfaces or ()] == (~gone).tolist()
    assert given_features.has_text.all()
    assert given_features.has_image.all()


def test_without_vision_there_is_no_picture_to_hide() -> None:
    blind = features(COUNT, 1, vision=False)
    assert blind.without(image=torch.ones(COUNT, dtype=torch.bool)).image_mask is None


def test_masks_keep_their_type_when_features_change_theirs() -> None:
    half = features(COUNT, 1).to(torch.float16)
    kinds = {name: tensor.dtype for name, tensor in half.tensors().items()}
    assert {kind for name, kind in kinds.items() if "mask" not in name} == {torch.float16}
    assert kinds["text_mask"] == kinds["image_mask"] == torch.bool
    assert features(COUNT, 1).to(dtype=torch.float64).text_mask.dtype == torch.bool  # type: ignore[union-attr]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_cut_and_concatenated_features_are_the_same(sizes: list[int]) -> None:
    whole = features(sum(sizes), 1)
    ends = torch.tensor(sizes).cumsum(dim=0).tolist()
    parts = [whole[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    assert _same(concatenate(parts), whole)


def test_shorter_texts_are_padded_with_tokens_that_are_not_valid() -> None:
    short, long = replace(features(2, 1, length=3), text_mask=None), features(3, 2, length=6)
    together = concatenate([short, long])
    assert together.text_tokens.shape[:2] == (5, 6)
    assert together.text_mask is not None
    assert together.text_mask[:2].tolist() == [[True] * 3 + [False] * 3] * 2
    assert torch.equal(together.text_tokens[:2, :3], short.text_tokens)
    assert not together.text_tokens[:2, 3:].any()
    assert torch.equal(together.text_tokens[2:], long.text_tokens)


def test_concatenated_features_stay_on_their_device() -> None:
    elsewhere = replace(features(2, 1).to("meta"), text_mask=None, image_mask=None)
    assert {tensor.device.type for tensor in concatenate([elsewhere, elsewhere]).tensors().values()} == {"meta"}


def _side(rows: int, tokens: int = 3) -> Side:
    draw = torch.Generator().manual_seed(rows)
    tensors: dict[str, Tensor] = {
        "query": torch.randn(rows, tokens, 2, generator=draw),
        "present": torch.ones(rows) > 0,
    }
    return Side.join({"text": Side(tensors), "textual": Side({"bucket": torch.arange(rows, dtype=torch.int32)})})


def test_a_side_is_the_join_of_its_parts() -> None:
    side = _side(4)
    assert list(side) == ["text.query", "text.present", "textual.bucket"]
    assert len(side) == 3
    assert side.rows == 4
    assert list(side.part("text")) == ["query", "present"]
    joined = Side.join({name: side.part(name) for name in ("text", "textual")})
    assert all(joined[name] is side[name] for name in side)


@pytest.mark.parametrize("rows", [slice(1, 3), torch.tensor([3, 1]), torch.tensor([True, False, False, True])])
def test_a_side_gives_rows_of_all_its_tensors(rows: Rows) -> None:
    side = _side(4)
    taken = side.take(rows)
    assert taken.rows == 2
    assert all(torch.equal(taken[name], side[name][rows]) for name in side)


def test_only_the_numbers_of_a_side_change_their_type() -> None:
    kinds = {name: tensor.dtype for name, tensor in _side(2).to(torch.float16).items()}
    assert kinds == {"text.query": torch.float16, "text.present": torch.bool, "textual.bucket": torch.int32}


def test_concatenated_sides_are_padded_to_the_longest() -> None:
    short, long = _side(2, tokens=2), _side(3, tokens=4)
    together = concatenate([short, long])
    assert together["text.query"].shape == (5, 4, 2)
    assert torch.equal(together["text.query"][:2, :2], short["text.query"])
    assert not together["text.query"][:2, 2:].any()
    assert torch.equal(together["text.query"][2:], long["text.query"])
    assert together["textual.bucket"].tolist() == [0, 1, 0, 1, 2]


COUNTS = [2, 0, 3, 1, 0]


def pictured(counts: list[int] = COUNTS) -> Features:
    """Features whose further pictures are numbered by item and place."""
    numbers = torch.tensor([10.0 * row + place for row, count in enumerate(counts) for place in range(1, count + 1)])
    given_features = features(len(counts), 1)
    further = FurtherPictures(
        torch.tensor(counts),
        numbers[:, None].expand(-1, 9),
        numbers[:, None, None].expand(-1, 4, 14),
        torch.ones(len(numbers), dtype=torch.bool),
    )
    return replace(given_features, further=further)


def numbers_of(given_features: Features) -> list[list[int]]:
    assert given_features.further is not None
    assert len(given_features.further) == len(given_features)
    values = given_features.further.image_global[:, 0].split(given_features.further.counts.tolist())
    return [part.int().tolist() for part in values]


@pytest.mark.parametrize("rows", SELECTIONS.values(), ids=SELECTIONS)
def test_further_pictures_go_with_their_rows(rows: Rows) -> None:
    every = [[10 * row + place for place in range(1, count + 1)] for row, count in enumerate(COUNTS)]
    assert numbers_of(pictured()[rows]) == [every[row] for row in torch.arange(COUNT)[rows].tolist()]


def test_further_pictures_are_joined_with_items_that_have_none() -> None:
    joined = concatenate([features(2, 3), pictured([1]), features(1, 4)])
    assert numbers_of(joined) == [[], [], [1], []]
    assert concatenate([features(2, 3), features(1, 4)]).further is None


def test_each_further_picture_has_the_text_of_its_item() -> None:
    given_features = pictured()
    views = given_features.further_views()
    assert views is not None
    owners = torch.tensor([0, 0, 2, 2, 2, 3])
    assert torch.equal(views.text_tokens, given_features.text_tokens[owners])
    assert views.image_global is not None
    assert views.image_global[:, 0].tolist() == [1, 2, 21, 22, 23, 31]
    assert features(2, 1).further_views() is None


def test_who_loses_the_picture_loses_all_of_them() -> None:
    bare = pictured().without(image=torch.tensor([True, False, False, True, False]))
    assert numbers_of(bare) == [[], [], [21, 22, 23], [], []]
    assert pictured().to(torch.float16).further.image_tokens.dtype == torch.float16  # type: ignore[union-attr]
