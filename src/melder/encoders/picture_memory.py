"""Features of the last few pictures, so that one that many mentions share goes through the encoder once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from melder.features import Features
from melder.records import Item

__all__ = ["PictureMemory"]

MEGABYTES = 64  # 400 pictures of a CLIP with 49 patches of width 768


class PictureMemory:
    """Global vectors and tokens of pictures, for as long as the encoder's weights stay what they are."""

    def __init__(self, megabytes: int = MEGABYTES) -> None:
        self._room = megabytes * 2**20
        self._features: OrderedDict[Hashable, tuple[Tensor, Tensor]] = OrderedDict()

    def encode(self, items: Sequence[Item], encode: Callable[[Sequence[Item]], Features]) -> Features:
        """Features of n items; `encode` makes them of items that lack the pictures which are here."""
        digests = {image: _digest(image) for image in {item.image for item in items}}
        keys = [None if item.image is None else (digests[item.image], item.augment) for item in items]
        known = {key: self._features[key] for key in keys if key is not None and key in self._features}
        for picture in known:
            self._features.move_to_end(picture)
        features = encode(
            [replace(item, image=None) if key in known else item for item, key in zip(items, keys, strict=True)]
        )
        if features.image_global is None or features.image_tokens is None or features.image_mask is None:
            return features
        with torch.inference_mode():
            for row, key in enumerate(keys):
                if key in known:
                    features.image_global[row], features.image_tokens[row] = known[key]
                    features.image_mask[row] = True
                elif key is not None and bool(features.image_mask[row]) and key not in self._features:
                    self._keep(key, features.image_global[row].cpu().clone(), features.image_tokens[row].cpu().clone())
        return features

    def _keep(self, key: Hashable, vector: Tensor, tokens: Tensor) -> None:
        self._features[key] = vector, tokens
        self._room -= vector.nbytes + tokens.nbytes
        while self._room < 0 and len(self._features) > 1:
            _, oldest = self._features.popitem(last=False)
            self._room += sum(tensor.nbytes for tensor in oldest)


def _digest(image: Path | bytes | None) -> Hashable:
    """What a picture is: a file that changes is another one."""
    if image is None:
        return None
    if isinstance(image, bytes):
        return hashlib.blake2b(image, digest_size=16).digest()
    try:
        stat = image.stat()
    except OSError:
        return image
    return image, stat.st_mtime_ns, stat.st_size
