"""The gated multimodal unit by its formula, and what stands in the place of what is missing."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import Tensor

from melder.features import Features, Heads
from melder.units.gated_multimodal import FusedMatch, Fusion, GatedMultimodal
from rounding import close
from units.made import SIZES, TERMS, features, lacking

WIDTHS = SIZES.text_global, SIZES.image_global or 0
HIDDEN = 6


def made(fusion: Fusion = "gated") -> GatedMultimodal:
    torch.manual_seed(0)
    block = GatedMultimodal(*WIDTHS, HIDDEN, fusion)
    for name, parameter in block.named_parameters():
        if name.startswith("no_"):
            torch.nn.init.normal_(parameter)
    return block


def images(given: Features) -> Tensor:
    assert given.image_global is not None
    return given.image_global


def test_it_is_the_formula() -> None:
    block, given = made(), features(5, seed=1)
    text, image = given.text_global, images(given)
    gate = torch.sigmoid(torch.cat([image, text], dim=1) @ block.gate.weight.t() + block.gate.bias)
    seen, told = torch.tanh(block.image(image)), torch.tanh(block.text(text))
    assert close(block(given), gate * seen + (1 - gate) * told, TERMS)


@pytest.mark.parametrize("bias", [-1e3, 1e3])
def test_a_closed_or_open_gate_gives_one_modality_alone(bias: float) -> None:
    block, given = made(), features(5, seed=1)
    torch.nn.init.constant_(block.gate.bias, bias)
    alone = block.text(given.text_global) if bias < 0 else block.image(images(given))
    assert close(block(given), alone.tanh(), TERMS)


@pytest.mark.parametrize("fusion", ["text", "image"])
def test_an_ablation_reads_one_modality_alone(fusion: Fusion) -> None:
    block, given, other = made(fusion), features(5, seed=1), features(5, seed=2)
    mixed = replace(other, **{f"{fusion}_global": given.tensors()[f"{fusion}_global"]})
    assert torch.equal(block(mixed), block(given))
    assert not torch.allclose(block(other), block(given))


@pytest.mark.parametrize("fusion", get_args(Fusion))
def test_learned_vectors_stand_for_what_is_missing(fusion: Fusion) -> None:
    block, given = made(fusion), features(5, seed=1)
    filled = replace(given, text_global=given.text_global.clone(), image_global=images(given).clone())
    if fusion != "image":
        filled.text_global[0] = block.no_text
    if fusion != "text":
        images(filled)[1] = block.no_image
    assert close(block(lacking(given, text=[0], image=[1])), block(filled), TERMS)


def test_without_vision_every_picture_is_the_learned_vector() -> None:
    block, given = made(), features(4, seed=1)
    blind = replace(given, image_global=None, image_tokens=None, image_mask=None)
    assert close(block(blind), block(lacking(given, image=[0, 1, 2, 3])), TERMS)


@pytest.mark.parametrize("shared", [True, False])
def test_scores_are_cosines_or_squared_distances(shared: bool) -> None:
    given = [Heads(**vars(features(count, seed=count))) for count in (3, 4)]
    for distance in ("cosine", "l2"):
        torch.manual_seed(1)
        unit = FusedMatch(*WIDTHS, HIDDEN, distance=distance, shared=shared)  # type: ignore[arg-type]
        m, e = unit.blocks[0](given[0]), unit.blocks[-1](given[1])
        found = unit.score(unit.mention_side(given[0]), unit.entity_side(given[1]))
        cosines = torch.nn.functional.cosine_similarity(m[:, None], e[None], dim=2)
        assert close(found, cosines if distance == "cosine" else -torch.cdist(m, e).square(), TERMS)
        assert len(unit.blocks) == (1 if shared else 2)
