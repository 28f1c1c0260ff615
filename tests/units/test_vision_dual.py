"""VDLU against its formulas, written out for one pair at a time, as the published code and as the figure have it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import melder.units.vision_dual
from melder.features import Heads, Side
from melder.units.vision_dual import Direction, Variant, VisionDual
from rounding import close
from units.made import TERMS

WIDTH, PATCHES, MENTIONS, ENTITIES = 6, 4, 3, 5
VARIANTS: list[Variant] = ["code", "figure"]
variants = pytest.mark.parametrize("variant", VARIANTS)


@variants
@pytest.mark.parametrize("scale", [1.0, 1e-3, 30.0])
def test_the_score_is_the_mean_of_both_directions(variant: Variant, scale: float) -> None:
    unit, mentions, entities = _unit(variant), _heads(MENTIONS, 1, scale), _heads(ENTITIES, 2, scale)
    found = unit.score(*_sides(unit, mentions, entities))
    expected = torch.empty(MENTIONS, ENTITIES)
    for m in range(MENTIONS):
        for e in range(ENTITIES):
            one = _direction(unit.entity_to_mention, _picture(entities, e), _picture(mentions, m))
            other = _direction(unit.mention_to_entity, _picture(mentions, m), _picture(entities, e))
            expected[m, e] = (one + other) / 2
    assert torch.allclose(found, expected, atol=1e-5 * float(expected.detach().abs().max()))


@variants
def test_gradients_are_those_of_the_formulas(variant: Variant) -> None:
    unit, mentions, entities = _unit(variant), _heads(1, 1), _heads(1, 2)
    parameters = [p for name, p in unit.named_parameters() if name != "absent.constant"]
    found = torch.autograd.grad(unit.score(*_sides(unit, mentions, entities)).sum(), parameters)
    one = _direction(unit.entity_to_mention, _picture(entities, 0), _picture(mentions, 0))
    other = _direction(unit.mention_to_entity, _picture(mentions, 0), _picture(entities, 0))
    expected = torch.autograd.grad((one + other) / 2, parameters)
    assert all(close(a, b, TERMS) for a, b in zip(found, expected, strict=True))


@variants
def test_scoring_by_tiles_changes_nothing(variant: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = _unit(variant)
    sides = _sides(unit, _heads(MENTIONS, 1), _heads(ENTITIES, 2))
    expected, sizes = unit.score(*sides), list[int]()

    def by_twos(entities: int, pair: int) -> list[slice]:
        sizes.append(pair)
        return [slice(start, start + 2) for start in range(0, entities, 2)]

    monkeypatch.setattr(melder.units.vision_dual, "tiles", by_twos)
    assert close(unit.score(*sides), expected, TERMS)
    assert sizes == [melder.units.vision_dual.PAIR_FLOATS * MENTIONS]


def test_pairs_hold_no_vector_each() -> None:
    """More mentions and entities take more numbers a pair only, not more vectors of the unit's width."""
    torch.manual_seed(0)
    unit = VisionDual(256)
    sides = _sides(unit, _heads(40, 1, width=256), _heads(50, 2, width=256))
    largest = _largest_tensor(lambda: unit.score(*sides))
    assert largest <= 256 * 256 < 40 * 50 * 256


@variants
def test_vectors_that_cancel_are_finite(variant: Variant) -> None:
    """What is divided by is a difference of squares here; where nothing is left, rounding must not go below 0."""
    unit, heads = _unit(variant), _heads(MENTIONS, 1)
    assert heads.image_global is not None
    heads.image_tokens = -heads.image_global[:, None].expand(MENTIONS, PATCHES, WIDTH)
    for direction in (unit.entity_to_mention, unit.mention_to_entity):
        if variant == "code":
            direction.patches.load_state_dict(direction.whole.state_dict())
            torch.nn.init.zeros_(direction.whole.bias)
            torch.nn.init.zeros_(direction.patches.bias)
    scores = unit.score(*_sides(unit, heads, heads))
    scores.sum().backward()
    assert torch.isfinite(scores).all()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in unit.parameters())


def test_the_figure_has_no_layers_before_the_sum() -> None:
    names = {variant: {name.split(".")[1] for name in _unit(variant).state_dict()} for variant in VARIANTS}
    assert names["code"] - names["figure"] == {"whole", "patches"}


def _unit(variant: Variant) -> VisionDual:
    """Random everywhere: LayerNorms that start as the identity would hide where they belong."""
    torch.manual_seed(0)
    unit = VisionDual(WIDTH, variant)
    for parameter in unit.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return unit


def _heads(count: int, seed: int, scale: float = 1.0, width: int = WIDTH) -> Heads:
    draw = torch.Generator().manual_seed(seed)
    text = torch.zeros(count, 1)
    image, patches = (scale * torch.randn(count, *shape, generator=draw) for shape in ((width,), (PATCHES, width)))
    return Heads(text, text[:, None], image, patches)


def _sides(unit: VisionDual, mentions: Heads, entities: Heads) -> tuple[Side, Side]:
    return unit.mention_side(mentions), unit.entity_side(entities)


def _picture(heads: Heads, row: int) -> tuple[Tensor, Tensor]:
    assert heads.image_global is not None
    assert heads.image_tokens is not None
    return heads.image_global[row], heads.image_tokens[row]


def _direction(direction: Direction, query: tuple[Tensor, Tensor], key: tuple[Tensor, Tensor]) -> Tensor:
    """The score of one pair in one direction, step by step."""
    asked, whole, patches = query[0], key[0], key[1]
    if direction.variant == "code":
        asked, whole, patches = direction.whole(asked), direction.whole(whole), direction.patches(patches)
    mixed = direction.mix(direction.sum_norm(asked + patches.mean(dim=0)))
    gated = direction.gate(mixed).tanh() * mixed
    if direction.variant == "code":
        return direction.norm(gated + whole) @ direction.norm(asked)  # type: ignore[no-any-return]
    return direction.norm(gated + asked) @ whole  # type: ignore[no-any-return]


def _largest_tensor(act: object) -> int:
    """Elements of the largest tensor that an operation made."""

    class Watch(TorchDispatchMode):
        largest = 0

        def __torch_dispatch__(self, function, types, arguments=(), options=None):  # type: ignore[no-untyped-def]
            result = function(*arguments, **(options or {}))
            sizes = [each.numel() for each in (result if isinstance(result, (list, tuple)) else [result])]
            self.largest = max(self.largest, *sizes)
            return result

    with Watch() as watch, torch.no_grad():
        act()  # type: ignore[operator]
    return watch.largest
