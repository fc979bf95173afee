"""Exact cost of composed discrete Gaussian mechanisms of shift 1, always from above.

Mechanisms are given as groups ``(sigma, count)``. Two tools share the work. Small scales are
composed by privacy-loss distributions (``dp_accounting``, Connect-the-Dots, pessimistic). Large
scales are Gaussian up to a correction that is proved rather than assumed: drawing
``y ~ N(c, sigma^2 - b^2)`` and then ``x`` from the discrete Gaussian of scale ``b`` centred at
``y`` gives the discrete Gaussian of scale ``sigma`` at the integer ``c``, up to a factor between
``(1 - t) / (1 + t)`` and its inverse, ``t = 2 exp(-2 pi^2 b^2) + ...`` (Poisson summation). So each
mechanism is a post-processed Gaussian one with ``mu^2 = 1 / (sigma^2 - b^2)``; ``b^2`` is about 2.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

Groups = tuple[tuple[float, int], ...]

_SMOOTH_SIGMA = 128.0  # from here on the Gaussian correction costs 1e-4 of epsilon
_SLACK = 1e-10  # logarithmic distance that the corrections may leave in total
_GRID_VARIANCE = 1e-4  # share of mu^2 that the grid of the loss distribution may add
_MAX_MU_SQUARED = 1e4  # beyond (epsilon in the thousands) only the zCDP bound is computed
_ROOT_ERROR = 1e-10  # more than the root finders of dp_accounting leave


def epsilon(groups: Groups, delta: float) -> float:
    """Smallest epsilon known to hold with ``delta``, for scales fixed in advance."""
    if _is_smooth(groups):
        return gaussian_epsilon(groups, delta)
    if _mu_squared(groups) > _MAX_MU_SQUARED:
        return zcdp_epsilon(_mu_squared(groups) / 2, delta)
    inner = delta * math.exp(-_SLACK)
    return float(_loss_distribution(groups).get_epsilon_for_delta(inner)) + 2 * _SLACK


def delta(groups: Groups, epsilon: float) -> float:
    """Smallest delta known to hold with ``epsilon``, for scales fixed in advance."""
    inner = max(epsilon - 2 * _SLACK, 0.0)
    if _is_smooth(groups):
        return math.exp(_SLACK) * _gaussian_delta(math.sqrt(_smooth_mu_squared(groups)), inner)
    if _mu_squared(groups) > _MAX_MU_SQUARED:
        return 1.0
    return math.exp(_SLACK) * float(_loss_distribution(groups).get_delta_for_epsilon(inner))


def gaussian_epsilon(groups: Groups, delta: float) -> float:
    """Epsilon of the Gaussian mechanism that all groups are post-processed from."""
    mu_squared = _smooth_mu_squared(groups)
    if not mu_squared < math.inf:
        return math.inf
    from dp_accounting import get_epsilon_gaussian

    with np.errstate(divide='ignore'):
        inner = get_epsilon_gaussian(1 / math.sqrt(mu_squared), delta * math.exp(-_SLACK))
    return float(inner) + 2 * _SLACK + _ROOT_ERROR


def zcdp_epsilon(rho: float, delta: float) -> float:
    """Epsilon of any ``rho``-zCDP mechanism.

    Proposition 12 of Canonne, Kamath, Steinke (arXiv 2004.00010v5), minimised over a grid of
    orders; every order gives a valid epsilon.
    """
    best = math.sqrt(math.log(1 / delta) / rho) if delta < 1 else 1.0
    orders = 1 + best * np.geomspace(1e-3, 1e3, 20001)
    rest = math.log(1 / delta) + (orders - 1) * np.log1p(-1 / orders) - np.log(orders)
    return max(0.0, float(np.min(orders * rho + rest / (orders - 1))))


def _is_smooth(groups: Groups) -> bool:
    return all(sigma >= _SMOOTH_SIGMA for sigma, _ in groups)


def _mu_squared(groups: Groups) -> float:
    return math.fsum(count / sigma**2 for sigma, count in groups)


def _smooth_mu_squared(groups: Groups) -> float:
    """Sum of ``count / (sigma^2 - b^2)``, with ``b`` such that ``_SLACK`` covers the rest."""
    # |log ratio| <= log((1 + t) / (1 - t)) < 2.1 t per mechanism, and t < 2.1 exp(-2 pi^2 b^2).
    total = sum(count for _, count in groups)
    b_squared = math.log(2.1 * 2.1 * max(total, 1) / _SLACK) / (2 * math.pi**2)
    if any(sigma**2 <= b_squared for sigma, _ in groups):
        return math.inf
    return math.fsum(count / (sigma**2 - b_squared) for sigma, count in groups)


def _gaussian_delta(mu: float, epsilon: float) -> float:
    """Delta of the Gaussian mechanism: Eq. (6) of Balle and Wang (arXiv 1805.06530)."""
    from scipy.special import log_ndtr

    first = float(log_ndtr(mu / 2 - epsilon / mu))
    second = epsilon + float(log_ndtr(-mu / 2 - epsilon / mu))
    return math.exp(first) * -math.expm1(second - first) if second < first else 0.0


@lru_cache(maxsize=32)
def _loss_distribution(groups: Groups) -> PrivacyLossDistribution:
    """Privacy-loss distribution of all groups; large scales enter as one Gaussian."""
    from dp_accounting.pld import privacy_loss_distribution as pld

    smooth = tuple(group for group in groups if group[0] >= _SMOOTH_SIGMA)
    rough = tuple(group for group in groups if group[0] < _SMOOTH_SIGMA)
    interval = _grid_interval(groups, sum(count for _, count in rough) + 1)
    with np.errstate(over='ignore'):  # exp(infinity) in a denominator: the right limit
        parts = [
            pld.from_discrete_gaussian_mechanism(
                sigma, value_discretization_interval=interval, use_connect_dots=True
            ).self_compose(count)
            for sigma, count in rough
        ]
    if smooth:
        scale = 1 / math.sqrt(_smooth_mu_squared(smooth))
        parts.append(
            pld.from_gaussian_mechanism(
                scale, value_discretization_interval=interval, use_connect_dots=True
            )
        )
    result = parts[0]
    for part in parts[1:]:
        result = result.compose(part)
    return result


def _grid_interval(groups: Groups, steps: int) -> float:
    """Grid of the loss: rounding to it adds a variance of at most ``h^2 / 4`` in each step."""
    return math.sqrt(4 * _GRID_VARIANCE * _mu_squared(groups) / steps)
