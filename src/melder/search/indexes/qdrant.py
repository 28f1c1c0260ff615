"""An index that Qdrant holds, through its client: `pip install melder[qdrant]`, then `qdrant:ADDRESS`.

The address is that of a service (`qdrant:http://localhost:6333`), or `memory`: the client's own search through all
vectors, for a trial, which ends with the process. A directory of the client's own is not offered: it is pickles, and
waits for the disk with every vector. The key of a service is taken from MELDER_QDRANT_API_KEY, so that it is never part
of a command line or of a saved index.

A collection is named after the vectors in it. The same knowledge base finds its collection again and sends nothing;
another one, or the same after a change, has its own.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from melder.io.addresses import has_password
from melder.protocols import Counting, Nearest, TypeNames
from melder.records import MelderError
from melder.search.indexes.databases import (
    collection_name,
    last_line,
    read_description,
    stored_lift,
    write_description,
)
from melder.search.indexes.lifted import MipsToCosine

__all__ = ["QdrantDatabase", "QdrantIndex"]

KEY = "MELDER_QDRANT_API_KEY"
AT_ONCE = 1000  # vectors a request: a few megabytes, where a service refuses more than 32
TYPES, MEMORY = "types", "memory"
SECONDS = 60  # for an answer of the service
DESCRIPTION = "qdrant.json"


class QdrantIndex:
    """A collection of lifted vectors with their types.

    Args:
        database: Where the collection is.
        collection: Its name; its points are numbered as the entities' rows.
        lift: What makes the largest product the nearest.
        rows: Vectors that were put in, also those that were removed since.
    """

    keeps_vectors, filters_types, tells_products = False, True, False

    def __init__(self, database: QdrantDatabase, collection: str, lift: MipsToCosine, rows: int) -> None:
        self.database = database
        self.collection = collection
        self.lift = lift
        self.rows = rows
        self.filter: Any = None  # of what is found, as the client has it

    @classmethod
    def build(
        cls,
        vectors: Tensor,
        options: str = "",
        types: Sequence[tuple[str, ...]] | None = None,
        counting: Counting | None = None,
    ) -> QdrantIndex:
        """`options` are the address; `types` those of each entity, for searches among some types only.

        Raises:
            MelderError: Without an address, with a password in it, and when there is no database.
        """
        if not options:
            raise MelderError("qdrant: needs to know where: qdrant:http://HOST:6333, or qdrant:memory for a trial")
        if has_password(options):
            raise MelderError(f"qdrant: the address holds a password; leave it out, and set {KEY}")
        index = cls(QdrantDatabase.at(options), collection_name(vectors, types), MipsToCosine.of(vectors), 0)
        with index.database.asked() as client:
            if index._is_whole(client, len(vectors)):
                index.rows = len(vectors)
            else:
                index._create(client)
                index.add(vectors, types)
        return index

    @classmethod
    def open(cls, path: Path) -> QdrantIndex:
        described = read_description(path, DESCRIPTION, {"address": str, "collection": str, "rows": int})
        database, collection = QdrantDatabase.at(described["address"]), described["collection"]
        with database.asked() as client:
            if not client.collection_exists(collection):
                where = f"qdrant:{database.address}"
                raise MelderError(f"{where}: no longer has the collection {collection}; build the index again")
        return cls(database, collection, stored_lift(described), described["rows"])

    def save(self, path: Path) -> None:
        """What finds the collection again; the vectors stay in the database."""
        described = {"address": self.database.address, "collection": self.collection, "rows": self.rows}
        write_description(path, DESCRIPTION, self.lift, described)

    def add(self, vectors: Tensor, types: Sequence[tuple[str, ...]] | None = None) -> None:
        """Vectors longer than those that it was built of, by more than a little, raise MelderError."""
        from qdrant_client.models import Batch

        lifted = self.lift.vectors(vectors)
        with self.database.asked() as client:
            for start in range(0, len(lifted), AT_ONCE):
                places = range(start, min(start + AT_ONCE, len(lifted)))
                payloads = [{TYPES: [] if types is None else list(types[place])} for place in places]
                ids = [self.rows + place for place in places]
                batch = Batch(ids=ids, vectors=lifted[places.start : places.stop].tolist(), payloads=payloads)
                client.upsert(self.collection, batch, wait=True)
        self.rows += len(lifted)

    def remove(self, rows: np.ndarray) -> None:
        with self.database.asked() as client:
            for batch in np.array_split(np.unique(rows), max(1, len(rows) // AT_ONCE)):
                client.delete(self.collection, points_selector=batch.tolist(), wait=True)

    def only(self, types: TypeNames) -> QdrantIndex:
        """The same collection, in which just the entities of these types are found."""
        from qdrant_client.models import FieldCondition, Filter, MatchValue

        conditions = [FieldCondition(key=TYPES, match=MatchValue(value=name)) for name in types.names]
        chosen = copy(self)
        chosen.filter = Filter(must=conditions) if types.every else Filter(should=conditions)
        return chosen

    def search(self, query: Tensor, k: int) -> Nearest:
        wanted = min(k, self.rows)
        if not wanted:
            return Nearest(np.zeros(0, np.int64), None)
        asked = {"query_filter": self.filter, "limit": wanted, "with_payload": False}
        with self.database.asked() as client:
            points = client.query_points(self.collection, self.lift.query(query).tolist(), **asked).points
        ordered = sorted((-point.score, point.id) for point in points)
        return Nearest(np.array([row for _, row in ordered], dtype=np.int64), None)

    def _is_whole(self, client: Any, count: int) -> bool:
        """Whether the collection is there with all its vectors; one that a killed process left is removed."""
        if not client.collection_exists(self.collection):
            return False
        there = client.count(self.collection, exact=True).count
        if there != count:
            client.delete_collection(self.collection)
        return bool(there == count)

    def _create(self, client: Any) -> None:
        from qdrant_client.models import Distance, PayloadSchemaType, VectorParams

        size = self.lift.width + 1
        client.create_collection(self.collection, vectors_config=VectorParams(size=size, distance=Distance.DOT))
        if self.database.address != MEMORY:  # which has no use for one
            client.create_payload_index(self.collection, TYPES, PayloadSchemaType.KEYWORD)


class QdrantDatabase:
    """A client of what is at an address; the memory of this process has one, for as long as an index is in it.

    Args:
        address: Of a service, `http://HOST:6333`, or `memory`.

    Raises:
        MelderError: The client is not installed, or there is no such address.
    """

    _in_memory: ClassVar[weakref.WeakValueDictionary[str, QdrantDatabase]] = weakref.WeakValueDictionary()

    def __init__(self, address: str) -> None:
        self.address = address
        self._client = _connect(address)
        weakref.finalize(self, self._client.close)

    @classmethod
    def at(cls, address: str) -> QdrantDatabase:
        if address != MEMORY:
            return cls(address)
        return cls._in_memory.get(MEMORY) or cls._in_memory.setdefault(MEMORY, cls(MEMORY))

    @contextmanager
    def asked(self) -> Iterator[Any]:
        """The client; what goes wrong with the database is a mistake of where it runs, not a defect."""
        from qdrant_client.http.exceptions import ApiException

        try:
            yield self._client
        except (ApiException, OSError, ValueError, RuntimeError) as error:
            reason = last_line(error)
            raise MelderError(f"qdrant:{self.address}: failed ({reason}); see to the database and try again") from None


def _connect(address: str) -> Any:
    try:
        from qdrant_client import QdrantClient
    except ImportError:
        raise MelderError("qdrant needs its package: pip install melder[qdrant]") from None
    if address == MEMORY:
        return QdrantClient(":memory:")
    if not address.startswith(("http://", "https://")):
        raise MelderError(f"qdrant:{address}: is no address; write qdrant:http://HOST:6333, or qdrant:memory")
    try:
        key = os.environ.get(KEY) or None
        return QdrantClient(url=address, api_key=key, timeout=SECONDS, check_compatibility=False)
    except (OSError, ValueError, RuntimeError) as error:
        reason = last_line(error)
        raise MelderError(f"qdrant:{address}: cannot be opened ({reason}); check the address, and {KEY}") from None
