"""`melder kb update`"""

from __future__ import annotations

from melder.cli.kb.changing import Directory, Entities, Images, SkipBad, change
from melder.cli.kb.tables import Columns, Encoding, ListSeparator, MergeRows, Sheet, table_options

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
    table = table_options(columns, encoding, sheet, list_separator, merge_rows, lenient=skip_bad)
    change(kb, entities, images, table, replace=True)
