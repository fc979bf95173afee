"""Looser analyses of projections, against the reference values that they reproduce."""

import math

import numpy as np
import pytest
from effort import examples
from hypothesis import given
from hypothesis import strategies as st

from sdv_slicedp import projection_bounds as bounds
from sdv_slicedp.accounting import budget_mu


@pytest.mark.parametrize(
    ('d', 'm', 'epsilon', 'published', 'renyi'),
    [
        (20, 1, 0.5, 29.12, 3.597),
        (20, 20, 3, 5.67, 1.755),
        (100, 50, 1, 15.22, 3.084),
        (100, 500, 10, 2.22, 1.201),
        (500, 10, 5, 3.09, 0.186),
        (500, 2500, 10, 2.16, 1.188),
    ],
)
def test_noise_scales_of_the_reference(d, m, epsilon, published, renyi):
    assert bounds.published_scale(d, m, epsilon, 1e-5) == pytest.approx(published, abs=6e-3)
    assert bounds.renyi_scale(d, m, epsilon, 1e-5) == pytest.approx(renyi, abs=6e-4)


@pytest.mark.parametrize(('d', 'm', 't'), [(20, 10, 2.0), (100, 10, 8.0), (8, 3, 1.0)])
def test_renyi_divergence_is_the_simulated_one(d, m, t):
    """``E exp(t B)`` over drawn directions. False alarms 1e-6; the twin has one direction more."""
    draws, order = 200_000, 2.0
    random = np.random.default_rng(20_260_103)
    squares = random.standard_normal((draws, m)) ** 2
    energy = (squares / (squares + random.chisquare(d - 1, squares.shape))).sum(axis=1)
    values = np.exp(t * energy)
    scale = math.sqrt(order * (order - 1) / (2 * t))

    def score(slices):
        exact = math.exp((order - 1) * bounds.renyi_divergence(order, d, slices, scale))
        return abs(values.mean() - exact) / (values.std() / math.sqrt(draws))

    assert score(m) <= 4.9
    assert score(m + 1) > 4.9


@examples(8)
@given(st.integers(2, 200), st.integers(1, 300), st.floats(0.2, 10), st.floats(-9, -3))
def test_the_exact_profile_needs_the_least_noise(d, m, epsilon, power):
    case = (d, m, epsilon, 10.0**power)
    exact, orthonormal = (bounds.exact_scale(kind, *case) for kind in ('sphere', 'orthonormal'))

    floor = math.sqrt(m / d) / budget_mu(epsilon, case[-1])
    assert floor * (1 - 1e-6) <= orthonormal <= exact * (1 + 1e-6)
    assert exact <= bounds.renyi_scale(*case) * 1.01
    assert exact <= bounds.published_scale(*case)
    assert orthonormal <= bounds.worst_case_scale(*case) * (1 + 1e-6)
