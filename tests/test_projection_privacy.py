"""Calibration of the projection mechanism: within the budget, by the exact profile."""

import dataclasses
import math
from functools import partial

import numpy as np
import pytest
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sdv_slicedp import accounting as acc
from sdv_slicedp import noise
from sdv_slicedp.accounting import REPLACE_ONE
from sdv_slicedp.errors import PrivacyError
from sdv_slicedp.ledger import DIRECTIONS, Ledger, LedgerEntry
from sdv_slicedp.projection_privacy import (
    LATTICE_SCALE,
    PITCH_UNIT,
    calibrate_projection,
    lattice_scale,
    pitch_units,
    plan_projection,
    rounding,
)

quick = examples(12)
kinds = st.sampled_from(DIRECTIONS)
epsilons = st.floats(-1, 1).map(lambda x: 10.0**x)
deltas = st.floats(-10, -3).map(lambda x: 10.0**x)


def spent(*entries, delta):
    return acc.epsilon_spent(entries, delta, REPLACE_ONE)


def drawable(entry):
    """Checks that hold for every entry: it can be recorded, and its numbers fit together."""
    Ledger().record(entry)
    pitch = pitch_units(entry) * PITCH_UNIT
    assert entry.sigma == pitch * entry.lattice_scale
    assert entry.rounding >= pitch * math.sqrt(entry.slices) + entry.sensitivity * 2.0**-23
    return True


@quick
@given(kinds, st.integers(1, 300), st.integers(1, 600), st.floats(0.5, 30), epsilons, deltas)
def test_calibration_keeps_to_the_budget_and_uses_it(kind, d, m, sensitivity, epsilon, delta):
    entry = calibrate_projection(kind, d, m, sensitivity, epsilon, delta)

    assert drawable(entry)
    assert epsilon * 0.9999 <= spent(entry, delta=delta) <= epsilon
    assert acc.delta_spent([entry], epsilon, REPLACE_ONE) <= delta
    less = dataclasses.replace(entry, sigma=entry.sigma * 0.99)
    assert spent(less, delta=delta) > epsilon


@pytest.mark.parametrize('kind', DIRECTIONS)
@pytest.mark.parametrize(
    ('d', 'm', 'delta'),
    [(1, 1, 1e-5), (2, 1, 1e-6), (2, 100_000, 1e-6), (10_000, 1, 1e-12), (10_000, 100_000, 1e-6)],
)
def test_extremes_can_be_calibrated(kind, d, m, delta):
    for epsilon in (0.05, 1.0, 30.0):
        entry = calibrate_projection(kind, d, m, 2.0, epsilon, delta)

        assert drawable(entry)
        assert epsilon * 0.9999 <= spent(entry, delta=delta) <= epsilon


@pytest.mark.parametrize(
    ('d', 'm', 'epsilon', 'sphere', 'orthonormal'),
    [
        (20, 1, 0.5, 2.960, 2.960),
        (20, 1, 10, 0.258, 0.258),
        (20, 10, 1, 3.163, 2.905),
        (20, 20, 3, 1.581, 1.391),
        (20, 50, 5, 1.509, 1.422),
        (20, 100, 10, 1.168, 1.118),
        (100, 1, 1, 0.774, 0.774),
        (100, 50, 1, 2.788, 2.713),
        (100, 500, 0.5, 15.809, 15.724),
        (500, 10, 3, 0.251, 0.250),
        (500, 500, 1, 3.754, 3.731),
        (500, 2500, 10, 1.120, 1.118),
    ],
)
def test_noise_scales_of_the_reference(d, m, epsilon, sphere, orthonormal):
    """Computed once on a centre-of-mass grid, to three decimals; delta = 1e-5."""
    for kind, expected in (('sphere', sphere), ('orthonormal', orthonormal)):
        entry = calibrate_projection(kind, d, m, 1.0, epsilon, 1e-5)

        assert expected - 1e-3 <= entry.sigma <= (expected + 1e-3) * 1.02


@pytest.mark.parametrize(
    ('d', 'm', 'low', 'high'),
    [(20, 10, 3.16291, 3.16294), (100, 50, 2.78753, 2.78762), (500, 2500, 8.3495, 8.3558)],
)
def test_independent_directions_between_rigorous_bounds(d, m, low, high):
    from sdv_slicedp.projection_bounds import exact_scale

    scale = exact_scale('sphere', d, m, 1.0, 1e-5)

    assert low <= scale <= high * 1.002


