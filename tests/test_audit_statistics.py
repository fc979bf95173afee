import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sdv_slicedp import audit_statistics as audit
from sdv_slicedp.accounting import budget_mu
from sdv_slicedp.slice_energy import energy_law


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([1e-6, 1e-3, 0.1]))
def test_clopper_pearson_bounds_are_the_exact_tails(hits, more, alpha):
    runs = hits + more
    if not runs:
        return
    low, high = audit.lower(hits, runs, alpha), audit.upper(hits, runs, alpha)
    assert 0 <= low <= hits / runs <= high <= 1
    if hits:
        assert stats.binom.sf(hits - 1, runs, low) == pytest.approx(alpha)
    if more:
        assert stats.binom.cdf(hits, runs, high) == pytest.approx(alpha)


def test_mu_is_found_from_below():
    # Of 1000 pairs of worlds, none may be above at alpha = 1e-6; the median is not far below.
    rng, mu, runs = np.random.default_rng(0), 1.0, 20_000
    chances = stats.norm.cdf(mu / 2), stats.norm.cdf(-mu / 2)
    draws = zip(*(rng.binomial(runs, chance, 1000) for chance in chances), strict=True)
    bounds = [audit.mu_bound(int(a), int(b), runs, 1e-6) for a, b in draws]
    assert max(bounds) <= mu
    assert np.median(bounds) > 0.85 * mu
    assert audit.mu_bound(10, 990, 1000, 1e-6) == 0


@pytest.mark.parametrize('epsilon', [0.01, 0.5, 1.0, 4.0, 20.0])
@pytest.mark.parametrize('delta', [1e-9, 1e-3])
def test_epsilon_of_mu_is_the_inverse_of_the_budget(epsilon, delta):
    assert audit.gaussian_epsilon_of(budget_mu(epsilon, delta), delta) == pytest.approx(epsilon)
    assert audit.gaussian_epsilon_of(0.0, delta) == 0


def test_an_event_shows_its_epsilon():
    shown, hidden = np.ones(4000), np.r_[np.ones(400), np.zeros(3600)]
    found = audit.event_epsilon(shown, hidden, 0.5, 1e-6, 1e-3)
    assert 0.8 * math.log(10) < found < math.log(10)
    assert audit.event_epsilon(hidden, hidden, 0.5, 1e-6, 1e-3) == 0


def exact_level(guesses: int, right: int, epsilon: float) -> float:
    """Level of randomised response, which shows most among private runs, at delta = 0."""
    return float(stats.binom.sf(right - 1, guesses, 1 / (1 + math.exp(-epsilon))))


@pytest.mark.parametrize(('right', 'epsilon'), [(0, 0.0), (60, 0.5), (90, 1.0), (100, 3.0)])
def test_p_values_of_one_run(right, epsilon):
    pure = audit.one_run_p_value(500, 100, right, epsilon, 0.0)
    assert pure == pytest.approx(min(1.0, exact_level(100, right, epsilon)))
    assert pure <= audit.one_run_p_value(500, 100, right, epsilon, 1e-6) <= pure + 500 * 2e-6


def test_epsilon_of_one_run():
    bound = audit.one_run_epsilon(500, 100, 95, 1e-6, 1e-3)
    assert audit.one_run_p_value(500, 100, 95, bound, 1e-6) == pytest.approx(1e-3)
    assert 1 < bound < math.log(95 / 5)
    assert audit.one_run_epsilon(500, 100, 55, 1e-6, 1e-3) == 0
    assert audit.one_run_epsilon(10**7, 10**6, 10**6, 0.0, 0.999999) < 100


class TestShiftShare:
    @given(st.floats(0.01, 5.0), st.floats(0.05, 8.0))
    def test_a_full_basis_shows_all_alike(self, mu, largest):
        law = energy_law('orthonormal', 7, 7)
        assert audit.shift_share(mu, largest, law) == pytest.approx(mu / largest, rel=1e-6)

    @pytest.mark.parametrize('kind', ['sphere', 'orthonormal'])
    @pytest.mark.parametrize('share', [0.2, 1.0, 1.7])
    def test_it_is_what_guesses_are_made_of(self, kind, share):
        # Exact chances of a right guess, from a large sample of what directions see.
        rng, d, m, largest = np.random.default_rng(0), 9, 3, 2.5
        drawn = rng.standard_normal((200_000, m, d))
        if kind == 'sphere':
            energies = (drawn[..., 0] ** 2 / (drawn**2).sum(axis=2)).sum(axis=1)
        else:
            energies = rng.beta(m / 2, (d - m) / 2, 200_000)
        right = stats.norm.cdf(share * largest * np.sqrt(energies) / 2).mean()
        found = audit.shift_share(2 * stats.norm.ppf(right), largest, energy_law(kind, d, m))
        assert found == pytest.approx(share, rel=0.01)

    def test_nothing_shown_is_no_share(self):
        assert audit.shift_share(0.0, 2.0, energy_law('sphere', 9, 3)) == 0
