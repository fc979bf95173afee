import math

import numpy as np
import pandas as pd
import pytest
from public_tables import assert_looks_like

from comparisons import budget
from comparisons.methods.ours import (
    SlicedHistogram,
    SlicedHistogramReplaceOne,
    SlicedHistogramTold,
    SlicedProjection,
    epsilon_of_removal,
    events_of,
)
from sdv_slicedp.accounting import epsilon_spent
from sdv_slicedp.ledger import LedgerEntry

EPSILON, DELTA = 1.0, 1e-5
METHODS = (
    SlicedHistogram(epochs=5, n_components=20),
    SlicedHistogramReplaceOne(epochs=5, n_components=20),
    SlicedHistogramTold(epochs=5, n_components=20, target='income'),
    SlicedProjection(epochs=5),
)


@pytest.fixture(scope='module', params=METHODS, ids=lambda method: type(method).__name__)
def fitted(request, adult):
    table, metadata = adult
    return request.param.fit(table, metadata, epsilon=EPSILON, delta=DELTA, seed=0)


def test_samples_look_like_the_table(fitted, adult):
    sampled = fitted.sample(50, 0)
    assert len(sampled) == 50
    assert_looks_like(sampled, *adult)


def test_samples_follow_the_seed(fitted):
    pd.testing.assert_frame_equal(fitted.sample(50, 1), fitted.sample(50, 1))
    assert not fitted.sample(50, 1).equals(fitted.sample(50, 2))


def test_the_recorded_noise_is_the_request(fitted):
    assert 0.9 * EPSILON < budget.epsilon(fitted.events, DELTA) <= 1.001 * EPSILON


@pytest.mark.parametrize('target', ['income', 'sex', None])
def test_slices_of_three_columns_look_at_a_target_that_is_told(target, adult):
    table, metadata = adult
    method = SlicedHistogramTold(epochs=2, n_components=5, target=target)

    fitted = method.fit(table, metadata, epsilon=20.0, delta=DELTA, seed=0)

    release = fitted.synthesizer.get_release()
    hubs = {m.columns[0] for m in release.marginals if len(m.columns) == 3}
    names = {release.columns[hub].domain.name for hub in hubs}
    assert names == {target} if target else len(names) == 2


@pytest.mark.parametrize('method', METHODS, ids=lambda method: type(method).__name__)
def test_the_report_has_all_settings(method):
    about = method.about
    assert about.private
    assert about.hyperparameters['epochs'] == 5
    assert set(vars(method)) < set(about.hyperparameters)


def entries(sigma, selection_sigma):
    return (
        LedgerEntry('pairs', '', 50, sigma, 100),
        LedgerEntry('selection', '', 5, selection_sigma, 5),
    )


def test_a_replaced_row_counts_twice_in_histograms_and_four_times_in_scores():
    added = events_of(entries(30.0, 40.0), DELTA, budget.ADD_OR_REMOVE_ONE)
    replaced = events_of(entries(30.0, 40.0), DELTA, budget.REPLACE_ONE)
    costs = [sum(e.count / e.noise_multiplier**2 for e in events) for events in (added, replaced)]
    exact = [50 / 30**2 + 5 / 40**2, 2 * 50 / 30**2 + 4 * 5 / 40**2]
    np.testing.assert_allclose(costs, exact, rtol=5e-3)
    assert all(cost >= least for cost, least in zip(costs, exact, strict=True))


@pytest.mark.parametrize('sigma', [1.5, 3.0, 60.0])
def test_events_are_never_less_than_the_exact_cost(sigma):
    ledger = entries(sigma, sigma)
    spent = budget.epsilon(events_of(ledger, DELTA, budget.ADD_OR_REMOVE_ONE), DELTA)
    assert spent >= epsilon_spent(ledger, DELTA) * (1 - 1e-3)


def test_thresholds_are_taken_off_delta():
    ledger = (LedgerEntry('domain', '', 1, 10.0, 1, threshold_delta=1e-6),)
    events = events_of(ledger, DELTA, budget.ADD_OR_REMOVE_ONE)
    assert budget.epsilon(events, DELTA) > budget.epsilon(events[1:], DELTA)
    assert budget.epsilon(events, 5e-7) == math.inf


@pytest.mark.parametrize('epsilon', [0.1, 1.0, 10.0])
def test_the_smaller_request_implies_the_larger_under_replacing(epsilon):
    smaller = epsilon_of_removal(epsilon, DELTA)
    multiplier = budget.gaussian_multiplier(smaller, DELTA)
    replaced = budget.epsilon([budget.Gaussian(multiplier / math.sqrt(2))], DELTA)
    assert 0.9 * epsilon < replaced <= epsilon