@pytest.mark.parametrize('m', [20, 60])
@pytest.mark.parametrize('epsilon', [0.3, 1.0, 8.0])
def test_full_bases_are_the_gaussian_mechanism(m, epsilon):
    entry = calibrate_projection('orthonormal', 20, m, 1.5, epsilon, 1e-6)
    move = 1.5 * math.sqrt(m / 20) + entry.rounding

    assert entry.sigma == pytest.approx(move / acc.budget_mu(epsilon, 1e-6), rel=1e-5)


@pytest.mark.parametrize(('d', 'm'), [(20, 10), (8, 3), (30, 45)])
@pytest.mark.parametrize('kind', DIRECTIONS)
def test_simulated_privacy_loss_is_no_larger_than_stated(kind, d, m):
    """Privacy loss of one replaced record over random directions and noise.

    The mean of ``max(0, 1 - exp(epsilon - loss))`` is delta. False alarms 1e-6 (normal
    approximation at 4e5 draws of a number between 0 and 1). The twins are found: noise that is a
    tenth too small, and directions that are credited their mean energy.
    """
    draws, epsilon, delta = 400_000, 0.7, 1e-2
    entry = calibrate_projection(kind, d, m, 1.0, epsilon, delta)
    random = np.random.default_rng(20_260_102)
    if kind == 'sphere':
        squares = random.standard_normal((draws // 100, 100, m)) ** 2
        rest = random.chisquare(d - 1, squares.shape)
        energy = (squares / (squares + rest)).sum(axis=2).ravel()
    else:
        energy = m // d + (random.beta(m % d / 2, (d - m % d) / 2, draws) if m % d else 0.0)

    def failure(sigma, energy=energy):
        mu = np.sqrt(energy) / sigma
        loss = mu**2 / 2 + mu * random.standard_normal(draws)
        return np.maximum(0, -np.expm1(np.minimum(epsilon - loss, 0)))

    def score(values):
        return (values.mean() - delta) / (values.std() / math.sqrt(draws))

    limit = stats.norm.isf(1e-6)
    assert score(failure(entry.sigma)) <= limit
    assert score(failure(entry.sigma * 0.9)) > limit
    if m < d:
        mean_only = math.sqrt(m / d) / acc.budget_mu(epsilon, delta)
        assert score(failure(mean_only)) > limit


@quick
@given(kinds, st.integers(2, 60), st.integers(1, 90), epsilons, deltas)
def test_noise_grows_with_what_is_asked_and_falls_with_the_budget(kind, d, m, epsilon, delta):
    def sigma(kind=kind, d=d, m=m, sensitivity=1.0, epsilon=epsilon, delta=delta):
        return calibrate_projection(kind, d, m, sensitivity, epsilon, delta).sigma

    base = sigma()
    assert sigma(m=m + 30) > base
    assert sigma(sensitivity=2.0) == pytest.approx(2 * base, rel=1e-3)
    assert sigma(epsilon=2 * epsilon) < base
    assert sigma(delta=delta / 10) > base
    assert sigma(kind='orthonormal') <= sigma(kind='sphere') * (1 + 1e-6)


@quick
@given(kinds, st.integers(2, 80), st.integers(1, 200), epsilons, deltas, st.floats(0.02, 0.5))
def test_plans_after_discovery_keep_to_the_budget(kind, d, m, epsilon, delta, share):
    thresholds, allowance = 0.1 * delta, 0.05 * delta
    budget, cost = acc.planning_budget(epsilon, delta - thresholds - allowance, 10, REPLACE_ONE)
    sigma = noise.admissible_sigma(math.sqrt(2 * 7 / (share * budget)))
    before = [LedgerEntry('domain', 'text', 7, sigma, 70, thresholds)]
    entry = plan_projection(kind, d, m, 1.0, epsilon, delta, before, allowance, cost)

    assert drawable(entry)
    assert entry.threshold_delta == allowance
    assert epsilon * 0.999 <= cost((*before, entry), delta) <= epsilon
    assert spent(*before, entry, delta=delta) <= epsilon * (1 + 1e-4)
    alone = calibrate_projection(kind, d, m, 1.0, epsilon, delta)
    assert entry.sigma > alone.sigma


def test_without_variation_adaptive_plans_are_as_good():
    alone = calibrate_projection('orthonormal', 20, 40, 1.0, 1.0, 1e-6)
    planned = plan_projection('orthonormal', 20, 40, 1.0, 1.0, 1e-6, (), 0.0)

    assert planned.sigma == pytest.approx(alone.sigma, rel=1e-4)
    # With it, the worst energy that the allowance leaves counts.
    alone = calibrate_projection('sphere', 20, 40, 1.0, 1.0, 1e-6)
    planned = plan_projection('sphere', 20, 40, 1.0, 1.0, 1e-6, (), 5e-8)
    assert alone.sigma < planned.sigma < 1.5 * alone.sigma
    assert plan_projection('sphere', 20, 40, 1.0, 1.0, 1e-6, (), 0.0).sigma > 2 * planned.sigma


def test_several_fits_cost_no_more_than_their_sum():
    entries = [calibrate_projection(kind, 20, 10, 1.0, 1.0, 1e-6) for kind in DIRECTIONS]

    assert 1.2 < spent(*entries, delta=2e-6) < 2


@given(st.integers(1, 100_000), st.floats(0.01, 20), deltas)
@settings(deadline=None)
def test_the_lattice_is_fine_enough(m, epsilon, delta):
    scale = lattice_scale(m, epsilon, delta)

    assert noise.is_admissible(scale) and LATTICE_SCALE <= scale <= 2**18
    cost = math.sqrt(m) / (scale * acc.budget_mu(epsilon, delta))
    assert cost <= 1 / 64 or scale == 2**18
    assert scale == LATTICE_SCALE or cost > 1 / 128 or scale == 2**18


@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 2**32))
@settings(deadline=None)
def test_quantised_directions_and_the_lattice_move_no_further_than_charged(d, m, seed):
    """Rounded projections of two records, against the distance of the unrounded ones."""
    random = np.random.default_rng(seed)
    units = 2**12
    directions = random.standard_normal((d, m))
    directions /= np.linalg.norm(directions, axis=0)
    records = random.integers(-(2**20), 2**20, (2, d))
    exact = (records @ directions) / 2**20
    integers = records @ np.rint(directions * 2**22).astype(np.int64)
    lattice = np.rint(integers / units) * units * PITCH_UNIT
    sensitivity = np.linalg.norm(np.subtract(*records)) / 2**20

    moved = np.linalg.norm(np.subtract(*lattice))
    assert moved <= np.linalg.norm(np.subtract(*exact)) + rounding(
        d, m, sensitivity, units * PITCH_UNIT
    )


