"""The routes of the service, one feature a file."""

from melder.serving.routers import (
    api_page,
    entities,
    exemplars,
    explain,
    extend,
    flyout,
    health,
    link,
    log,
    nif,
    page,
    preview,
    reconcile,
    shard,
    suggest,
)

__all__ = ["ROUTERS"]

_FEATURES = (
    page,
    api_page,
    link,
    shard,
    explain,
    log,
    nif,
    exemplars,
    entities,
    reconcile,
    suggest,
    flyout,
    preview,
    extend,
    health,
)
ROUTERS = tuple(each.router for each in _FEATURES)
