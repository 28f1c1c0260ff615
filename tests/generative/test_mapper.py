"""The mapper, with pictures and without."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from generative import tiny
from melder.generative.bottleneck_mapper import BottleneckMapper
from melder.generative.mapper import LinearMapper, Mapper, read_official_mapper
from melder.generative.mapper_start import start_at_names
from melder.generative.resampler_mapper import ResamplerMapper
from melder.methods.gemel import GEMELConfiguration


def test_a_picture_becomes_prefixes_by_one_linear_map() -> None:
    mapper = LinearMapper(5, 3, 4)
    pictures = torch.randn(2, 5)
    expected = (pictures @ mapper.linear.weight.T + mapper.linear.bias).reshape(2, 3, 4)
    torch.testing.assert_close(mapper(pictures, torch.tensor([True, True])), expected)


def test_without_a_picture_the_prefix_starts_as_the_answer_to_zeros_and_is_learned() -> None:
    mapper, published = LinearMapper(5, 3, 4), LinearMapper(5, 3, 4, published=True)
    published.linear.load_state_dict(mapper.linear.state_dict())
    pictures, there = torch.randn(2, 5), torch.tensor([True, False])
    torch.testing.assert_close(mapper(pictures, there), published(pictures, there))
    torch.testing.assert_close(published(pictures, there)[1].flatten(), mapper.linear.bias)
    mapper(pictures, there)[1].sum().backward()
    assert mapper.absent is not None
    assert mapper.absent.grad is not None
    assert mapper.absent.grad.all()
    assert mapper.linear.weight.grad is None or not mapper.linear.weight.grad.any()


@pytest.mark.parametrize("kind", ["bottleneck", "resampler"])
def test_further_mappers_map_each_picture_by_itself_and_learn_all_that_they_have(kind: str) -> None:
    mapper, pictures = further_mapper(kind)
    mapper.fit(pictures)
    there = torch.tensor([True, True, False, True])
    prefixes = mapper(pictures, there)
    assert prefixes.shape == (4, 3, 8)
    torch.testing.assert_close(mapper(pictures[3:], there[3:])[0], prefixes[3])
    assert torch.equal(prefixes[2].flatten(), mapper.absent)  # type: ignore[arg-type]
    (prefixes * torch.randn(prefixes.shape)).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in mapper.parameters())


@pytest.mark.parametrize("kind", ["bottleneck", "resampler"])
def test_further_mappers_read_pictures_of_any_scale_alike(kind: str) -> None:
    """What they are fitted on decides: 30 times as large and somewhere else, a picture is the same one."""
    there, outputs = torch.ones(4, dtype=torch.bool), []
    for scale, offset in ((1.0, 0.0), (30.0, 5.0), (0.01, -3.0)):
        mapper, pictures = further_mapper(kind)
        mapper.fit(scale * pictures + offset)
        outputs.append(mapper(scale * pictures + offset, there))
    torch.testing.assert_close(outputs[1], outputs[0], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(outputs[2], outputs[0], atol=1e-3, rtol=1e-3)


def test_a_start_at_names_is_the_regression_to_their_words() -> None:
    """Pictures that tell the name are mapped to the embeddings of its tokens, the last one again where it is short."""
    language_model, names = tiny.gpt2(), [[5, 6, 0], [7, 0], [8, 9, 10, 0]]
    rows = torch.arange(30) % 3
    pictures = torch.eye(3)[rows] * 4 + torch.tensor([1.0, 50.0, -3.0])
    mapper = LinearMapper(3, 2, tiny.WIDTH)
    start_at_names(mapper, language_model, pictures, [names[row] for row in rows])
    prefixes = mapper(pictures[:3], torch.ones(3, dtype=torch.bool))
    targets = language_model.embed(torch.tensor([[5, 6], [7, 7], [8, 9]]))
    torch.testing.assert_close(prefixes, targets, atol=2e-3, rtol=0)
    torch.testing.assert_close(mapper.absent.view(2, -1), targets.mean(dim=0))  # type: ignore[union-attr]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_start_at_names_has_numbers_for_few_pictures(count: int) -> None:
    mapper = LinearMapper(3, 2, tiny.WIDTH)
    start_at_names(mapper, tiny.gpt2(), torch.ones(count, 3), [[5, 0]] * count)
    assert all(parameter.isfinite().all() for parameter in mapper.parameters())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mapper": "bottleneck", "published": True}, "its mapper is linear"),
        ({"mapper_start": "names", "published": True}, "random start"),
        ({"lora": {"rank": 2}, "published": True}, "without LoRA"),
        ({"mapper": "resampler", "mapper_start": "names"}, "a start for the linear mapper"),
        ({"mapper": "resampler", "mapper_width": 30}, "multiple of 4"),
        ({"lora": {"rank": 2}, "language_model": "lm:compact"}, "is trained itself"),
        ({"mapper": "attention"}, "linear"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GEMELConfiguration(**settings)


def further_mapper(kind: str) -> tuple[Mapper, torch.Tensor]:
    """The same mapper each time, and four pictures."""
    torch.manual_seed(0)
    if kind == "bottleneck":
        return BottleneckMapper(6, 3, 8, hidden=4), torch.randn(4, 6)
    return ResamplerMapper(7, 6, 3, 8, hidden=12), torch.randn(4, 7, 6)


def test_official_weights_in_corrected_mode_answer_as_published() -> None:
    state = {"weight": torch.randn(12, 5), "bias": torch.randn(12)}
    pictures, there = torch.randn(2, 5), torch.tensor([True, False])
    modes = [read_official_mapper(state, 4, 3, published=mode)(pictures, there) for mode in (True, False)]
    torch.testing.assert_close(*modes)
