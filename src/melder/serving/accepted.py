"""Which format a client wants its links in, by its header Accept (RFC 9110, 12.5.1), and links in that format."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from starlette.responses import Response

from melder.export.annotated_text import LinkedMention
from melder.export.formats import FORMATS, LinkFormat, WriterOptions
from melder.records import Link, MelderError
from melder.serving.batching import LinkTask
from melder.serving.errors import ApiError
from melder.serving.settings import ServiceSettings

__all__ = ["MEDIA_TYPES", "accepted_format", "written_links"]

JSON = "application/json"
MEDIA_TYPES = {form.media_type: form for form in FORMATS.values()}


def accepted_format(accept: str | None) -> LinkFormat | None:
    """The format that a client likes best.

    Args:
        accept: the header; None or empty = anything

    Returns:
        a format, None for JSON, which comes first where several are liked as well

    Raises:
        ApiError: (406) when it takes none of them.
    """
    ranges = dict(_ranges(accept or "*/*"))
    offered = {name: _quality(name, ranges) for name in (JSON, *MEDIA_TYPES)}
    best = max(offered, key=lambda name: offered[name])
    if offered[best] <= 0:
        raise ApiError(406, f"links are given as {', '.join(offered)}; ask for one of these by Accept")
    return MEDIA_TYPES.get(best)


def written_links(
    form: LinkFormat, tasks: Sequence[LinkTask], links: Sequence[Link], settings: ServiceSettings
) -> Response:
    """Links of the mentions of a text in a format.

    Raises:
        ApiError: (501) when the format's package is missing.
    """
    most = max((task.k for task in tasks), default=1)
    file = io.StringIO(newline="")
    try:
        writer = form.open(file, WriterOptions(most, entities=settings.entity_uri))
    except MelderError as error:
        raise ApiError(501, str(error)) from None
    writer.write(LinkedMention(task.mention, link) for task, link in zip(tasks, links, strict=True))
    writer.finish()
    return Response(file.getvalue(), media_type=f"{form.media_type}; charset=utf-8")


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    """Media ranges in lower case with their qualities; of a quality that is none, 1."""
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        yield name, float(quality) if quality.replace(".", "", 1).isdecimal() else 1.0


def _quality(name: str, ranges: dict[str, float]) -> float:
    """What the narrowest range says that a media type is in; 0 where there is none."""
    kind = name.partition("/")[0]
    return next((ranges[each] for each in (name, f"{kind}/*", "*/*", "*") if each in ranges), 0.0)
