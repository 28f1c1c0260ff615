"""Which web addresses may be fetched, and from which machines: what stands between a service and its own network."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from melder.serving.errors import ApiError

__all__ = ["Resolve", "ServiceAddress", "checked_address", "place_of", "resolve"]

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]  # host and port to addresses
PORTS = {"http": 80, "https": 443}
LONGEST = 2048  # characters: what browsers and proxies take for certain

# Addresses that stand for an IPv4 address, which the network then uses: RFC 4291, 6052, 8215, 3056, 4380.
STAND_INS = tuple(
    ipaddress.ip_network(each)
    for each in ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)


@dataclass(frozen=True)
class ServiceAddress:
    """A web address taken apart."""

    scheme: str
    host: str
    port: int
    target: str  # path and query, as it goes over the wire


def place_of(url: str, allowed: Sequence[str]) -> ServiceAddress:
    """The parts of an address that may be fetched.

    Args:
        allowed: Names of hosts; one that starts with a dot stands for all names below it.

    Raises:
        ApiError: (403) for every other one.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise ApiError(403, "the picture's address cannot be read") from None
    if len(url) > LONGEST or not url.isascii() or any(ord(each) <= 32 or ord(each) == 127 for each in url):
        raise ApiError(403, "the picture's address is too long, or holds characters that need percent-encoding")
    if parts.scheme not in PORTS or parts.username is not None or parts.password is not None:
        raise ApiError(403, "the picture's address must start with http:// or https:// and name no user")
    if not _is_allowed(host, allowed):
        raise ApiError(403, "pictures may not be fetched from that host; send the picture itself, in base64")
    if port not in (None, PORTS[parts.scheme]):
        raise ApiError(403, "the picture's address names a port; only the usual ones, 80 and 443, are allowed")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return ServiceAddress(parts.scheme, host, PORTS[parts.scheme], target)


async def resolve(host: str, port: int) -> Sequence[str]:
    """Every address of a host, from the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def checked_address(place: ServiceAddress, lookup: Resolve) -> str:
    """An address of the place to dial; all of them must be public, and none is asked for again.

    Raises:
        ApiError: (403) when one is not, (502) when there is none.
    """
    try:
        addresses = await lookup(place.host, place.port)
    except (OSError, UnicodeError):
        addresses = []
    if not addresses:
        raise ApiError(502, "the picture's host is not known")
    if not all(map(_is_public, addresses)):
        raise ApiError(403, "the picture's host is not on the public internet; send the picture itself, in base64")
    return addresses[0]


def _is_allowed(host: str, allowed: Sequence[str]) -> bool:
    names = [name.lower() for name in allowed]
    return any(host.endswith(name) if name.startswith(".") else host == name for name in names)


def _is_public(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # with a scope, as link-local addresses have
        return False
    if any(parsed.version == each.version and parsed in each for each in STAND_INS):
        return False
    return parsed.is_global and not parsed.is_multicast
