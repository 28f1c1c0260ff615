"""The manifest of the Reconciliation API 0.2: what this service offers, and where."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import melder
from melder.serving.settings import ServiceSettings
from melder.serving.source import Served

__all__ = ["identifier_space", "manifest_of"]

TYPES = 10  # offered before a column is looked at


def identifier_space(served: Served, settings: ServiceSettings) -> str:
    """What stands before ids: the public address or, without one, a name that stays the same on every port.

    OpenRefine keeps it in projects, and takes entities of another space for others.
    """
    if settings.public_url is not None:
        return f"{settings.public_url.rstrip('/')}/entities/"
    return f"urn:melder:{quote(served.name, safe='')}:"


def manifest_of(base: str, served: Served, settings: ServiceSettings) -> dict[str, Any]:
    """The manifest of a service whose address is `base`."""
    return {
        "versions": ["0.2"],
        "name": f"{served.name} (Melder)",
        "identifierSpace": identifier_space(served, settings),
        "schemaSpace": "urn:melder:properties:" if settings.public_url is None else f"{base}/reconcile/properties/",
        "documentation": f"{base}/openapi.json",
        "serviceVersion": melder.__version__,
        "batchSize": settings.queries,
        "defaultTypes": [{"id": kind, "name": kind} for kind in served.catalogue.types[:TYPES]],
        "view": {"url": f"{base}/reconcile/preview?id={{{{id}}}}"},
        "preview": {"url": f"{base}/reconcile/preview?id={{{{id}}}}", "width": 400, "height": 220},
        "suggest": {kind: _suggest(base, kind) for kind in ("entity", "type", "property")},
        "extend": {
            "propose_properties": {"service_url": base, "service_path": "/reconcile/extend/propose"},
            "property_settings": [LIMIT],
        },
    }


LIMIT = {
    "name": "limit",
    "label": "Limit",
    "type": "number",
    "default": 0,
    "help_text": "Values a row at most; 0 for all",
}


def _suggest(base: str, kind: str) -> dict[str, str]:
    return {
        "service_url": base,
        "service_path": f"/reconcile/suggest/{kind}",
        "flyout_service_path": f"/reconcile/flyout/{kind}?id=${{id}}",
    }
