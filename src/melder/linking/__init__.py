"""Linkers: mentions in, ranked entities out."""

from melder.linking.exact import ExactLinker
from melder.linking.explanation import explain
from melder.linking.generative import GenerativeLinker
from melder.linking.open import RunLinker, load
from melder.linking.rerank import RerankingLinker
from melder.linking.run import open_run

__all__ = ["ExactLinker", "GenerativeLinker", "RerankingLinker", "RunLinker", "explain", "load", "open_run"]
