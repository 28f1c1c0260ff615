"""Random features of mentions and entities, and the changes that tests make to them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from melder.features import Features, Sizes

# Of the sums from features to a score: widths of at most 14 and 8, eight tokens, and logits of transport, which are ten
# times a cosine.
TERMS = 128
SIZES = Sizes(text_global=10, text_tokens=12, image_global=9, image_tokens=14)
BLIND = Sizes(text_global=10, text_tokens=12)
NAMES = ("Guinea", "Guinea-Bissau", "Mali", "Chad", "Congo", "Kongo", "Ann Lee", "Lee")


def features(count: int, seed: int, *, length: int = 6, vision: bool = True, aliases: int = 1) -> Features:
    """`count` rows that all have a text of 1 to `length` tokens, a name, and with `vision` a picture of 4 patches."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw)

    lengths = torch.randint(1, length + 1, (count, 1), generator=draw)
    names = [tuple(NAMES[(seed + row + nth) % len(NAMES)] for nth in range(aliases)) for row in range(count)]
    return Features(
        text_global=normal(count, SIZES.text_global),
        text_tokens=normal(count, length, SIZES.text_tokens),
        image_global=normal(count, SIZES.image_global or 0) if vision else None,
        image_tokens=normal(count, 4, SIZES.image_tokens or 0) if vision else None,
        text_mask=torch.arange(length) < lengths,
        image_mask=torch.ones(count, dtype=torch.bool) if vision else None,
        surfaces=names,
    )


def lacking(given: Features, text: list[int] | None = None, image: list[int] | None = None) -> Features:
    """The rows `text` have no text, the rows `image` no picture: tensors of zeros there, as encoders give them."""
    rows = torch.arange(len(given))
    no_text, no_image = torch.isin(rows, torch.tensor(text or [])), torch.isin(rows, torch.tensor(image or []))
    changed = replace(given, text_global=given.text_global * ~no_text[:, None])
    if changed.image_global is not None and changed.image_tokens is not None:
        changed.image_global = changed.image_global * ~no_image[:, None]
        changed.image_tokens = changed.image_tokens * ~no_image[:, None, None]
    return changed.without(text=no_text, image=no_image)


def padded(given: Features, more: int = 3, value: float = 50.0) -> Features:
    """The same features with `more` tokens that are not valid, whatever stands in them."""
    assert given.text_mask is not None
    extra = given.text_tokens.new_full((len(given), more, given.text_tokens.shape[2]), value)
    return replace(
        given,
        text_tokens=torch.cat([given.text_tokens, extra], dim=1),
        text_mask=torch.cat([given.text_mask, given.text_mask.new_zeros(len(given), more)], dim=1),
    )


def leaves(given: Features) -> Features:
    """The same features as leaves that collect gradients."""
    floats = {name: t.detach().clone().requires_grad_() for name, t in given.tensors().items() if t.is_floating_point()}
    return replace(given, **floats)  # type: ignore[arg-type]
