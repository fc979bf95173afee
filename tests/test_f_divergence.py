import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sdv_slicedp.f_divergence import (
    DIVERGENCES,
    LEAST_RATIO,
    MOST_RATIO,
    TV_SMOOTHNESS,
    FDivergence,
    f_divergence,
)

pytestmark = pytest.mark.filterwarnings('error')

NAMES = ['kl', 'reverse_kl', 'jensen_shannon', 'chi2', 'hellinger', 'total_variation']
TYPES = [torch.float32, torch.float64]
every_divergence = pytest.mark.parametrize('name', NAMES)
every_type = pytest.mark.parametrize('dtype', TYPES)
logs = st.floats(math.log(LEAST_RATIO), math.log(MOST_RATIO))


def double(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def between_normals(divergence: FDivergence, mean: float, deviation: float) -> float:
    """D_f(N(0, 1) || N(mean, deviation^2)) by quadrature."""
    at = torch.linspace(-14, 14, 40_001, dtype=torch.float64)
    real = torch.distributions.Normal(double(0), double(1)).log_prob(at)
    fake = torch.distributions.Normal(double(mean), double(deviation)).log_prob(at)
    values = torch.exp(fake) * divergence.f(torch.exp(real - fake))
    return float(values.sum() * (at[1] - at[0]))


def test_the_registry_has_the_named_divergences():
    assert sorted(DIVERGENCES) == sorted(NAMES)
    assert all(f_divergence(name).name == name for name in NAMES)


def test_an_unknown_name_is_refused_with_the_choices():
    with pytest.raises(ValueError, match=r"'wasserstein'.*kl, reverse_kl, jensen_shannon"):
        f_divergence('wasserstein')


@every_divergence
@every_type
def test_nothing_at_equality(name, dtype):
    one = torch.ones(3, dtype=dtype)
    divergence = f_divergence(name)
    for function in (divergence.f, divergence.slope, divergence.conjugate):
        value = function(one)
        assert value.dtype == dtype
        torch.testing.assert_close(value, torch.zeros_like(one), rtol=0, atol=1e-7)


@every_divergence
@given(logs)
def test_slope_is_the_derivative(name, log):
    divergence = f_divergence(name)
    ratio = double(math.exp(log)).clamp(1.01 * LEAST_RATIO, 0.99 * MOST_RATIO).requires_grad_()
    (derivative,) = torch.autograd.grad(divergence.f(ratio), ratio)
    torch.testing.assert_close(derivative, divergence.slope(ratio.detach()), rtol=1e-9, atol=1e-9)


@every_divergence
@given(logs, logs)
def test_no_critic_beats_the_slope(name, log, other):
    """Fenchel and Young: f(r) >= r t - f*(t), with equality at t = f'(r) alone."""
    divergence = f_divergence(name)
    ratio, wrong = double(math.exp(log)), double(math.exp(other))
    value = divergence.f(ratio)
    slack = 1e-9 * (1 + float(ratio * divergence.slope(ratio).abs()) + float(value))
    at_slope = ratio * divergence.slope(ratio) - divergence.conjugate(ratio)
    elsewhere = ratio * divergence.slope(wrong) - divergence.conjugate(wrong)
    assert abs(float(at_slope - value)) <= slack
    assert float(elsewhere) <= float(value) + slack + 1e-9 * float(wrong**2)


@every_divergence
def test_strictly_convex(name):
    ratios = torch.logspace(-5.9, 2, 400, dtype=torch.float64)
    assert (f_divergence(name).slope(ratios).diff() > 0).all()


@every_divergence
@every_type
def test_finite_for_any_ratio(name, dtype):
    ratios = torch.tensor(
        [-1, 0, 1e-30, 1e-6, 1, 1e6, 1e30, math.inf], dtype=dtype, requires_grad=True
    )
    divergence = f_divergence(name)
    for function in (divergence.f, divergence.slope, divergence.conjugate):
        value = function(ratios)
        (gradient,) = torch.autograd.grad(value.sum(), ratios)
        assert torch.isfinite(value).all()
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize(('mean', 'deviation'), [(0.0, 1.2), (0.7, 1.0), (-1.0, 0.9)])
def test_closed_forms_between_normals(mean, deviation):
    variance = deviation**2
    kl = math.log(deviation) + (1 + mean**2) / (2 * variance) - 0.5
    reverse = -math.log(deviation) + (variance + mean**2) / 2 - 0.5
    overlap = math.sqrt(2 * deviation / (1 + variance)) * math.exp(
        -(mean**2) / (4 * (1 + variance))
    )
    chi2 = variance / math.sqrt(2 * variance - 1) * math.exp(mean**2 / (2 * variance - 1)) - 1
    expected = {'kl': kl, 'reverse_kl': reverse, 'hellinger': 1 - overlap, 'chi2': chi2}
    for name, value in expected.items():
        assert between_normals(f_divergence(name), mean, deviation) == pytest.approx(value, 1e-4)


def test_total_variation_is_a_little_less_than_the_sharp_one():
    sharp = math.erf(0.7 / math.sqrt(8))
    smooth = between_normals(f_divergence('total_variation'), 0.7, 1.0)
    assert sharp - TV_SMOOTHNESS / 2 <= smooth < sharp


def test_jensen_shannon_is_the_mean_divergence_from_the_middle():
    p = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    q = torch.tensor([0.6, 0.1, 0.3], dtype=torch.float64)
    middle = (p + q) / 2
    expected = 0.5 * ((p * (p / middle).log()).sum() + (q * (q / middle).log()).sum())
    value = (q * f_divergence('jensen_shannon').f(p / q)).sum()
    torch.testing.assert_close(value, expected)
