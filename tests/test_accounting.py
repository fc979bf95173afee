import dataclasses
import math

import dp_accounting
import numpy as np
import pytest
from effort import examples
from hypothesis import assume, given
from hypothesis import strategies as st

from sdv_slicedp import accounting as acc
from sdv_slicedp import composition, noise
from sdv_slicedp.errors import PrivacyError

pytestmark = pytest.mark.filterwarnings('error')
quick = examples(10)  # one takes a fifth of a second

epsilons = st.floats(min_value=0.1, max_value=10)
deltas = st.floats(min_value=-9, max_value=-3).map(lambda x: 10.0**x)
shares = st.floats(min_value=0.2, max_value=20)
counts = st.integers(min_value=1, max_value=200)


def entry(sigma: float, slices: int = 1, threshold_delta: float = 0.0) -> acc.LedgerEntry:
    return acc.LedgerEntry('stage', 'text', slices, sigma, 50 * slices, threshold_delta)


plans = st.lists(st.builds(entry, shares, counts), min_size=1, max_size=4)


def continuous_epsilon(sigma: float, delta: float) -> float:
    with np.errstate(divide='ignore'):
        return float(dp_accounting.get_epsilon_gaussian(sigma, delta))


def brute_force_delta(sigma: float, epsilon: float) -> float:
    """Delta of one discrete Gaussian of shift 1, by summing over the outputs."""
    reach = math.ceil(12 * sigma) + 2
    x = np.arange(-reach, reach + 1.0)
    weights = np.exp(-(x**2) / (2 * sigma**2))
    here, there = weights / weights.sum(), np.exp(-((x - 1) ** 2) / (2 * sigma**2)) / weights.sum()
    return float(np.maximum(here - math.exp(epsilon) * there, 0).sum())


@pytest.mark.parametrize(
    ('sigma', 'slices', 'expected'),
    [
        (26.38, 50, 0.99998),
        (3.53, 50, 10.0165),
        (2.0, 1, 2.0113),
        (1.0, 1, 4.430),
    ],
)
def test_known_values(sigma, slices, expected):
    """Computed with dp_accounting's discrete Gaussian on a grid of 1e-4."""
    spent = acc.epsilon_spent([entry(sigma, slices)], 1e-5)

    assert spent == pytest.approx(expected, rel=2e-4)
    assert spent > expected - 1e-3


@pytest.mark.parametrize('sigma', [127.0, 130.0, 1000.0, 50_000.0])
@pytest.mark.parametrize('slices', [1, 300, 10_000])
def test_large_scales_cost_what_gaussian_noise_costs(sigma, slices):
    continuous = continuous_epsilon(sigma / math.sqrt(slices), 1e-6)

    spent = acc.epsilon_spent([entry(sigma, slices)], 1e-6)

    assert continuous * (1 - 1e-9) <= spent <= continuous * (1 + 1e-3) + 1e-8


@pytest.mark.parametrize('sigma', [0.5, 1.0, 2.0, 7.0, 40.0, 129.0])
@pytest.mark.parametrize('epsilon', [0.0, 0.05, 0.5, 2.0])
def test_one_slice_is_never_undercharged(sigma, epsilon):
    exact = brute_force_delta(sigma, epsilon)

    stated = acc.delta_spent([entry(sigma)], epsilon)

    assert exact * (1 - 1e-9) <= stated + 1e-15
    wrong_scale = acc.delta_spent([entry(sigma * 1.5)], epsilon)
    # Below scale 1 the lattice is so coarse that more noise does not always cost less.
    assert sigma < 1 or exact < 1e-12 or wrong_scale < exact


def test_two_scales_agree_with_a_fine_grid():
    from dp_accounting.pld import privacy_loss_distribution as pld

    entries = [entry(5.0, 10), entry(20.0, 100), entry(200.0, 1000)]
    fine = [
        pld.from_discrete_gaussian_mechanism(
            e.sigma, value_discretization_interval=2e-5, use_connect_dots=True
        ).self_compose(e.slices)
        for e in entries
    ]
    expected = fine[0].compose(fine[1]).compose(fine[2]).get_epsilon_for_delta(1e-6)

    spent = acc.epsilon_spent(entries, 1e-6)

    assert expected * (1 - 1e-5) <= spent <= expected * (1 + 1e-3)


@quick
@given(plans, deltas)
def test_every_method_is_above_the_continuous_formula_for_many_slices(entries, delta):
    entries = [dataclasses.replace(e, slices=e.slices + 500, sigma=e.sigma + 20) for e in entries]
    mu = math.sqrt(acc.mu_squared(entries))
    continuous = continuous_epsilon(1 / mu, delta)

    spent = acc.epsilon_spent(entries, delta)

    assert continuous * (1 - 1e-5) <= spent <= continuous * (1 + 1e-3)
    assert spent <= acc.gaussian_epsilon(entries, delta) * (1 + 1e-4)
    assert spent <= acc.zcdp_epsilon(entries, delta)
    assert acc.gaussian_epsilon(entries, delta) <= continuous * 1.01


