"""Small data sets written for each test."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Record = dict[str, Any]
Write = Callable[..., Path]


def lines(records: list[Record]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.fixture
def own(tmp_path: Path) -> Write:
    """Writes a data set in Melder's layout: entities, and splits by keyword, as records or as bytes."""

    def write(entities: list[Record] | bytes, **splits: list[Record] | bytes) -> Path:
        for name, content in {"entities": entities, **splits}.items():
            data = content if isinstance(content, bytes) else lines(content).encode()
            (tmp_path / f"{name}.jsonl").write_bytes(data)
        return tmp_path

    return write


@pytest.fixture
def mimic(tmp_path: Path) -> Write:
    """Writes files of the MIMIC layout by name without suffix; the two first have workable defaults."""

    def write(**files: Any) -> Path:
        entity = {"id": 0, "qid": "Q1", "type": "entity", "entity_name": "Ann", "image_list": [], "desc": "A cat."}
        for name, content in {"kb_entity": [entity], "qid2id": {"Q1": 0}, **files}.items():
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            (tmp_path / f"{name}.json").write_bytes(data)
        return tmp_path

    return write
