"""The file that says what an experiment is: rows, the seeds of each, and which row the others are compared with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from melder.metrics.metrics import FIGURES
from melder.names import nearest
from melder.records import MelderError
from melder.runs.configuration_file import checked, read_yaml
from melder.runs.model_configuration import Section

__all__ = ["OWN", "Experiment", "ExperimentRow", "assignments", "check_name", "read_experiment"]

OWN = "own"  # the knowledge base that is the data set itself
SEEDS = (43,)  # the default of training.seed

Name = Annotated[str, Field(min_length=1)]


class _Defaults(Section):
    """What a row may say, and the file for all rows that do not."""

    recipe: Path | None = Field(None, description="a configuration file of `melder train`")
    seeds: tuple[NonNegativeInt, ...] = Field(SEEDS, min_length=1, description="a training each")
    data: tuple[Name, ...] = Field((), description="what ${data} stands for, one table each")
    knowledge_bases: tuple[Name, ...] = Field(
        (OWN,), min_length=1, description="what is searched: own = the entities of the data set, or a directory"
    )
    settings: dict[str, Any] = Field({}, description="by dotted key, in the place of the recipe's")
    against: Name | None = Field(None, description="the row that it is compared with")


class ExperimentRow(_Defaults):
    """One line of a table: what is trained, and how it is evaluated."""

    name: Name
    evaluation: dict[str, Any] = Field({}, description="settings of the method that only the evaluation has")


class Experiment(_Defaults):
    """A whole file; `rows` have what the file says for all of them."""

    rows: tuple[ExperimentRow, ...]
    split: Literal["train", "tune", "dev", "test"] = Field(
        "dev", description="whose mentions; tune = the part of train that each run was selected on"
    )
    figure: Literal[FIGURES] = Field("mrr", description="what is compared, mention by mention")  # type: ignore[valid-type]
    slices: tuple[Name, ...] = Field((), description="groups of mentions to show, by how their names begin")
    keep: PositiveInt = Field(20, le=20, description="candidates of each prediction; 1 = fewer entities are scored")
    share_features: bool = Field(True, description="encode a data set once for all rows with one frozen encoder")


INHERITED = tuple(name for name in _Defaults.model_fields if name != "settings")


def read_experiment(path: Path) -> Experiment:
    """The experiment that a YAML file describes.

    Args:
        path: Of the file.

    Returns:
        Checked.

    Raises:
        MelderError: It cannot be read, or says something that cannot be; the message names the row and the field.
    """
    content = read_yaml(path)
    listed = content.get("rows")
    if not isinstance(listed, list) or not listed or not all(isinstance(row, dict) for row in listed):
        raise MelderError(f"{path}, field 'rows': must be a list of rows such as `- name: m3el`")
    shared = checked(Experiment, {**content, "rows": ()}, str(path))
    rows = [_row(content, row, f"{path}, row {number}") for number, row in enumerate(listed, start=1)]
    _check_names(path, rows)
    return shared.model_copy(update={"rows": tuple(rows)})


def assignments(settings: Mapping[str, Any]) -> list[str]:
    """Settings by dotted key as `key=value`.

    Args:
        settings: Values that JSON can hold.

    Returns:
        In their order.
    """
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]


def _row(shared: Mapping[str, Any], own: Mapping[str, Any], place: str) -> ExperimentRow:
    """A row with what the file says for all rows; its own settings come after those of the file."""
    inherited = {name: shared[name] for name in INHERITED if name in shared}
    common, settings = shared.get("settings") or {}, own.get("settings") or {}
    merged = {**common, **settings} if isinstance(settings, dict) else settings
    row = checked(ExperimentRow, {**inherited, **own, "settings": merged}, place)
    if row.recipe is None:
        raise MelderError(f"{place} {row.name!r}, field 'recipe': is missing; name a configuration file, here or above")
    return row


def _check_names(path: Path, rows: Sequence[ExperimentRow]) -> None:
    names = [row.name for row in rows]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise MelderError(f"{path}, field 'rows': two have the name {twice!r}; give each its own")
    for row in rows:
        if row.against is not None:
            check_name(f"{path}, row {row.name!r}, field 'against'", row.against, names)


def check_name(place: str, name: str, names: Sequence[str]) -> None:
    """Refuse the name of a row that is not there.

    Args:
        place: For messages.
        name: Which is looked for.
        names: Of the rows.

    Raises:
        MelderError: With the nearest name.
    """
    if name not in names:
        near = nearest(name, names, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
        raise MelderError(f"{place}: there is no row {name!r}; {hint}")