@quick
@given(plans, deltas)
def test_delta_inverts_epsilon(entries, delta):
    entries = acc.rescale(entries, 60)
    epsilon = acc.epsilon_spent(entries, delta)

    assert acc.delta_spent(entries, epsilon * (1 + 1e-9)) <= delta * (1 + 1e-6)
    if epsilon > 1e-3:
        assert acc.delta_spent(entries, epsilon * 0.98) > delta


@quick
@given(plans, deltas, st.floats(min_value=1.1, max_value=3))
def test_epsilon_falls_with_noise_and_grows_with_slices(entries, delta, factor):
    base = acc.rescale(entries, 60)
    spent = acc.epsilon_spent(base, delta)
    assume(spent > 1e-6)

    assert acc.epsilon_spent(acc.rescale(base, factor), delta) < spent
    more = [dataclasses.replace(e, slices=2 * e.slices) for e in base]
    assert acc.epsilon_spent(more, delta) > spent
    assert acc.epsilon_spent((*base, entry(5.0)), delta) > spent
    assert acc.epsilon_spent(base, min(10 * delta, 0.5)) < spent


@quick
@given(plans, plans, epsilons, deltas)
def test_plan_stays_within_the_budget_and_uses_it(spent, planned, epsilon, delta):
    spent = acc.rescale(spent, 2 * acc.scale_to_budget((), spent, epsilon, delta))

    for before in ((), spent):
        plan = acc.rescale(planned, acc.scale_to_budget(before, planned, epsilon, delta))
        total = acc.epsilon_spent((*before, *plan), delta)

        assert total <= epsilon
        at_minimum = all(e.sigma == noise.MIN_SIGMA for e in plan)
        near_minimum = any(e.sigma < 1.5 for e in plan)
        assert at_minimum or total >= epsilon * (0.98 if near_minimum else 0.998)
        assert all(noise.is_admissible(e.sigma) for e in plan)


@quick
@given(plans, epsilons, deltas)
def test_other_costs_can_be_calibrated(planned, epsilon, delta):
    for cost in (acc.gaussian_epsilon, acc.zcdp_epsilon):
        factor = acc.scale_to_budget((), planned, epsilon, delta, cost=cost)

        assert cost(acc.rescale(planned, factor), delta) <= epsilon
        assert acc.epsilon_spent(acc.rescale(planned, factor), delta) <= epsilon * 1.001


def test_calibration_takes_few_evaluations():
    composition._loss_distribution.cache_clear()
    planned = [entry(s, 30) for s in (1.0, 2.0, 3.0, 4.0, 5.0)]

    acc.scale_to_budget((), planned, 1.0, 1e-6)

    assert composition._loss_distribution.cache_info().misses <= 5


@pytest.mark.parametrize('epsilon', [30.0, 200.0, 1e6])
def test_huge_budgets_are_planned_too(epsilon):
    planned = [entry(1.0, 14), entry(5.0, 91)]

    plan = acc.rescale(planned, acc.scale_to_budget((), planned, epsilon, 1e-6))

    assert min(epsilon * 0.99, 50) < acc.epsilon_spent(plan, 1e-6) <= epsilon


def test_without_budget_left_there_is_no_plan():
    with pytest.raises(PrivacyError, match='Nothing is left'):
        acc.scale_to_budget([entry(1.0)], [entry(1.0)], 1.0, 1e-6)
    with pytest.raises(PrivacyError, match='thresholds'):
        acc.scale_to_budget([], [entry(1.0, 1, 2e-6)], 1.0, 1e-6)
    with pytest.raises(PrivacyError, match='too small'):
        acc.scale_to_budget([], [entry(1.0, 10**6)], 1e-5, 1e-12)
    with pytest.raises(ValueError, match='planned'):
        acc.scale_to_budget([], [], 1.0, 1e-6)


def test_thresholds_and_sampler_are_taken_off_delta():
    plain, charged = [entry(30.0, 50)], [entry(30.0, 50, 4e-7)]

    assert acc.epsilon_spent(charged, 1e-6) == pytest.approx(acc.epsilon_spent(plain, 6e-7))
    assert acc.epsilon_spent(charged, 4e-7) == math.inf
    assert acc.zcdp_epsilon(charged, 3e-7) == math.inf
    assert acc.delta_spent(charged, 1.0) == pytest.approx(acc.delta_spent(plain, 1.0) + 4e-7)
    assert acc.epsilon_spent(plain, 1e-36) == math.inf


def test_an_empty_ledger_costs_nothing():
    assert acc.epsilon_spent([], 1e-6) == 0
    assert acc.zcdp_epsilon([], 1e-6) == 0
    assert acc.gaussian_epsilon([], 1e-6) == 0
    assert acc.delta_spent([], 1.0) == 0


