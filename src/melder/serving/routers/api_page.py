"""GET /docs: the API on one page, made from its OpenAPI document; nothing is loaded from elsewhere"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from melder.evaluation.report.document import render
from melder.serving.api_examples import DocumentedOperation, documented_operations
from melder.serving.service import Serving

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/docs")
def docs(request: Request, service: Serving) -> HTMLResponse:
    base = (service.settings.public_url or str(request.base_url)).rstrip("/")
    document, groups = request.app.openapi(), dict[str, list[DocumentedOperation]]()
    for operation in documented_operations(document, base):
        groups.setdefault(operation.tag, []).append(operation)
    page = render("melder.serving", "api.html", info=document["info"], groups=groups)
    return HTMLResponse(page, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"})
