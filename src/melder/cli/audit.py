"""`melder audit`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table
from rich.text import Text

from melder.cli.console import SKIPPED, console, counting, finish, say, writable
from melder.cli.options import EntityText, TextField
from melder.io.counts import how_many, in_number

if TYPE_CHECKING:
    from melder.data.audit import Audited, Finding, Findings

__all__ = ["audit"]

COLOURS = {"leak": "red", "warning": "yellow", "fact": "default"}  # in the order of the table
EXAMPLE = 200  # characters


def audit(
    data: Path = typer.Argument(help="The directory of a data set."),
    layout: str = typer.Option("auto", "--layout", help="The layout of its files; auto looks at them."),
    text_field: EntityText = TextField.desc,
    json_file: Path = typer.Option(None, "--json", help="Write all findings with the ids of their rows to this file."),
    clean: Path = typer.Option(None, "--write-clean", help="Write the data set without its leaks to this directory."),
    strict: bool = typer.Option(False, "--strict", help="End with status 3 if there is a leak."),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave malformed records out, and list them."),
) -> None:
    """Find leaks, mistakes and facts that change what a data set's scores mean.

    Texts, captions and pictures (by content; near-duplicates too) that splits share, a mention's picture among those
    of its answer, ids that tell the answer, surfaces equal to the name, namesakes, gaps. Findings are no error.

    \b
    melder audit data/wikimel --json findings.json
    melder audit data/wikimel --write-clean data/wikimel-clean

    --write-clean leaves out the train row of what train and an evaluation set share, so that the evaluation sets stay
    comparable, and lists what it leaves out in left-out.jsonl.
    """
    from melder.data import load
    from melder.data.audit import audit as run
    from melder.data.audit import gather, write_clean
    from melder.data.writing import claim

    writable(json_file)
    if clean is not None:
        claim(clean)
    dataset = load(data, layout, text_field, skip_bad)
    with counting() as start:
        audited = gather(dataset, start)
        findings = run(audited)
        left_out = None if clean is None else write_clean(audited, clean, start)
    _print(data, audited, findings)
    if json_file is not None:
        _write(json_file, data, audited, findings)
    if left_out is not None:
        say(f"The clean data set is in {clean}; left-out.jsonl there lists {how_many(len(left_out), 'change')}")
    leaks = sum(finding.found and finding.severity == "leak" for each in findings.values() for finding in each)
    if strict and leaks:
        say(in_number("{} [kind|kinds] of leak", leaks))
    finish(dataset.skipped)
    if strict and leaks:
        raise typer.Exit(SKIPPED)


def _print(data: Path, audited: Audited, findings: Findings) -> None:
    from melder.data.audit import ENTITIES

    parts = [*audited.splits, ENTITIES]
    table = Table(title=f"{data}: {_sizes(audited)}", title_justify="left")
    table.add_column("what was found, and an example", overflow="fold")  # beside the counts in 80 columns
    for part in parts:
        table.add_column(part, justify="right", no_wrap=True)
    told = [(name, finding) for name, each in findings.items() for finding in each]
    for severity, colour in COLOURS.items():
        for name, finding in told:
            if finding.severity == severity and finding.found:
                counts = [_count(finding, part) for part in parts]
                heading = Text.assemble((severity, colour), f" {name}: {finding.kind}\n")
                table.add_row(heading.append(_said(finding)), *counts)
    console.print(table)
    looked = [(name, finding) for name, finding in told if any(finding.of.values())]
    _print_names("Nothing found", [(name, finding) for name, finding in looked if not finding.found])
    _print_names("Nothing to look at", [each for each in told if each not in looked])


def _print_names(title: str, told: list[tuple[str, Finding]]) -> None:
    kinds: dict[str, list[str]] = {}
    for name, finding in told:
        kinds.setdefault(name, []).append(finding.kind)
    if kinds:
        listed = "; ".join(f"{name} ({', '.join(found)})" for name, found in kinds.items())
        console.print(Text(f"{title}: {listed}"))


def _sizes(audited: Audited) -> str:
    return ", ".join(f"{size:,} {part}" for part, size in audited.sizes.items())


def _count(finding: Finding, part: str) -> str:
    """Rows and their share of those looked at; nothing where the check does not look."""
    if part not in finding.of:
        return ""
    count, looked_at = finding.counts[part], finding.of[part]
    return f"{count:,}\n{count / looked_at:.1%}" if count else "0"


def _said(finding: Finding) -> Text:
    groups = f" ({finding.groups:,} in all)" if finding.groups is not None else ""
    example = finding.example if len(finding.example) <= EXAMPLE else f"{finding.example[:EXAMPLE]} …"
    return Text(f"{finding.says}{groups}\n").append(example, style="dim")


def _write(path: Path, data: Path, audited: Audited, findings: Findings) -> None:
    from melder.runs.directory import write_json

    contents = {
        "directory": str(data),
        "rows": audited.sizes,
        "findings": [_as_json(name, finding) for name, each in findings.items() for finding in each],
        "unreadable_pictures": {str(file): reason for file, reason in audited.contents.unreadable.items()},
    }
    write_json(path, contents)
    say(f"Findings are in {path}")


def _as_json(name: str, finding: Finding) -> dict[str, Any]:
    return {
        "check": name,
        "kind": finding.kind,
        "severity": finding.severity,
        "says": finding.says,
        "counts": finding.counts,
        "of": dict(finding.of),
        "groups": finding.groups,
        "example": finding.example,
        "ids": {part: list(ids) for part, ids in finding.rows.items()},
    }