def test_hardly_any_noise():
    assert 9 < acc.epsilon_spent([entry(0.5)], 1e-6) < 11
    assert acc.epsilon_spent([entry(0.01)], 1e-6) == math.inf
    assert acc.epsilon_spent([entry(0.5, 10**6)], 1e-6) == math.inf
    assert acc.delta_spent([entry(0.001)], 1.0) == 1.0
    assert acc.gaussian_epsilon([entry(0.5)], 1e-6) == math.inf


@given(epsilons, deltas)
def test_budget_mu_is_the_gaussian_mechanism(epsilon, delta):
    mu = acc.budget_mu(epsilon, delta)

    assert continuous_epsilon(1 / mu, delta) == pytest.approx(epsilon, rel=1e-6)


def test_zcdp_conversion_matches_the_renyi_accountant():
    accountant = dp_accounting.rdp.RdpAccountant(np.geomspace(1.01, 500, 2000))
    accountant.compose(dp_accounting.GaussianDpEvent(10.0), 50)

    assert acc.zcdp_epsilon([entry(10.0, 50)], 1e-6) == pytest.approx(
        accountant.get_epsilon(1e-6), rel=1e-3
    )


@pytest.mark.parametrize('epsilon', [0, -1.0, math.nan, math.inf, -math.inf])
def test_epsilon_must_be_positive_and_finite(epsilon):
    with pytest.raises(ValueError, match='epsilon'):
        acc.validate_budget(epsilon, 1e-6)


@pytest.mark.parametrize('delta', [0, 1, -1e-6, 2.0, math.nan, math.inf])
def test_delta_must_be_inside_the_unit_interval(delta):
    for check in (
        lambda: acc.validate_budget(1.0, delta),
        lambda: acc.epsilon_spent([entry(1.0)], delta),
        lambda: acc.zcdp_epsilon([entry(1.0)], delta),
        lambda: acc.gaussian_epsilon([entry(1.0)], delta),
    ):
        with pytest.raises(ValueError, match='delta'):
            check()


@pytest.mark.parametrize('value', [True, '1', None, 1j, [1.0]])
def test_budgets_must_be_numbers(value):
    with pytest.raises(TypeError, match='epsilon must be a number'):
        acc.validate_budget(value, 1e-6)
    with pytest.raises(TypeError, match='delta must be a number'):
        acc.validate_budget(1.0, value)


def test_numpy_numbers_are_numbers():
    acc.validate_budget(np.float32(1.0), np.float64(1e-6))
    acc.validate_budget(np.int64(1), 1e-6)


def test_delta_spent_needs_a_finite_epsilon():
    for epsilon in (math.nan, -1.0, math.inf):
        with pytest.raises(ValueError, match='epsilon'):
            acc.delta_spent([entry(1.0)], epsilon)


@pytest.mark.parametrize(
    'change',
    [
        {'slices': 0},
        {'slices': 1.0},
        {'slices': True},
        {'draws': 0},
        {'draws': '3'},
        {'sigma': 0.0},
        {'sigma': math.nan},
        {'sigma': math.inf},
        {'sigma': '1'},
        {'threshold_delta': -1e-9},
        {'threshold_delta': math.nan},
        {'threshold_delta': 1.0},
        {'stage': None},
        {'description': 3},
    ],
)
def test_entries_without_a_defined_cost_are_refused(change):
    with pytest.raises((TypeError, ValueError), match=next(iter(change))):
        dataclasses.replace(entry(1.0), **change)


def test_ledger_only_grows():
    ledger = acc.Ledger()
    before = ledger.entries
    ledger.record(entry(1.0))
    ledger.record(entry(2.0))

    assert before == ()
    assert [e.sigma for e in ledger.entries] == [1.0, 2.0]
    with pytest.raises(AttributeError):
        ledger.entries = ()
    with pytest.raises(dataclasses.FrozenInstanceError):
        ledger.entries[0].sigma = 5.0
    with pytest.raises(TypeError, match='LedgerEntry'):
        ledger.record('entry')
    with pytest.raises(ValueError, match='admissible'):
        ledger.record(entry(0.3))
    assert len(ledger.entries) == 2


@pytest.mark.parametrize('n_slices', [1, 3, 105])
@pytest.mark.parametrize('epsilon', [0.1, 1.0, 5.0, 20.0])
def test_planning_budgets_keep_to_epsilon(epsilon, n_slices):
    """Spent on equal slices, a budget costs no more than epsilon by the bound beside it."""
    budget, cost = acc.planning_budget(epsilon, 1e-6, n_slices)

    sigma = noise.admissible_sigma(1.01 * math.sqrt(n_slices / (0.8 * budget)))
    entries = (acc.LedgerEntry('pairs', 'equal', n_slices, sigma, n_slices),)
    assert cost(entries, 1e-6) <= epsilon
    assert acc.epsilon_spent(entries, 1e-6) <= epsilon
    # Three times the budget would cost more.
    over = (acc.LedgerEntry('pairs', 'equal', 3 * n_slices, sigma, n_slices),)
    assert cost(over, 1e-6) > epsilon
