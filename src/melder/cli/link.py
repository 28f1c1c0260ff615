"""`melder link`"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from melder.cli.console import SKIPPED, console, counting, say, writable
from melder.cli.entity_types import known_types
from melder.cli.kb.tables import Columns, Encoding, Sheet, table_options
from melder.cli.link_file import MentionFileJob, check_files, link_file, link_file_on
from melder.cli.options import Candidates, Changes, Coherence, Language, Prior
from melder.cli.ray import Address, Threads, Workers, compute_with
from melder.records import Decided, Link, MelderError

if TYPE_CHECKING:
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
        None, "--output", help="Where links go, in the format of its ending; default: standard output."
    ),
    format_name: str = typer.Option(
        None,
        "--format",
        metavar="FORMAT",
        help="jsonl, csv, tsv, nif (.ttl), web-annotation (.jsonld) or tei; default: by the ending of --output.",
    ),
    entity_uri: str = typer.Option(
        None, "--entity-uri", metavar="PREFIX", help="What stands before an entity's id in nif, web-annotation and tei."
    ),
    k: int = typer.Option(10, "-k", min=1, help="Candidates a mention."),
    candidates: Candidates = None,
    language: Language = None,
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
    sheet: Sheet = None,
    prior: Prior = False,
    coherence: Coherence = False,
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
    from melder.linking.load import load

    if (text is None) == (source is None):
        raise MelderError("give either --text, for one mention, or --input, for a file of mentions")
    if source is not None and (mention is not None or image or as_json):
        raise MelderError("--mention, --image and --json go with --text; a file of mentions holds its own")
    if source is not None and explain is not None:
        raise MelderError("--explain shows one mention; give it with --text")
    if source is None and any(each is not None for each in (images, output, format_name, entity_uri)):
        raise MelderError("--images, --output, --format and --entity-uri go with --input")
    if source is None and (columns or encoding is not None or sheet is not None):
        raise MelderError("--column, --encoding and --sheet go with --input")
    if (prior or coherence) and (ray is not None or explain is not None):
        raise MelderError("--prior and --coherence do not go with --ray, nor with --explain; leave them out")
    if coherence and source is None:
        raise MelderError("--coherence compares the mentions of a text: give several, with --input")
    compute_with(ray, workers, threads)
    writable(explain)
    if source is not None:
        job = MentionFileJob(
            run,
            data,
            source,
            images,
            output,
            format_name,
            entity_uri,
            k,
            candidates,
            language,
            tuple(settings),
            tuple(kinds),
            nil_threshold,
            prior,
            coherence,
        )
        check_files(job, on_cluster=ray is not None)
        writable(output)
        table = table_options(columns, encoding, sheet)
        if ray is not None:
            link_file_on(ray, job, table, workers, threads or 1)
        else:
            link_file(job, table)
        return
    if ray is not None:
        raise MelderError("--ray links a file to a knowledge base: give --input FILE and --output FILE, not --data")
    with counting() as start:
        linker = load(
            run, data, changes=settings, candidates=candidates, language=language, counting=start, prior=prior
        )
    facts = {"Run": str(run), "Text": text}
    answer = _link_one(linker, (text, mention, image), k, kinds, explain, facts)
    seen = linker.seen_as(answer.surface, [candidate.id for candidate in answer.candidates])
    _show(_decided(answer, nil_threshold), text, as_json, seen)
    if answer.partial:
        say(f"the answer is partial: {', '.join(answer.missing)} gave none in time")
        raise typer.Exit(SKIPPED)


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


def candidates_table(answer: Link, title: str, seen: Mapping[str, str] | None = None) -> Table:
    """Ranked candidates, with what each unit adds to the score, and in words how often they were `seen`, by id."""
    units = list(answer.candidates[0].units) if answer.candidates else []
    table = Table(title=Text(title), title_justify="left")  # Text: nothing in names or texts is markup
    for heading in ("", "id", "name"):
        table.add_column(heading)
    for heading in ("score", *(unit.replace("_", " ") for unit in units)):
        table.add_column(heading, justify="right")
    if seen:
        table.add_column("learned")
    for rank, each in enumerate(answer.candidates, start=1):
        parts = [f"{each.units[unit]:.1f}" for unit in units]
        words = [Text(seen.get(each.id, ""))] if seen else []
        table.add_row(str(rank), Text(each.id), Text(each.name), f"{each.score:.2f}", *parts, *words)
    return table


def _decided(answer: Link, threshold: float | None) -> Link:
    """The link as it is or, with a threshold, with its answer, which may be none of the candidates."""
    from melder.linking.nil_calibration import decide

    return answer if threshold is None else decide(answer, threshold)


def _show(answer: Link, text: str, as_json: bool, seen: Mapping[str, str]) -> None:
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
        return
    console.print(candidates_table(answer, f"{answer.surface!r} in {text!r}", seen))
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
