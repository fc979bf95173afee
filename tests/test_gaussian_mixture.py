"""Gaussian mechanisms with a random public strength."""

import math

import dp_accounting
import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution as pld
from effort import examples
from hypothesis import given
from hypothesis import strategies as st

from sdv_slicedp import gaussian_mixture
from sdv_slicedp.gaussian_mixture import Mixture

quick = examples(40)
strengths = st.lists(st.floats(0.02, 5), min_size=1, max_size=6)
deltas = st.floats(-14, -1).map(lambda x: 10.0**x)


def equal(mu, excess=0.0):
    return Mixture(np.array(mu), np.full(len(mu), (1 - excess) / len(mu)), excess)


@quick
@given(st.floats(0.02, 8), deltas)
def test_one_strength_is_the_gaussian_mechanism(mu, delta):
    expected = dp_accounting.get_epsilon_gaussian(1 / mu, delta)

    assert gaussian_mixture.epsilon(equal([mu]), delta) == pytest.approx(
        expected, rel=1e-7, abs=1e-7
    )


@quick
@given(strengths, deltas)
def test_epsilon_inverts_delta_from_above(mu, delta):
    public = equal(mu)
    epsilon = gaussian_mixture.epsilon(public, delta)

    assert gaussian_mixture.delta(public, epsilon) <= delta
    assert epsilon == 0 or gaussian_mixture.delta(public, epsilon * (1 - 1e-6) - 1e-9) > delta * (
        1 - 1e-6
    )


@quick
@given(strengths, st.floats(0, 20), st.floats(1.01, 2))
def test_more_strength_costs_more(mu, epsilon, factor):
    base = gaussian_mixture.delta(equal(mu), epsilon)

    assert gaussian_mixture.delta(equal([factor * x for x in mu]), epsilon) >= base
    assert gaussian_mixture.delta(equal(mu), epsilon + 0.1) <= base
    assert 0 <= base <= 1
    low, high = (gaussian_mixture.delta(equal([x]), epsilon) for x in (min(mu), max(mu)))
    assert low * (1 - 1e-9) <= base <= high * (1 + 1e-9) + 1e-300


def test_what_counts_as_failure_is_charged():
    public = equal([0.3], excess=1e-6)

    assert gaussian_mixture.delta(public, 50.0) == pytest.approx(1e-6)
    assert gaussian_mixture.epsilon(public, 1e-6) == math.inf
    assert gaussian_mixture.epsilon(public, 1e-5) > gaussian_mixture.epsilon(equal([0.3]), 1e-5)
    distribution = gaussian_mixture.loss_distribution(public, 1e-3)
    assert distribution.get_delta_for_epsilon(50.0) >= 1e-6


@pytest.mark.parametrize('mu', [[0.02], [0.3], [3.0], [0.05, 0.2, 0.7], [0.01, 2.0]])
def test_loss_distributions_are_close_and_from_above(mu):
    public = equal(mu)
    distribution = gaussian_mixture.loss_distribution(public, 1e-3 * max(mu))
    for delta in (1e-3, 1e-6, 1e-10):
        direct = gaussian_mixture.epsilon(public, delta)

        assert direct * (1 - 1e-7) <= distribution.get_epsilon_for_delta(delta)
        assert distribution.get_epsilon_for_delta(delta) <= direct * (1 + 1e-4)


def test_two_independent_ones_compose_to_all_pairs():
    first, second = [0.1, 0.4], [0.2, 0.5, 0.6]
    pairs = equal([math.hypot(a, b) for a in first for b in second])
    composed = gaussian_mixture.loss_distribution(equal(first), 2e-4).compose(
        gaussian_mixture.loss_distribution(equal(second), 2e-4)
    )
    for delta in (1e-3, 1e-6):
        direct = gaussian_mixture.epsilon(pairs, delta)

        assert direct * (1 - 1e-7) <= composed.get_epsilon_for_delta(delta) <= direct * 1.001


def test_a_hidden_choice_is_another_and_cheaper_mechanism():
    """The trap: dp_accounting's mixture hides the choice. Here it is public, and costs more."""
    mu = [0.05, 0.2, 0.7]
    hidden = pld.from_mixture_gaussian_mechanism(
        1.0, mu, [1 / 3] * 3, value_discretization_interval=1e-2
    )
    public = gaussian_mixture.epsilon(equal(mu), 1e-5)

    assert hidden.get_epsilon_for_delta(1e-5) < 0.97 * public
