"""GET /: the page for people, static files that need nothing from elsewhere"""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import Response

from melder.serving.errors import ApiError

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
HERE = files("melder.serving").joinpath("page")
KINDS = {"page.css": "text/css"} | dict.fromkeys(
    ("page.js", "candidates.js", "matched.js", "picture.js"), "text/javascript"
)
# blob: the picture that somebody has chosen; data: the empty icon
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/")
async def page() -> Response:
    return _file("index.html", "text/html")


@router.get("/page/{name}")
async def part(name: str) -> Response:
    if name not in KINDS:
        raise ApiError(404, f"the page has no part {name!r}")
    return _file(name, KINDS[name])


def _file(name: str, kind: str) -> Response:
    """Checked with the service each time, so that a new version of Melder is not shown with parts of an old one."""
    content = HERE.joinpath(name).read_text(encoding="utf-8")
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
    return Response(content, media_type=f"{kind}; charset=utf-8", headers=headers)
