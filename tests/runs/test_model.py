from __future__ import annotations

import pytest
import torch
from torch import nn

from melder.features import Features, Side
from melder.runs.model import answering, entity_side_of, mention_side_of


class Doubling(nn.Module):
    """A matcher whose sides are twice the global vectors."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0, device=device))

    def mention_side(self, features: Features) -> Side:
        assert not self.training
        return Side({"vector": self.scale * features.text_global})


def chunk(rows: int) -> Features:
    return Features(torch.ones(rows, 3), torch.ones(rows, 2, 3))


def test_sides_of_chunks_are_put_together() -> None:
    side = mention_side_of(Doubling("cpu"), [chunk(2), chunk(1)])  # type: ignore[arg-type]
    assert torch.equal(side["vector"], torch.full((3, 3), 2.0))
    assert not side["vector"].requires_grad


def test_features_go_to_the_device_of_the_matcher() -> None:
    side = mention_side_of(Doubling("meta"), [chunk(2), chunk(1)])  # type: ignore[arg-type]
    assert side["vector"].device.type == "meta"


@pytest.mark.parametrize("training", [True, False])
def test_answering_puts_the_mode_back_even_after_an_error(training: bool) -> None:
    matcher = Doubling("cpu").train(training)
    with answering(matcher):  # type: ignore[arg-type]
        assert not matcher.training
        assert torch.is_inference_mode_enabled()
    assert matcher.training == training
    with pytest.raises(AttributeError):
        entity_side_of(matcher, [chunk(1)])  # type: ignore[arg-type]
    assert matcher.training == training
