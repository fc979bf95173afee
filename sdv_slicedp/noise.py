"""Discrete Gaussian noise on the integers, and what else comes from the system's entropy.

The law is ``P(k) proportional to exp(-k^2 / (2 sigma^2))`` (Canonne, Kamath, Steinke, "The Discrete
Gaussian for Differential Privacy", NeurIPS 2020). It is drawn by inverting a table of the
cumulative distribution that is computed in integer arithmetic, so the law that is really sampled
is known exactly and its distance to the discrete Gaussian is a number (:func:`sampling_error`)
that accounting charges to delta.

Nothing here can be seeded: every value comes from ``os.urandom``.
"""

from __future__ import annotations

import math
import numbers
import os
from bisect import bisect_left
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

MIN_SIGMA = 0.5
"""Smallest scale that can be drawn; :func:`admissible_sigma` rounds up to it."""
MAX_SIGMA = 2.0**20
"""Largest scale that can be drawn: its table has 14 million entries."""
VARIANCE_STEPS = 2**10
"""Scales are admissible if ``sigma**2`` is a multiple of ``1 / VARIANCE_STEPS``."""

_PRECISION_BITS = 256
_TAIL_BITS = 120
_HIGH_BITS, _LOW_BITS = 63, 64
_WORD_BITS = _HIGH_BITS + _LOW_BITS
_CHUNK = 2**20


class NoiseTable(NamedTuple):
    """Cumulative distribution of the magnitude of the noise, in units of ``2^-127``.

    Attributes:
        high: ``floor(2^63 P(|noise| <= k))``, uint64 of shape ``(K + 1,)``.
        low: The 64 bits that follow those of ``high``.
    """

    high: npt.NDArray[np.uint64]
    low: npt.NDArray[np.uint64]


def admissible_sigma(sigma: float) -> float:
    """Smallest admissible scale that is not below ``sigma`` (nor below ``MIN_SIGMA``).

    Args:
        sigma: A positive finite number, at most ``MAX_SIGMA``.

    Returns:
        A scale whose square is a multiple of ``2**-10`` up to the rounding of one float.
    """
    number = _checked_scale(sigma)
    return math.sqrt(_variance_units(max(number, MIN_SIGMA)) / VARIANCE_STEPS)


def is_admissible(sigma: float) -> bool:
    """Whether noise of scale ``sigma`` can be drawn as it stands."""
    return math.isfinite(sigma) and 0 < sigma <= MAX_SIGMA and admissible_sigma(sigma) == sigma


def discrete_gaussian(shape: int | tuple[int, ...], sigma: float) -> npt.NDArray[np.int64]:
    """Independent discrete Gaussian draws of scale ``sigma``.

    Args:
        shape: Shape of the result.
        sigma: An admissible scale (see :func:`admissible_sigma`).

    Returns:
        Integers of shape ``shape``, new at every call.
    """
    table = noise_table(sigma)
    noise = np.empty(shape, dtype=np.int64)
    flat = noise.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        part = flat[start : start + _CHUNK]
        words = _entropy(part.size)
        part[:] = _magnitudes(table, words >> np.uint64(1))
        np.negative(part, out=part, where=(words & np.uint64(1)).astype(bool))
    return noise


