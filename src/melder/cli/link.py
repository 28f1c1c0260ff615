"""`melder link`"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from melder.cli.console import Unreadable, console, counting, finish, say, writable
from melder.records import BadRecord, Decided, Link, MelderError, Mention

if TYPE_CHECKING:
    from melder.linking import RunLinker

__all__ = ["candidates_table", "link"]

Asked = tuple[str, str | None, Path | None]  # a text, the words meant, a picture

AT_ONCE = 256  # mentions of a file encoded and scored together: one pass over a knowledge base


def link(
    run: Path = typer.Argument(metavar="KB|RUN", help="The directory of a knowledge base, or of a run."),
    data: Path = typer.Option(None, "--data", help="With a run: the data set whose entities are searched."),
    text: str = typer.Option(None, "--text", help="A text."),
    mention: str = typer.Option(None, "--mention", help="The words of the text that are meant; default: all of it."),
    image: Path = typer.Option(None, "--image", help="A picture that goes with the text."),
    source: Path = typer.Option(None, "--input", help="Mentions as JSON Lines instead of --text; - = standard input."),
    images: Path = typer.Option(None, "--images", help="Where pictures of --input lie; default: beside that file."),
    output: Path = typer.Option(None, "--output", help="Where links go, JSON Lines; default: standard output."),
    k: int = typer.Option(10, "-k", min=1, help="Candidates a mention."),
    candidates: str = typer.Option(
        None, "--candidates", help="Do not score every entity: certified (exact), or flat, hnsw, faiss:FACTORY."
    ),
    settings: list[str] = typer.Option(
        [], "--set", help="A setting of the method instead of the run's, such as method.assignment=attention."
    ),
    nil_threshold: float = typer.Option(
        None, "--nil-threshold", min=0, max=1, help="Answer none of these (null) from this NIL probability on."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of a table."),
    explain: Path = typer.Option(None, "--explain", metavar="FILE", help="Write a page that shows what matched what."),
) -> None:
    """Link a mention, or a file of mentions, to the entities of a knowledge base or of a data set.

    \b
    melder link flags-kb --text "Guinea won the toss" --mention Guinea --image stadium.jpg
    melder link runs/flags --data flags --text "Guinea won the toss" --mention Guinea --image stadium.jpg
    melder link runs/flags --data flags --input mentions.jsonl --output links.jsonl
    melder link flags-kb --text "Guinea won the toss" --mention Guinea --explain why.html

    A line of --input is {"id": "1", "text": "Guinea won", "start": 0, "end": 6, "surface": "Guinea", "image": "a.jpg"}.
    Lines that are malformed are listed and left out; mentions whose picture cannot be read are linked without it
    and listed.

    With --nil-threshold a link has one more field, "answer": the id of the best candidate, or null where its
    nil_probability is at least the threshold. Probabilities need `melder calibrate`, which training does at its end.
    """
    from melder.linking import load
    from melder.linking.explanation import explainable

    if (text is None) == (source is None):
        raise MelderError("give either --text, for one mention, or --input, for a file of mentions")
    if source is not None and (mention is not None or image is not None or as_json):
        raise MelderError("--mention, --image and --json go with --text; a file of mentions holds its own")
    if source is not None and explain is not None:
        raise MelderError("--explain shows one mention; give it with --text")
    if source is None and (images is not None or output is not None):
        raise MelderError("--images and --output go with --input")
    writable(output)
    writable(explain)
    mentions, bad = ([], []) if source is None else _read(source)
    with counting() as start:
        linker = load(run, data, changes=settings, candidates=candidates, counting=start)
    if source is None:
        _look_at(image, linker)
        if explain is not None:
            explainable(linker)
        answer = linker.link(text, k, mention=mention, image=image)
        assert isinstance(answer, Link)
        if explain is not None:
            _explain(explain, linker, answer, (text, mention, image), {"Run": str(run), "Text": text})
        _show(_decided(answer, nil_threshold), text, as_json)
    else:
        folder = images or (Path() if str(source) == "-" else source.parent)
        unreadable = Unreadable()
        unreadable.watch(linker.model.encoder)
        _write((_decided(each, nil_threshold) for each in _links(linker, mentions, folder, k)), output)
        finish(bad, list(unreadable.reasons.values()))


def _look_at(image: Path | None, linker: RunLinker) -> None:
    """A picture that cannot be read is an error even where no encoder looks at it, which is said."""
    if image is None:
        return
    from melder.data.pictures import read_picture

    read_picture(image)
    if linker.model.encoder.sizes.image_global is None:
        say("note: the encoder sees no pictures; the picture is not used")


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


def _decided(answer: Link, threshold: float | None) -> Link:
    """The link as it is or, with a threshold, with its answer, which may be none of the candidates."""
    from melder.linking.nil import decide

    return answer if threshold is None else decide(answer, threshold)


def _show(answer: Link, text: str, as_json: bool) -> None:
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
        return
    console.print(candidates_table(answer, f"{answer.surface!r} in {text!r}"))
    if answer.nil_probability is not None:
        nothing = isinstance(answer, Decided) and answer.answer is None
        said = "The answer is none of these" if nothing else "Probability that it is none of these"
        console.print(f"{said}: {answer.nil_probability:.1%}", highlight=False)


def _explain(path: Path, linker: RunLinker, answer: Link, asked: Asked, facts: dict[str, str]) -> None:
    """Write the page that shows why `answer` was given to what was asked."""
    from melder.evaluation.report import ExplanationPage, write_explanation
    from melder.linking.explanation import candidate_pictures, explain
    from melder.linking.query import to_mention

    text, surface, image = asked
    mention = to_mention(text, surface)
    item = linker.item(mention, image)
    explanation = explain(linker, mention, answer, item)
    pictures = candidate_pictures(linker, explanation)
    write_explanation(path, ExplanationPage(explanation, item.image, pictures, facts))


def _read(source: Path) -> tuple[list[Mention], list[BadRecord]]:
    """The mentions of a file, and the lines that are none."""
    from melder.data.own import parse_lines
    from melder.data.problems import Problems, read_bytes

    piped = str(source) == "-"
    content = sys.stdin.buffer.read() if piped else read_bytes(source)
    problems, name = Problems(), "standard input" if piped else str(source)
    mentions = [mention for _, mention in parse_lines(content.split(b"\n"), name, Mention, problems)]
    return mentions, problems.records


def _links(linker: RunLinker, mentions: list[Mention], folder: Path, k: int) -> Iterator[Link]:
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
