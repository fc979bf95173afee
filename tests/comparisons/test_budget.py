import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparisons import budget
from comparisons.budget import Concentrated, Gaussian, OverspentError, Proven, SampledGaussian
from sdv_slicedp.accounting import budget_mu

DELTA = 1e-5


@pytest.mark.parametrize('epsilon', [0.5, 1.0, 10.0])
def test_gaussian_noise_is_the_analytic_one(epsilon):
    """Balle and Wang (2018), as the package itself computes it."""
    wanted = 1 / budget_mu(epsilon, DELTA)
    assert budget.gaussian_multiplier(epsilon, DELTA) == pytest.approx(wanted, rel=2e-3)
    many = budget.gaussian_multiplier(epsilon, DELTA, count=9)
    assert many == pytest.approx(3 * wanted, rel=2e-3)


def test_sampled_noise_is_that_of_a_published_setting():
    """Everything sampled is the Gaussian mechanism; sampling needs less noise."""
    all_rows = budget.sampled_multiplier(1.0, DELTA, rate=1.0, steps=4)
    assert all_rows == pytest.approx(2 / budget_mu(1.0, DELTA), rel=2e-3)
    assert budget.sampled_multiplier(1.0, DELTA, rate=0.05, steps=4) < all_rows / 2


@given(st.floats(0.1, 10))
def test_rho_is_the_largest_within_the_request(requested):
    rho = budget.rho_for(requested, DELTA)
    assert budget.concentrated_epsilon(rho, DELTA) <= requested
    assert budget.concentrated_epsilon(rho * 1.001, DELTA) > requested
    assert budget.epsilon([Concentrated(rho / 2)] * 2, DELTA) == pytest.approx(requested, rel=1e-3)


def test_gaussian_noise_beside_concentrated_counts_with_its_rho():
    both = budget.epsilon([Concentrated(0.01), Gaussian(5.0, 3)], DELTA)
    assert both == pytest.approx(budget.concentrated_epsilon(0.01 + 3 / 50, DELTA))


def test_what_is_proven_elsewhere_is_added():
    alone = budget.epsilon([Gaussian(4.0)], DELTA / 2)
    both = budget.epsilon([Gaussian(4.0), Proven(0.1, DELTA / 2)], DELTA)
    assert both == pytest.approx(alone + 0.1)
    assert budget.epsilon([Proven(0.1, DELTA)], DELTA) == 0.1
    assert budget.epsilon([], DELTA) == 0


@pytest.mark.parametrize(
    'events',
    [
        [Gaussian(0.0)],
        [Gaussian(math.nan)],
        [Gaussian(4.0), SampledGaussian(0.0, 0.1, 10)],
        [Concentrated(math.inf)],
        [Concentrated(math.nan)],
        [Proven(0.1, 2 * DELTA)],
        [Gaussian(4.0), Proven(0.1, DELTA)],
    ],
)
def test_missing_noise_is_infinite(events):
    assert budget.epsilon(events, DELTA) == math.inf


def test_less_noise_than_asked_for_is_refused():
    multiplier = budget.gaussian_multiplier(1.0, DELTA)
    assert budget.check([Gaussian(multiplier)], 1.0, DELTA) == pytest.approx(1, rel=1e-3)
    with pytest.raises(OverspentError, match='more than the requested 1'):
        budget.check([Gaussian(multiplier * 0.98)], 1.0, DELTA)
    with pytest.raises(OverspentError):
        budget.check([Proven(math.nan, 0.0)], 1.0, DELTA)
