"""Plans: from a budget ``(epsilon, delta)`` to noise scales.

What a ledger has spent is computed in ``spending.py``; its functions can be had from here too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np

from sdv_slicedp import composition, noise
from sdv_slicedp.errors import PrivacyError
from sdv_slicedp.ledger import Entry, Ledger, LedgerEntry, ProjectionEntry, checked_number
from sdv_slicedp.spending import (
    ADD_OR_REMOVE_ONE,
    REPLACE_ONE,
    delta_spent,
    epsilon_spent,
    gaussian_epsilon,
    mu_squared,
    validate_delta,
    zcdp_epsilon,
)

__all__ = [
    'ADD_OR_REMOVE_ONE',
    'NEIGHBORING_RELATION',
    'REPLACE_ONE',
    'Entry',
    'Ledger',
    'LedgerEntry',
    'ProjectionEntry',
    'budget_mu',
    'delta_spent',
    'epsilon_spent',
    'gaussian_epsilon',
    'mu_squared',
    'planning_budget',
    'rescale',
    'scale_to_budget',
    'spendable',
    'validate_budget',
    'zcdp_epsilon',
]

NEIGHBORING_RELATION = ADD_OR_REMOVE_ONE
"""Which tables the guarantee of the histogram mechanism compares."""

SMALL_SIGMA = 3.0
"""Noise scale below which zCDP is tighter than the Gaussian bound for adaptive scales."""
LARGEST_EPSILON = 50.0
"""Most that a plan spends: the sampler's distance from exact noise times exp(epsilon) is delta."""
Cost = Callable[[Iterable[Entry], float], float]
"""Epsilon of ledger entries at a delta."""
_TOLERANCE = 1e-3  # how far below epsilon a plan may end
_MAX_STEPS = 60


def validate_budget(epsilon: float, delta: float) -> None:
    """Raise unless ``epsilon`` is positive and finite and ``delta`` strictly inside (0, 1)."""
    if not 0 < checked_number('epsilon', epsilon) < math.inf:
        raise ValueError(f'epsilon must be positive and finite, got {epsilon}.')
    validate_delta(delta)


def spendable(epsilon: float) -> float:
    """What a plan spends of a requested epsilon: all of it, up to ``LARGEST_EPSILON``."""
    return min(epsilon, LARGEST_EPSILON)


def budget_mu(epsilon: float, delta: float) -> float:
    """``mu`` of the Gaussian mechanism that is exactly ``(epsilon, delta)``-private."""
    validate_budget(epsilon, delta)
    return _budget_mu(float(epsilon), float(delta))


@lru_cache(maxsize=1024)
def _budget_mu(epsilon: float, delta: float) -> float:
    import dp_accounting

    with np.errstate(divide='ignore'):
        return 1 / float(dp_accounting.get_sigma_gaussian(epsilon, delta))


def planning_budget(
    epsilon: float, delta: float, n_slices: int, relation: str = NEIGHBORING_RELATION
) -> tuple[float, Cost]:
    """Budget of ``mu^2``, and the cost function that keeps to it when scales are adaptive.

    Both bounds hold under fully adaptive composition. The Gaussian one is tighter, but needs
    scales well above 1; where ``n_slices`` equal slices would have less, zCDP takes over.

    Args:
        epsilon: Privacy budget.
        delta: Privacy budget.
        n_slices: Slices that share most of the budget, twice their number under ``replace_one``;
            a public number.
        relation: Which tables the cost function compares.
    """
    budget = budget_mu(epsilon, delta) ** 2
    if n_slices / budget >= SMALL_SIGMA**2:
        return budget, partial(gaussian_epsilon, relation=relation)
    low, high = 0.0, budget
    for _ in range(60):
        middle = (low + high) / 2
        if composition.zcdp_epsilon(middle / 2, delta) > epsilon:
            high = middle
        else:
            low = middle
    return low, partial(zcdp_epsilon, relation=relation)


def rescale(entries: Iterable[LedgerEntry], factor: float) -> tuple[LedgerEntry, ...]:
    """``entries`` with each scale multiplied by ``factor`` and rounded up to an admissible one."""
    return tuple(
        replace(entry, sigma=noise.admissible_sigma(entry.sigma * factor)) for entry in entries
    )


