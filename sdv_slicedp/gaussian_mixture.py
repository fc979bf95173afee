"""Gaussian mechanisms whose strength is drawn at random and made public: Eq. (2).

The outcome shows which Gaussian mechanism was used, and chance chose it without looking at the
data. So the privacy profile is the average of the Gaussian profiles. This is not the mechanism
that ``dp_accounting`` calls a mixture of Gaussians: there the choice is hidden, which is cheaper.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

Floats = npt.NDArray[np.float64]
Condition = Callable[[float], bool]

_LOWEST_DELTA = 1e-18  # what lies beyond counts as a failure in loss distributions
_CHUNK = 2**21  # values computed at a time
_ROOT_ERROR = 1e-11  # relative; more than the bisection leaves


@dataclass(frozen=True, eq=False)
class Mixture:
    """A Gaussian mechanism with a random public ``mu``.

    Attributes:
        mu: Values of ``mu``.
        weights: Their probabilities.
        excess: Probability that counts as a failure.
    """

    mu: Floats
    weights: Floats
    excess: float = 0.0


def delta(mixture: Mixture, epsilon: float) -> float:
    """Delta at a finite ``epsilon``: the expectation in Eq. (2)."""
    return float(_deltas(mixture, np.array([epsilon], dtype=np.float64))[0])


def epsilon(mixture: Mixture, delta: float) -> float:
    """Smallest epsilon for ``delta``, rounded up; infinity if there is none."""
    if not mixture.excess < delta:
        return math.inf
    return _smallest(lambda x: float(_deltas(mixture, np.array([x]))[0]) <= delta)


def loss_distribution(mixture: Mixture, interval: float) -> PrivacyLossDistribution:
    """Privacy-loss distribution from the profile, by Connect-the-Dots on a grid.

    Args:
        mixture: Its pairs of outcome laws are symmetric, so that
            ``delta(-e) = 1 - exp(-e) (1 - delta(e))``.
        interval: Step of the grid.
    """
    from dp_accounting.pld import pld_pmf
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

    reach = epsilon(mixture, _LOWEST_DELTA + mixture.excess)
    steps = math.ceil(reach / interval) + 1
    grid = interval * np.arange(steps + 1, dtype=np.float64)
    positive = np.minimum(_deltas(mixture, grid), 1.0)
    negative = -np.expm1(-grid[1:]) + np.exp(-grid[1:]) * positive[1:]
    deltas = np.clip(np.concatenate([negative[::-1], positive]), 0.0, 1.0)
    return PrivacyLossDistribution(
        pld_pmf.create_pmf_pessimistic_connect_dots_fixed_gap(interval, -steps, steps, deltas)
    )


def log_gaussian_delta(epsilon: Floats, mu: Floats) -> Floats:
    """Logarithm of the Gaussian profile: Eq. (6) of Balle and Wang (arXiv 1805.06530)."""
    from scipy.special import log_ndtr

    with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
        first = log_ndtr(mu / 2 - epsilon / mu)
        ratio = np.minimum(epsilon + log_ndtr(-mu / 2 - epsilon / mu) - first, 0.0)
        return np.where(mu > 0, first + np.log(-np.expm1(ratio)), -np.inf)


def _deltas(mixture: Mixture, epsilons: Floats) -> Floats:
    rows = max(1, _CHUNK // mixture.mu.size)
    parts = [
        np.exp(log_gaussian_delta(epsilons[start : start + rows, None], mixture.mu[None, :]))
        @ mixture.weights
        for start in range(0, epsilons.size, rows)
    ]
    return np.asarray(np.concatenate(parts) + mixture.excess)


def _smallest(holds: Condition) -> float:
    """Smallest number from 0 on at which a monotone condition holds, from above."""
    if holds(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while not holds(high):
        low, high = high, 2 * high
        if high > 1e9:
            return math.inf
    while high - low > _ROOT_ERROR * high:
        middle = (low + high) / 2 if low > 0 else high / 1024
        if holds(middle):
            high = middle
        else:
            low = middle
        if high < _ROOT_ERROR:
            break
    return high
