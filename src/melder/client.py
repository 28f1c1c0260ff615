"""A typed client of `melder serve` for asyncio programs.

async with melder.client.AsyncClient("http://127.0.0.1:8000") as client:
    link = await client.link("Guinea won the toss", mention="Guinea", image="stadium.jpg")
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError
from typing_extensions import Self

from melder.data.mention_inputs import MentionInput, read_mention
from melder.data.picture_inputs import pictures_of
from melder.records import Entity, Link, MelderError, Picture

try:
    import httpx2 as httpx
except ImportError:
    raise MelderError("the client needs httpx2: pip install melder[client]") from None

__all__ = ["AsyncClient"]

TIMEOUT = 60.0  # seconds for an answer


class AsyncClient:
    """Asks a service of `melder serve`.

    Args:
        address: Of the service, such as http://127.0.0.1:8000, with its path if it has one.
        token: For services that want one for changes.
        timeout: Seconds that an answer may take.
        transport: What sends requests in the place of a network, for tests.
    """

    def __init__(
        self, address: str, *, token: str | None = None, timeout: float = TIMEOUT, transport: Any = None
    ) -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx.AsyncClient(
            base_url=address.rstrip("/"), headers=headers, timeout=timeout, transport=transport
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def link(
        self,
        text: str,
        k: int = 10,
        *,
        mention: str | None = None,
        start: int | None = None,
        end: int | None = None,
        image: Any = None,
        types: Sequence[str] = (),
    ) -> Link:
        """The k best entities of one mention of a text; arguments as of `melder.load(…).link`.

        Raises:
            MelderError: The mention does not occur, or the service refuses or cannot be reached.
        """
        fields = {"text": text, "mention": mention, "start": start, "end": end, "image": image}
        return (await self.link_many([fields], k, types=types))[0]

    async def link_many(self, mentions: Sequence[Any], k: int = 10, *, types: Sequence[str] = ()) -> list[Link]:
        """The k best entities of each mention, in order, by one request.

        Args:
            mentions: In any form that `melder.load(…).link` takes one; of a `Mention` the picture is the file that it
                names.

        Raises:
            MelderError: One of them is wrong, or the service refuses or cannot be reached.
        """
        inputs = [read_mention(value, str(number)) for number, value in enumerate(mentions, start=1)]
        requests = [_request(each, k, types) for each in inputs]
        answer = await self._ask("POST", "/link/batch", json={"requests": requests})
        return [_link_of(result, each) for result, each in zip(answer["results"], inputs, strict=True)]

    async def find(self, text: str, k: int = 10, *, image: Any = None, types: Sequence[str] = ()) -> list[Link]:
        """Links of every place of a text that names an entity.

        Raises:
            MelderError: The service refuses or cannot be reached.
        """
        request = {"text": text, "k": k, "types": list(types), "image": _encoded(pictures_of(image))}
        return [Link.model_validate(link) for link in (await self._ask("POST", "/link", json=request))["links"]]

    async def entity(self, identity: str) -> Entity:
        """The record of an entity.

        Raises:
            MelderError: There is none with this id, or the service cannot be reached.
        """
        answer = await self._ask("GET", f"/entities/{quote(identity, safe='')}")
        fields = Entity.model_fields
        return Entity.model_validate({name: value for name, value in answer.items() if name in fields})

    async def _ask(self, method: str, path: str, **content: Any) -> Mapping[str, Any]:
        try:
            response = await self._http.request(method, path, **content)
        except httpx.HTTPError as error:
            raise MelderError(f"{self._http.base_url}: gives no answer ({error or type(error).__name__})") from None
        try:
            answer = response.json()
        except ValueError:
            raise MelderError(f"{response.url}: answers with no JSON (status {response.status_code})") from None
        if response.is_error:
            raise MelderError(f"{response.url}: {answer.get('error', response.status_code)}")
        return dict(answer)


def _request(given: MentionInput, k: int, types: Sequence[str]) -> dict[str, Any]:
    mention = given.mention
    if mention.start is None:
        raise MelderError(f"mention {mention.id!r}: does not occur in its text, and a service marks mentions there")
    pictures = pictures_of(mention.images) if given.in_data else given.images
    span = {"start": mention.start, "end": mention.end}
    return {"text": mention.text, "mentions": [span], "k": k, "types": list(types), "image": _encoded(pictures)}


def _encoded(pictures: Sequence[Picture]) -> str | list[str] | None:
    """One picture as a text, several as a list."""
    contents = [picture if isinstance(picture, bytes) else picture.read_bytes() for picture in pictures]
    encoded = [base64.b64encode(content).decode() for content in contents]
    return encoded if len(encoded) > 1 else next(iter(encoded), None)


def _link_of(result: Mapping[str, Any], given: MentionInput) -> Link:
    if result.get("error"):
        raise MelderError(f"mention {given.mention.id!r}: {result['error']}")
    try:
        return Link.model_validate({**result["links"][0], "id": given.mention.id})
    except (ValidationError, LookupError) as error:
        raise MelderError(f"the service's answer is none of this version of Melder ({error})") from None
