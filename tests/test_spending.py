"""The cost of a ledger under both relations."""

import dataclasses
import math

import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution as pld

from sdv_slicedp import accounting as acc
from sdv_slicedp import composition, gaussian_mixture, slice_energy
from sdv_slicedp.accounting import ADD_OR_REMOVE_ONE, REPLACE_ONE
from sdv_slicedp.errors import PrivacyError
from sdv_slicedp.ledger import LedgerEntry, ProjectionEntry

pytestmark = pytest.mark.filterwarnings('error')


def counts(sigma, slices=1, threshold_delta=0.0, stage='domain'):
    return LedgerEntry(stage, 'text', slices, sigma, 10 * slices, threshold_delta)


def projection(sigma=4.0, directions='sphere', dimension=20, slices=10, **changes):
    entry = ProjectionEntry(
        stage='projection',
        description='text',
        directions=directions,
        dimension=dimension,
        slices=slices,
        sensitivity=1.0,
        rounding=1e-3,
        sigma=sigma,
        lattice_scale=4096.0,
    )
    return dataclasses.replace(entry, **changes)


def brute_force_delta(sigma, epsilon):
    """Exact delta of counts that move from one cell to another, by summing over both."""
    reach = math.ceil(12 * sigma) + 2
    x = np.arange(-reach, reach + 1.0)
    zero, one = np.exp(-(x**2) / (2 * sigma**2)), np.exp(-((x - 1) ** 2) / (2 * sigma**2))
    zero, one = zero / zero.sum(), one / zero.sum()
    here, there = np.outer(one, zero), np.outer(zero, one)
    return float(np.maximum(here - math.exp(epsilon) * there, 0).sum())


@pytest.mark.parametrize('sigma', [1.0, 2.0, 7.0, 20.0])
@pytest.mark.parametrize('epsilon', [0.0, 0.1, 1.0])
def test_a_replaced_record_changes_two_cells(sigma, epsilon):
    exact = brute_force_delta(sigma, epsilon)
    stated = acc.delta_spent([counts(sigma)], epsilon, REPLACE_ONE)

    assert exact * (1 - 1e-9) <= stated <= exact * 1.02 + 1e-4
    if exact > 1e-6:
        assert acc.delta_spent([counts(sigma)], epsilon) < exact  # one cell is not enough


def test_replacing_costs_twice_in_mu_squared_and_less_than_twice_in_epsilon():
    entries = [counts(30.0, 5), counts(200.0, 50)]

    assert acc.mu_squared(entries, REPLACE_ONE) == 2 * acc.mu_squared(entries)
    for cost in (acc.epsilon_spent, acc.gaussian_epsilon, acc.zcdp_epsilon):
        single, both = cost(entries, 1e-6), cost(entries, 1e-6, REPLACE_ONE)
        assert single < both < 2 * single
        doubled = [dataclasses.replace(e, slices=2 * e.slices) for e in entries]
        assert both == pytest.approx(cost(doubled, 1e-6), rel=1e-9)


def shown(count, sigma, threshold):
    """Law of what partition selection shows of one cell: the noisy count, or nothing at all."""
    reach = math.ceil(12 * sigma) + 4
    x = np.arange(-reach, reach + 1.0)
    weights = np.exp(-((x - count) ** 2) / (2 * sigma**2)) * (count > 0)
    law = np.append(np.where(x >= threshold, weights, 0.0), 0.0)
    total = np.exp(-((x - count) ** 2) / (2 * sigma**2)).sum()
    law /= total
    law[-1] = 1 - law[:-1].sum()
    return law


@pytest.mark.parametrize('before', [(1, 0), (2, 1), (1, 3), (4, 0), (5, 6)])
@pytest.mark.parametrize('epsilon', [0.0, 0.5, 1.5])
def test_thresholds_are_charged_once_for_a_replaced_record(before, epsilon):
    """Counts of the old and the new value before; cells that no record has are never shown."""
    sigma, threshold = 3.0, 9
    unlucky = shown(1, sigma, threshold)[:-1].sum()
    (old, new), entry = before, counts(sigma, 1, unlucky)
    here = np.outer(shown(old, sigma, threshold), shown(new, sigma, threshold))
    there = np.outer(shown(old - 1, sigma, threshold), shown(new + 1, sigma, threshold))
    stated = acc.delta_spent([entry], epsilon, REPLACE_ONE)

    for first, second in ((here, there), (there, here)):
        exact = float(np.maximum(first - math.exp(epsilon) * second, 0).sum())
        assert exact <= stated


