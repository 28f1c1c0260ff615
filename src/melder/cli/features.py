"""`melder features`"""

from __future__ import annotations

from pathlib import Path

import typer

from melder.cli.console import Unreadable, counting, finish, say, writable

__all__ = ["features"]


def features(
    configuration: Path = typer.Argument(help="A YAML file whose data and encoder sections are used."),
    assignments: list[str] = typer.Argument(None, metavar="[KEY=VALUE]...", help="Settings that replace the file's."),
    out: Path = typer.Option(..., "--out", help="Where the features go; name it as data.features when you train."),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave malformed records and pictures out, and list them."),
) -> None:
    """Encode a data set once with a frozen encoder, so that trainings on it take minutes.

    Entities and every split that the data set has, if any, are encoded; what is there already is kept.

    \b
    melder features experiments/m3el/wikimel.offline.yaml --out features/wikimel
    melder train experiments/m3el/wikimel.offline.yaml data.features=features/wikimel --out runs/one
    melder evaluate runs/one --data data/wikimel --features features/wikimel
    """
    from melder.training.configuration import read_configuration
    from melder.training.encoding import encode_dataset

    more = ["encoder.trained=false", "training.augment=false", *(["data.skip_bad=true"] if skip_bad else [])]
    chosen = read_configuration(configuration, [*(assignments or []), *more])
    writable(out / "entities" / "features.json")
    unreadable = Unreadable()
    with counting() as start:
        encoded = encode_dataset(
            chosen, out, counting=start, on_unreadable=unreadable if chosen.data.skip_bad else None
        )
    if line := str(encoded.encoder.throughput):
        say(line)
    say(f"The features are in {out}. Train on them with data.features={out}")
    finish(encoded.dataset.skipped, list(unreadable.reasons.values()))
