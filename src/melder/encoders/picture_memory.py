"""Features of pictures that come again, so that one that many mentions share goes through the encoder once."""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from melder.features import Features
from melder.records import Item

__all__ = ["PictureMemory", "SharedPictures"]

MEGABYTES = 64  # 400 pictures of a CLIP with 49 patches of width 768

PictureFeatures = tuple[Tensor, Tensor]  # the global vector and the tokens


class PictureMemory:
    """Global vectors and tokens of the last few pictures, for as long as the encoder's weights stay what they are.

    Args:
        megabytes: of features that are held
    """

    def __init__(self, megabytes: int = MEGABYTES) -> None:
        self._room = megabytes * 2**20
        self._features: OrderedDict[Hashable, PictureFeatures] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._features

    def get(self, key: Hashable) -> PictureFeatures | None:
        """Those of a picture, which is then the last to be forgotten."""
        if key in self._features:
            self._features.move_to_end(key)
        return self._features.get(key)

    def keep(self, key: Hashable, features: PictureFeatures) -> None:
        """Take in those of a picture that is not here, and forget the oldest ones where there is no room."""
        self._features[key] = features
        self._room -= sum(tensor.nbytes for tensor in features)
        while self._room < 0 and len(self._features) > 1:
            _, oldest = self._features.popitem(last=False)
            self._room += sum(tensor.nbytes for tensor in oldest)


class SharedPictures:
    """The pictures of the items of one call, each of which is encoded once.

    Features of a picture are held until the last item that shows it, however much the memory forgets in between.

    Args:
        items: of the call, in the order in which they will be encoded
        memory: of earlier calls
    """

    def __init__(self, items: Sequence[Item], memory: PictureMemory) -> None:
        self._memory = memory
        digests = {image: _digest(image) for image in {item.image for item in items}}
        self.keys: list[Hashable] = [
            None if item.image is None else (digests[item.image], item.augment) for item in items
        ]
        self._coming: Counter[Hashable] = Counter(key for key in self.keys if key is not None)
        self._held: dict[Hashable, PictureFeatures] = {}

    def has(self, key: Hashable) -> bool:
        """Whether a picture was encoded."""
        return key in self._held or key in self._memory

    def encode(
        self, items: Sequence[Item], keys: Sequence[Hashable], encode: Callable[[Sequence[Item]], Features]
    ) -> Features:
        """Features of the next n items; `encode` makes them of items that lack the pictures which were encoded."""
        known = {key: shared for key in dict.fromkeys(keys) if (shared := self._get(key)) is not None}
        features = encode(
            [replace(item, image=None) if key in known else item for item, key in zip(items, keys, strict=True)]
        )
        self._coming.subtract(key for key in keys if key is not None)
        if features.image_global is None or features.image_tokens is None or features.image_mask is None:
            return features
        with torch.inference_mode():
            for row, key in enumerate(keys):
                if key in known:
                    features.image_global[row], features.image_tokens[row] = known[key]
                    features.image_mask[row] = True
                elif key is not None and bool(features.image_mask[row]) and not self.has(key):
                    self._keep(key, features.image_global[row], features.image_tokens[row])
        self._held = {key: held for key, held in self._held.items() if self._coming[key]}
        return features

    def _get(self, key: Hashable) -> PictureFeatures | None:
        return self._held.get(key) or self._memory.get(key)

    def _keep(self, key: Hashable, vector: Tensor, tokens: Tensor) -> None:
        features = vector.cpu().clone(), tokens.cpu().clone()
        self._memory.keep(key, features)
        if self._coming[key]:
            self._held[key] = features


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