def test_without_the_charge_a_threshold_would_not_be_covered():
    unlucky = shown(1, 3.0, 9)[:-1].sum()
    here = np.outer(shown(1, 3.0, 9), shown(0, 3.0, 9))
    there = np.outer(shown(0, 3.0, 9), shown(1, 3.0, 9))
    exact = float(np.maximum(here - math.exp(5.0) * there, 0).sum())

    assert acc.delta_spent([counts(3.0)], 5.0, REPLACE_ONE) < exact / 2
    assert exact <= acc.delta_spent([counts(3.0, 1, unlucky)], 5.0, REPLACE_ONE)


def test_projections_have_one_relation():
    for cost in (acc.epsilon_spent, acc.gaussian_epsilon, acc.zcdp_epsilon):
        with pytest.raises(PrivacyError, match='replace_one'):
            cost([counts(3.0), projection()], 1e-6)
    with pytest.raises(PrivacyError, match='replace_one'):
        acc.delta_spent([projection()], 1.0, ADD_OR_REMOVE_ONE)
    with pytest.raises(PrivacyError, match='replace_one'):
        acc.mu_squared([projection()])
    with pytest.raises(ValueError, match='relation'):
        acc.epsilon_spent([counts(3.0)], 1e-6, 'zero_out')
    with pytest.raises(PrivacyError, match='Scores'):
        acc.epsilon_spent([counts(3.0, stage='selection')], 1e-6, REPLACE_ONE)


def test_nothing_costs_nothing_under_either_relation():
    for relation in (ADD_OR_REMOVE_ONE, REPLACE_ONE):
        assert acc.epsilon_spent([], 1e-6, relation) == acc.mu_squared([], relation) == 0
        assert acc.delta_spent([], 1.0, relation) == 0


@pytest.mark.parametrize(
    ('directions', 'sigma'),
    [
        *(('orthonormal', sigma) for sigma in (9.0, 40.0, 127.0, 128.0, 500.0)),
        *(('sphere', sigma) for sigma in (9.0, 128.0)),  # on either side of the change of method
    ],
)
def test_discovery_and_projection_compose_exactly(directions, sigma):
    """All is Gaussian given the directions: mu^2 adds up before the average, from both sides."""
    entries = [counts(sigma, 6), projection(4.0, directions)]
    law = slice_energy.energy_law(directions, 20, 10)
    shifts = (np.sqrt(law.energies) + 1e-3) / 4.0
    mu = np.sqrt(shifts**2 + 12 / sigma**2)
    closed = gaussian_mixture.epsilon(gaussian_mixture.Mixture(mu, law.weights, law.excess), 1e-6)

    spent = acc.epsilon_spent(entries, 1e-6, REPLACE_ONE)

    assert closed * (1 - 1e-4) <= spent <= closed * (1 + 2e-3)
    assert acc.delta_spent(entries, spent * (1 + 1e-9), REPLACE_ONE) <= 1e-6 * (1 + 1e-6)
    fine = pld.from_discrete_gaussian_mechanism(
        sigma, value_discretization_interval=1e-4, use_connect_dots=True
    ).self_compose(12)
    alone = gaussian_mixture.Mixture(shifts, law.weights, law.excess)
    composed = fine.compose(gaussian_mixture.loss_distribution(alone, 1e-4)).get_epsilon_for_delta(
        1e-6
    )
    assert spent == pytest.approx(composed, rel=2e-3)


