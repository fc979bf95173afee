import math
from functools import cache

import numpy as np
import pytest
import torch
from effort import examples
from hypothesis import given
from hypothesis import strategies as st

from sdv_slicedp import density_ratio as module
from sdv_slicedp.density_ratio import (
    LEAST_RATIO,
    density_ratio,
    gaussian_kernel,
    positive,
    ridge_solve,
    sliced_f_divergence,
)
from sdv_slicedp.f_divergence import DIVERGENCES, f_divergence

pytestmark = pytest.mark.filterwarnings('error')

KL = f_divergence('kl')
TYPES = [torch.float32, torch.float64]
seeds = st.integers(0, 2**32 - 1)


def stream(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normals(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=stream(seed), dtype=dtype)


def haar(seed: int, size: int) -> torch.Tensor:
    """A random rotation or reflection."""
    return torch.linalg.qr(normals(seed, size, size))[0]


def sphere(seed: int, size: int, count: int) -> torch.Tensor:
    directions = normals(seed, size, count)
    return directions / directions.norm(dim=0)


# The estimator by its definition


@given(seeds)
@examples(20)
def test_without_prior_it_solves_the_published_equation(seed):
    real, fake = normals(seed, 3, 9), 0.5 + normals(seed + 1, 3, 7)
    ridge, widths = 0.05, (0.4, 1.5)
    estimate = density_ratio(real, fake, widths, ridge, prior=0.0, scale=1.3).at_fake
    for p, q, row in zip(real.numpy(), fake.numpy(), estimate.numpy(), strict=True):

        def kernel(a, b):
            squares = ((a[:, None] - b[None]) / 1.3) ** 2
            return np.mean([np.exp(-squares / (2 * width**2)) for width in widths], axis=0)

        left = kernel(q, q) + ridge * 7 * np.eye(7)
        right = kernel(q, p) @ np.ones(9) * (7 / 9)
        np.testing.assert_allclose(left @ row, right, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize('prior', [0.0, 1.0])
def test_as_a_function_it_takes_its_values_at_the_generated_points(prior):
    real, fake = normals(1, 4, 50), 0.3 + normals(2, 4, 60)
    ratio = density_ratio(real, fake, prior=prior)
    torch.testing.assert_close(ratio(fake), ratio.at_fake)


@pytest.mark.parametrize('dtype', TYPES)
def test_a_sample_against_itself_has_ratio_one_and_no_divergence(dtype):
    points = normals(3, 5, 40, dtype=dtype)
    shuffled = points[:, torch.randperm(40, generator=stream(4))]
    ratio = density_ratio(points, shuffled).at_fake
    torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0, atol=1e-3)
    for divergence in DIVERGENCES.values():
        assert abs(float(sliced_f_divergence(points, shuffled, divergence))) < 1e-6


def test_far_from_all_points_it_is_the_prior():
    ratio = density_ratio(normals(5, 1, 30), normals(6, 1, 30), prior=1.0)
    torch.testing.assert_close(ratio(torch.tensor([[1e3]]).double()).item(), 1.0)


@given(st.floats(-100, 100), st.floats(1e-9, 10))
def test_positive_keeps_the_order_and_what_is_large(ratio, step):
    values = torch.tensor([ratio, ratio + step], dtype=torch.float64)
    low, high = positive(values).tolist()
    assert LEAST_RATIO / 2 <= low <= high
    assert high == ratio + step or ratio + step <= LEAST_RATIO


def test_positive_has_no_kink():
    around = torch.tensor([LEAST_RATIO - 1e-9, LEAST_RATIO + 1e-9], dtype=torch.float64)
    around.requires_grad_()
    (slopes,) = torch.autograd.grad(positive(around).sum(), around)
    torch.testing.assert_close(slopes, torch.ones_like(slopes), rtol=1e-6, atol=0)


# Against closed forms, from samples
#
# Each test averages over independent slices and asks for a mean within Z standard errors of what
# it states; a false alarm has probability below 1e-8. Seeds are fixed, so it does not recur.

Z = 6.0
MEAN = 0.7


@cache
def log_ratio_errors(points: int, slices: int, seed: int, swapped: bool = False) -> torch.Tensor:
    """Mean squared error of the log ratio of N(0, 1) to N(MEAN, 1) on [-1, 2], per slice."""
    real, fake = normals(seed, slices, points), MEAN + normals(seed + 1, slices, points)
    if swapped:
        real, fake = fake, real
    at = torch.linspace(-1, 2, 31, dtype=torch.float64).expand(slices, 31)
    ratio = positive(density_ratio(real, fake)(at))
    truth = MEAN**2 / 2 - MEAN * at
    return (ratio.log() - truth).square().mean(dim=1)


def below(values: torch.Tensor, limit: float) -> bool:
    """Whether the mean of ``values`` may be below ``limit``, with false alarms below 1e-8."""
    error = float(values.std()) / math.sqrt(len(values))
    return float(values.mean()) - Z * error < limit


def test_the_ratio_of_normals_is_found():
    assert below(log_ratio_errors(1000, 24, 10), 0.02)
    assert not below(log_ratio_errors(1000, 24, 10, swapped=True), 0.02)


def test_the_ratio_gets_better_with_more_points():
    few, many = log_ratio_errors(100, 100, 20), log_ratio_errors(1000, 24, 10)
    gain = float(few.mean() / 2 - many.mean())
    error = math.sqrt(float(few.var()) / 400 + float(many.var()) / 24)
    assert gain > 0
    assert gain > -Z * error  # more points at least halve it
    assert below(many, 0.02)


def kl_errors(points: int, slices: int, seed: int) -> torch.Tensor:
    """Error of the estimated KL divergence of N(0, 1) from N(MEAN, 1), per slice."""
    real, fake = normals(seed, slices, points), MEAN + normals(seed + 1, slices, points)
    ratio = positive(density_ratio(real, fake).at_fake)
    return KL.f(ratio).mean(dim=1) - MEAN**2 / 2


def test_the_divergence_of_normals_gets_better_with_more_points():
    errors = kl_errors(1000, 24, 50)
    few, many = kl_errors(100, 100, 40).abs(), errors.abs()
    spread = math.sqrt(float(few.var()) / 400 + float(many.var()) / 24)
    assert float(many.mean()) < float(few.mean()) / 2 + Z * spread
    assert below(many, 0.03)
    wrong = errors + MEAN**2 / 2 - 0.5 * MEAN  # a twin with another truth
    assert not below(wrong.abs(), 0.03)


def sliced_kl(seed: int, slices: int, mean: torch.Tensor, directions: torch.Tensor) -> float:
    size = len(mean)
    real, fake = normals(seed, 200, size), mean + normals(seed + 1, 200, size)
    return float(sliced_f_divergence((real @ directions).T, (fake @ directions).T, KL))


def test_more_slices_bring_it_nearer_to_the_average_over_all_directions():
    """Slices of N(mean, I): KL (u . mean)^2 / 2, on average |mean|^2 / (2 d).

    The ratio of two variances over 30 repeats each; below 1 for an effect of 16 with probability
    below 1e-8 (F distribution with 29 and 29 degrees of freedom).
    """
    mean = torch.tensor([1.5, 0, 0, 0, 0], dtype=torch.float64)

    def variance(slices: int) -> float:
        values = [
            sliced_kl(1000 * repeat, slices, mean, sphere(1000 * repeat + 7, 5, slices))
            for repeat in range(30)
        ]
        return float(np.var(values))

    few, many = variance(1), variance(16)
    assert many < few


# Invariances


def test_rotating_samples_and_directions_changes_nothing():
    real, fake = normals(60, 80, 6), 0.4 + 1.3 * normals(61, 80, 6)
    rotation, directions = haar(62, 6), sphere(63, 6, 10)
    turned = rotation @ directions
    for divergence in DIVERGENCES.values():
        before = sliced_f_divergence((real @ directions).T, (fake @ directions).T, divergence)
        after = sliced_f_divergence(
            (real @ rotation.T @ turned).T, (fake @ rotation.T @ turned).T, divergence
        )
        torch.testing.assert_close(before, after, rtol=1e-7, atol=1e-9)


def test_rotating_the_samples_leaves_the_law_of_the_sliced_value():
    """Means over 150 slices of the sphere agree within 6 standard errors: false alarm < 1e-8.

    Directions along the axes see the rotation, and are told apart by the same test.
    """
    size, slices = 6, 150
    mean = torch.tensor([3.0, 0, 0, 0, 0, 0], dtype=torch.float64)
    rotation = haar(73, size)
    real, fake = normals(70, 150, size), mean + normals(71, 150, size)

    def values(real, fake, directions):
        ratio = positive(density_ratio((real @ directions).T, (fake @ directions).T).at_fake)
        return KL.f(ratio).mean(dim=1)

    def same(first, second):
        error = math.sqrt(float(first.var()) / slices + float(second.var()) / slices)
        return abs(float(first.mean() - second.mean())) < Z * error

    turned = real @ rotation.T, fake @ rotation.T
    assert same(
        values(real, fake, sphere(74, size, slices)), values(*turned, sphere(75, size, slices))
    )
    one_axis = torch.eye(size, dtype=torch.float64)[:, :1].expand(size, slices)
    assert not same(
        values(real, fake, one_axis), values(*turned, one_axis) + 1e-9 * sphere(76, 1, slices)[0]
    )


@given(st.floats(1e-6, 1e6), st.floats(-1e3, 1e3))
@examples(20)
def test_units_do_not_matter(unit, shift):
    real, fake = normals(80, 3, 30), 0.5 + normals(81, 3, 30)
    expected = sliced_f_divergence(real, fake, KL)
    value = sliced_f_divergence(unit * (real + shift), unit * (fake + shift), KL)
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-8)


