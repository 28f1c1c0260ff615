"""`melder kb compact`"""

from __future__ import annotations

from melder.cli.console import counting, say
from melder.cli.kb.changing import Directory
from melder.io.counts import in_number

__all__ = ["compact"]


def compact(kb: Directory) -> None:
    """Merge small segments, and give back the space of what was removed; nothing is encoded again.

    Who has the knowledge base open keeps the version that it opened; that is removed by the next change after.

    \b
    melder kb compact flags-kb
    """
    from melder.kb import Writer
    from melder.kb import compact as merge
    from melder.kb.compaction import to_merge

    with Writer.open(kb) as writer, counting() as start:
        before = len(writer.base.parts)
        merge(writer, start("merging entities", sum(map(len, to_merge(writer.base)))))
        say(f"{kb}: {in_number('{} [segment is|segments are]', before)} {len(writer.base.parts):,} now")
