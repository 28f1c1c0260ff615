"""GET /: the page for people, static files that need nothing from elsewhere"""

from __future__ import annotations

from importlib.resources import files
from itertools import islice
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from melder.serving.errors import ApiError
from melder.serving.service import Serving
from melder.serving.source import Served

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
EXAMPLES, LOOKED_THROUGH = 3, 300  # names that are shown, and names that they are taken from
SHORTEST, LONGEST = 4, 24  # characters of a name that is shown
HERE = files("melder.serving").joinpath("page")
KINDS = {"page.css": "text/css"} | dict.fromkeys(
    ("page.js", "about.js", "candidates.js", "matched.js", "picture.js", "verdict.js"), "text/javascript"
)
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
    """What is served, and a few names to try."""
    return _about(service.current.served)


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
        "pictures": getattr(served.linker, "compares_pictures", True),
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
