"""GET /: the page for people, static files that need nothing from elsewhere"""

from __future__ import annotations

from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from melder.linking.explanation import shows_matches
from melder.serving.errors import ApiError
from melder.serving.service import Serving
from melder.serving.source import Served

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
EXAMPLES, LOOKED_THROUGH = 3, 300  # names that are shown, and names that they are taken from
SHORTEST, LONGEST = 4, 24  # characters of a name that is shown
HERE = files("melder.serving").joinpath("page")
MEDIA = {".css": "text/css", ".js": "text/javascript"}
KINDS = {part.name: MEDIA[ending] for part in HERE.iterdir() if (ending := Path(part.name).suffix) in MEDIA}
OFFERED = 200  # types that a list offers, the most frequent: more nobody reads, and any other can be typed
# blob: the picture that somebody has chosen; data: the empty icon
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/")
async def page() -> Response:
    return _file("index.html", "text/html")


@router.get("/page/about")
def about(service: Serving) -> dict[str, Any]:
    """What is served, what may be done with it, and a few names to try."""
    settings, current = service.settings, service.current
    allowed = {
        "learns": settings.token is not None and current.source.editable,
        "logs": settings.log is not None and settings.token is not None,
        "candidates": settings.candidates,
        "texts": settings.texts,
        "changed": settings.changed,
        "picture_names": settings.picture_dir is not None,
        "entity_uri": settings.entity_uri if "entity_uri" in settings.model_fields_set else None,
    }
    return _about(current.served) | allowed


@router.get("/page/{name}")
async def part(name: str) -> Response:
    if name not in KINDS:
        raise ApiError(404, f"the page has no part {name!r}")
    return _file(name, KINDS[name])


def _about(served: Served) -> dict[str, Any]:
    catalogue = served.catalogue
    names = list(dict.fromkeys(name for name in islice(catalogue.names(), LOOKED_THROUGH) if _is_example(name)))
    return {
        "name": served.name,
        "entities": len(catalogue),
        "types": len(catalogue.types),
        "offered_types": catalogue.types[:OFFERED],
        "pictures": served.linker.compares_pictures,
        "explains": shows_matches(served.linker),
        "examples": [f"What is {name}?" for name in names[:: max(1, len(names) // EXAMPLES)][:EXAMPLES]],
    }


def _is_example(name: str) -> bool:
    """Names of a few words, since somebody is to read them at a glance."""
    return SHORTEST <= len(name) <= LONGEST and all(map(str.isalpha, name.split()))


def _file(name: str, kind: str) -> Response:
    """Checked with the service each time, so that a new version of Melder is not shown with parts of an old one."""
    content = HERE.joinpath(name).read_text(encoding="utf-8")
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
    return Response(content, media_type=f"{kind}; charset=utf-8", headers=headers)
