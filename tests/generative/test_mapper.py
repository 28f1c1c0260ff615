"""The mapper, with pictures and without."""

from __future__ import annotations

import torch

from melder.generative.mapper import LinearMapper, read_official_mapper


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


def test_official_weights_in_corrected_mode_answer_as_published() -> None:
    state = {"weight": torch.randn(12, 5), "bias": torch.randn(12)}
    pictures, there = torch.randn(2, 5), torch.tensor([True, False])
    modes = [read_official_mapper(state, 4, 3, published=mode)(pictures, there) for mode in (True, False)]
    torch.testing.assert_close(*modes)
