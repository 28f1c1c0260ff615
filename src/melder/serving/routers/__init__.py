"""The routes of the service, one feature a file."""

from melder.serving.routers import entities, extend, flyout, health, link, page, preview, reconcile, suggest

__all__ = ["ROUTERS"]

ROUTERS = tuple(each.router for each in (page, link, entities, reconcile, suggest, flyout, preview, extend, health))
