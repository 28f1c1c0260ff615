"""`melder kb update`"""

from __future__ import annotations

from melder.cli.kb.changing import Directory, Entities, Images, SkipBad, change

__all__ = ["update"]


def update(kb: Directory, entities: Entities, images: Images = None, skip_bad: SkipBad = False) -> None:
    """Put entities in the place of those with the same ids, whole records: what a new one does not say is gone.

    \b
    melder kb update flags-kb --entities corrected.jsonl --images pictures
    """
    change(kb, entities, images, replace=True, skip_bad=skip_bad)
