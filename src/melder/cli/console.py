"""What commands say: results on standard output, everything else on standard error."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table

from melder.io.counts import how_many
from melder.io.progress_bars import progress_bars
from melder.records import BadRecord, Item, MelderError

if TYPE_CHECKING:
    from melder.encoders import Towers
    from melder.protocols import Counting

__all__ = [
    "SKIPPED",
    "Unreadable",
    "console",
    "counting",
    "errors",
    "finish",
    "metrics_table",
    "nil_table",
    "say",
    "say_validation",
    "writable",
]

SKIPPED = 3  # exit status: done, but records were left out
LISTED = 20  # of the records left out

console = Console(soft_wrap=False)
errors = Console(stderr=True)


def say(text: str) -> None:
    """A line about what is going on."""
    errors.print(text, markup=False, highlight=False, soft_wrap=True)


def say_validation(epoch: int, figures: Mapping[str, float]) -> None:
    """A line for a look at the selection set."""
    from melder.training.loop.progress import validation_line

    say(validation_line(epoch, figures))


@contextmanager
def counting() -> Iterator[Counting]:
    """Bars with the time left on a terminal, else a line each half minute: call what is given with a title and a
    total, and the result with each advance."""
    with progress_bars(errors) as start:
        yield start


def writable(*files: Path | None) -> None:
    """Make the directories of files that are to be written; where none can be, say so before the work is done."""
    for file in files:
        if file is None:
            continue
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MelderError(f"{file}: cannot be written ({error.strerror}); name another place") from None
        if file.is_dir() or not os.access(file.parent, os.W_OK):
            raise MelderError(f"{file}: is a directory, or lies in one that may not be written; name another place")


class Unreadable:
    """Collects the pictures that could not be read; they count as missing."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}

    def watch(self, encoder: Towers) -> None:
        encoder.on_unreadable = self

    def __call__(self, item: Item, error: Exception) -> None:
        self.reasons[str(item.image)] = str(error)


def finish(records: Sequence[BadRecord], pictures: Sequence[object] = ()) -> None:
    """List the records and pictures that were left out, if any were, and then leave with status 3."""
    lines = [str(each) for each in (*records, *pictures)]
    if not lines:
        return
    taken = sum(record.taken for record in records)
    counts = {"record": len(records) - taken, "picture": len(pictures)}
    left_out = [how_many(count, noun) for noun, count in counts.items() if count]
    headings = [f"{' and '.join(left_out)} left out"] if left_out else []
    headings += [f"{how_many(taken, 'record')} taken as far as possible"] if taken else []
    say(f"{', '.join(headings)}:")
    for line in lines[:LISTED]:
        say(f"  {line}")
    if len(lines) > LISTED:
        say(f"  and {len(lines) - LISTED:,} more")
    raise typer.Exit(SKIPPED)


def nil_table(nil: Mapping[str, Any]) -> Table:
    """How good NIL probabilities are: with entities taken out, and with the real NIL mentions where there are any."""
    columns = ("auroc", "brier", "ece", *(("precision", "recall") if "threshold" in nil else ()))
    at = f", none of these from {nil['threshold']:g} on" if "threshold" in nil else ""
    table = Table("", "mentions", title=f"NIL probabilities{at}", title_justify="left")
    headings = {"auroc": "AUROC", "brier": "Brier", "ece": "calibration error"}
    for name in columns:
        table.add_column(headings.get(name, name), justify="right")
    for title, row in {"each entity taken out in turn": nil, "as they are": nil.get("real")}.items():
        if row is not None:
            figures = ["–" if row[name] is None else f"{row[name]:.3f}" for name in columns]
            table.add_row(title, f"{row['mentions']:,}", *figures)
    return table


def metrics_table(title: str, rows: Mapping[str, Mapping[str, Any]]) -> Table:
    """Hits and mean reciprocal rank in percent with their 95 % intervals, one row a system or group."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for heading in ("mentions", "H@1", "95 %", "H@5", "H@10", "MRR"):
        table.add_column(heading, justify="right")
    for name, row in rows.items():
        low, high = row["hits@1_ci"]
        figures = [f"{100 * row[key]:.1f}" for key in ("hits@1", "hits@5", "hits@10", "mrr")]
        table.add_row(name, f"{row['mentions']:,}", figures[0], f"{100 * low:.1f}–{100 * high:.1f}", *figures[1:])
    return table