def normals(shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Independent standard normal numbers, for the directions of a projection.

    They are public and hide nothing, so the rounding of floats does not matter.
    """
    from scipy.special import ndtri

    words = _entropy(math.prod(shape)) >> np.uint64(12)  # so that the half below is exact
    return np.asarray(ndtri((words.astype(np.float64) + 0.5) / 2.0**52)).reshape(shape)


def random_order(size: int) -> npt.NDArray[np.int64]:
    """A random order of ``size`` things; 128-bit keys make ties a matter of 2^-64 and less."""
    return np.lexsort((_entropy(size), _entropy(size))).astype(np.int64)


def largest_draw(sigma: float) -> int:
    """Largest magnitude that noise of scale ``sigma`` can have."""
    return _table_size(_variance_units(_drawable_scale(sigma))) - 1


def sampling_error(sigma: float, draws: int) -> float:
    """Bound on the total variation between ``draws`` sampled values and exact ones."""
    if draws < 0:
        raise ValueError(f'draws must not be negative, got {draws}.')
    number = _drawable_scale(sigma)
    return draws * _table_error(_table_size(_variance_units(number)))


def partition_threshold(sigma: float, delta: float) -> int:
    """Smallest integer ``T`` with ``P(1 + noise >= T) <= delta``.

    A cell that holds one record is then reported with probability at most ``delta``. The
    probability is the one of the law that is really sampled.

    Args:
        sigma: An admissible scale.
        delta: A number between 0 and 0.5.
    """
    if not 0 < delta < 0.5:
        raise ValueError(f'delta must be between 0 and 0.5, got {delta}.')
    table = noise_table(sigma)
    # P(noise >= k + 1) = (2^127 - cumulative[k]) / 2^128.
    least = 2**_WORD_BITS - math.floor(Fraction(delta) * 2 ** (_WORD_BITS + 1))
    magnitude = bisect_left(range(table.high.size), least, key=lambda k: _cumulative(table, k))
    return magnitude + 2


def noise_table(sigma: float) -> NoiseTable:
    """The table that noise of scale ``sigma`` is drawn from."""
    return _build_table(_variance_units(_drawable_scale(sigma)))


@lru_cache(maxsize=64)
def _build_table(variance_units: int) -> NoiseTable:
    """Table for variance ``variance_units / VARIANCE_STEPS``, in integer arithmetic throughout."""
    size = _table_size(variance_units)
    variance = Fraction(variance_units, VARIANCE_STEPS)
    first, ratio = _fixed_exp(1 / (2 * variance)), _fixed_exp(1 / variance)
    total = _one_sided_sum(first, ratio, size)
    high, low = np.empty(size, dtype=np.uint64), np.empty(size, dtype=np.uint64)
    weight, step, partial = 1 << _PRECISION_BITS, first, 0
    for k in range(size):
        partial += weight if k == 0 else 2 * weight
        cumulative = ((partial << _WORD_BITS) + total // 2) // total
        high[k], low[k] = cumulative >> _LOW_BITS, cumulative & (2**_LOW_BITS - 1)
        weight = (weight * step) >> _PRECISION_BITS
        step = (step * ratio) >> _PRECISION_BITS
    high.setflags(write=False)
    low.setflags(write=False)
    return NoiseTable(high, low)


def _magnitudes(table: NoiseTable, words: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Invert the table at 63-bit words, with 64 more bits where 63 do not decide."""
    magnitudes = np.searchsorted(table.high, words, side='right').astype(np.int64)
    ties = np.flatnonzero(table.high[np.maximum(magnitudes - 1, 0)] == words)
    if ties.size:
        magnitudes[ties] = _break_ties(table, words[ties], _entropy(ties.size))
    return magnitudes


def _break_ties(
    table: NoiseTable, words: npt.NDArray[np.uint64], more: npt.NDArray[np.uint64]
) -> list[int]:
    """Invert the table at the 127-bit words ``(words, more)``."""
    magnitudes = []
    for word, low in zip(words, more, strict=True):
        first = int(np.searchsorted(table.high, word, side='left'))
        last = int(np.searchsorted(table.high, word, side='right'))
        magnitudes.append(first + int(np.searchsorted(table.low[first:last], low, side='right')))
    return magnitudes


def _cumulative(table: NoiseTable, magnitude: int) -> int:
    return (int(table.high[magnitude]) << _LOW_BITS) + int(table.low[magnitude])


def _entropy(size: int) -> npt.NDArray[np.uint64]:
    """Words of 64 bits from the operating system."""
    return np.frombuffer(os.urandom(8 * size), dtype='<u8').astype(np.uint64)


def _one_sided_sum(first: int, ratio: int, size: int) -> int:
    """Sum of the weights of ``-size < k < size``, by ``w[k+1] = w[k] exp(-(2k+1) / 2 sigma^2)``."""
    weight, step, total = 1 << _PRECISION_BITS, first, 0
    for k in range(size):
        total += weight if k == 0 else 2 * weight
        weight = (weight * step) >> _PRECISION_BITS
        step = (step * ratio) >> _PRECISION_BITS
    return total


def _fixed_exp(exponent: Fraction) -> int:
    """``2^256 exp(-exponent)``, rounded down."""
    with localcontext() as context:
        context.prec = 110
        quotient = Decimal(exponent.numerator) / Decimal(exponent.denominator)
        return int((-quotient).exp() * (Decimal(2) ** _PRECISION_BITS))


def _table_size(variance_units: int) -> int:
    """Number of magnitudes in the table: beyond it lies less than ``2^(1 - tail bits)``."""
    scale = math.sqrt(variance_units / VARIANCE_STEPS)
    return math.ceil(scale * math.sqrt(2 * _TAIL_BITS * math.log(2))) + 3


def _table_error(size: int) -> float:
    """Cut tail, rounding of each entry to 127 bits, and the integer recursion."""
    return 2.0 ** (1 - _TAIL_BITS) + size * 2.0**-_WORD_BITS + 2.0**-150


def _variance_units(sigma: float) -> int:
    """``sigma**2 * VARIANCE_STEPS`` rounded up, forgiving the rounding of one square root."""
    exact = Fraction(sigma) ** 2 * VARIANCE_STEPS
    nearest = round(exact)
    return nearest if abs(exact - nearest) <= exact / 2**51 else math.ceil(exact)


def _drawable_scale(sigma: float) -> float:
    number = _checked_scale(sigma)
    if admissible_sigma(number) != number:
        raise ValueError(
            f'sigma must be admissible, got {number!r}: its square is not a multiple of 2**-10 '
            f'or it is below {MIN_SIGMA}. Pass admissible_sigma(sigma).'
        )
    return number


def _checked_scale(sigma: object) -> float:
    if isinstance(sigma, bool) or not isinstance(sigma, numbers.Real):
        raise TypeError(f'sigma must be a number, got {type(sigma).__name__}.')
    number = float(sigma)
    if not 0 < number < math.inf:
        raise ValueError(f'sigma must be positive and finite, got {number}.')
    if number > MAX_SIGMA:
        raise ValueError(
            f'sigma must be at most {MAX_SIGMA:.0f}, got {number}. '
            'Noise of this scale leaves nothing of the data: raise epsilon or measure less.'
        )
    return number
