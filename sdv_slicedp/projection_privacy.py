"""Noise scale of a projection release, Eq. (1), from a budget.

Noise lives on a lattice: projections are integers in units of ``PITCH_UNIT``, rounded to a
multiple of the pitch, and the discrete Gaussian noise has the scale ``lattice_scale`` in units of
the pitch. So ``sigma = lattice_scale * pitch``, and what is searched for is the pitch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from sdv_slicedp import spending
from sdv_slicedp.accounting import Cost, budget_mu
from sdv_slicedp.errors import PrivacyError
from sdv_slicedp.ledger import LedgerEntry, ProjectionEntry

LATTICE_SCALE = 4096.0
"""Least scale of the noise in units of the lattice."""
PITCH_UNIT = 2.0**-42
"""Unit of projections: 2^-20, that of records, times 2^-22, that of directions."""
LARGEST_SIGMA = 2.0**58 * PITCH_UNIT
"""Largest scale of the noise: together with the data, it has to fit in 64-bit integers."""

_LARGEST_SCALE = 2.0**18  # its table has four million entries
_ROUNDING_SHARE = 1 / 64  # of the shift
_DIRECTION_ERROR = 2.0**-23 * (1 + 2.0**-10)  # of an entry: rounding, and floats before it
_PRECISION = 1e-7
_LARGEST_EPSILON = 50.0  # beyond, the exactness of the sampler would be what is paid for


def calibrate_projection(
    directions: str,
    dimension: int,
    slices: int,
    sensitivity: float,
    epsilon: float,
    delta: float,
) -> ProjectionEntry:
    """Entry with the least noise that is ``(epsilon, delta)``-private by Eq. (2).

    For a release of nothing but the projection, with all domains public.

    Args:
        directions: ``orthonormal`` or ``sphere``.
        dimension: Length of an encoded record.
        slices: Number of directions.
        sensitivity: How far an encoded record moves if it is replaced, Eq. (18).
        epsilon: Privacy budget.
        delta: Privacy budget.

    Raises:
        PrivacyError: If the noise would be smaller or larger than can be drawn.

    Formal guarantees:
        ``accounting.epsilon_spent`` of the entry under ``replace_one`` is at most ``epsilon``.
    """
    scale = lattice_scale(slices, epsilon, delta)
    aim = min(epsilon, _LARGEST_EPSILON) * (1 - _PRECISION)

    def entry(pitch: int) -> ProjectionEntry:
        return _entry(directions, dimension, slices, sensitivity, scale, pitch, 0.0)

    def holds(pitch: int) -> bool:
        return spending.delta_spent((entry(pitch),), aim, spending.REPLACE_ONE) <= delta

    found = entry(_least_pitch(holds, scale))
    if not spending.epsilon_spent((found,), delta, spending.REPLACE_ONE) <= epsilon:
        raise PrivacyError(f'epsilon={epsilon} cannot be kept to at delta={delta}.')
    return found


def plan_projection(
    directions: str,
    dimension: int,
    slices: int,
    sensitivity: float,
    epsilon: float,
    delta: float,
    spent: Sequence[LedgerEntry],
    energy_delta: float,
    cost: Cost | None = None,
) -> ProjectionEntry:
    """Entry with the least noise that what was ``spent`` leaves, by adaptive composition.

    The encoding, and so the dimension, depends on the noisy answers of the domain stage. Then the
    law of the directions is no longer fixed in advance, and (2) does not apply. What does: the
    directions see no more energy than a number, except with probability ``energy_delta``; up to
    there, all is Gaussian with a shift of at most so much.

    Args:
        directions: ``orthonormal`` or ``sphere``.
        dimension: Length of an encoded record.
        slices: Number of directions.
        sensitivity: How far an encoded record moves if it is replaced, Eq. (18).
        epsilon: Total privacy budget.
        delta: Total privacy budget; thresholds and ``energy_delta`` are taken off it.
        spent: What has been measured already, under ``replace_one``.
        energy_delta: A number fixed before anything was measured; 0 for the largest energy that
            there is. It is charged even where the energy turns out not to vary.
        cost: Of the two that ``accounting.planning_budget`` chooses from under ``replace_one``,
            also beforehand; ``gaussian_epsilon`` unless given.

    Raises:
        PrivacyError: If nothing is left, or the noise would be larger than can be drawn.

    Formal guarantees:
        ``cost`` of everything together under ``replace_one`` is at most ``epsilon``.
    """
    spent = tuple(spent)
    cost = cost or partial(spending.gaussian_epsilon, relation=spending.REPLACE_ONE)
    scale = lattice_scale(slices, epsilon, delta)
    if not 0 <= energy_delta < delta:
        raise PrivacyError(f'energy_delta={energy_delta} is not a part of delta={delta}.')
    if not (used := cost(spent, delta - energy_delta)) < epsilon:
        raise PrivacyError(f'Nothing is left of epsilon={epsilon}: {used:.6g} has been spent.')

    def entry(pitch: int) -> ProjectionEntry:
        return _entry(directions, dimension, slices, sensitivity, scale, pitch, energy_delta)

    def holds(pitch: int) -> bool:
        return cost((*spent, entry(pitch)), delta) <= epsilon

    return entry(_least_pitch(holds, scale))


def lattice_scale(slices: int, epsilon: float, delta: float) -> float:
    """Scale of the noise in units of the lattice; a function of public numbers.

    Large enough for the rounding, ``sqrt(m)`` units of the lattice by Eq. (19), to be a small
    part of the shift ``mu * scale`` that the budget allows.
    """
    needed = math.sqrt(slices) / (_ROUNDING_SHARE * budget_mu(epsilon, delta))
    return min(max(LATTICE_SCALE, 2.0 ** math.ceil(math.log2(needed))), _LARGEST_SCALE)


def rounding(dimension: int, slices: int, sensitivity: float, pitch: float) -> float:
    """What quantised directions and the lattice add to the distance of two records, Eq. (19)."""
    directions = sensitivity * _DIRECTION_ERROR * math.sqrt(dimension * slices)
    return (directions + pitch * math.sqrt(slices)) * (1 + 1e-12)


def pitch_units(entry: ProjectionEntry) -> int:
    """The pitch of the lattice in units of ``PITCH_UNIT``, exactly."""
    units = round(entry.sigma / entry.lattice_scale / PITCH_UNIT)
    if not units >= 1 or units * PITCH_UNIT * entry.lattice_scale != entry.sigma:
        raise PrivacyError('sigma / lattice_scale must be a positive multiple of PITCH_UNIT.')
    return units


def _entry(
    directions: str,
    dimension: int,
    slices: int,
    sensitivity: float,
    scale: float,
    pitch: int,
    energy_delta: float,
) -> ProjectionEntry:
    return ProjectionEntry(
        stage='projection',
        description=f'records in {dimension} dimensions on {slices} {directions} directions',
        directions=directions,
        dimension=dimension,
        slices=slices,
        sensitivity=sensitivity,
        rounding=rounding(dimension, slices, sensitivity, pitch * PITCH_UNIT),
        sigma=pitch * PITCH_UNIT * scale,
        lattice_scale=scale,
        threshold_delta=energy_delta,
    )


def _least_pitch(holds: Callable[[int], bool], scale: float) -> int:
    """Smallest pitch at which a monotone condition holds, to a fraction of ``_PRECISION``."""
    low, high = 0, 2**40
    largest = int(LARGEST_SIGMA / PITCH_UNIT / scale)
    while not holds(high):
        if high >= largest:
            raise PrivacyError(
                'The budget is too small for a projection: the noise would be larger than can be '
                'drawn, or thresholds use up delta. Use a larger epsilon.'
            )
        low, high = high, min(2 * high, largest)
    while high - low > max(1, int(high * _PRECISION)):
        middle = (low + high) // 2 if low > high // 4 else max(high // 4, low + 1)
        if holds(middle):
            high = middle
        else:
            low = middle
    return high
