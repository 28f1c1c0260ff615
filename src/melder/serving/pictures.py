"""Pictures that come with a request: decoded once before they may enter the queue, so that bad ones never do."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from functools import partial
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread

from melder.data.pictures import Limits, UnreadablePicture, read_picture
from melder.serving.errors import ApiError
from melder.serving.fetching import Fetcher
from melder.serving.settings import ServiceSettings

__all__ = ["ImageLoader"]

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

LONGEST_NAME = 1024  # characters: a quarter of the longest path
WEB = ("http://", "https://")
WHITE = b" \t\n\v\f\r"


CheckPicture = Callable[[bytes, Limits], None]  # decodes a picture within limits, or raises UnreadablePicture


def check_picture(content: bytes, limits: Limits) -> None:
    """Decode a picture and keep nothing of it."""
    read_picture(content, limits=limits)


class ImageLoader:
    """Takes pictures in, a few at a time, since a decoded one is large."""

    def __init__(self, settings: ServiceSettings, fetcher: Fetcher) -> None:
        self._limits, self._fetcher = settings.picture_limits, fetcher
        self._directory = None if settings.picture_dir is None else settings.picture_dir.resolve()
        self._room = anyio.CapacityLimiter(settings.decoders)

    async def take(self, given: str | bytes | None, check: CheckPicture = check_picture) -> bytes | None:
        """The bytes of a picture given as base64, data URI, web address or bytes; nothing for nothing.

        `check` decodes it.

        Raises:
            ApiError: (422) when it is none, or is too large, (403) when it may not be fetched.
        """
        if not given:
            return None
        if isinstance(given, str) and given.lower().startswith(WEB):
            given = await self._fetcher.fetch(given)
        return await self.decode(self._checked, given, check)

    async def take_all(
        self, given: Sequence[str | bytes | None], check: CheckPicture = check_picture
    ) -> tuple[bytes, ...]:
        """`take` for several, of which one that cannot be read is known by its number."""
        taken = []
        for number, picture in enumerate(given, start=1):
            try:
                taken.append(await self.take(picture, check))
            except ApiError as error:
                if len(given) == 1:
                    raise
                raise ApiError(error.status_code, f"picture {number} of {len(given)}: {error.detail}") from None
        return tuple(picture for picture in taken if picture is not None)

    async def decode(
        self, work: Callable[Parameters, Result], *arguments: Parameters.args, **named: Parameters.kwargs
    ) -> Result:
        """Do something that decodes a picture, in a thread, when there is room for one more."""
        return await anyio.to_thread.run_sync(partial(work, *arguments, **named), limiter=self._room)

    @property
    def waiting(self) -> int:
        """How many wait to be decoded."""
        return self._room.statistics().tasks_waiting

    def _checked(self, given: str | bytes, check: CheckPicture) -> bytes:
        content = (self._named(given) or _decoded(given)) if isinstance(given, str) else given
        try:
            check(content, self._limits)
        except UnreadablePicture as error:
            raise ApiError(422, str(error)) from None
        return content

    def _named(self, name: str) -> bytes | None:
        """The contents of the file of this name below the directory of pictures; None where there is none."""
        if self._directory is None or len(name) > LONGEST_NAME or not name.isprintable():
            return None
        file = (self._directory / name).resolve()
        if not file.is_relative_to(self._directory) or not file.is_file():
            return None
        with file.open("rb") as content:
            return content.read(self._limits.bytes + 1)


def _decoded(text: str) -> bytes:
    """The bytes of base64 or of a data URI; line breaks are passed over."""
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise ApiError(422, "the picture is a data URI that is not in base64; write data:image/jpeg;base64,…")
    try:  # as bytes: `split` would make a text of each line, and there may be millions
        return base64.b64decode(text.encode("ascii").translate(None, WHITE), validate=True)
    except (binascii.Error, ValueError):
        raise ApiError(422, "the picture is not base64; encode the bytes of the file, or give a data URI") from None
