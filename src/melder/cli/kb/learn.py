"""`melder kb learn` and `melder kb forget`"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from melder.cli.console import Unreadable, finish, say
from melder.cli.kb.changing import Directory
from melder.cli.kb.reading import known_rows
from melder.cli.kb.tables import Columns, Encoding, Sheet, table_options
from melder.cli.mention_file import read_mention_file, say_unplaced
from melder.io.counts import how_many
from melder.records import BadData, MelderError, Mention

if TYPE_CHECKING:
    from melder.building.learning import Labelled
    from melder.data.tables.options import TableOptions

__all__ = ["forget", "learn"]

Images = Annotated[Path | None, typer.Option("--images", help="Where their pictures lie; default: beside the file.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave malformed and unknown ones out, and list them.")]


def learn(
    kb: Directory,
    mentions: Path = typer.Argument(help="Mentions with answers, .jsonl, .csv, .xlsx or .parquet."),
    images: Images = None,
    skip_bad: SkipBad = False,
    columns: Columns = [],  # noqa: B006
    encoding: Encoding = None,
    sheet: Sheet = None,
) -> None:
    """Learn from labelled mentions without training: they become exemplars of the entities that they meant.

    \b
    melder kb learn shop-kb corrections.jsonl

    A line is {"text": "Two of the small green ones", "mention": "the small green ones", "image": "shelf.jpg",
    "answer": "granny-smith"}; a table has these columns. The same mention again changes nothing, with another answer
    it is a correction. Mentions whose answer is null teach nothing. All are learned or, when one is wrong, none.
    """
    from melder.building.learning import learn as learn_labelled
    from melder.building.learning import unknown_answers
    from melder.jobs.mention_records import is_unplaced
    from melder.kb import open_knowledge_base
    from melder.runs.directory import open_model

    given, bad = read_mention_file(mentions, table_options(columns, encoding, sheet))
    with open_knowledge_base(kb) as base:
        base.check_model()
        known, run = base.rows(list({str(mention.answer) for mention in given})), base.model
    bad = [*bad, *unknown_answers(given, known, str(mentions))]
    labelled = [mention for mention in given if mention.answer in known]
    if bad and not (skip_bad and labelled):
        raise BadData(bad)
    if not labelled:
        raise MelderError(f"{mentions}: no mention has an answer; give each the id of its entity in the field 'answer'")
    model, modalities = open_model(run)
    unreadable = Unreadable()
    unreadable.watch(model.encoder)
    items = _items(labelled, images or mentions.parent, model.encoder.separator, modalities)
    learned = learn_labelled(kb, items, model)
    empty = sum(mention.answer is None for mention in given)
    counts = f"{learned.corrected:,} corrected, {learned.known:,} known already"
    without = f"; {empty:,} without an answer teach nothing" if empty else ""
    say(f"{kb}: {how_many(learned.added, 'mention')} learned, {counts}{without}")
    say_unplaced(sum(map(is_unplaced, labelled)), len(labelled), "learned")
    finish(bad, list(unreadable.reasons.values()))


def forget(
    kb: Directory,
    ids: list[str] = typer.Argument(None, metavar="[ID]...", help="Ids of entities: all that was learned of them."),
    mentions: Path = typer.Option(None, "--file", help="A file of mentions: those in it, as they were learned."),
    every: bool = typer.Option(False, "--all", help="All that was learned."),
    images: Images = None,
    columns: Columns = [],  # noqa: B006
    encoding: Encoding = None,
    sheet: Sheet = None,
) -> None:
    """Forget exemplars: those of some entities, those of a file, or all.

    \b
    melder kb forget shop-kb granny-smith
    melder kb forget shop-kb --file corrections.jsonl
    """
    if [bool(ids), mentions is not None, every].count(True) != 1:
        raise MelderError("name ids of entities, or give --file FILE, or --all")
    from melder.building.learning import forget as forget_exemplars
    from melder.kb import open_knowledge_base

    table = table_options(columns, encoding, sheet)
    keys = None if mentions is None else _keys(kb, mentions, images or mentions.parent, table)
    if ids:
        with open_knowledge_base(kb) as base:
            known_rows(base, ids)
    count = forget_exemplars(kb, entities=set(ids) if ids else None, keys=keys)
    say(f"{kb}: {how_many(count, 'mention')} forgotten")


def _items(mentions: list[Mention], folder: Path, separator: str, modalities: Collection[str]) -> Labelled:
    """The mentions with what is read of them, their pictures as the files below the folder are spelt."""
    from melder.data import mention_item
    from melder.data.picture_names import PictureNames
    from melder.jobs.mention_records import with_file

    names, labelled = PictureNames(folder), []
    for mention in mentions:
        located = with_file(mention, names)
        pictures = [folder / name for name in located.images[:1]]  # an exemplar has one
        labelled.append((located, mention_item(located, pictures, separator, frozenset(modalities))))
    return labelled


def _keys(kb: Path, path: Path, folder: Path, table: TableOptions) -> set[str]:
    """What the mentions of a file are known by."""
    from melder.building.learning import mention_key
    from melder.kb import open_knowledge_base
    from melder.runs.directory import read_configuration

    given, bad = read_mention_file(path, table)
    if bad:
        raise BadData(bad)
    with open_knowledge_base(kb) as base:
        modalities = read_configuration(base.model).data.modalities
    return {mention_key(mention, item) for mention, item in _items(given, folder, "", modalities)}
