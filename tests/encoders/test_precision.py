"""float32 or bf16, and where bf16 is fast."""

from __future__ import annotations

import pytest
import torch

from melder.encoders import computing, has_bf16

CPU = torch.device("cpu")


@pytest.mark.parametrize(("precision", "expected"), [("float32", torch.float32), ("bf16", torch.bfloat16)])
def test_layers_compute_in_the_precision_and_keep_their_weights(precision: str, expected: torch.dtype) -> None:
    layer = torch.nn.Linear(3, 2)
    with computing(CPU, precision):  # type: ignore[arg-type]
        assert layer(torch.ones(1, 3)).dtype == expected
    assert layer.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [({"avx2": True, "avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"bf16": True}, True), ({}, False)],
)
def test_bf16_is_fast_where_the_processor_has_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], expected: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {**capabilities, "num_sockets": 1}, raising=False)
    assert has_bf16(CPU) is expected


def test_a_pytorch_that_does_not_tell_is_taken_to_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not has_bf16(CPU)
