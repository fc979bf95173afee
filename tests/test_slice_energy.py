"""The law of B: what random directions see of a unit vector, never understated."""

import math

import numpy as np
import pytest
from effort import examples
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from sdv_slicedp import slice_energy
from sdv_slicedp.slice_energy import energy_bound, energy_law, largest_energy, log_hyp1f1

EXTREMES = [
    (kind, d, m)
    for kind in ('sphere', 'orthonormal')
    for d, m in [
        (1, 1),
        (1, 7),
        (2, 1),
        (2, 2),
        (2, 3),
        (2, 100_000),
        (3, 2),
        (10_000, 1),
        (10_000, 2),
        (10_000, 9_999),
        (10_000, 100_000),
    ]
]


def survival(law, x):
    """P(B > x), of the atoms and what they do not cover."""
    return law.excess + law.weights[law.energies > x].sum()


def simulated(kind, d, m, draws, seed):
    """Energies of the first unit vector under directions drawn as the mechanism draws them."""
    random = np.random.default_rng(seed)
    energies = np.zeros(draws)
    bases = range(0, m, d) if kind == 'orthonormal' else range(m)
    for start in bases:
        width = min(d, m - start) if kind == 'orthonormal' else 1
        directions = np.linalg.qr(random.standard_normal((draws, d, width)))[0]
        energies += (directions[:, 0, :] ** 2).sum(axis=1)
    return energies


@pytest.mark.parametrize(('d', 'm'), [(6, 5), (6, 1), (4, 7), (2, 3), (9, 3)])
def test_energies_have_this_law(d, m):
    """False alarms 1e-6 per law (Dvoretzky, Kiefer, Wolfowitz, Massart); the twin is found."""
    draws = 20_000
    band = math.sqrt(math.log(2 / 1e-6) / (2 * draws))
    for kind, twin in (('sphere', 'orthonormal'), ('orthonormal', 'sphere')):
        drawn = simulated(kind, d, m, draws, 20_260_101)
        points = np.linspace(0, largest_energy(kind, d, m), 200)[1:-1]
        seen = (drawn[:, None] > points + 1e-9).mean(axis=0)

        def distance(law, points=points, seen=seen):
            return max(abs(survival(law, x) - s) for x, s in zip(points, seen, strict=True))

        # Atoms are moved up, by less than a percent of the law in all.
        assert distance(energy_law(kind, d, m)) <= band + 0.01
        if 1 < m < 7:
            assert distance(energy_law(twin, d, m)) > band + 0.01


@pytest.mark.parametrize('x', [0.05, 0.2, 0.5, 0.9, 1.0])
def test_two_directions_in_space(x):
    """Two coordinates are uniform in absolute value: P(B <= x) is a quarter of a disc."""
    law = energy_law('sphere', 3, 2)

    assert 1 - math.pi * x / 4 <= survival(law, x) <= 1 - math.pi * x / 4 * (1 - 1e-2)


@pytest.mark.parametrize(('d', 'm'), [(20, 2), (100, 2), (500, 2)])
def test_tails_of_two_directions_are_dominated(d, m):
    """By quadrature over the first: P(B > x) = E P(second > x - first)."""
    law = energy_law('sphere', d, m)
    nodes, weights = special.roots_legendre(2000)
    theta = (nodes + 1) * math.pi / 4
    density = weights * np.cos(theta) ** (d - 2)
    density /= density.sum()
    for tail in (1e-2, 1e-5, 1e-8, 1e-11):
        x = stats.beta.isf(tail, 0.5, (d - 1) / 2)
        rest = np.clip(x - np.sin(theta) ** 2, 0, 1)
        exact = density @ stats.beta.sf(rest, 0.5, (d - 1) / 2)

        assert exact * (1 - 1e-3) <= survival(law, x)
        assert survival(law, x * 1.01) <= exact * 1.1


@pytest.mark.parametrize(('kind', 'd', 'm'), EXTREMES)
def test_extremes_are_stable(kind, d, m):
    law = energy_law(kind, d, m)

    assert np.all(np.isfinite(law.energies)) and np.all(law.weights >= 0)
    assert law.energies.max() <= largest_energy(kind, d, m) * (1 + 1e-12)
    assert law.weights.sum() + law.excess == pytest.approx(1, abs=2e-9)
    assert 0 <= law.excess <= 1e-19
    mean = law.weights @ law.energies
    assert m / d * (1 - 1e-9) <= mean <= m / d * 1.01
    if kind == 'sphere' or m < d:
        variance = law.weights @ law.energies**2 - mean**2
        parts = m if kind == 'sphere' else 1
        shape = (1, d - 1) if kind == 'sphere' else (m, d - m)
        expected = parts * stats.beta(shape[0] / 2, shape[1] / 2).var() if d > 1 else 0.0
        # The largest sums are moved up by as much as their deviation, and cut by Chernoff's bound.
        assert expected * 0.5 - 1e-12 <= variance <= expected * 1.2 + 1e-12


@pytest.mark.parametrize('m', [20, 40, 2000])
def test_full_bases_see_everything_alike(m):
    law = energy_law('orthonormal', 20, m)

    assert law.energies.tolist() == [m / 20]
    assert (law.weights.tolist(), law.excess) == ([1.0], 0.0)


@pytest.mark.parametrize(('d', 'm'), [(20, 7), (2, 1), (5_000, 1), (10_000, 5_000), (300, 299)])
def test_quadrature_agrees_with_the_distribution_function(d, m):
    law = energy_law('orthonormal', d, m)
    for order in (1, 2, 5):
        powers = special.poch(m / 2, order) / special.poch(d / 2, order)
        assert law.weights @ law.energies**order == pytest.approx(powers, rel=1e-8)
    assert law.weights @ law.energies >= m / d


@examples(30)
@given(
    st.sampled_from(['sphere', 'orthonormal']),
    st.integers(1, 200),
    st.integers(1, 400),
    st.floats(-12, -1).map(lambda x: 10.0**x),
)
def test_bounds_are_exceeded_no_more_often_than_said(kind, d, m, probability):
    bound = energy_bound(kind, d, m, probability)
    law = energy_law(kind, d, m)

    assert m / d * (1 - 1e-9) <= max(bound, law.energies[0]) <= largest_energy(kind, d, m)
    assert energy_bound(kind, d, m, probability / 10) >= bound
    assert energy_bound(kind, d, m, 0.0) == largest_energy(kind, d, m)
    if kind == 'sphere' and 1 < m and 1 < d:
        assert survival(law, bound) <= probability
    elif m % d:
        exact = stats.beta(m % d / 2, (d - m % d) / 2)
        assert exact.sf(bound - m // d) <= probability * (1 + 1e-6)
        assert exact.sf((bound - m // d) * (1 - 1e-6)) >= probability * 0.99 or bound > 0.99
    else:
        assert bound == m / d


@pytest.mark.parametrize('t', [1e-6, 0.5, 30.0, 600.0, 1e5])
@pytest.mark.parametrize(('a', 'b'), [(0.5, 10.0), (0.5, 250.0), (0.5, 0.5), (3.5, 5000.0)])
def test_the_hypergeometric_function_in_logarithms(a, b, t):
    mpmath = pytest.importorskip('mpmath')

    expected = float(mpmath.log(mpmath.hyp1f1(a, b, t)))

    assert log_hyp1f1(a, b, t) == pytest.approx(expected, rel=1e-9, abs=1e-14)
    assert log_hyp1f1(a, b, 0.0) == 0.0


def test_laws_are_computed_once():
    assert slice_energy.energy_law('sphere', 30, 4) is energy_law('sphere', 30, 4)