def test_budgets_that_cannot_be_kept_to_are_refused():
    calibrate = partial(calibrate_projection, 'sphere', 20, 10, 3.0)
    with pytest.raises(PrivacyError, match='larger than can be drawn'):
        calibrate(1e-6, 1e-9)
    for epsilon, delta in ((0.0, 1e-6), (math.nan, 1e-6), (1.0, 0.0), (1.0, 1.0)):
        with pytest.raises(ValueError, match=r'epsilon|delta'):
            calibrate(epsilon, delta)
    with pytest.raises(ValueError, match='directions'):
        calibrate_projection('gaussian', 20, 10, 3.0, 1.0, 1e-6)
    before = [LedgerEntry('domain', 'text', 3, 2.0, 30)]
    with pytest.raises(PrivacyError, match='Nothing is left'):
        plan_projection('sphere', 20, 10, 3.0, 1.0, 1e-6, before, 1e-7)
    for allowance in (1e-6, -1e-9, math.nan):
        with pytest.raises(PrivacyError, match='energy_delta'):
            plan_projection('sphere', 20, 10, 3.0, 1.0, 1e-6, (), allowance)


def test_a_pitch_that_is_not_on_the_lattice_is_refused():
    entry = calibrate_projection('sphere', 20, 10, 3.0, 1.0, 1e-6)

    assert isinstance(pitch_units(entry), int)
    for sigma in (entry.sigma * (1 + 1e-9), 1e-12):
        with pytest.raises(PrivacyError, match='PITCH_UNIT'):
            pitch_units(dataclasses.replace(entry, sigma=sigma))
