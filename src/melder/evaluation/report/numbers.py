"""How numbers are written on pages and in their headlines."""

from __future__ import annotations

__all__ = ["format_number"]


def format_number(value: float, pattern: str = ".3f") -> str:
    """A number by a format specification, with a real minus sign, and none before what rounds to zero.

    Args:
        value: Any number.
        pattern: As `format` has it.

    Returns:
        For people.
    """
    written = format(value, pattern)
    if not any(digit in written for digit in "123456789"):
        return format(abs(value) * 0, pattern)
    return f"−{written[1:]}" if written.startswith("-") else written
