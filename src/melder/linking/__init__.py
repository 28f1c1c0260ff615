"""Linkers: mentions in, ranked entities out."""

from melder.linking.exact import ExactLinker
from melder.linking.open import load
from melder.linking.run import open_run

__all__ = ["ExactLinker", "load", "open_run"]
