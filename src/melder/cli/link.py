"""`melder link`"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from melder.cli.console import Unreadable, console, counting, finish, writable
from melder.records import BadRecord, Link, MelderError, Mention

if TYPE_CHECKING:
    from melder.linking import ExactLinker

__all__ = ["candidates_table", "link"]

AT_ONCE = 64  # mentions of a file encoded and scored together


def link(
    run: Path = typer.Argument(help="The directory of a run."),
    data: Path = typer.Option(..., "--data", help="The data set whose entities are searched."),
    text: str = typer.Option(None, "--text", help="A text."),
    mention: str = typer.Option(None, "--mention", help="The words of the text that are meant; default: all of it."),
    image: Path = typer.Option(None, "--image", help="A picture that goes with the text."),
    source: Path = typer.Option(None, "--input", help="Mentions as JSON Lines instead of --text; - = standard input."),
    images: Path = typer.Option(None, "--images", help="Where pictures of --input lie; default: beside that file."),
    output: Path = typer.Option(None, "--output", help="Where links go, JSON Lines; default: standard output."),
    k: int = typer.Option(10, "-k", min=1, help="Candidates a mention."),
    settings: list[str] = typer.Option(
        [], "--set", help="A setting of the method instead of the run's, such as method.assignment=attention."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of a table."),
) -> None:
    """Link a mention, or a file of mentions, to the entities of a data set.

    \b
    melder link runs/flags --data flags --text "Guinea won the toss" --mention Guinea --image stadium.jpg
    melder link runs/flags --data flags --input mentions.jsonl --output links.jsonl

    A line of --input is {"id": "1", "text": "Guinea won", "start": 0, "end": 6, "surface": "Guinea", "image": "a.jpg"}.
    Lines that are malformed are listed and left out; mentions whose picture cannot be read are linked without it
    and listed.
    """
    from melder.linking import load

    if (text is None) == (source is None):
        raise MelderError("give either --text, for one mention, or --input, for a file of mentions")
    if source is not None and (mention is not None or image is not None or as_json):
        raise MelderError("--mention, --image and --json go with --text; a file of mentions holds its own")
    if source is None and (images is not None or output is not None):
        raise MelderError("--images and --output go with --input")
    writable(output)
    mentions, bad = ([], []) if source is None else _read(source)
    with counting() as start:
        linker = load(run, data, changes=settings, counting=start)
    if source is None:
        answer = linker.link(text, k, mention=mention, image=image)
        assert isinstance(answer, Link)
        _show(answer, text, as_json)
    else:
        folder = images or (Path() if str(source) == "-" else source.parent)
        unreadable = Unreadable()
        unreadable.watch(linker.model.encoder)
        _write(_links(linker, mentions, folder, k), output)
        finish(bad, list(unreadable.reasons.values()))


def candidates_table(answer: Link, title: str) -> Table:
    """Ranked candidates, with what each unit adds to the score."""
    units = list(answer.candidates[0].units) if answer.candidates else []
    table = Table(title=Text(title), title_justify="left")  # Text: nothing in names or texts is markup
    for heading in ("", "id", "name"):
        table.add_column(heading)
    for heading in ("score", *(unit.replace("_", " ") for unit in units)):
        table.add_column(heading, justify="right")
    for rank, each in enumerate(answer.candidates, start=1):
        parts = [f"{each.units[unit]:.1f}" for unit in units]
        table.add_row(str(rank), Text(each.id), Text(each.name), f"{each.score:.2f}", *parts)
    return table


def _show(answer: Link, text: str, as_json: bool) -> None:
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
    else:
        console.print(candidates_table(answer, f"{answer.surface!r} in {text!r}"))


def _read(source: Path) -> tuple[list[Mention], list[BadRecord]]:
    """The mentions of a file, and the lines that are none."""
    from melder.data.own import parse_lines
    from melder.data.problems import Problems, read_bytes

    piped = str(source) == "-"
    content = sys.stdin.buffer.read() if piped else read_bytes(source)
    problems, name = Problems(), "standard input" if piped else str(source)
    mentions = [mention for _, mention in parse_lines(content.split(b"\n"), name, Mention, problems)]
    return mentions, problems.records


def _links(linker: ExactLinker, mentions: list[Mention], folder: Path, k: int) -> Iterator[Link]:
    """Links in the order of the mentions."""
    for start in range(0, len(mentions), AT_ONCE):
        group = mentions[start : start + AT_ONCE]
        items = [linker.item(mention, folder / mention.image if mention.image else None) for mention in group]
        for block in linker.answers(group, items, k):
            yield from block


def _write(links: Iterable[Link], output: Path | None) -> None:
    lines = (link.model_dump_json() for link in links)
    if output is None:
        for line in lines:
            typer.echo(line)
        return
    part = output.with_name(output.name + ".part")
    with part.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(line + "\n" for line in lines)
    part.replace(output)
