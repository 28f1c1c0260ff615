"""`melder kb add`"""

from __future__ import annotations

from melder.cli.kb.changing import Directory, Entities, Images, SkipBad, change
from melder.cli.kb.tables import Columns, Encoding, ListSeparator, MergeRows, Sheet, table_options

__all__ = ["add"]


def add(
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
    """Add entities; nothing that is there is written again. All of them come in at once, or none.

    \b
    melder kb add flags-kb --entities new.csv --images pictures
    """
    table = table_options(columns, encoding, sheet, list_separator, merge_rows, lenient=skip_bad)
    change(kb, entities, images, table, replace=False)
