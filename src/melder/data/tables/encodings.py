"""In which encoding a text file is: what its first bytes say, else UTF-8, else Windows-1252 where that is certain.

Bytes that are no UTF-8 come from one of the old code pages, and a wrong guess spoils names silently. Windows-1252
counts as certain only where the Central European code page would give the same text, and where letters beyond ASCII
stand alone or in pairs: Cyrillic, Greek and Hebrew fill whole words with them. Everything else has to be declared.
"""

from __future__ import annotations

import codecs
from pathlib import Path

from melder.data.tables.options import Notes
from melder.records import MelderError

__all__ = ["encoding_of"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BLOCK = 1 << 20
_LONGEST_RUN = 2  # bytes beyond ASCII in a row, of Western European text: ß and ä of "Fußgängerübergänge" stand alone


def _agreed_bytes() -> frozenset[int]:
    """Those beyond ASCII that mean the same in the code pages of Western and of Central Europe."""
    agreed = set()
    for byte in range(0x80, 0x100):
        western, central = (bytes([byte]).decode(page, errors="replace") for page in ("cp1252", "cp1250"))
        if western == central != "\ufffd":
            agreed.add(byte)
    return frozenset(agreed)


_AGREED = _agreed_bytes()


def encoding_of(path: Path, declared: str | None, notes: Notes) -> str:
    """The name of the encoding of a file, as Python has it.

    Args:
        path: the file
        declared: what the user says that it is
        notes: told when the encoding is not UTF-8

    Returns:
        The name.

    Raises:
        MelderError: there is no such encoding, or it is none that can be told
    """
    if declared is not None:
        return _declared(declared)
    with path.open("rb") as file:
        start = file.read(4)
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            if encoding != "utf-8-sig":
                notes.add(f"the file is {encoding.upper()}, as its first bytes say")
            return encoding
    for zeros, encoding in ((start[1::2], "utf-16-le"), (start[::2], "utf-16-be")):
        if len(start) == 4 and zeros == b"\0\0" and any(start):
            notes.add("the file is UTF-16 without a byte order mark, as its zero bytes say")
            return encoding
    if _is_utf8(path):
        return "utf-8"
    if _is_windows_1252(path):
        notes.add("the file is not UTF-8; it is read as Windows-1252 (--encoding says otherwise)")
        return "cp1252"
    return "utf-8"  # and the reader names the row that is not


def _declared(name: str) -> str:
    try:
        codec = codecs.lookup(name)
    except LookupError:
        raise MelderError(f"--encoding {name}: is no encoding; write utf-8, utf-16, windows-1252 or the like") from None
    if not codec._is_text_encoding:
        raise MelderError(f"--encoding {name}: is no encoding of texts; write utf-8, utf-16, windows-1252 or the like")
    return "utf-8-sig" if codec.name == "utf-8" else codec.name


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _is_windows_1252(path: Path) -> bool:
    run = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            for byte in block:
                run = run + 1 if byte >= 0x80 else 0
                if run > _LONGEST_RUN or (run and byte not in _AGREED):
                    return False
    return True