# Derivatives and safety


@pytest.mark.parametrize('name', sorted(DIVERGENCES))
@pytest.mark.parametrize('prior', [0.0, 1.0])
def test_derivatives_are_right(name, prior):
    real, fake = normals(90, 2, 6), (0.3 + normals(91, 2, 5)).requires_grad_()

    def value(fake):
        return sliced_f_divergence(real, fake, f_divergence(name), (0.5, 1.0), 0.05, prior)

    assert torch.autograd.gradcheck(value, (fake,))


def test_derivatives_of_the_ratio_by_the_points_are_right():
    ratio = density_ratio(normals(92, 2, 6), normals(93, 2, 5))
    assert torch.autograd.gradcheck(ratio, (normals(94, 2, 4).requires_grad_(),))


@pytest.mark.parametrize('dtype', TYPES)
@pytest.mark.parametrize('unit', [0.0, 1e-30, 1e-6, 1.0, 1e6, 1e30])
@pytest.mark.parametrize('kind', ['repeated', 'constant real', 'all the same', 'apart'])
def test_no_nan_whatever_the_points(kind, unit, dtype):
    spread = normals(100, 3, 40, dtype=dtype)
    real, fake = {
        'repeated': (spread.round(), spread.flip(1).round()),
        'constant real': (torch.ones_like(spread), spread),
        'all the same': (torch.ones_like(spread), torch.ones_like(spread)),
        'apart': (spread, spread + 1000),
    }[kind]
    for divergence in DIVERGENCES.values():
        moving = (unit * fake).requires_grad_()
        value = sliced_f_divergence(unit * real, moving, divergence, ridge=1e-9)
        (gradient,) = torch.autograd.grad(value, moving)
        assert torch.isfinite(value)
        assert torch.isfinite(gradient).all()