def scale_to_budget(
    spent: Sequence[LedgerEntry],
    planned: Sequence[LedgerEntry],
    epsilon: float,
    delta: float,
    cost: Callable[[Iterable[LedgerEntry], float], float] = epsilon_spent,
) -> float:
    """Smallest factor on the planned scales that keeps the total within the budget.

    Args:
        spent: What has been measured already.
        planned: What is to be measured; only the ratios of its scales matter.
        epsilon: Total epsilon.
        delta: Total delta.
        cost: How epsilon is computed; :func:`gaussian_epsilon` where earlier scales depended on
            earlier noisy outputs.

    Returns:
        A factor for :func:`rescale`; the total then falls short of ``epsilon`` by a fraction of
        a percent, or by more if all scales are at their minimum.
    """
    spent, planned = tuple(spent), tuple(planned)
    validate_budget(epsilon, delta)
    if not planned:
        raise ValueError('planned must have at least one entry.')
    floor, ceiling = _factor_range(planned)
    if not (used := cost(spent, delta)) < epsilon:
        raise PrivacyError(f'Nothing is left of epsilon={epsilon}: {used:.6g} has been spent.')

    def total(factor: float) -> float:
        return cost(spent + rescale(planned, factor), delta)

    guess = _first_factor(spent, planned, epsilon, delta)
    factor = _search_factor(total, min(max(guess, floor), ceiling), floor, ceiling, epsilon)
    if factor is None:
        raise PrivacyError(
            f'epsilon={epsilon} at delta={delta} is too small for the planned measurements: they '
            f'would need noise of a scale above {noise.MAX_SIGMA:.0f}, or thresholds use up delta.'
        )
    return factor


def _search_factor(
    total: Callable[[float], float], factor: float, low: float, high: float, epsilon: float
) -> float | None:
    """Smallest factor of ``[low, high]`` with ``total(factor) <= epsilon``, to one per mille.

    Secant steps in logarithms, inside a bracket; they aim just below ``epsilon``, to end on the
    valid side.
    """
    target = math.log(epsilon * (1 - _TOLERANCE / 2))
    best: float | None = None
    slope, last = -1.0, None
    for _ in range(_MAX_STEPS):
        reached = total(factor)
        if reached <= epsilon:
            best, high = factor, factor
            if reached >= epsilon * (1 - _TOLERANCE):
                break
        else:
            low = factor
        if not high > low * (1 + _TOLERANCE / 10):
            break
        step = math.sqrt(low * high)
        if 0 < reached < math.inf:
            point = (math.log(factor), math.log(reached))
            slope = _slope(point, last, slope)
            aimed = math.exp(point[0] + max(-50.0, min(50.0, (target - point[1]) / slope)))
            step, last = (aimed if low < aimed < high else step), point
        factor = step
    return best


def _slope(point: tuple[float, float], last: tuple[float, float] | None, slope: float) -> float:
    """Slope through two points; the one before if it would not fall."""
    if last is None or point[0] == last[0]:
        return slope
    steep = (point[1] - last[1]) / (point[0] - last[0])
    return steep if steep < -1e-3 else slope


def _first_factor(
    spent: tuple[LedgerEntry, ...], planned: tuple[LedgerEntry, ...], epsilon: float, delta: float
) -> float:
    """The factor that would be right for continuous noise."""
    rest = delta - math.fsum(entry.threshold_delta for entry in spent + planned)
    if not rest > 0:
        raise PrivacyError(f'delta={delta} does not cover the thresholds of the plan.')
    left = budget_mu(epsilon, rest) ** 2 - mu_squared(spent)
    return math.sqrt(mu_squared(planned) / left) if left > 0 else 1.0


def _factor_range(planned: tuple[LedgerEntry, ...]) -> tuple[float, float]:
    """Factors that bring all scales to the minimum, and none above the maximum."""
    largest = max(entry.sigma for entry in planned)
    return noise.MIN_SIGMA / largest, noise.MAX_SIGMA / largest * (1 - 1e-9)
