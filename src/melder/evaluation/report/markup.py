"""HTML that escapes by construction: whatever is not `Markup` already is text, and is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

__all__ = ["Markup", "element", "join"]

VOID = frozenset({"img", "input", "meta"})  # elements that have no end tag


class Markup(str):
    """A piece of finished HTML. Anything joined to it with `+` is a plain string again, hence escaped."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: str | None) -> Markup:
    """One element. `class_` stands for class and `aria_label` for aria-label; None leaves an attribute out."""
    given = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items() if value is not None}
    start = tag + "".join(f' {name}="{escape(value)}"' for name, value in given.items())
    return Markup(f"<{start}>" if tag in VOID else f"<{start}>{join(children)}</{tag}>")


def join(children: Iterable[str]) -> Markup:
    """The pieces one after the other, text among them escaped."""
    return Markup("".join(child if isinstance(child, Markup) else escape(child) for child in children))
