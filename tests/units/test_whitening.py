"""Whitening: what the mathematics says of it, and what it leaves alone."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from melder.units.whitening import FEWEST, UNKNOWN, PatchWhitening, Whitening, deviation


def _vectors(count: int, width: int, seed: int = 0) -> torch.Tensor:
    """Correlated vectors far from the origin, as networks make them."""
    draw = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=draw) * torch.logspace(0, -2, width)
    return 2 + torch.randn(count, width, generator=draw) @ mixing.t()


def _fitted(vectors: torch.Tensor) -> Whitening:
    whitening = Whitening(vectors.shape[1])
    whitening.fit(vectors)
    return whitening


def test_before_it_is_fitted_vectors_keep_their_direction() -> None:
    vectors = _vectors(5, 7)
    assert torch.allclose(normalize(Whitening(7)(vectors), dim=-1), normalize(vectors, dim=-1))


def test_unrelated_vectors_become_unlike() -> None:
    vectors = _vectors(400, 12)
    before, after = normalize(vectors, dim=-1), normalize(_fitted(vectors)(vectors), dim=-1)
    apart = ~torch.eye(400, dtype=torch.bool)
    assert (before @ before.t())[apart].mean() > 0.5
    assert abs(float((after @ after.t())[apart].mean())) < 0.1
    assert (after @ after.t())[apart].std() < 1.5 * 12**-0.5


def test_many_vectors_have_about_the_same_variance_in_every_direction() -> None:
    vectors = _vectors(5000, 6)
    variances = torch.linalg.eigvalsh(_fitted(vectors)(vectors).T.cov())
    spread = torch.linalg.eigvalsh(normalize(vectors.sign() * vectors.abs().sqrt(), dim=-1).T.cov())
    assert variances.max() / variances.min() < 0.2 * spread.max() / spread.min()


@pytest.mark.parametrize("count", [0, 1, 2, FEWEST - 1])
def test_few_vectors_tell_nothing(count: int) -> None:
    vectors = _vectors(50, 7)
    assert torch.equal(_fitted(vectors[:count])(vectors), Whitening(7)(vectors))


def test_equal_vectors_tell_nothing() -> None:
    vectors = _vectors(1, 7).expand(40, 7)
    whitened = _fitted(vectors)(vectors)
    assert torch.isfinite(whitened).all()


@pytest.mark.parametrize("count", [40, 400])
def test_it_does_not_depend_on_the_order_and_the_length_of_vectors(count: int) -> None:
    vectors = _vectors(count, 64)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(1))
    one, other = _fitted(vectors), _fitted(7 * vectors[order])
    assert torch.allclose(one(vectors), other(vectors), atol=1e-4 * float(one(vectors).abs().max()))


def test_it_is_part_of_the_state() -> None:
    vectors = _vectors(60, 9)
    fitted, empty = _fitted(vectors), Whitening(9)
    empty.load_state_dict(fitted.state_dict())
    assert torch.equal(empty(vectors), fitted(vectors))


def _patched(count: int, seed: int = 0, patches: int = 3, width: int = 4) -> torch.Tensor:
    return _vectors(count, patches * width, seed).view(count, patches, width)


def test_patches_are_one_vector_whitened_with_the_mean_variance_as_ridge() -> None:
    patches = _patched(1500)
    whitening = PatchWhitening(12)
    whitening.fit(patches)
    rooted = normalize(patches.flatten(1).sign() * patches.flatten(1).abs().sqrt(), dim=-1).double()
    variances = torch.linalg.eigvalsh(torch.cov(rooted.t(), correction=0)).flip(0)
    variances = variances[variances > 1e-9 * variances[0]]
    expected = variances / (variances + variances.sum() / 12)
    covariance = torch.cov(whitening(patches).double().t(), correction=0)
    shares = covariance.diagonal()[: len(expected)] / covariance[0, 0]
    assert torch.allclose(shares, expected / expected[0], rtol=1e-3, atol=1e-5)
    assert (covariance - covariance.diagonal().diag()).abs().max() < 1e-4 * covariance[0, 0]


def test_with_fewer_directions_those_with_the_largest_variances_are_left() -> None:
    patches = _patched(300)
    all_directions, two = PatchWhitening(12), PatchWhitening(2)
    all_directions.fit(patches)
    two.fit(patches)
    assert torch.allclose(all_directions(patches)[:, :2].abs(), two(patches).abs(), atol=1e-4)


@pytest.mark.parametrize("count", [0, 1, FEWEST - 1])
def test_too_few_pictures_say_nothing_of_patches(count: int) -> None:
    whitening = PatchWhitening(5)
    whitening.fit(_patched(count))
    assert torch.equal(whitening(_patched(2)), torch.zeros(2, 5))


def test_pictures_that_are_all_alike_say_nothing_of_patches() -> None:
    whitening = PatchWhitening(5)
    whitening.fit(torch.ones(FEWEST, 3, 4))
    assert torch.equal(whitening(_patched(2)), torch.zeros(2, 5))


def test_stored_weights_say_how_many_patches_there_are() -> None:
    whitening, restored = PatchWhitening(5), PatchWhitening(5)
    whitening.fit(_patched(FEWEST))
    restored.load_state_dict(whitening.state_dict())
    assert torch.equal(restored(_patched(3, seed=1)), whitening(_patched(3, seed=1)))
    with pytest.raises(RuntimeError, match="Missing key"):
        PatchWhitening(5).load_state_dict({})


def test_the_deviation_of_cosines_is_that_of_different_vectors() -> None:
    assert deviation(torch.eye(40)).item() == pytest.approx(1e-3)
    random = torch.randn(500, 16, generator=torch.Generator().manual_seed(0))
    assert deviation(random).item() == pytest.approx(16**-0.5, rel=0.05)
    assert deviation(random[:3]).item() == pytest.approx(UNKNOWN)
