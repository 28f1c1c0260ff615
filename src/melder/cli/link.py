"""`melder link`"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table
from rich.text import Text

from melder.cli.console import Unreadable, console, counting, finish, say, writable
from melder.cli.entity_types import known_types
from melder.cli.kb.tables import Columns, Encoding
from melder.cli.options import Candidates, Changes
from melder.cli.ray import Address, Threads, Workers, compute_with
from melder.records import BadRecord, Decided, Link, MelderError, Mention

if TYPE_CHECKING:
    from melder.data.tables.options import TableOptions
    from melder.protocols import Linker

__all__ = ["candidates_table", "link"]

Asked = tuple[str, str | None, list[Path]]  # a text, the words meant, pictures


def link(
    run: Path = typer.Argument(metavar="KB|RUN", help="The directory of a knowledge base, or of a run."),
    data: Path = typer.Option(None, "--data", help="With a run: the data set whose entities are searched."),
    text: str = typer.Option(None, "--text", help="A text."),
    mention: str = typer.Option(None, "--mention", help="The words of the text that are meant; default: all of it."),
    image: list[Path] = typer.Option([], "--image", help="A picture that goes with the text; several: all of them."),
    source: Path = typer.Option(
        None, "--input", help="Mentions, .jsonl, .csv, .xlsx or .parquet, instead of --text; - = standard input."
    ),
    images: Path = typer.Option(None, "--images", help="Where pictures of --input lie; default: beside that file."),
    output: Path = typer.Option(
        None, "--output", help="Where links go, .jsonl, .csv or .parquet; default: standard output."
    ),
    k: int = typer.Option(10, "-k", min=1, help="Candidates a mention."),
    candidates: Candidates = None,
    settings: Changes = [],  # noqa: B006
    kinds: list[str] = typer.Option(
        [], "--type", metavar="TYPE", help="Only entities of this type; several: of any of them."
    ),
    nil_threshold: float = typer.Option(
        None, "--nil-threshold", min=0, max=1, help="Answer none of these (null) from this NIL probability on."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of a table."),
    columns: Columns = [],  # noqa: B006
    encoding: Encoding = None,
    explain: Path = typer.Option(None, "--explain", metavar="FILE", help="Write a page that shows what matched what."),
    ray: Address = None,
    workers: Workers = None,
    threads: Threads = None,
) -> None:
    """Link a mention, or a file of mentions, to the entities of a knowledge base or of a data set.

    \b
    melder link flags-kb --text "Guinea won the toss" --mention Guinea --image stadium.jpg
    melder link runs/flags --data flags --text "Guinea won the toss" --mention Guinea --image stadium.jpg
    melder link runs/flags --data flags --input mentions.jsonl --output links.jsonl
    melder link flags-kb --text "Guinea won the toss" --mention Guinea --explain why.html

    A line of --input is {"id": "1", "text": "Guinea won", "mention": "Guinea", "image": "a.jpg"}, with "start" and
    "end" where its words occur more than once; a table has these columns. Each of text and mention may be alone.
    A job whose --output is JSON Lines goes on where it was stopped when the same command is given again.
    Lines that are malformed are listed and left out; mentions whose picture cannot be read are linked without it
    and listed. With --ray a file is linked in shards on a cluster, with the same links: see docs/scale.md.

    With --nil-threshold a link has one more field, "answer": the id of the best candidate, or null where its
    nil_probability is at least the threshold. Probabilities need `melder calibrate`, which training does at its end.
    """
    from melder.jobs.mention_file import check_output
    from melder.linking.load import load

    if (text is None) == (source is None):
        raise MelderError("give either --text, for one mention, or --input, for a file of mentions")
    if source is not None and (mention is not None or image or as_json):
        raise MelderError("--mention, --image and --json go with --text; a file of mentions holds its own")
    if source is not None and explain is not None:
        raise MelderError("--explain shows one mention; give it with --text")
    if source is None and (images is not None or output is not None):
        raise MelderError("--images and --output go with --input")
    compute_with(ray, workers, threads)
    if output is not None:
        check_output(output)
        if source is not None and output.exists() and source.exists() and output.samefile(source):
            raise MelderError(f"{output}: is the file of mentions itself; write the links to another file")
    writable(output)
    writable(explain)
    if ray is not None:
        if source is None or output is None or str(source) == "-" or data is not None:
            raise MelderError("--ray links a file to a knowledge base: give --input FILE and --output FILE, not --data")
        options = {"candidates": candidates, "settings": tuple(settings), "types": tuple(kinds)}
        options["threshold"] = nil_threshold
        files = (source, images or source.parent, output)
        _link_on(ray, run, files, k, options, workers, threads or 1, _table_options(columns, encoding))
        return
    mentions, bad = ([], []) if source is None else _read(source, _table_options(columns, encoding))
    with counting() as start:
        linker = load(run, data, changes=settings, candidates=candidates, counting=start)
    if source is None:
        facts = {"Run": str(run), "Text": text}
        answer = _link_one(linker, (text, mention, image), k, kinds, explain, facts)
        _show(_decided(answer, nil_threshold), text, as_json)
        return
    folder = images or (Path() if str(source) == "-" else source.parent)
    mentions = _with_files(mentions, folder)
    unreadable = Unreadable()
    unreadable.watch(linker.model.encoder)
    about = (run, data, folder, k, candidates, settings, kinds, nil_threshold, mentions)
    _link_all(linker, mentions, folder, k, kinds, nil_threshold, output, about)
    say(_summary(linker, mentions, len(unreadable.reasons), output))
    finish(bad, list(unreadable.reasons.values()))


def _link_one(
    linker: Linker, asked: Asked, k: int, kinds: list[str], explain: Path | None, facts: dict[str, str]
) -> Link:
    """The link of one mention; the page that explains it goes to `explain`."""
    from melder.linking.explanation import explainable

    text, mention, image = asked
    _look_at(image, linker)
    if explain is not None:
        explainable(linker)
    known_types(linker, kinds)
    answer = linker.link(text, k, mention=mention, image=image, types=kinds)
    assert isinstance(answer, Link)
    if explain is not None:
        _explain(explain, linker, answer, asked, facts)
    return answer


def _link_all(
    linker: Linker,
    mentions: list[Mention],
    folder: Path,
    k: int,
    kinds: list[str],
    threshold: float | None,
    output: Path | None,
    about: tuple[Any, ...],
) -> None:
    """Write the links of a file's mentions as they are found; `about` is all that they depend on."""
    from melder.jobs.link_job import LinkJob, job_key
    from melder.jobs.mention_file import is_lines, links_of, written

    types = known_types(linker, kinds)
    if output is None:
        for each in links_of(linker, mentions, folder, k, types):
            typer.echo("\n".join(_lines(each, threshold)))
    elif not is_lines(output):
        with written(output, decided=threshold is not None, k=k) as file:
            for each in links_of(linker, mentions, folder, k, types):
                file.write(_decided(link, threshold) for link in each)
    else:
        with LinkJob.open(output, job_key(*about), mentions) as job:
            if job.kept:
                say(f"{output}: goes on after {job.kept:,} links of a job that was stopped")
            for each in links_of(linker, mentions, folder, k, types, job.kept):
                job.write(_lines(each, threshold))


