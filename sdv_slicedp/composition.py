"""Exact cost of composed discrete Gaussian mechanisms, always from above.

Histograms are given as groups ``(sigma, count)`` of one-dimensional mechanisms of shift 1,
projections one by one: all coordinates of a record move together, by a distance that depends on
the public random directions. Two tools share the work. Small scales are composed by privacy-loss
distributions (``dp_accounting``, Connect-the-Dots, pessimistic). Large scales are Gaussian up to a
correction that is proved rather than assumed: drawing ``y ~ N(c, sigma^2 - b^2)`` and then ``x``
from the discrete Gaussian of scale ``b`` centred at ``y`` gives the discrete Gaussian of scale
``sigma`` at the integer ``c``, up to a factor between ``(1 - t) / (1 + t)`` and its inverse,
``t = 2 exp(-2 pi^2 b^2) + ...`` (Poisson summation). So each mechanism is a post-processed Gaussian
one with ``mu^2 = shift^2 / (sigma^2 - b^2)``; ``b^2`` is about 2.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sdv_slicedp import gaussian_mixture, slice_energy
from sdv_slicedp.gaussian_mixture import Mixture

if TYPE_CHECKING:
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

Groups = tuple[tuple[float, int], ...]

_SMOOTH_SIGMA = 128.0  # from here on the Gaussian correction costs 1e-4 of epsilon
_SLACK = 1e-10  # logarithmic distance that the corrections may leave in total
_GRID_VARIANCE = 1e-4  # share of mu^2 that the grid of the loss distribution may add
_MAX_MU_SQUARED = 1e4  # beyond (epsilon in the thousands) only the zCDP bound is computed
_ROOT_ERROR = 1e-10  # more than the root finders of dp_accounting leave


class Projected(NamedTuple):
    """Noisy projections of one record; lengths in units of the lattice.

    Attributes:
        directions: ``orthonormal`` or ``sphere``.
        dimension: Length of an encoded record.
        slices: Number of directions.
        sensitivity: How far an encoded record moves.
        rounding: What rounding adds to the move.
        sigma: Scale of the noise.
        tail: Probability with which directions may see more energy than is charged, where the
            worst case counts; the caller charges it to delta.
    """

    directions: str
    dimension: int
    slices: int
    sensitivity: float
    rounding: float
    sigma: float
    tail: float


Projections = tuple[Projected, ...]


def epsilon(groups: Groups, delta: float, projections: Projections = ()) -> float:
    """Smallest epsilon known to hold with ``delta``, for scales fixed in advance."""
    if _is_smooth(groups) and not projections:
        return gaussian_epsilon(groups, delta)
    if not _is_computable(groups, projections):
        return zcdp_epsilon(rho(groups, projections), delta)
    inner = delta * math.exp(-_SLACK)
    if _is_smooth(groups) and len(projections) == 1:
        found = gaussian_mixture.epsilon(
            _mixture(groups, projections[0], groups, projections), inner
        )
    else:
        found = float(_loss_distribution(groups, projections).get_epsilon_for_delta(inner))
    return found + 2 * _SLACK


def delta(groups: Groups, epsilon: float, projections: Projections = ()) -> float:
    """Smallest delta known to hold with ``epsilon``, for scales fixed in advance."""
    inner = max(epsilon - 2 * _SLACK, 0.0)
    if _is_smooth(groups) and len(projections) <= 1:
        single = projections[0] if projections else None
        found = gaussian_mixture.delta(_mixture(groups, single, groups, projections), inner)
    elif not _is_computable(groups, projections):
        return 1.0
    else:
        found = float(_loss_distribution(groups, projections).get_delta_for_epsilon(inner))
    return math.exp(_SLACK) * found


@lru_cache(maxsize=1024)
def gaussian_epsilon(groups: Groups, delta: float, projections: Projections = ()) -> float:
    """Epsilon of the Gaussian mechanism that all are post-processed from, at the largest shifts."""
    b_squared = _correction(groups, projections)
    mu_squared = _smooth_mu_squared(groups, b_squared) + math.fsum(
        largest_shift(each) ** 2 * _over_variance(each.sigma, b_squared) for each in projections
    )
    if not mu_squared < math.inf:
        return math.inf
    from dp_accounting import get_epsilon_gaussian

    with np.errstate(divide='ignore'):
        inner = get_epsilon_gaussian(1 / math.sqrt(mu_squared), delta * math.exp(-_SLACK))
    return float(inner) + 2 * _SLACK + _ROOT_ERROR


def rho(groups: Groups, projections: Projections = ()) -> float:
    """Parameter of zero-concentrated privacy, at the largest shifts."""
    shifts = math.fsum((largest_shift(each) / each.sigma) ** 2 for each in projections)
    return (_mu_squared(groups) + shifts) / 2


def largest_shift(projected: Projected) -> float:
    """How far the projections of a record move, unless something of probability ``tail`` occurs."""
    energy = slice_energy.energy_bound(
        projected.directions, projected.dimension, projected.slices, projected.tail
    )
    return projected.sensitivity * math.sqrt(energy) + projected.rounding


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


def _is_computable(groups: Groups, projections: Projections) -> bool:
    """Whether loss distributions have a reasonable size and projections enough noise."""
    b_squared = _correction(groups, projections)
    return _typical_mu_squared(groups, projections) <= _MAX_MU_SQUARED and all(
        each.sigma**2 > b_squared for each in projections
    )


def _mu_squared(groups: Groups) -> float:
    return math.fsum(count / sigma**2 for sigma, count in groups)


def _smooth_mu_squared(groups: Groups, b_squared: float) -> float:
    """Sum of ``count / (sigma^2 - b^2)``."""
    return math.fsum(count * _over_variance(sigma, b_squared) for sigma, count in groups)


def _over_variance(sigma: float, b_squared: float) -> float:
    return 1 / (sigma**2 - b_squared) if sigma**2 > b_squared else math.inf


def _correction(groups: Groups, projections: Projections) -> float:
    """The variance ``b^2`` with which ``_SLACK`` covers all mechanisms together."""
    # |log ratio| <= log((1 + t) / (1 - t)) < 2.1 t per mechanism, and t < 2.1 exp(-2 pi^2 b^2).
    total = sum(count for _, count in groups) + sum(each.slices for each in projections)
    return math.log(2.1 * 2.1 * max(total, 1) / _SLACK) / (2 * math.pi**2)


def _mixture(
    smooth: Groups, projected: Projected | None, groups: Groups, projections: Projections
) -> Mixture:
    """Some of all mechanisms as one Gaussian mechanism with a random public ``mu``, Eq. (20)."""
    b_squared = _correction(groups, projections)
    fixed = _smooth_mu_squared(smooth, b_squared)
    if projected is None:
        return Mixture(np.array([math.sqrt(fixed)]), np.ones(1))
    law = slice_energy.energy_law(projected.directions, projected.dimension, projected.slices)
    shifts = projected.sensitivity * np.sqrt(law.energies) + projected.rounding
    mu = np.sqrt(shifts**2 * _over_variance(projected.sigma, b_squared) + fixed)
    return Mixture(mu, law.weights, law.excess)


@lru_cache(maxsize=32)
def _loss_distribution(groups: Groups, projections: Projections) -> PrivacyLossDistribution:
    """Privacy-loss distribution of everything; large scales enter with the first projection."""
    from dp_accounting.pld import privacy_loss_distribution as pld

    smooth = tuple(group for group in groups if group[0] >= _SMOOTH_SIGMA)
    rough = tuple(group for group in groups if group[0] < _SMOOTH_SIGMA)
    steps = sum(count for _, count in rough) + max(1, len(projections))
    interval = math.sqrt(4 * _GRID_VARIANCE * _typical_mu_squared(groups, projections) / steps)
    with np.errstate(over='ignore'):  # exp(infinity) in a denominator: the right limit
        parts = [
            pld.from_discrete_gaussian_mechanism(
                sigma, value_discretization_interval=interval, use_connect_dots=True
            ).self_compose(count)
            for sigma, count in rough
        ]
    if smooth and not projections:
        scale = 1 / math.sqrt(_smooth_mu_squared(smooth, _correction(groups, ())))
        parts.append(
            pld.from_gaussian_mechanism(
                scale, value_discretization_interval=interval, use_connect_dots=True
            )
        )
    for number, each in enumerate(projections):
        part = _mixture(smooth if number == 0 else (), each, groups, projections)
        parts.append(gaussian_mixture.loss_distribution(part, interval))
    result = parts[0]
    for part in parts[1:]:
        result = result.compose(part)
    return result


def _typical_mu_squared(groups: Groups, projections: Projections) -> float:
    """What the grid is fitted to: rounding to step h adds at most ``h^2 / 4`` of variance."""
    typical = (
        each.sensitivity**2 * slice_energy.mean_energy(each.dimension, each.slices) / each.sigma**2
        for each in projections
    )
    return _mu_squared(groups) + math.fsum(typical)
