"""Addresses of databases as messages and files may show them: without what is secret in them."""

from __future__ import annotations

import re

__all__ = ["has_password", "without_password"]

# scheme://user:password@ — a password may hold anything but the @ that ends it, quoted or not.
_PASSWORD = re.compile(r"(?P<user>[a-z][a-z0-9+.-]*://[^\s/@:]*):[^\s]*@", re.IGNORECASE)
_PARAMETER = re.compile(r"(?P<name>\b(?:password|passwd|pwd|sslpassword|token|api_key)=)[^\s&;]*", re.IGNORECASE)


def without_password(text: str) -> str:
    """A text in which passwords of addresses are stars: `postgresql://reader:***@host/db`."""
    return _PARAMETER.sub(r"\g<name>***", _PASSWORD.sub(r"\g<user>:***@", text))


def has_password(address: str) -> bool:
    """Whether an address holds a password, or what looks like one."""
    return without_password(address) != address
