"""Shards that are searched apart, each by a process of its own, and their best entities put together.

The k best of all are among the k best of each, so that nothing is lost: the merged answer is that of one knowledge
base, down to the last bits of scores (a float sum depends on what it is computed with).
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import accumulate
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch

from melder.features import Side
from melder.linking.exact import ExactLinker
from melder.linking.load import load
from melder.records import MelderError
from melder.runs.rerank_configuration import FIRST_STAGE
from melder.search.filters import EntityFilter, Types
from melder.search.topk import TopK

__all__ = ["Packed", "Processes", "ShardSearch", "ShardWorker", "ShardWorkers", "attach_shards"]

ENDED = "the process of a shard has ended; open the shards again, with room in memory for all of them"
Arrays = dict[str, np.ndarray]
Packed = list[tuple[np.ndarray, np.ndarray, Arrays]]  # rows, totals and parts of some mentions each


class ShardWorker:
    """A shard where it is searched, as its linker does. Arrays go in and come out.

    Args:
        linker: Of the shard alone.
    """

    def __init__(self, linker: ExactLinker) -> None:
        self.linker = linker

    @staticmethod
    def open(path: Path, changes: Sequence[str] = (), candidates: str | None = None) -> ShardWorker:
        # Only a method that compares has sides to store. A second look is had at what all shards together find.
        first = [*changes, FIRST_STAGE]
        return ShardWorker(cast(ExactLinker, load(path, changes=first, candidates=candidates)))

    def __len__(self) -> int:
        return len(self.linker.source)

    def best(self, mentions: Arrays, k: int, types: Types | None) -> Packed:
        # Copies, here and below: what comes from another process may be read only.
        side = Side({name: torch.tensor(array) for name, array in mentions.items()})
        found = self.linker.best(side.to(self.linker.model.device), k, types)
        parts = [{name: part.numpy() for name, part in each.parts.items()} for each in found]
        return [(each.rows.numpy(), each.totals.numpy(), part) for each, part in zip(found, parts, strict=True)]


class ShardWorkers(Protocol):
    """Servers of shards, wherever they run."""

    sizes: Sequence[int]

    def best(self, mentions: Arrays, k: int, types: Types | None) -> list[Packed]:
        """What each of them finds, in their order; all search at the same time."""
        ...


class ShardSearch:
    """Fulfils `melder.search.resolver.Search`; rows are those of the shards one after the other.

    Args:
        shards: In the order of the set.
    """

    def __init__(self, shards: ShardWorkers) -> None:
        self.shards = shards
        self.scored = 0
        self._first = [0, *accumulate(shards.sizes)]

    def best(self, mentions: Side, k: int, among: EntityFilter | None = None) -> list[TopK]:
        arrays = {name: tensor.cpu().numpy() for name, tensor in mentions.items()}
        found = self.shards.best(arrays, k, None if among is None else among.types)
        return [self._merged(blocks, k) for blocks in zip(*found, strict=True)]

    def _merged(self, blocks: Sequence[tuple[np.ndarray, np.ndarray, Arrays]], k: int) -> TopK:
        best = TopK(len(blocks[0][0]), k)
        for first, (rows, totals, parts) in zip(self._first, blocks, strict=False):
            best.join(
                first + torch.tensor(rows),
                torch.tensor(totals),
                {name: torch.tensor(part) for name, part in parts.items()},
            )
        return best


class Processes:
    """A process for each shard, on this machine; they end with `close`, or with this one. Fulfils `ShardWorkers`.

    Args:
        paths: Of the shards.
        changes: Settings of the method that take the place of the run's.
        candidates: A search that each uses; None = all entities are scored.
    """

    def __init__(self, paths: Sequence[Path], changes: Sequence[str] = (), candidates: str | None = None) -> None:
        context, self._pipes, self._stack = multiprocessing.get_context("spawn"), list[Connection](), ExitStack()
        threads = max(1, torch.get_num_threads() // len(paths))
        for path in paths:
            ours, theirs = context.Pipe()
            arguments = (theirs, path, tuple(changes), candidates, threads)
            process = context.Process(target=_serve, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self._stack.callback(process.join)
            self._stack.callback(ours.close)
            self._pipes.append(ours)
        try:
            self.sizes: Sequence[int] = [_answer(pipe) for pipe in self._pipes]
        except BaseException:
            self.close()
            raise

    def best(self, mentions: Arrays, k: int, types: Types | None) -> list[Packed]:
        for pipe in self._pipes:
            _ask(pipe, mentions, k, types)
        return [_answer(pipe) for pipe in self._pipes]

    def close(self) -> None:
        self._stack.close()


def attach_shards(linker: ExactLinker, shards: ShardWorkers) -> ExactLinker:
    """The linker of a set of shards, which are searched by those servers; it reads the records of answers itself.

    Args:
        linker: Of the whole set.
        shards: Who search its parts.

    Returns:
        The same linker.

    Raises:
        MelderError: A shard was changed meanwhile.
    """
    if sum(shards.sizes) != len(linker.source):
        raise MelderError("a shard was changed while it was opened; open the shards again")
    linker.search = ShardSearch(shards)
    return linker


def _serve(pipe: Connection, path: Path, changes: Sequence[str], candidates: str | None, threads: int) -> None:
    torch.set_num_threads(threads)
    try:
        server = ShardWorker.open(path, changes, candidates)
        pipe.send(len(server))
        while True:
            pipe.send(server.best(*pipe.recv()))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return  # the one who asked is gone
    except MelderError as error:
        pipe.send(error)


def _ask(pipe: Connection, *question: Any) -> None:
    try:
        pipe.send(question)
    except OSError:
        raise MelderError(ENDED) from None


def _answer(pipe: Connection) -> Any:
    try:
        answer = pipe.recv()
    except (EOFError, OSError):
        raise MelderError(ENDED) from None
    if isinstance(answer, MelderError):
        raise answer
    return answer
