"""What turns texts and pictures into features: CLIP, a small CLIP, any pair of models, stored features."""

from melder.encoders.picture_memory import PictureMemory
from melder.encoders.precision import computing, has_bf16
from melder.encoders.readback import check_readable
from melder.encoders.resolver import build_encoder, load_encoder
from melder.encoders.store import encode, fingerprint, load_features, longest_first, save_features
from melder.encoders.towers import Towers

__all__ = [
    "PictureMemory",
    "Towers",
    "build_encoder",
    "check_readable",
    "computing",
    "encode",
    "fingerprint",
    "has_bf16",
    "load_encoder",
    "load_features",
    "longest_first",
    "save_features",
]
