"""Trains and tests the published modes where their data and weights are there, and compares with what was published.

    make reproduce DATA=data                                # all rows of published_figures.py
    python experiments/run_published.py --data data --print  # the comparison so far, and what is missing

A run that was stopped goes on, and what is there already is not run again: runs/published/METHOD-DATA. The comparison
is written to runs/published/comparison.md. Weights are taken from the hub's cache on this machine, and fetched only
with --fetch; the exit status is 1 where a row is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import yaml
from published_figures import COLUMNS, PUBLISHED, PublishedRow

HERE = Path(__file__).resolve().parent.parent
RUNS = HERE / "runs" / "published"
SPLIT = "test"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="where the directories of the data sets lie")
    parser.add_argument("--only", default="", help="the rows whose names, METHOD-DATA, start so")
    parser.add_argument("--print", action="store_true", dest="only_print", help="run nothing")
    parser.add_argument("--fetch", action="store_true", help="download weights that are not in the hub's cache")
    parser.add_argument("--runs", type=Path, default=RUNS, help="where the runs lie")
    options = parser.parse_args()
    rows = [row for row in PUBLISHED if row.slug.startswith(options.only)]
    missing: dict[str, str] = {}
    for row in rows:
        if figures_file(row, options.runs).is_file():
            continue
        reason = lacking(row, options.data, fetch=options.fetch)
        if reason is None and not options.only_print:
            reason = run(row, options)
        if reason is not None or options.only_print:
            missing[row.slug] = reason or "not run yet"
    text = comparison(rows, missing, options.runs)
    options.runs.mkdir(parents=True, exist_ok=True)
    (options.runs / "comparison.md").write_text(text, encoding="utf-8")
    print(text)
    sys.exit(1 if missing else 0)


def lacking(row: PublishedRow, data: Path, *, fetch: bool) -> str | None:
    """What a row cannot be run without; None = all of it is there."""
    directory = directory_of(row, data)
    if not directory.is_dir():
        return f"no directory {directory} (docs/reproduce.md says what to fetch)"
    from melder.data import load
    from melder.records import MelderError

    try:
        splits = load(directory).splits
    except MelderError as error:
        return str(error)
    absent = [split for split in ("train", "dev", SPLIT) if split not in splits]
    if absent:
        return f"{directory} has no mentions of {', '.join(absent)}"
    weights = [] if fetch else [name for name in row.weights if not is_cached(name)]
    return f"no weights of {', '.join(weights)} in the hub's cache: run with --fetch" if weights else None


def is_cached(name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, "config.json"), str)


def directory_of(row: PublishedRow, data: Path) -> Path:
    return data.resolve() / Path(recipe(row)["data"]["directory"]).name


def recipe(row: PublishedRow) -> dict:
    content: dict = yaml.safe_load((HERE / row.recipe).read_text(encoding="utf-8"))
    return content


def run(row: PublishedRow, options: argparse.Namespace) -> str | None:
    """Train and test a row; the reason why it failed."""
    where, directory = options.runs / row.slug, directory_of(row, options.data)
    encoder = recipe(row)["encoder"]["name"]
    settings = [f"data.directory={directory}"]
    if encoder.startswith("precomputed:"):
        settings.append(f"encoder.name=precomputed:{directory}/features+{encoder.partition('+')[2]}")
    file = figures_file(row, options.runs)
    files = ["--json", str(file), "--predictions", str(file.with_suffix(".jsonl"))]
    commands = [["evaluate", str(where), "--data", str(directory), "--split", SPLIT, *files]]
    if not (where / "environment.json").is_file():
        commands.insert(0, ["train", row.recipe, *settings, "--out", str(where)])
    for command in commands:
        if melder(command, fetch=options.fetch):
            return f"melder {command[0]} failed; run `melder {' '.join(command)}` to see why, and again to go on"
    return None


def melder(arguments: list[str], *, fetch: bool) -> int:
    print("melder", *arguments, file=sys.stderr, flush=True)
    offline = {} if fetch else {"HF_HUB_OFFLINE": "1"}
    return subprocess.run([sys.executable, "-m", "melder", *arguments], cwd=HERE, env=os.environ | offline).returncode


def figures_file(row: PublishedRow, runs: Path) -> Path:
    return runs / row.slug / f"{SPLIT}.json"


def comparison(rows: list[PublishedRow], missing: dict[str, str], runs: Path) -> str:
    """A Markdown table: published figures and Melder's; then what is missing, and why."""
    lines = [
        "| | candidates | H@1 | H@3 | H@5 | MRR | recipe | hours |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        lines.append(line(f"{row.slug}, published", row.candidates, row.figures, [f"`{row.recipe}`", f"{row.hours:g}"]))
        file = figures_file(row, runs)
        if file.is_file():
            figures = json.loads(file.read_text(encoding="utf-8"))
            values = tuple(100 * figures[column] for column in COLUMNS)
            lines.append(line(f"{row.slug}, Melder", figures["candidates"], values, ["", ""]))
    lines += ["", *(f"missing: {slug}: {reason}" for slug, reason in missing.items())]
    return "\n".join(lines).rstrip() + "\n"


def line(name: str, candidates: int | None, values: tuple[float | None, ...], rest: list[str]) -> str:
    numbers = ["–" if value is None else f"{value:.2f}" for value in values]
    return "| " + " | ".join([name, "–" if candidates is None else f"{candidates:,}", *numbers, *rest]) + " |"


if __name__ == "__main__":
    main()
