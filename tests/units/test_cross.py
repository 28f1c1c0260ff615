"""CMM and CMMB against the formulas of the paper and of its code, written out for one item at a time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from melder.features import Features
from melder.units.cross import BiMatchFusion, Keys, MatchFusion
from rounding import close
from units.made import TERMS, features, padded

HIDDEN = 8
KEYS: list[Keys] = ["tokens", "global"]


def _items(**options: int) -> Features:
    """Features as the heads pass them on: tokens as wide as the global vectors."""
    given = features(4, seed=5, **options)
    given.text_tokens = given.text_tokens[..., :10]
    assert given.image_tokens is not None
    given.image_tokens = given.image_tokens[..., :9]
    return given


def _block(
    kind: type[MatchFusion] | type[BiMatchFusion], keys: Keys, *, own_layer: bool = False
) -> MatchFusion | BiMatchFusion:
    torch.manual_seed(0)
    return kind(10, 12 if own_layer else 10, 9, HIDDEN, 5, keys)


def test_published_cmm_tells_nothing_of_the_picture_but_what_the_text_saw() -> None:
    block, given = _block(MatchFusion, "global"), _items()
    found = block(given)["cross"]
    for item in range(4):
        text = block.text(given.text_global[item])
        seen = _match(block, text[None], block.image(_tokens(given)[1][item]))[0]
        told = 2 * block.match.linear(text).relu()  # (1 + lambda) ReLU(W t + b)
        expected = block.norm(block.gate(text).tanh() * text + block.fusion(seen, told))
        assert close(found[item], expected, TERMS)


def test_cmm_pools_the_patches_that_attended_to_the_texts_tokens() -> None:
    block, given = _block(MatchFusion, "tokens"), _items()
    found = block(given)["cross"]
    for item in range(4):
        words, patches = (
            layer(rows) for layer, rows in zip((block.text, block.image), _valid(given, item), strict=True)
        )
        text = block.text(given.text_global[item])
        told = _pool(_match(block, patches, words))
        seen = _match(block, text[None], patches)[0]
        expected = block.norm(block.gate(text).tanh() * text + block.fusion(seen, told))
        assert close(found[item], expected, TERMS)


@pytest.mark.parametrize("keys", KEYS)
def test_cmmb_pools_both_directions(keys: Keys) -> None:
    block, given = _block(BiMatchFusion, keys), _items()
    found = block(given)
    for item in range(4):
        words, patches = (
            layer(rows) for layer, rows in zip((block.text, block.image), _valid(given, item), strict=True)
        )
        assert given.image_global is not None
        text, image = block.text(given.text_global[item]), block.image(given.image_global[item])
        if keys == "global":  # no masks in published mode; here the text is masked all the same
            text_keys, image_keys = text[None], image[None]
        else:
            text_keys, image_keys = words, patches
        to_image = torch.cat([_match(block, text[None], patches), _match(block, patches, text_keys)])
        to_text = torch.cat([_match(block, image[None], words), _match(block, words, image_keys)])
        for name, anchor, rows in (("text_to_image", text, to_image), ("image_to_text", image, to_text)):
            expected = block.norm(block.gate(anchor).tanh() * anchor + _pool(rows))
            assert close(found[name][item], expected, TERMS)


@pytest.mark.parametrize("kind", [MatchFusion, BiMatchFusion])
def test_the_vectors_are_those_that_the_block_names(kind: type[MatchFusion] | type[BiMatchFusion]) -> None:
    found = _block(kind, "tokens")(_items())
    assert tuple(found) == kind.vectors
    assert all(vector.shape == (4, HIDDEN) for vector in found.values())


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("kind", [MatchFusion, BiMatchFusion])
def test_padding_changes_nothing(kind: type[MatchFusion] | type[BiMatchFusion], keys: Keys) -> None:
    block, given = _block(kind, keys), _items()
    expected, found = block(given), block(padded(given))
    assert all(close(found[name], expected[name], TERMS) for name in expected)


@pytest.mark.parametrize("kind", [MatchFusion, BiMatchFusion])
def test_corrected_keys_hear_every_token(kind: type[MatchFusion] | type[BiMatchFusion]) -> None:
    name, changed = kind.vectors[0], _items()
    changed.text_tokens = changed.text_tokens.flip(0)
    changed.text_mask = None
    given = _items()
    given.text_mask = None
    heard = {
        keys: not torch.allclose(*(_block(kind, keys)(f)[name] for f in (given, changed)), atol=1e-4) for keys in KEYS
    }
    assert heard == {"tokens": True, "global": False}


@pytest.mark.parametrize("kind", [MatchFusion, BiMatchFusion])
def test_tokens_of_another_width_have_a_layer_of_their_own(kind: type[MatchFusion] | type[BiMatchFusion]) -> None:
    """Which, where it begins with the same columns, gives what the shared layer gives."""
    shared, own = _block(kind, "tokens"), _block(kind, "tokens", own_layer=True)
    assert shared.words is None
    assert own.words is not None
    own.load_state_dict(shared.state_dict(), strict=False)
    with torch.no_grad():
        own.words.weight.copy_(torch.nn.functional.pad(shared.text.weight, (0, 2)))
        own.words.bias.copy_(shared.text.bias)
    wide = _items()
    wide.text_tokens = features(4, seed=5).text_tokens
    expected, found = shared(_items()), own(wide)
    assert all(close(found[name], expected[name], TERMS) for name in expected)


def _tokens(given: Features) -> tuple[Tensor, Tensor]:
    assert given.image_tokens is not None
    return given.text_tokens, given.image_tokens


def _valid(given: Features, item: int) -> tuple[Tensor, Tensor]:
    """An item's valid text tokens and its patches."""
    assert given.text_mask is not None
    words, patches = _tokens(given)
    return words[item][given.text_mask[item]], patches[item]


def _match(block: MatchFusion | BiMatchFusion, rows: Tensor, keys: Tensor) -> Tensor:
    """ReLU(W softmax(p (W q)^T) q) of rows [P, h] and keys [Q, h]."""
    return block.match.linear((rows @ block.match.linear(keys).t()).softmax(dim=-1) @ keys).relu()


def _pool(rows: Tensor) -> Tensor:
    """The five published heads over rows [L, h], averaged."""
    heads = [rows.mean(dim=0) + (rows * (t * rows).softmax(dim=0)).sum(dim=0) for t in (2, 2.5, 3.5, 4.5)]
    return torch.stack([*heads, rows.mean(dim=0) + rows.amax(dim=0)]).mean(dim=0)
