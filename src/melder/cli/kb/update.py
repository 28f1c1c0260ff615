"""`melder kb update`"""

from __future__ import annotations

from melder.cli.kb.changing import Directory, Entities, Images, SkipBad, change
from melder.cli.kb.tables import Columns, Encoding, ListSeparator, MergeRows, Sheet

__all__ = ["update"]


def update(
    kb: Directory,
    entities: Entities,
    images: Images = None,
    skip_bad: SkipBad = False,
    columns: Columns = [],  # noqa: B006
    encoding: Encoding = None,
    list_separator: ListSeparator = None,
    merge_rows: MergeRows = False,
    sheet: Sheet = None,
) -> None:
    """Put entities in the place of those with the same ids, whole records: what a new one does not say is gone.

    \b
    melder kb update flags-kb --entities corrected.jsonl --images pictures
    """
    change(kb, entities, images, columns, encoding, list_separator, merge_rows, sheet, replace=True, skip_bad=skip_bad)
