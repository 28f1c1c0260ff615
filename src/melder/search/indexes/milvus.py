"""An index that a vector database holds, through pymilvus: `pip install melder[milvus]`, then `milvus:URI`.

The URI is all that differs between an embedded file (`milvus:vectors.db`, by milvus-lite) and a cluster
(`milvus:http://localhost:19530`). A token for the cluster, `user:password` say, is taken from MELDER_MILVUS_TOKEN, so
that it is never part of a command line or of a saved index.

A collection is named after the vectors in it. The same knowledge base finds its collection again and sends nothing;
another one, or the same after a change, has its own.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from melder.protocols import Counting, Nearest, TypeNames
from melder.records import MelderError
from melder.search.indexes.files import new_directory
from melder.search.indexes.lifted import MipsToCosine

__all__ = ["MilvusIndex"]

TOKEN = "MELDER_MILVUS_TOKEN"
AT_ONCE = 1000  # vectors a request: a few megabytes, where a cluster refuses more than 64
MOST = 16_384  # answers of one request that Milvus allows
KEY, VECTOR, TYPES, COUNT = "column", "vector", "types", "count(*)"
TYPES_EACH, TYPE_LENGTH = 4096, 512  # types of an entity, and bytes of a type, that are kept; Milvus's own limit
DESCRIPTION = "milvus.json"
QUIET = {"grpc.keepalive_permit_without_calls": 0}  # a client that rests sends nothing; an embedded server minds that


class MilvusIndex:
    """client: of the database at `uri`; its `collection` has lifted vectors under their rows, and types"""

    keeps_vectors, filters_types, tells_products = False, True, False

    def __init__(self, client: Any, uri: str, collection: str, lift: MipsToCosine, rows: int) -> None:
        self.client = client
        self.uri = uri
        self.collection = collection
        self.lift = lift
        self.rows = rows
        self.filter = ""  # of what is found, in Milvus's own language

    @classmethod
    def build(
        cls,
        vectors: Tensor,
        options: str = "",
        types: Sequence[tuple[str, ...]] | None = None,
        counting: Counting | None = None,
    ) -> MilvusIndex:
        """`options` are the URI; `types` those of each entity, for searches among some types only.

        Raises:
            MelderError: Without a URI, and when the database cannot be reached.
        """
        uri = options
        if not uri:
            raise MelderError("milvus: needs to know where: milvus:FILE.db, or milvus:http://HOST:19530 for a cluster")
        index = cls(_connect(uri), uri, f"melder_{_fingerprint(vectors, types)}", MipsToCosine.of(vectors), 0)
        with _told(uri):
            if index._is_whole(len(vectors)):
                index.rows = len(vectors)
            else:
                index._create()
                index.add(vectors, types)
        return index

    @classmethod
    def open(cls, path: Path) -> MilvusIndex:
        try:
            description = json.loads((path / DESCRIPTION).read_text(encoding="utf-8"))
            uri, collection, rows = (
                str(description["uri"]),
                str(description["collection"]),
                int(description["columns"]),
            )
            lift = MipsToCosine(float(description["radius"]), int(description["width"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MelderError(f"{path}: is no index of this kind, or is damaged ({error}); build it again") from None
        client = _connect(uri)
        if not client.has_collection(collection):
            raise MelderError(f"{uri}: no longer has the collection {collection}; build the index again")
        return cls(client, uri, collection, lift, rows)

    def save(self, path: Path) -> None:
        """What finds the collection again; the vectors stay in the database."""
        described = {"uri": self.uri, "collection": self.collection, "columns": self.rows, **vars(self.lift)}
        with new_directory(path) as partial:
            (partial / DESCRIPTION).write_text(json.dumps(described), encoding="utf-8")

    def add(self, vectors: Tensor, types: Sequence[tuple[str, ...]] | None = None) -> None:
        """Vectors longer than those that it was built of, by more than a little, raise MelderError."""
        lifted = self.lift.vectors(vectors)
        for start in range(0, len(lifted), AT_ONCE):
            rows = range(start, min(start + AT_ONCE, len(lifted)))
            stored = [[] if types is None else _kept(types[row]) for row in rows]
            batch = zip(rows, lifted[rows.start : rows.stop], stored, strict=True)
            self.client.insert(
                self.collection,
                [{KEY: self.rows + row, VECTOR: vector, TYPES: stored_types} for row, vector, stored_types in batch],
            )
        self.rows += len(lifted)

    def remove(self, rows: np.ndarray) -> None:
        for batch in np.array_split(np.unique(rows), max(1, len(rows) // AT_ONCE)):
            self.client.delete(self.collection, ids=batch.tolist())

    def only(self, types: TypeNames) -> MilvusIndex:
        """The same collection, in which just the entities of these types are found, as far as Milvus can tell them."""
        if not all(map(_is_kept, types.names)):
            return self
        chosen, names = copy(self), json.dumps(types.names, ensure_ascii=False)
        chosen.filter = f"array_contains_{'all' if types.every else 'any'}({TYPES}, {names})"
        return chosen

    def search(self, query: Tensor, k: int) -> Nearest:
        wanted = min(k, self.rows, MOST)
        if not wanted:
            return Nearest(np.zeros(0, np.int64), None)
        lifted, options = [self.lift.query(query)], {"filter": self.filter, "output_fields": [KEY]}
        with _told(self.uri):
            hits = self.client.search(self.collection, data=lifted, limit=wanted, **options)[0]
        ordered = sorted((-hit["distance"], hit[KEY]) for hit in hits)
        return Nearest(np.array([row for _, row in ordered], dtype=np.int64), None)

    def _is_whole(self, count: int) -> bool:
        """Whether the collection is there with all its vectors; one that a killed process left is removed."""
        if not self.client.has_collection(self.collection):
            return False
        self.client.load_collection(self.collection)
        there = self.client.query(self.collection, filter="", output_fields=[COUNT])[0][COUNT]
        if there != count:
            self.client.drop_collection(self.collection)
        return bool(there == count)

    def _create(self) -> None:
        from pymilvus import DataType

        schema = self.client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field(KEY, DataType.INT64, is_primary=True)
        schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=self.lift.width + 1)
        texts = {"element_type": DataType.VARCHAR, "max_capacity": TYPES_EACH, "max_length": TYPE_LENGTH}
        schema.add_field(TYPES, DataType.ARRAY, **texts)
        indexed = self.client.prepare_index_params()
        indexed.add_index(VECTOR, index_type="AUTOINDEX", metric_type="IP")
        # Strong: what one process has written is seen by the next search, wherever that is made.
        self.client.create_collection(self.collection, schema=schema, index_params=indexed, consistency_level="Strong")


def _connect(uri: str) -> Any:
    try:
        from pymilvus import MilvusClient
        from pymilvus.exceptions import MilvusException
    except ImportError:
        raise MelderError("milvus needs its package: pip install melder[milvus]") from None
    try:
        return MilvusClient(uri, token=os.environ.get(TOKEN, ""), grpc_options=QUIET)
    except (MilvusException, OSError, ValueError, RuntimeError) as error:
        raise MelderError(f"milvus:{uri}: cannot be opened ({_reason(error)}); check the URI, and {TOKEN}") from None


@contextmanager
def _told(uri: str) -> Iterator[None]:
    """What goes wrong with the database on the way is a mistake of where it runs, not a defect."""
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except MilvusException as error:
        raise MelderError(f"milvus:{uri}: failed ({_reason(error)}); see to the database and try again") from None


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]


def _kept(types: Sequence[str]) -> list[str]:
    return [name for name in types if _is_kept(name)][:TYPES_EACH]


def _is_kept(name: str) -> bool:
    """Whether a type fits, and can be written in Milvus's own language, which has no escapes for control characters."""
    return len(name.encode()) <= TYPE_LENGTH and name.isprintable()


def _fingerprint(vectors: Tensor, types: Sequence[tuple[str, ...]] | None) -> str:
    digest = hashlib.sha256(json.dumps([list(vectors.shape), types]).encode())
    digest.update(vectors.detach().cpu().to(torch.float32).contiguous().numpy().data)
    return digest.hexdigest()[:24]
