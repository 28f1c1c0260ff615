"""The contracts that parts of Melder fulfil to fit together; nothing here does any work."""

from melder.protocols.encoders import Encoder, Inputs
from melder.protocols.indexes import BatchIndex, FilteringIndex, Index, IndexClass, Nearest, ScoringIndex, TypeNames
from melder.protocols.linkers import Linker
from melder.protocols.methods import FitFeatures, LexicalUnit, Matcher, MentionGate, Method
from melder.protocols.progress import Counting, Precision, Progress
from melder.protocols.readers import MentionFinder, Reader
from melder.protocols.samplers import Sampler
from melder.protocols.units import Aligner, Bounded, Dense, SideTensor, Unit

__all__ = [
    "Aligner",
    "BatchIndex",
    "Bounded",
    "Counting",
    "Dense",
    "Encoder",
    "FilteringIndex",
    "FitFeatures",
    "Index",
    "IndexClass",
    "Inputs",
    "LexicalUnit",
    "Linker",
    "Matcher",
    "MentionFinder",
    "MentionGate",
    "Method",
    "Nearest",
    "Precision",
    "Progress",
    "Reader",
    "Sampler",
    "ScoringIndex",
    "SideTensor",
    "TypeNames",
    "Unit",
]
