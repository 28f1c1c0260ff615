r"""M3EL's cross-modal matching within an item: one direction (CMM) or both (CMMB). M3EL section 3.3.

With t, Y the text's global vector and tokens and v, X the picture's, all of width h after one linear layer for each
modality:

    CMM    f = fusion(Match(t, X), pool(Match(X, K)));            LN(tanh(gate t) t + f)
    CMMB   text to image: LN(tanh(gate t) t + pool([Match(t, X); Match(X, K)])); image to text alike with v, Y, X

In the published code K is the text's global vector alone: a softmax over one key is 1, every row of Match(X, t) is
the same and the picture does not matter there (official `CMM.forward`). Here K is the text
tokens unless `keys="global"` asks for the published form, which official weights need.

Where an encoder's text tokens are not as wide as its global vector, the tokens have a linear layer of their own.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from melder.features import Features
from melder.units.match import POOLING_TEMPERATURES, GatedFusion, Match, MultiHeadPooling

__all__ = ["BiMatchFusion", "Keys", "MatchFusion"]

Keys = Literal["tokens", "global"]


class MatchFusion(nn.Module):
    """CMM: one fused vector an item, `{"cross": [n, h]}`.

    Args:
        text_width, token_width, image_width: Of the text's global vector, of its tokens and of the picture's patches.
        hidden: h, the width of the layers and of the fused vector.
        pooling_heads: How many temperatures the pooling averages over, a key of `POOLING_TEMPERATURES`.
        keys: What patches attend to: the text's tokens, or its global vector alone as published.
    """

    vectors = ("cross",)

    def __init__(
        self, text_width: int, token_width: int, image_width: int, hidden: int, pooling_heads: int, keys: Keys
    ) -> None:
        super().__init__()
        self.keys = keys
        self.text = nn.Linear(text_width, hidden)
        self.words = _own_layer(text_width, token_width, hidden) if keys == "tokens" else None
        self.image = nn.Linear(image_width, hidden)
        self.match = Match(hidden)
        self.pool = MultiHeadPooling(POOLING_TEMPERATURES[pooling_heads])
        self.fusion = GatedFusion(hidden)
        self.gate = nn.Linear(hidden, 1)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, heads: Features) -> dict[str, Tensor]:
        assert heads.image_tokens is not None
        text, patches = self.text(heads.text_global), self.image(heads.image_tokens)
        seen = self.match(text[:, None], patches)[:, 0]
        if self.keys == "tokens":
            words = (self.words or self.text)(heads.text_tokens)
            told = self.pool(self.match(patches, words, heads.text_mask))
        else:
            told = self.pool(self.match(patches, text[:, None]))
        return {"cross": self.norm(self.gate(text).tanh() * text + self.fusion(seen, told))}


class BiMatchFusion(nn.Module):
    """CMMB: two vectors an item, `{"text_to_image": [n, h], "image_to_text": [n, h]}`, sharing every layer.

    Args:
        text_width, token_width, image_width: Of the text's global vector, of its tokens and of the picture's patches.
        hidden: h, the width of the layers and of both fused vectors.
        pooling_heads: How many temperatures the pooling averages over, a key of `POOLING_TEMPERATURES`.
        keys: What patches attend to: the text's tokens, or its global vector alone as published.
    """

    vectors = ("text_to_image", "image_to_text")

    def __init__(
        self, text_width: int, token_width: int, image_width: int, hidden: int, pooling_heads: int, keys: Keys
    ) -> None:
        super().__init__()
        self.keys = keys
        self.text = nn.Linear(text_width, hidden)
        self.words = _own_layer(text_width, token_width, hidden)
        self.image = nn.Linear(image_width, hidden)
        self.match = Match(hidden)
        self.pool = MultiHeadPooling(POOLING_TEMPERATURES[pooling_heads])
        self.gate = nn.Linear(hidden, 1)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, heads: Features) -> dict[str, Tensor]:
        assert heads.image_tokens is not None
        assert heads.image_global is not None
        text, words = self.text(heads.text_global), (self.words or self.text)(heads.text_tokens)
        image, patches = self.image(heads.image_global), self.image(heads.image_tokens)
        text_keys, text_mask = (words, heads.text_mask) if self.keys == "tokens" else (text[:, None], None)
        image_keys = patches if self.keys == "tokens" else image[:, None]
        to_image = self._direction(text, self.match(patches, text_keys, text_mask), patches, None, None)
        to_text = self._direction(image, self.match(words, image_keys), words, heads.text_mask, heads.text_mask)
        return {"text_to_image": to_image, "image_to_text": to_text}

    def _direction(
        self, anchor: Tensor, rows: Tensor, tokens: Tensor, token_mask: Tensor | None, row_mask: Tensor | None
    ) -> Tensor:
        """The anchor attends to the other modality's tokens; that row and their own `rows` are pooled."""
        first = self.match(anchor[:, None], tokens, token_mask)
        mask = None if row_mask is None else torch.cat([row_mask.new_ones(len(rows), 1), row_mask], dim=1)
        pooled = self.pool(torch.cat([first, rows], dim=1), mask)
        return self.norm(self.gate(anchor).tanh() * anchor + pooled)  # type: ignore[no-any-return]


def _own_layer(text_width: int, token_width: int, hidden: int) -> nn.Linear | None:
    """None = tokens share the layer of the global vector, as published: CLIP's are as wide as it."""
    return None if token_width == text_width else nn.Linear(token_width, hidden)