def test_several_fits_have_independent_directions():
    entries = [projection(8.0), projection(9.0, 'orthonormal', 30, 5)]
    laws = [slice_energy.energy_law(e.directions, e.dimension, e.slices) for e in entries]
    mu = [(np.sqrt(law.energies) + 1e-3) / e.sigma for law, e in zip(laws, entries, strict=True)]
    pairs = gaussian_mixture.Mixture(
        np.hypot(mu[0][:, None], mu[1][None, :]).ravel(),
        np.outer(laws[0].weights, laws[1].weights).ravel(),
        laws[0].excess,
    )
    closed = gaussian_mixture.epsilon(pairs, 1e-6)
    spent = acc.epsilon_spent(entries, 1e-6, REPLACE_ONE)

    assert closed * (1 - 1e-6) <= spent <= closed * (1 + 2e-3)
    assert spent == acc.epsilon_spent(entries[::-1], 1e-6, REPLACE_ONE)
    # The same directions again would be worse: they would see the same energy twice.
    twice = [projection(8.0)] * 2
    law = laws[0]
    reused = gaussian_mixture.Mixture(math.sqrt(2) * mu[0], law.weights, law.excess)
    assert acc.epsilon_spent(twice, 1e-6, REPLACE_ONE) < gaussian_mixture.epsilon(reused, 1e-6)
    # With discovery, whatever the order.
    more = [*twice, counts(20.0, 3)]
    assert acc.epsilon_spent(more, 1e-6, REPLACE_ONE) > acc.epsilon_spent(twice, 1e-6, REPLACE_ONE)


def test_bounds_for_adaptive_plans_take_the_worst_energy_that_they_pay_for():
    capped = projection(threshold_delta=1e-7)
    bound = slice_energy.energy_bound('sphere', 20, 10, 1e-7)
    mu = (math.sqrt(bound) + 1e-3) / 4.0
    expected = gaussian_mixture.epsilon(
        gaussian_mixture.Mixture(np.array([mu]), np.ones(1)), 1e-6 - 1e-7
    )

    spent = acc.gaussian_epsilon([capped], 1e-6, REPLACE_ONE)

    assert expected <= spent <= expected * (1 + 1e-5)
    assert acc.zcdp_epsilon([capped], 1e-6, REPLACE_ONE) > spent
    assert acc.epsilon_spent([capped], 1e-6, REPLACE_ONE) < spent
    assert acc.gaussian_epsilon([projection()], 1e-6, REPLACE_ONE) > spent
    assert acc.gaussian_epsilon([capped], 1e-7, REPLACE_ONE) == math.inf
    # The figure averages over directions, so it does not need the allowance.
    assert acc.epsilon_spent([capped], 1e-8, REPLACE_ONE) < math.inf


@pytest.mark.parametrize('lattice_scale', [0.5, 1.0, 3.0, 64.0, 1024.0])
def test_coarse_lattices_are_never_undercharged(lattice_scale):
    """One direction in one dimension: a discrete Gaussian with a shift of one unit."""
    entry = projection(
        lattice_scale, dimension=1, slices=1, rounding=0.0, lattice_scale=lattice_scale
    )
    exact = pld.from_discrete_gaussian_mechanism(
        lattice_scale,
        value_discretization_interval=1e-2 / lattice_scale,
        use_connect_dots=False,
        pessimistic_estimate=False,
    ).get_epsilon_for_delta(1e-6)

    assert acc.epsilon_spent([entry], 1e-6, REPLACE_ONE) >= exact * (1 - 1e-6)


def test_hardly_any_noise_on_a_projection():
    entry = projection(1e-3)
    by_zcdp = acc.zcdp_epsilon([entry], 1e-6, REPLACE_ONE)

    assert acc.epsilon_spent([entry], 1e-6, REPLACE_ONE) == math.inf == by_zcdp
    assert acc.delta_spent([entry], 1.0, REPLACE_ONE) > 0.999


def test_loss_distributions_are_computed_once():
    composition._loss_distribution.cache_clear()
    entries = [counts(12.0, 3), projection()]
    for delta in (1e-5, 1e-6, 1e-7):
        acc.epsilon_spent(entries, delta, REPLACE_ONE)

    assert composition._loss_distribution.cache_info().misses == 1
