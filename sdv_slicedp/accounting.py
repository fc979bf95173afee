"""What was measured, and which ``(epsilon, delta)`` that is.

Every measurement is a set of integer histograms ("slices") with discrete Gaussian noise; a record
adds 1 to at most one cell of each. Under ``add_or_remove_one``, a ledger of such measurements is
a composition of one-dimensional discrete Gaussian mechanisms of shift 1, which
``composition.py`` evaluates. Thresholds and the sampler's distance from the exact law are taken
off delta first.

The sampler is charged once per slice, not per value: the cells that a record does not touch have
the same law in both tables, whatever that law is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from sdv_slicedp import composition, noise
from sdv_slicedp.errors import PrivacyError
from sdv_slicedp.ledger import Ledger, LedgerEntry, checked_number

__all__ = [
    'NEIGHBORING_RELATION',
    'Ledger',
    'LedgerEntry',
    'budget_mu',
    'delta_spent',
    'epsilon_spent',
    'gaussian_epsilon',
    'mu_squared',
    'planning_budget',
    'rescale',
    'scale_to_budget',
    'validate_budget',
    'zcdp_epsilon',
]

NEIGHBORING_RELATION = 'add_or_remove_one'
"""Which tables the guarantee compares: one has a record that the other has not."""

SMALL_SIGMA = 3.0
"""Noise scale below which zCDP is tighter than the Gaussian bound for adaptive scales."""
_MAX_EXPONENT = 700.0  # exp() of more overflows
_TOLERANCE = 1e-3  # how far below epsilon a plan may end
_MAX_STEPS = 60


def validate_budget(epsilon: float, delta: float) -> None:
    """Raise unless ``epsilon`` is positive and finite and ``delta`` strictly inside (0, 1)."""
    if not 0 < checked_number('epsilon', epsilon) < math.inf:
        raise ValueError(f'epsilon must be positive and finite, got {epsilon}.')
    _validate_delta(delta)


def budget_mu(epsilon: float, delta: float) -> float:
    """``mu`` of the Gaussian mechanism that is exactly ``(epsilon, delta)``-private."""
    validate_budget(epsilon, delta)
    import dp_accounting

    with np.errstate(divide='ignore'):
        return 1 / float(dp_accounting.get_sigma_gaussian(epsilon, delta))


def planning_budget(
    epsilon: float, delta: float, n_slices: int
) -> tuple[float, Callable[[Iterable[LedgerEntry], float], float]]:
    """Budget of ``mu^2``, and the cost function that keeps to it when scales are adaptive.

    Both bounds hold under fully adaptive composition. The Gaussian one is tighter, but needs
    scales well above 1; where ``n_slices`` equal slices would have less, zCDP takes over.

    Args:
        epsilon: Privacy budget.
        delta: Privacy budget.
        n_slices: Slices that share most of the budget; a public number.
    """
    budget = budget_mu(epsilon, delta) ** 2
    if n_slices / budget >= SMALL_SIGMA**2:
        return budget, gaussian_epsilon
    low, high = 0.0, budget
    for _ in range(60):
        middle = (low + high) / 2
        if composition.zcdp_epsilon(middle / 2, delta) > epsilon:
            high = middle
        else:
            low = middle
    return low, zcdp_epsilon


def mu_squared(entries: Iterable[LedgerEntry]) -> float:
    """Sum of ``slices / sigma^2``: the currency that plans share out. Implements Eq. (6)."""
    return math.fsum(entry.slices / entry.sigma**2 for entry in entries)


def rescale(entries: Iterable[LedgerEntry], factor: float) -> tuple[LedgerEntry, ...]:
    """``entries`` with each scale multiplied by ``factor`` and rounded up to an admissible one."""
    return tuple(
        replace(entry, sigma=noise.admissible_sigma(entry.sigma * factor)) for entry in entries
    )


def epsilon_spent(entries: Iterable[LedgerEntry], delta: float) -> float:
    """Smallest epsilon that is known to hold with ``delta``; never below the true one.

    The scales must have been fixed before the data was touched; the histograms themselves may
    depend on earlier noisy outputs.

    Returns:
        0 for no entries, infinity if ``delta`` does not even cover thresholds and sampler. The
        sampler's share is exp(epsilon) times ``noise.sampling_error``: nothing, up to 60 or so.
    """
    entries = tuple(entries)
    _validate_delta(delta)
    if not entries:
        return 0.0
    groups = _groups(entries)
    return _epsilon_with_sampler(entries, delta, lambda rest: composition.epsilon(groups, rest))


def delta_spent(entries: Iterable[LedgerEntry], epsilon: float) -> float:
    """Delta that is known to hold with ``epsilon``; thresholds and sampler included."""
    entries = tuple(entries)
    if not 0 <= checked_number('epsilon', epsilon) < math.inf:
        raise ValueError(f'epsilon must be finite and not negative, got {epsilon}.')
    if not entries:
        return 0.0
    charge = _threshold_delta(entries) + _sampler_charge(entries, epsilon)
    return min(1.0, charge + composition.delta(_groups(entries), epsilon))


def zcdp_epsilon(entries: Iterable[LedgerEntry], delta: float) -> float:
    """Epsilon by zero-concentrated privacy, ``rho = sum of slices / (2 sigma^2)``.

    Looser than :func:`epsilon_spent`, but it also holds when scales were chosen adaptively, as
    long as ``rho`` stays below a bound that was fixed beforehand.
    """
    entries = tuple(entries)
    _validate_delta(delta)
    if not entries:
        return 0.0
    rho = mu_squared(entries) / 2
    return _epsilon_with_sampler(entries, delta, lambda rest: composition.zcdp_epsilon(rho, rest))


def gaussian_epsilon(entries: Iterable[LedgerEntry], delta: float) -> float:
    """Epsilon by Gaussian privacy, ``mu^2 = sum of slices / (sigma^2 - b^2)``.

    Tighter than :func:`zcdp_epsilon` from scales of about 6 on, and like it valid for adaptively
    chosen scales as long as ``mu`` stays below a bound that was fixed beforehand (fully adaptive
    composition of Gaussian mechanisms: Smith and Thakurta, 2022). Infinite for small scales.
    """
    entries = tuple(entries)
    _validate_delta(delta)
    if not entries:
        return 0.0
    groups = _groups(entries)
    return _epsilon_with_sampler(
        entries, delta, lambda rest: composition.gaussian_epsilon(groups, rest)
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
    rest = delta - _threshold_delta(spent + planned)
    if not rest > 0:
        raise PrivacyError(f'delta={delta} does not cover the thresholds of the plan.')
    left = budget_mu(epsilon, rest) ** 2 - mu_squared(spent)
    return math.sqrt(mu_squared(planned) / left) if left > 0 else 1.0


def _factor_range(planned: tuple[LedgerEntry, ...]) -> tuple[float, float]:
    """Factors that bring all scales to the minimum, and none above the maximum."""
    largest = max(entry.sigma for entry in planned)
    return noise.MIN_SIGMA / largest, noise.MAX_SIGMA / largest * (1 - 1e-9)


def _groups(entries: tuple[LedgerEntry, ...]) -> composition.Groups:
    """Number of slices at each scale."""
    counts: Counter[float] = Counter()
    for entry in entries:
        counts[entry.sigma] += entry.slices
    return tuple(sorted(counts.items()))


def _epsilon_with_sampler(
    entries: tuple[LedgerEntry, ...], delta: float, conversion: Callable[[float], float]
) -> float:
    """Epsilon for exact noise at what thresholds and sampler leave of ``delta``.

    The sampler's charge grows with epsilon, so it is taken at a cap that epsilon must stay below.
    """
    rest = delta - _threshold_delta(entries)
    cap = 0.0
    for _ in range(_MAX_STEPS):
        left = rest - _sampler_charge(entries, cap)
        if not left > 0:
            return math.inf
        epsilon = conversion(left)
        if epsilon <= cap:
            return epsilon
        cap = epsilon * (1 + 1e-6) + 1e-9
    return math.inf


def _threshold_delta(entries: Iterable[LedgerEntry]) -> float:
    return math.fsum(entry.threshold_delta for entry in entries)


def _sampler_charge(entries: Iterable[LedgerEntry], epsilon: float) -> float:
    """Delta that covers the distance between sampled and exact noise in both tables."""
    if epsilon > _MAX_EXPONENT:
        return math.inf
    distance = math.fsum(
        noise.sampling_error(noise.admissible_sigma(entry.sigma), entry.slices) for entry in entries
    )
    return (1 + math.exp(epsilon)) * distance


def _validate_delta(delta: float) -> None:
    if not 0 < checked_number('delta', delta) < 1:
        raise ValueError(f'delta must be between 0 and 1, both excluded, got {delta}.')