def test_single_and_double_precision_agree():
    real, fake = normals(110, 4, 200), 0.5 + normals(111, 4, 200)
    single = sliced_f_divergence(real.float(), fake.float(), KL)
    torch.testing.assert_close(
        single.double(), sliced_f_divergence(real, fake, KL), rtol=1e-2, atol=1e-4
    )


def test_chunks_change_neither_value_nor_derivative(monkeypatch):
    real, fake = normals(120, 7, 20), (0.5 + normals(121, 7, 20)).requires_grad_()
    largest = []

    def watched(first, second, bandwidths):
        kernel = gaussian_kernel(first, second, bandwidths)
        largest.append(kernel.numel())
        return kernel

    monkeypatch.setattr(module, 'gaussian_kernel', watched)
    whole = sliced_f_divergence(real, fake, KL)
    (gradient,) = torch.autograd.grad(whole, fake)
    monkeypatch.setattr(module, 'KERNEL_ELEMENTS', 2 * 20 * 20)
    largest.clear()
    parts = sliced_f_divergence(real, fake, KL)
    (partwise,) = torch.autograd.grad(parts, fake)
    assert max(largest) <= 2 * 20 * 20
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(partwise, gradient)


def test_the_ridge_is_raised_only_where_it_must():
    good, bad = torch.eye(3).double(), torch.diag(torch.tensor([1.0, 1.0, -1e-3]).double())
    solution = ridge_solve(torch.stack([good, bad]), torch.ones(2, 3).double(), 1e-4)
    torch.testing.assert_close(solution[0], torch.full((3,), 1 / 1.0001).double())
    assert torch.isfinite(solution[1]).all()
    with pytest.raises(ValueError, match=r'ridge=0\.0001 is too small'):
        ridge_solve(torch.full((1, 3, 3), math.nan), torch.ones(1, 3), 1e-4)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'real': torch.tensor([[0.0, math.nan]])}, 'real projections must be finite'),
        ({'fake': torch.tensor([[0.0, math.inf]])}, 'fake projections must be finite'),
        ({'fake': torch.zeros(2, 2)}, 'real has 1 slices and fake has 2'),
        ({'fake': torch.zeros(3)}, r'fake projections must have shape \(slices, points\)'),
        ({'real': torch.zeros(1, 0)}, 'real projections must have shape'),
        ({'fake': torch.zeros(1, 2).double()}, 'real is torch.float32 and fake is torch.float64'),
        ({'bandwidths': ()}, 'bandwidths must be positive'),
        ({'bandwidths': (1.0, math.nan)}, 'bandwidths must be positive'),
        ({'ridge': 0.0}, 'ridge must be positive'),
        ({'ridge': math.nan}, 'ridge must be positive'),
        ({'scale': math.nan}, 'scale must be None or positive'),
    ],
)
def test_bad_input_is_named(change, message):
    good = {'real': torch.zeros(1, 2), 'fake': torch.ones(1, 2)}
    with pytest.raises(ValueError, match=message):
        density_ratio(**{**good, **change})
