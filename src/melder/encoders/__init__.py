"""What turns texts and pictures into features: CLIP, a small CLIP, any pair of models, stored features."""

from melder.encoders.depth import layers_above, train_last_layers
from melder.encoders.encode import batches_of, encode, encode_chunks
from melder.encoders.picture_memory import PictureMemory
from melder.encoders.precision import computing, has_bf16
from melder.encoders.read_ahead import reading_threads
from melder.encoders.readback import check_readable
from melder.encoders.resolver import build_encoder, decodes_pictures, from_scratch, load_encoder, trained_by_default
from melder.encoders.store import fingerprint, load_features, save_features
from melder.encoders.throughput import Throughput
from melder.encoders.towers import Towers

__all__ = [
    "PictureMemory",
    "Throughput",
    "Towers",
    "batches_of",
    "build_encoder",
    "check_readable",
    "computing",
    "decodes_pictures",
    "encode",
    "encode_chunks",
    "fingerprint",
    "from_scratch",
    "has_bf16",
    "layers_above",
    "load_encoder",
    "load_features",
    "reading_threads",
    "save_features",
    "train_last_layers",
    "trained_by_default",
]
