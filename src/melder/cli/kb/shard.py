"""`melder kb shard`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from melder.cli.console import say
from melder.io.counts import how_many
from melder.records import MelderError

__all__ = ["shard"]


def shard(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A directory that then stands for all of them.")],
    bases: Annotated[
        list[str],
        typer.Argument(
            metavar="KB…", help="Knowledge bases that were built with one run, or addresses of services of such."
        ),
    ],
    split: Annotated[
        int | None, typer.Option("--split", min=2, help="Copy one knowledge base into so many shards within OUT.")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", min=0.01, help="Of services: what an answer may take; then links are partial."),
    ] = None,
) -> None:
    """Make several knowledge bases one, which is linked to as any other; or cut one into several.

    \b
    melder kb shard world europe-kb asia-kb africa-kb
    melder kb shard world-parts world-kb --split 8
    melder kb shard world http://10.0.0.1:8000 http://10.0.0.2:8000
    melder link world --text "Guinea won the toss" --mention Guinea

    Shards stay where they are, and are changed by themselves: melder kb add africa-kb --entities new.csv
    """
    from melder.kb.shard_list import is_address
    from melder.kb.shard_split import split as split_base
    from melder.kb.shards import join

    if any(map(is_address, bases)):
        _join_services(out, bases, split, seconds)
        return
    if seconds is not None:
        raise MelderError("--seconds is of services; knowledge bases here are read, however long that takes")
    if split is None:
        joined = f"{how_many(join(out, list(map(Path, bases))), 'entity')} in {how_many(len(bases), 'shard')}"
        say(f"{out}: {joined}. Next: melder link {out} --text TEXT")
        return
    if len(bases) != 1:
        raise MelderError(f"--split cuts one knowledge base into {split}; name just one")
    made = split_base(out, Path(bases[0]), split)
    say(f"{out}: {how_many(made, 'shard')}" + (", as many as it has segments" if made < split else ""))


def _join_services(out: Path, addresses: list[str], split: int | None, seconds: float | None) -> None:
    from melder.kb.shard_list import SECONDS, is_address
    from melder.kb.shards import join_services
    from melder.linking.remote import RemoteLinker

    if split is not None or not all(map(is_address, addresses)):
        raise MelderError("a set is either of knowledge bases or of addresses; serve the others too, and name them so")
    with RemoteLinker(addresses, seconds or SECONDS, out) as linker:
        if away := [shard.address for shard in linker.shards if shard.description is None]:
            raise MelderError(f"{away[0]}: gives no answer; start `melder serve` there, and give this command again")
        entities = len(linker.knowledge_base.entities)
    join_services(out, addresses, seconds)
    joined = f"{how_many(entities, 'entity')} in {how_many(len(addresses), 'service')}"
    say(f"{out}: {joined}. Next: melder link {out} --text TEXT")
