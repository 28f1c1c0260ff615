"""What turns texts and pictures into features: CLIP, a small CLIP, any pair of models, stored features."""

from melder.encoders.resolver import build_encoder, load_encoder
from melder.encoders.store import Precision, encode, fingerprint, load_features, longest_first, save_features
from melder.encoders.towers import Towers

__all__ = [
    "Precision",
    "Towers",
    "build_encoder",
    "encode",
    "fingerprint",
    "load_encoder",
    "load_features",
    "longest_first",
    "save_features",
]
