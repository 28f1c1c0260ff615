"""Inputs that are nearly right: well-formed examples, spoilt in a few places as bytes or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from melder.records import MelderError

__all__ = ["PLENTY", "bytes_of", "edited", "json_values", "spoilt", "texts", "told"]

# 200 inputs a test in CI, 20,000 with HYPOTHESIS_PROFILE=long: see docs/reliability.md.
PLENTY = settings(max_examples=5 * settings().max_examples)

TOKENS = [
    *(b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\n", b"\r", b"\t", b";", b"|", b"..", b"/", b"%", b"%ff"),
    *(b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"\xf0\x9f\x8f\x8f"),
    *(
        b"null",
        b"true",
        b"-1",
        b"1e999",
        b"NaN",
        b"9" * 40,
        b"9" * 5000,
        b"[" * 3000,
        b'{"a":' * 2000,
        b"&a *a",
        b"!!int",
    ),
]
texts = st.one_of(
    st.text(max_size=8),
    st.text(st.characters(categories=["Cs", "Cc", "Lu", "Zs"]), max_size=4),
    st.sampled_from(["", " ", "..", "../x", "/x", "a\0b", "nil", "NIL", "%ff%", "Q1", "0", "x" * 300, "\ud800"]),
)
numbers = st.one_of(st.integers(-3, 30), st.sampled_from([2**31, 2**63, -(2**70), 10**400]), st.floats())
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
json_values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def spoilt(draw: st.DrawFn, examples: Sequence[bytes]) -> bytes:
    """An example with up to five pieces cut out, put in, doubled or turned round."""
    content = draw(st.sampled_from(list(examples)))
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, len(content)))
        stop = min(len(content), start + draw(st.sampled_from([0, 1, 2, 8, 100, 10**9])))
        piece = content[start:stop]
        new = draw(st.one_of(st.just(b""), st.sampled_from(TOKENS), st.binary(max_size=4), st.just(2 * piece)))
        content = content[:start] + new + content[stop:]
    return content


@st.composite
def edited(draw: st.DrawFn, example: Any) -> Any:
    """A JSON value with up to three values in it replaced, removed or added."""
    value = json.loads(json.dumps(example))
    for _ in range(draw(st.integers(0, 3))):
        value = _edited(draw, value)
    return value


def _edited(draw: st.DrawFn, value: Any) -> Any:
    places = (
        sorted(value, key=repr) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    if not len(places) or draw(st.integers(0, 4)) == 0:
        return draw(json_values)
    place = draw(st.sampled_from(list(places)))
    what = draw(st.sampled_from(["deeper", "deeper", "replaced", "removed", "added"]))
    if what == "removed":
        del value[place]
    elif what == "replaced":
        value[place] = draw(json_values)
    elif what == "deeper":
        value[place] = _edited(draw, value[place])
    elif isinstance(value, dict):
        value[draw(texts)] = draw(json_values)
    else:
        value.append(draw(json_values))
    return value


@st.composite
def bytes_of(draw: st.DrawFn, example: Any, *, lines: bool = False) -> bytes:
    """A file of JSON, or of JSON Lines, edited as values and then, at times, as bytes."""
    value = draw(edited(example))
    rows = value if lines and isinstance(value, list) else [value]
    content = "\n".join(json.dumps(row) for row in rows).encode()
    return draw(spoilt([content])) if draw(st.booleans()) else content


def told(error: MelderError) -> None:
    """That an error can be printed, and says something."""
    said = str(error)
    said.encode()
    assert said.strip()
    assert len(said) < 100_000
