"""Pages from Jinja2 templates: whatever a record says is escaped, and each page is one file that guards itself."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from melder.evaluation.report.numbers import format_number
from melder.io.atomic import replace_file

__all__ = ["render", "write_document"]

PACKAGE = "melder.evaluation.report"


def render(package: str, template: str, **values: Any) -> str:
    """Fill in a template of a package.

    Args:
        package: The package that the directory `templates` lies in.
        template: The file's name in it.
        values: What the template reads; text is escaped wherever it stands.

    Returns:
        HTML.

    Raises:
        jinja2.UndefinedError: When the template reads a value that is not given.
    """
    return _environment(package).get_template(template).render(values)


def write_document(path: Path, template: str, *, styles: Sequence[str], script: str, **values: Any) -> None:
    """Write a page as one HTML file, UTF-8, with everything inside it.

    Its content security policy lets a browser run the page's own script and fetch nothing, whatever the records
    hold.

    Args:
        path: The file to write.
        template: A template of this package that extends `document.html`.
        styles: Style sheets of this package, one after the other.
        script: A script of this package.
        values: What the template reads.
    """
    style, code = "".join(map(_read, styles)), _read(script)
    values |= {"style": Markup(style), "script": Markup(code), "policy": _policy(style, code)}
    replace_file(path, render(PACKAGE, template, **values).encode())


@cache
def _environment(package: str) -> Environment:
    """Strict: a name that is not given is an error, not an empty place on the page."""
    environment = Environment(
        loader=PackageLoader(package), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.keep_trailing_newline = True
    environment.filters |= {"number": format_number, "share": _share, "unbroken": _unbroken}
    return environment


def _share(value: float, digits: int = 2) -> str:
    """A length in SVG, in per cent of the drawing."""
    return f"{100 * value:.{digits}f}%"


def _unbroken(words: str) -> str:
    return words.replace(" ", "\u00a0")


def _policy(style: str, script: str) -> str:
    allowed = f"img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _digest(content: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")


def _read(name: str) -> str:
    return files(PACKAGE).joinpath(name).read_text(encoding="utf-8")
