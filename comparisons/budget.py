"""What a method spent, recomputed from the noise it recorded; not what it says it spent.

A method records one event for each access to the private rows. ``epsilon`` composes them with
dp-accounting (privacy loss distributions; concentrated privacy where a method is analysed so).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import dp_accounting
import numpy as np
from dp_accounting import dp_event
from dp_accounting.pld import pld_privacy_accountant

ADD_OR_REMOVE_ONE = 'add_or_remove_one'
REPLACE_ONE = 'replace_one'
TOLERANCE = 1e-3
"""Relative excess over the request that is put down to the grid of the accountant."""
_GRID = 1e-3  # of the privacy loss; a coarser grid only overstates epsilon
_ORDERS = 1 + np.logspace(-3, 6, 1800)  # of Renyi divergences


class OverspentError(RuntimeError):
    """A method spent more than it was given."""


@dataclass(frozen=True)
class Gaussian:
    """Gaussian mechanism: noise of ``noise_multiplier`` times the L2 sensitivity, ``count`` times.

    The sensitivity is that of the method's own neighbouring relation.
    """

    noise_multiplier: float
    count: int = 1


@dataclass(frozen=True)
class SampledGaussian:
    """DP-SGD: Gaussian mechanism on Poisson samples of the rows, ``steps`` times.

    Only for ``add_or_remove_one``.
    """

    noise_multiplier: float
    sampling_rate: float
    steps: int


@dataclass(frozen=True)
class Concentrated:
    """Zero-concentrated privacy of parameter ``rho``: adaptive and exponential mechanisms."""

    rho: float


@dataclass(frozen=True)
class Proven:
    """Epsilon and delta of a mechanism whose own library proves them, composed by addition."""

    epsilon: float
    delta: float


Event = Gaussian | SampledGaussian | Concentrated | Proven


def epsilon(events: Sequence[Event], delta: float) -> float:
    """Epsilon of all events together, for a total ``delta``.

    Args:
        events: All that a method recorded; none means that it did not look at the rows.
        delta: Between 0 and 1.

    Returns:
        Infinity if some noise is missing or delta does not cover what is proven elsewhere.
    """
    proven = [event for event in events if isinstance(event, Proven)]
    left = delta - math.fsum(event.delta for event in proven)
    added = math.fsum(event.epsilon for event in proven)
    rest = [event for event in events if not isinstance(event, Proven)]
    if not rest:
        return added if left >= 0 else math.inf
    if not left > 0 or not all(_has_noise(event) for event in rest):
        return math.inf
    concentrated = [event for event in rest if isinstance(event, Concentrated)]
    if concentrated:
        return added + _concentrated_epsilon(rest, left)
    if all(isinstance(event, Gaussian) for event in rest):
        mu = math.sqrt(_twice_rho(rest))
        return added + float(dp_accounting.get_epsilon_gaussian(1 / mu, left))
    accountant = pld_privacy_accountant.PLDAccountant(value_discretization_interval=_GRID)
    for event in rest:
        accountant.compose(_dp_event(event))
    return added + float(accountant.get_epsilon(left))


def check(events: Sequence[Event], requested: float, delta: float) -> float:
    """Epsilon spent.

    Raises:
        OverspentError: If it exceeds the request.
    """
    spent = epsilon(events, delta)
    if not spent <= requested * (1 + TOLERANCE):
        raise OverspentError(
            f'the recorded noise is epsilon = {spent:.4g} at delta = {delta:g}, more than the '
            f'requested {requested:g}'
        )
    return spent


def _has_noise(event: Event) -> bool:
    if isinstance(event, Concentrated):
        return 0 <= event.rho < math.inf
    return not isinstance(event, Proven) and event.noise_multiplier > 0


def _dp_event(event: Event) -> dp_event.DpEvent:
    if isinstance(event, Gaussian):
        return dp_event.SelfComposedDpEvent(
            dp_event.GaussianDpEvent(event.noise_multiplier), event.count
        )
    if isinstance(event, SampledGaussian):
        sampled = dp_event.PoissonSampledDpEvent(
            event.sampling_rate, dp_event.GaussianDpEvent(event.noise_multiplier)
        )
        return dp_event.SelfComposedDpEvent(sampled, event.steps)
    raise TypeError(f'no privacy loss distribution for {event!r}')


def _concentrated_epsilon(events: Sequence[Event], delta: float) -> float:
    if any(isinstance(event, SampledGaussian) for event in events):
        raise TypeError('sampled mechanisms are not composed with concentrated ones')
    return concentrated_epsilon(_twice_rho(events) / 2, delta)


def _twice_rho(events: Sequence[Event]) -> float:
    """Sum of 2 rho, which for Gaussian mechanisms is that of mu^2."""
    gaussian = [e.count / e.noise_multiplier**2 for e in events if isinstance(e, Gaussian)]
    return math.fsum([*gaussian, *(2 * e.rho for e in events if isinstance(e, Concentrated))])


def concentrated_epsilon(rho: float, delta: float) -> float:
    """Epsilon that ``rho``-zCDP implies for ``delta``, minimised over the Renyi order.

    Canonne, Kamath and Steinke (2020), arXiv:2004.00010, Proposition 12.
    """
    if rho == 0:
        return 0.0
    a = _ORDERS
    bounds = a * rho + (np.log(1 / (a * delta)) + (a - 1) * np.log1p(-1 / a)) / (a - 1)
    return max(0.0, float(bounds.min()))


def rho_for(requested: float, delta: float) -> float:
    """Largest ``rho`` whose epsilon at ``delta`` is at most the request."""
    low, high = 0.0, requested + 1.0
    for _ in range(100):
        middle = (low + high) / 2
        if concentrated_epsilon(middle, delta) <= requested:
            low = middle
        else:
            high = middle
    return low


def gaussian_multiplier(requested: float, delta: float, count: int = 1) -> float:
    """Noise multiplier with which ``count`` Gaussian mechanisms spend the request together."""
    sigma = float(dp_accounting.get_sigma_gaussian(requested, delta))
    return sigma * math.sqrt(count)


def sampled_multiplier(
    requested: float, delta: float, rate: float, steps: int, spent: Sequence[Event] = ()
) -> float:
    """Noise multiplier of DP-SGD, by privacy loss distributions as in :func:`epsilon`.

    Args:
        requested: Epsilon of all together.
        delta: Delta of all together.
        rate: Sampling rate.
        steps: Number of steps.
        spent: What the method spends besides.
    """

    def keeps(multiplier: float) -> bool:
        return epsilon([*spent, SampledGaussian(multiplier, rate, steps)], delta) <= requested

    low, high = 0.1, 1.0
    while not keeps(high):
        low, high = high, high * 2
    while high / low > 1 + 1e-3:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if keeps(middle) else (middle, high)
    return high
