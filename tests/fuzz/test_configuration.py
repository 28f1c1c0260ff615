"""Configurations of runs: YAML and `key=value`, read or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fuzz.mutations import PLENTY, edited, spoilt, texts, told
from melder.records import MelderError
from melder.runs.configuration_file import override
from melder.training.configuration import Configuration, read_configuration
from training.small import settings

EXAMPLE = settings(Path("data"))
KEYS = ["data", "encoder.name", "method.name", "method", "training.epochs", "training.seed", "x", "a.b.c", ""]


@pytest.fixture(scope="module")
def file(directory: Path) -> Path:
    return directory / "config.yaml"


def check(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    try:
        assert isinstance(read_configuration(file, []), Configuration)
    except MelderError as error:
        told(error)


@PLENTY
@given(edited(EXAMPLE))
def test_values_are_read_or_refused(file: Path, value: object) -> None:
    check(file, yaml.safe_dump(value).encode("utf-8", "surrogatepass"))


@PLENTY
@given(spoilt([yaml.safe_dump(EXAMPLE).encode(), b"a: 2001-99-99", b"a: &a [*a]", b"method: {name: gemel}"]))
def test_text_is_read_or_refused(file: Path, content: bytes) -> None:
    check(file, content)


@PLENTY
@given(st.lists(st.tuples(st.sampled_from(KEYS), st.one_of(texts, spoilt([b"[1, 2]", b"{a: b}"]))), max_size=3))
def test_assignments_are_carried_out_or_refused(pairs: list[tuple[str, str | bytes]]) -> None:
    written = [f"{key}={value.decode(errors='replace') if isinstance(value, bytes) else value}" for key, value in pairs]
    try:
        assert isinstance(override(EXAMPLE, written), dict)
    except MelderError as error:
        told(error)
