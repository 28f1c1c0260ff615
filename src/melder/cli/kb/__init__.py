"""`melder kb`: one command a file."""

from __future__ import annotations

import typer

from melder.cli.kb.add import add
from melder.cli.kb.build import build
from melder.cli.kb.check import check
from melder.cli.kb.compact import compact
from melder.cli.kb.export import export
from melder.cli.kb.imports import imports
from melder.cli.kb.index import index
from melder.cli.kb.info import info
from melder.cli.kb.learn import forget, learn
from melder.cli.kb.listing import listing
from melder.cli.kb.remove import remove
from melder.cli.kb.search import search
from melder.cli.kb.shard import shard
from melder.cli.kb.show import show
from melder.cli.kb.update import update
from melder.cli.kb.verify import verify

__all__ = ["kb"]

kb = typer.Typer(help="Build knowledge bases on disk, look into them, and change them.", no_args_is_help=True)
kb.command("check")(check)
kb.add_typer(imports, name="import")
kb.command("build")(build)
kb.command("add")(add)
kb.command("update")(update)
kb.command("remove")(remove)
kb.command("learn")(learn)
kb.command("forget")(forget)
kb.command("compact")(compact)
kb.command("index")(index)
kb.command("verify")(verify)
kb.command("info")(info)
kb.command("show")(show)
kb.command("list")(listing)
kb.command("search")(search)
kb.command("export")(export)
kb.command("shard")(shard)
