"""The HTML document around the contents of a page: head, style, script, and the policy that guards them."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from melder.evaluation.report.markup import Markup, element

__all__ = ["write_document"]


def write_document(
    path: Path,
    title: str,
    sections: Sequence[Markup],
    *,
    styles: Sequence[str] = ("report.css",),
    script: str = "report.js",
) -> None:
    """Write one HTML file, UTF-8, with everything inside it; `styles` and `script` are files of this package.

    Its content security policy lets a browser run the page's own script and fetch nothing, whatever the records
    hold.
    """
    style, code = "".join(map(_read, styles)), _read(script)
    body = element("body", element("main", *sections), element("script", Markup(code)))
    document = element("html", _head(title, style, code), body, lang="en")
    path.write_text(f"<!doctype html>\n{document}\n", encoding="utf-8", newline="\n")


def _head(title: str, style: str, script: str) -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Markup(style)),
    )


def _policy(style: str, script: str) -> str:
    allowed = f"img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _digest(content: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")


def _read(name: str) -> str:
    return files("melder.evaluation.report").joinpath(name).read_text(encoding="utf-8")