def _with_files(mentions: list[Mention], folder: Path) -> list[Mention]:
    """The mentions with their pictures' names as the files below the folder are spelt."""
    from melder.data.picture_names import PictureNames
    from melder.jobs.mention_records import with_file

    names = PictureNames(folder)
    return [with_file(mention, names) for mention in mentions]


def _summary(linker: Linker, mentions: list[Mention], unreadable: int, output: Path | None) -> str:
    """How many mentions were linked, where the links are, and how many pictures were looked at."""
    pictured = len({image for mention in mentions for image in mention.images})
    sees = linker.model.encoder.sizes.image_global is not None
    used = f"{pictured - unreadable:,} of {pictured:,} pictures used" if sees else "the encoder sees no pictures"
    return f"{output or 'standard output'}: {len(mentions):,} mentions linked; {used if pictured else 'no pictures'}"


def _look_at(images: list[Path], linker: Linker) -> None:
    """A picture that cannot be read is an error even where no encoder looks at it, which is said."""
    if not images:
        return
    from melder.data.pictures import read_picture

    for image in images:
        read_picture(image)
    if len(images) > linker.pictures_read:
        said = f"{len(images)} pictures, and the method compares {linker.pictures_read}"
        raise MelderError(f"--image: {said}; give fewer")
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
    from melder.linking.nil_calibration import decide

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


def _explain(path: Path, linker: Linker, answer: Link, asked: Asked, facts: dict[str, str]) -> None:
    """Write the page that shows why `answer` was given to what was asked."""
    from melder.data.mention_inputs import to_mention
    from melder.evaluation.report import ExplanationPage, write_explanation
    from melder.linking.explanation import candidate_pictures, explain

    text, surface, image = asked
    mention = to_mention(text, surface)
    item = linker.item(mention, image)
    explanation = explain(linker, mention, answer, item)
    pictures = candidate_pictures(linker, explanation)
    write_explanation(path, ExplanationPage(explanation, item.images, pictures, facts))


def _link_on(
    address: str,
    base: Path,
    files: tuple[Path, Path, Path],
    k: int,
    options: dict[str, Any],
    workers: int | None,
    threads: int,
    table: TableOptions,
) -> None:
    """Link a file of mentions on a cluster; `files` are the mentions, the directory of their pictures, the links."""
    from melder.io.problems import Problems
    from melder.jobs.mention_file import mentions_of
    from melder.jobs.ray.link import ShardJob, link_on

    source, folder, output = files
    job, problems = ShardJob.of(base, folder, k, **options), Problems()
    with counting() as start:
        count = sum(1 for _ in mentions_of(source, Problems(), table))
        mentions, progress = mentions_of(source, problems, table), start("linking mentions", count)
        unreadable = link_on(address, job, mentions, output, progress, workers=workers, threads=threads)
    finish(problems.records, list(unreadable.values()))


def _table_options(columns: list[str], encoding: str | None) -> TableOptions:
    from melder.data.tables.options import TableOptions, parse_columns

    return TableOptions(parse_columns(columns), encoding)


def _read(source: Path, table: TableOptions) -> tuple[list[Mention], list[BadRecord]]:
    """The mentions of a file, and the lines that are none. Raises MelderError when there is none that is good."""
    from melder.data.tables.options import Notes
    from melder.io.problems import Problems
    from melder.jobs.mention_file import lines_of, mentions_of

    problems, notes = Problems(), Notes()
    if str(source) == "-":
        mentions = list(lines_of(io.BytesIO(sys.stdin.buffer.read()), "standard input", problems))
    else:
        mentions = list(mentions_of(source, problems, table, notes))
    for note in notes:
        say(f"note: {note}")
    if problems.records and not mentions:
        raise problems.error()
    return mentions, problems.records


def _lines(links: Iterable[Link], threshold: float | None) -> list[str]:
    return [_decided(link, threshold).model_dump_json() for link in links]
