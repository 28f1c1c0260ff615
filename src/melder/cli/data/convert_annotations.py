"""`melder data annotations`"""

from __future__ import annotations

from pathlib import Path

import typer

from melder.cli.console import finish, say
from melder.io.counts import how_many
from melder.records import MelderError

__all__ = ["convert_annotations"]


def convert_annotations(
    source: Path = typer.Argument(metavar="IN", help="A file of mentions."),
    out: Path = typer.Argument(metavar="OUT", help="The file to write."),
    read_as: str = typer.Option("melder", "--from", help="The format of IN: melder, label-studio or prodigy."),
    write_as: str = typer.Option("melder", "--to", help="The format of OUT: melder, label-studio or prodigy."),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave malformed records out, and list them."),
) -> None:
    """Turn mentions into tasks of Label Studio or Prodigy, and answered tasks into a split of a data set.

    \b
    melder data annotations mentions.jsonl tasks.json --to label-studio
    melder data annotations export.json train.jsonl --from label-studio
    """
    from melder.data.annotations.reading import format_named, keep_marked, read_annotations
    from melder.io.atomic import replace_file
    from melder.io.problems import Problems

    problems, writer = Problems(), format_named(write_as)
    annotated = read_annotations(source, format_named(read_as), problems)
    if write_as != "melder":
        keep_marked(annotated)
    if problems.records and not skip_bad:
        raise problems.error()
    if not annotated.mentions:
        raise MelderError(f"{source}: has no mention with an answer; answer some, or say with --from what it is")
    replace_file(out, writer.write(annotated.mentions).encode())
    passed = f"; {how_many(annotated.unanswered, 'mention')} without an answer left out" if annotated.unanswered else ""
    say(f"{how_many(len(annotated.mentions), 'mention')} written to {out}{passed}")
    finish(problems.records)
