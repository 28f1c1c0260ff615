"""CMFU against its formulas, written out for one item at a time."""

from __future__ import annotations

import torch

from melder.units.gated_fusion import GatedFusion
from rounding import close
from units.made import SIZES, TERMS, features

HIDDEN = 8


def test_the_vector_is_the_gated_text_and_the_patches_that_it_looked_at() -> None:
    torch.manual_seed(0)
    assert SIZES.image_tokens is not None
    block, given = GatedFusion(SIZES.text_global, SIZES.image_tokens, HIDDEN), features(4, seed=5)
    found = block(given)
    assert tuple(found) == GatedFusion.vectors
    assert given.image_tokens is not None
    for item in range(4):
        text, patches = block.text(given.text_global[item]), block.image(given.image_tokens[item])
        seen = (patches @ text).softmax(dim=0) @ patches
        expected = block.norm(block.gate(text).tanh() * text + seen)
        assert close(found["cross"][item], expected, TERMS)


def test_one_item_alone_gives_what_it_gives_among_others() -> None:
    """The published code loses the first axis there."""
    torch.manual_seed(0)
    assert SIZES.image_tokens is not None
    block, given = GatedFusion(SIZES.text_global, SIZES.image_tokens, HIDDEN), features(4, seed=5)
    assert close(block(given[2:3])["cross"], block(given)["cross"][2:3], TERMS)
