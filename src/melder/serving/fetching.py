"""Fetches pictures by address: the only place where Melder reaches the network because somebody else asks it to.

Off unless hosts are allowed. The address that was checked is the one that is dialled, so that a name that resolves
differently the second time (DNS rebinding) gains nothing; a redirect is checked like the first address. Nothing is
sent but the request: no cookies, no credentials, no referrer. Against vLLM's CVE-2025-6242 and what followed it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from urllib.parse import urljoin

import anyio
import h11

from melder.serving.addresses import Resolve, ServiceAddress, checked_address, place_of, resolve
from melder.serving.errors import ApiError
from melder.serving.settings import ServiceSettings

__all__ = ["Fetcher", "dial"]

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[ServiceAddress, str], Awaitable[Streams]]  # a place, and the address checked for it
REDIRECTS = frozenset({301, 302, 303, 307, 308})
READ = 65_536  # bytes at a time
HEAD = 32_768  # bytes of an answer's status and headers


async def dial(place: ServiceAddress, address: str) -> Streams:
    """A connection to an address; the certificate must be the host's."""
    if place.scheme == "http":
        return await asyncio.open_connection(address, place.port)
    context = ssl.create_default_context()
    return await asyncio.open_connection(address, place.port, ssl=context, server_hostname=place.host)


class Fetcher:
    """Fetches from the hosts that the settings allow."""

    def __init__(self, settings: ServiceSettings, lookup: Resolve = resolve, dial: Dial = dial) -> None:
        self._settings, self._lookup, self._dial = settings, lookup, dial

    async def fetch(self, url: str) -> bytes:
        """What lies at an address.

        Raises:
            ApiError: (403) when it may not be fetched, (502) when that fails.
        """
        if not self._settings.picture_hosts:
            raise ApiError(403, "this service does not fetch pictures; send the picture itself, in base64")
        try:
            with anyio.fail_after(self._settings.picture_seconds):
                return await self._follow(url)
        except TimeoutError:
            raise ApiError(502, "the picture's host did not answer in time") from None
        except (OSError, ssl.SSLError, h11.ProtocolError, asyncio.IncompleteReadError):
            raise ApiError(502, "the picture could not be fetched from its host") from None

    async def _follow(self, url: str) -> bytes:
        place = place_of(url, self._settings.picture_hosts)
        for _ in range(self._settings.picture_redirects + 1):
            address = await checked_address(place, self._lookup)
            content, moved = await self._get(place, address)
            if moved is None:
                return content
            url = urljoin(url, moved)
            if place.scheme == "https" and not url.startswith("https:"):
                raise ApiError(403, "the picture's host leads from https to http")
            place = place_of(url, self._settings.picture_hosts)
        raise ApiError(403, "the picture's host leads from address to address too often")

    async def _get(self, place: ServiceAddress, address: str) -> tuple[bytes, str | None]:
        """The content at a place, or where it says that it has moved to."""
        reader, writer = await self._dial(place, address)
        try:
            return await self._exchange(place, reader, writer)
        finally:
            writer.close()

    async def _exchange(
        self, place: ServiceAddress, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[bytes, str | None]:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD)
        headers = [
            ("Host", place.host),
            ("Accept", "image/*"),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
        ]
        request = connection.send(h11.Request(method="GET", target=place.target, headers=headers))
        writer.write((request or b"") + (connection.send(h11.EndOfMessage()) or b""))
        await writer.drain()
        content = bytearray()
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(READ))
            elif isinstance(event, h11.Response):
                if event.status_code in REDIRECTS:
                    return b"", _location(event)
                if event.status_code != 200:
                    raise ApiError(502, "the picture's host did not give the picture")
            elif isinstance(event, h11.Data):
                content += event.data
                if len(content) > self._settings.picture_bytes:
                    raise ApiError(422, f"the picture is larger than {self._settings.picture_bytes:,} bytes")
            elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
                return bytes(content), None


def _location(response: h11.Response) -> str:
    found = [value for name, value in response.headers if name == b"location"]
    if len(found) != 1:
        raise ApiError(502, "the picture's host leads nowhere")
    return found[0].decode("latin-1")
