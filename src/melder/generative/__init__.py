"""Generative linking: a language model writes the entity's name."""

from melder.generative.language_model import LanguageModel, open_language_model
from melder.generative.model import GenerativeModel, from_official_mapper
from melder.generative.prompt import Blocks, Template

__all__ = ["Blocks", "GenerativeModel", "LanguageModel", "Template", "from_official_mapper", "open_language_model"]
