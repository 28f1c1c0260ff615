"""What turns texts and pictures into features: CLIP, a small CLIP, any pair of models, stored features."""

from melder.encoders.encode import batches_of, encode
from melder.encoders.picture_memory import PictureMemory
from melder.encoders.precision import computing, has_bf16
from melder.encoders.readback import check_readable
from melder.encoders.resolver import build_encoder, decodes_pictures, from_scratch, load_encoder, trained_by_default
from melder.encoders.store import fingerprint, load_features, save_features
from melder.encoders.towers import Towers

__all__ = [
    "PictureMemory",
    "Towers",
    "batches_of",
    "build_encoder",
    "check_readable",
    "computing",
    "decodes_pictures",
    "encode",
    "fingerprint",
    "from_scratch",
    "has_bf16",
    "load_encoder",
    "load_features",
    "save_features",
    "trained_by_default",
]
