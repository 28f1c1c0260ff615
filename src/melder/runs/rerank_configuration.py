"""The second look of a run: what reads the first candidates once more. It lies in the run's directory `rerank`, so that
the run itself stays what it was, and runs that exist can get one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

from melder.io.atomic import replace_file
from melder.protocols import Precision
from melder.runs.configuration_file import checked, override, read_yaml

__all__ = [
    "DIRECTORY",
    "FIRST_STAGE",
    "MOST_LETTERS",
    "OWN",
    "PREFIX",
    "RerankConfiguration",
    "method_changes",
    "read_rerank",
    "write_rerank",
]

DIRECTORY, FILE = "rerank", "rerank.yaml"  # in a run
PREFIX = "rerank."  # of settings on the command line
FIRST_STAGE = f"{PREFIX}top=0"  # the setting that leaves a second look out
MOST_LETTERS = 25  # candidates that can be told by a letter, beside "none of these"
OWN = "own"  # the cross-encoder that is made of the run's own text tower


class RerankConfiguration(BaseModel):
    """A second look at the first candidates, by a language model or by a cross-encoder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str | None = Field(
        None, description="a causal language model by name, directory, python:PACKAGE or gguf:FILE"
    )
    cross: str | None = Field(
        None, description="a model of text pairs by name, directory or python:PACKAGE; or own: the run's text tower"
    )
    top: NonNegativeInt = Field(10, description="candidates that are read; 0 = no second look")
    weight: float | None = Field(
        None, ge=0, le=1, description="of the second look's score; null = a default, see docs/second-look.md"
    )
    text_length: PositiveInt = Field(64, description="tokens of the text around the mention")
    entity_length: PositiveInt = Field(32, description="tokens of a candidate's name and description")
    shuffles: PositiveInt = Field(4, description="orders of the candidates that a language model reads")
    nil: bool = Field(True, description="offer a language model the answer `none of these` too")
    chat: bool = Field(True, description="ask in the tokenizer's chat template where it has one")
    precision: Precision = "float32"
    at_once: PositiveInt = Field(4, description="mentions read together; changes speed and memory, not results")
    seed: NonNegativeInt = Field(43, description="of the orders")

    @model_validator(mode="after")
    def _one_reader(self) -> RerankConfiguration:
        if self.top and (self.model is None) == (self.cross is None):
            raise ValueError("name what looks again: either model, a language model, or cross, a model of text pairs")
        if self.model is not None and self.top > MOST_LETTERS:
            raise ValueError(f"top is {self.top}, but a language model answers by letter: read {MOST_LETTERS} at most")
        return self


def method_changes(changes: Sequence[str]) -> list[str]:
    """Those of some `key=value` settings that are not of the second look.

    Args:
        changes: `key=value` settings of a run.

    Returns:
        In their order.
    """
    return [change for change in changes if not change.startswith(PREFIX)]


def read_rerank(run: Path, changes: Sequence[str] = ()) -> RerankConfiguration | None:
    """The second look of a run.

    Args:
        run: The run's directory.
        changes: `rerank.KEY=VALUE` settings, in the place of its own; others are left be.

    Returns:
        None = there is none.

    Raises:
        MelderError: A setting is none, or the file is damaged.
    """
    own = [change.removeprefix(PREFIX) for change in changes if change.startswith(PREFIX)]
    file = run / DIRECTORY / FILE
    stored = read_yaml(file) if file.is_file() else {}
    if not stored and not own:
        return None
    settings = override(stored, own)
    named = {change.partition("=")[0] for change in own}
    for name, other in (("model", "cross"), ("cross", "model")):  # naming one takes the place of the other
        if name in named and other not in named and settings.get(name) is not None:
            settings[other] = None
    look = checked(RerankConfiguration, settings, str(file) if stored else "the settings rerank.KEY=VALUE")
    return look if look.top else None


def write_rerank(run: Path, look: RerankConfiguration) -> None:
    """Put the second look into a run.

    Args:
        run: The run's directory.
        look: Its settings.
    """
    (run / DIRECTORY).mkdir(exist_ok=True)
    content = yaml.safe_dump(look.model_dump(mode="json"), sort_keys=False)
    replace_file(run / DIRECTORY / FILE, content.encode())
