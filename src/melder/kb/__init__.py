"""Knowledge bases on disk: segments that never change, and generations that list them."""

from melder.kb.compaction import compact
from melder.kb.knowledge_base import KnowledgeBase
from melder.kb.manifest import is_knowledge_base
from melder.kb.open import open_knowledge_base
from melder.kb.writer import Writer

__all__ = ["KnowledgeBase", "Writer", "compact", "is_knowledge_base", "open_knowledge_base"]
