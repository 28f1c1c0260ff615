"""Linkers: mentions in, ranked entities out."""

from melder.linking.exact import ExactLinker
from melder.linking.explanation import explain
from melder.linking.generative import GenerativeLinker
from melder.linking.rerank import RerankingLinker
from melder.runs.directory import open_run

__all__ = ["ExactLinker", "GenerativeLinker", "RerankingLinker", "explain", "open_run"]
