"""Links of several mentions: a list that becomes a table, and that a notebook shows with pictures."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from html import escape
from typing import TYPE_CHECKING, Any

from melder.io.counts import how_many
from melder.records import Link, MelderError

if TYPE_CHECKING:
    import pandas

__all__ = ["LinkList"]

SHOWN = 20  # mentions that a notebook shows
CANDIDATES = 3  # of each of them

Thumbnail = Callable[[str], "bytes | None"]  # the small picture of an entity, as a JPEG or a PNG, by its id


class LinkList(list[Link]):
    """Links in the order of the mentions.

    Args:
        links: The links.
        thumbnail: The small picture of an entity by its id, for notebooks; None = without pictures.
    """

    def __init__(self, links: Iterable[Link] = (), thumbnail: Thumbnail | None = None) -> None:
        super().__init__(links)
        self._thumbnail = thumbnail

    def to_frame(self, k: int = 1) -> pandas.DataFrame:
        """A table with a row for each of the best `k` candidates of each mention, or one row without any.

        Its columns are mention, surface, start, end, rank (from 1), entity, name, score, nil_probability.

        Raises:
            MelderError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise MelderError("a table needs pandas: pip install pandas") from None
        columns = ["mention", "surface", "start", "end", "rank", "entity", "name", "score", "nil_probability"]
        frame = pd.DataFrame([row for link in self for row in _rows(link, k)], columns=columns)
        return frame.astype({"start": "Int64", "end": "Int64", "rank": "Int64"})

    def __repr__(self) -> str:
        listed = [f"  {link!r}" for link in self[:SHOWN]]
        more = [f"  and {len(self) - SHOWN:,} more"] if len(self) > SHOWN else []
        return "\n".join([how_many(len(self), "link"), *listed, *more])

    def _repr_html_(self) -> str:
        rows = "".join(self._html(link) for link in self[:SHOWN])
        more = f"<p>and {len(self) - SHOWN:,} more</p>" if len(self) > SHOWN else ""
        head = "<tr><th>mention</th><th></th><th>entity</th><th>score</th></tr>"
        return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>{more}"

    def _html(self, link: Link) -> str:
        shown = link.candidates[:CANDIDATES]
        first = f'<th rowspan="{max(1, len(shown))}">{escape(link.surface)}</th>'
        if not shown:
            return f"<tr>{first}<td></td><td>no candidate</td><td></td></tr>"
        cells = [
            f"<td>{self._picture(each.id)}</td><td>{escape(each.name)} <small>{escape(each.id)}</small></td>"
            f"<td>{each.score:.2f}</td>"
            for each in shown
        ]
        return f"<tr>{first}{cells[0]}</tr>" + "".join(f"<tr>{cell}</tr>" for cell in cells[1:])

    def _picture(self, entity: str) -> str:
        content = None if self._thumbnail is None else self._thumbnail(entity)
        if content is None:
            return ""
        return f'<img height="48" src="data:image/jpeg;base64,{base64.b64encode(content).decode()}">'


def _rows(link: Link, k: int) -> list[tuple[Any, ...]]:
    own = (link.id, link.surface, link.start, link.end)
    if not link.candidates:
        return [(*own, None, None, None, None, link.nil_probability)]
    return [
        (*own, rank, candidate.id, candidate.name, candidate.score, link.nil_probability)
        for rank, candidate in enumerate(link.candidates[:k], start=1)
    ]
