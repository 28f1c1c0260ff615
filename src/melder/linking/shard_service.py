"""A shard that a service of `melder serve` holds, on this machine or another one: asked over HTTP.

A shard that gives no answer in time is away: nobody waits for it any more, and from time to time it is asked again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from melder.io.addresses import without_password
from melder.linking.nil_calibration import Nil
from melder.records import Link, MelderError

__all__ = ["Away", "ShardDescription", "ShardService"]

log = logging.getLogger(__name__)
AT_ONCE = 4  # requests to one shard: links, and what a page shows of entities meanwhile
CONNECT = 1.0  # seconds for a connection: a machine that is there answers in thousandths
AGAIN = 1.0  # seconds until one that is away is asked again
GLANCE = 0.5  # seconds that a question waits for one that is asked again
BUSY = 503
T = TypeVar("T")


class Away(Exception):
    """A shard gives no answer."""


class ShardDescription(BaseModel):
    """What a service says of the shard that it holds.

    Args:
        generation: Of its knowledge base.
        model: The method and the start of its weights' digest, the same for all shards of a set.
        entities: How many there are.
        types: Those of its entities.
        pictures: How many of a mention its model compares.
        compares_pictures: Whether any counts.
        nil: How scores become NIL probabilities.
    """

    model_config = ConfigDict(frozen=True)

    generation: str
    model: str
    entities: int
    types: tuple[str, ...]
    pictures: int
    compares_pictures: bool
    nil: Nil | None


class ShardService:
    """One service, at an address.

    Args:
        address: Such as http://10.0.0.1:8000.
        seconds: What an answer may take.
    """

    def __init__(self, address: str, seconds: float) -> None:
        self._url, self.seconds = address.rstrip("/"), seconds
        self.address = without_password(self._url)  # which links, messages and logs name
        self.description: ShardDescription | None = None
        self._http = self._connected()
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="shard")
        self._lock = threading.Lock()
        self._again: float | None = None  # when to ask one that is away; None: it is not
        self._return: Future[ShardDescription] | None = None

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._http.close()

    def described(self) -> Future[ShardDescription]:
        """What it holds. The future may raise Away."""
        return self._threads.submit(self.describe)

    def describe(self) -> ShardDescription:
        """Ask what it holds. Raises Away."""
        answer = self._ask("GET", "/shard")
        try:
            self.description = ShardDescription.model_validate(answer)
        except ValidationError:
            raise self._of_another_version() from None
        return self.description

    def is_there(self) -> bool:
        """Whether it is worth asking; one that is away is asked what it holds, and waited for a glance at most."""
        glance = 0.0
        with self._lock:
            if self._again is None:
                return True
            if self._return is None:
                if time.monotonic() < self._again:
                    return False
                self._return, glance = self._threads.submit(self.describe), GLANCE
            returning = self._return
        try:
            returning.result(glance)
        except TimeoutError:
            return False
        except (Away, MelderError) as error:
            self.lost(str(error))
            return False
        with self._lock:
            self._again = self._return = None
        log.warning("the shard %s is back", self.address)
        return True

    def lost(self, reason: str) -> None:
        """Count it as away."""
        with self._lock:
            if self._again is None:
                log.warning("the shard %s is away: %s", self.address, reason)
                old, self._http = self._http, self._connected()  # what waits in old connections is given up
                self._threads.submit(old.close)
            self._again, self._return = time.monotonic() + AGAIN, None

    def answer_in(self, seconds: float, answer: Future[T]) -> T | None:
        """What one of its futures gives in so many seconds; None where it does not, and then the shard is lost."""
        try:
            return answer.result(seconds)
        except (Away, TimeoutError) as error:
            self.lost(str(error) or "no answer in time")
            return None

    def links(self, requests: Sequence[Mapping[str, Any]]) -> Future[list[Link]]:
        """The links of texts with one mention each; the future may raise Away."""
        return self._threads.submit(self._links, requests)

    def get(self, path: str, **parameters: Any) -> Future[Any]:
        """What is at a path: None for nothing, bytes where it is no JSON. The future may raise Away."""
        return self._threads.submit(self._ask, "GET", path, params=parameters)

    def _links(self, requests: Sequence[Mapping[str, Any]]) -> list[Link]:
        answer = self._ask("POST", "/link/batch", json={"requests": list(requests)})
        try:
            generation, results = answer["generation"], answer["results"]
            errors = [result["error"] for result in results if result.get("error")]
            links = [] if errors else [Link.model_validate(result["links"][0]) for result in results]
        except (TypeError, KeyError, IndexError, AttributeError, ValidationError):
            raise self._of_another_version() from None
        for error in errors:
            raise MelderError(f"{self.address}: {error}")
        if self.description is None or generation != self.description.generation:
            self.describe()
        return links

    def _of_another_version(self) -> MelderError:
        return MelderError(f"{self.address}: is no `melder serve` of this version; upgrade it")

    def _ask(self, method: str, path: str, **content: Any) -> Any:
        import httpx2 as httpx

        end = time.monotonic() + self.seconds
        while True:
            try:
                response = self._http.request(method, path, **content)
            except (httpx.HTTPError, RuntimeError) as error:  # RuntimeError: it was closed meanwhile
                raise Away(str(error) or type(error).__name__) from None
            if response.status_code != BUSY or time.monotonic() + AGAIN > end:
                break
            time.sleep(AGAIN / 4)
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        if response.is_server_error:
            raise Away(f"status {response.status_code}")
        if response.is_error:
            raise MelderError(f"{self.address}{path}: {_error_of(response)}")
        is_json = response.headers.get("content-type", "").startswith("application/json")
        return response.json() if is_json else response.content

    def _connected(self) -> Any:
        try:
            import httpx2 as httpx
        except ImportError:
            raise MelderError("shards over the network need httpx2: pip install melder[client]") from None
        timeout = httpx.Timeout(self.seconds, connect=min(CONNECT, self.seconds))
        # A proxy of the environment is for the world outside; shards are on one's own network.
        return httpx.Client(base_url=self._url, timeout=timeout, trust_env=False)


def _error_of(response: Any) -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"status {response.status_code}"
