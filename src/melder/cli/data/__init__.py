"""`melder data`: one command a file."""

from __future__ import annotations

import typer

from melder.cli.data.convert import convert
from melder.cli.data.convert_annotations import convert_annotations
from melder.cli.data.flags import flags
from melder.cli.data.from_entities import from_entities
from melder.cli.data.info import info

__all__ = ["data"]

data = typer.Typer(help="Count, convert and draw data sets.", no_args_is_help=True)
data.command("info")(info)
data.command("convert")(convert)
data.command("annotations")(convert_annotations)
data.command("flags")(flags)
data.command("from-entities")(from_entities)
