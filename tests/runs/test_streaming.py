"""Sides on their way to a device that nobody has here: the device without numbers stands for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from melder.features import Features, Side
from melder.runs import streaming
from melder.runs.streaming import streamed
from melder.training.batched import Batched, EncodedItems, PreparedItems

META = torch.device("meta")
SIZES = (3, 1, 4)


def blocks(read: list[int]) -> Iterator[tuple[int, Side]]:
    first = 0
    for size in SIZES:
        read.append(first)
        yield first, Side({"text.query": torch.arange(first, first + size).float()[:, None]})
        first += size


def test_on_a_cpu_sides_pass_as_they_are() -> None:
    given = list(blocks([]))
    passed = list(streamed(given, torch.device("cpu")))
    assert all(ours[1] is theirs[1] for ours, theirs in zip(passed, given, strict=True))


def test_the_next_block_is_sent_before_one_is_scored() -> None:
    read = list[int]()
    coming = streamed(blocks(read), META)
    first, side = next(coming)
    assert (first, side.rows, side["text.query"].device, read) == (0, 3, META, [0, 3])
    assert [(first, side.rows) for first, side in coming] == [(3, 1), (4, 4)]
    assert not list(streamed([], META))


def test_a_block_is_cut_to_what_the_device_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_rows", lambda *_: 2)
    assert [(first, side.rows) for first, side in streamed(blocks([]), META)] == [
        (0, 2),
        (2, 1),
        (3, 1),
        (4, 2),
        (6, 2),
    ]


def test_room_is_a_share_of_the_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (8 * 40, 1 << 30))
    side = Side({"text.query": torch.zeros(9, 2), "text.mask": torch.zeros(9, 2, dtype=torch.bool)})
    assert streaming._rows(side, torch.device("cuda")) == 4  # of ten bytes each
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (0, 1 << 30))
    assert streaming._rows(side, torch.device("cuda")) == 1


def test_of_a_batch_the_host_keeps_what_it_reads() -> None:
    features = Features(torch.zeros(2, 4), torch.zeros(2, 3, 4), surfaces=[("a",), ("b",)])
    rows, prepared = torch.tensor([5, 6]), PreparedItems({"ids": torch.zeros(2, 3)}, [("a",), ("b",)])
    batched = Batched(EncodedItems(features), prepared, torch.tensor([0, 1]), rows, rows[:, None]).to(META)
    assert isinstance(batched.mentions, EncodedItems)
    assert isinstance(batched.entities, PreparedItems)
    mentions, inputs = batched.mentions.encoded, batched.entities.inputs
    assert {mentions.text_global.device, inputs["ids"].device, batched.entity_rows.device} == {META}
    assert mentions.surfaces == batched.entities.surfaces == [("a",), ("b",)]
    assert (batched.rows.tolist(), batched.drawn.tolist()) == ([5, 6], [[5], [6]])
