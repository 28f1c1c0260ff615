from __future__ import annotations

import socket
from pathlib import Path

import pytest
import tiny_models

from melder.records import Item


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here names a model on the hub, so nothing may ask for one."""

    def refuse(*_: object) -> None:
        raise AssertionError("an encoder tried to reach the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return tiny_models.pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="session")
def items(pictures: dict[str, Path]) -> list[Item]:
    """Both, only text, only a picture, neither, both again with a longer text."""
    short, middle, long = tiny_models.TEXTS[1], tiny_models.TEXTS[0], tiny_models.TEXTS[2]
    return [
        Item(middle, pictures["red"]),
        Item(short),
        Item("", pictures["green"]),
        Item("  "),
        Item(long, pictures["blue"]),
    ]
