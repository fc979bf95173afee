"""How much of a unit vector random directions see: the law of B in Eq. (2), from above.

For ``m`` independent uniform unit vectors in ``d`` dimensions, B is a sum of ``m`` independent
Beta(1/2, (d-1)/2); for ``k < d`` orthonormal directions it is Beta(k/2, (d-k)/2); a full basis
sees 1. Laws are given as atoms, such that expectations of increasing functions of B between 0
and 1 are never understated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]

_FINE_CELLS = 2**17  # least number of cells of the grid that sums are computed on
_ATOMS = 2**11
_LOG_TAIL = math.log(1e-20)  # probability of what is given up at each place
_LOW_TAIL = 1e-9  # mass of the smallest atom, moved up to where the others begin
_QUADRATURE_ERROR = 1e-9  # relative, more than the nodes below leave


@dataclass(frozen=True, eq=False)
class EnergyLaw:
    """Atoms of B, from above.

    Attributes:
        energies: Values of B, increasing.
        weights: Their probabilities.
        excess: Probability of what no atom covers; to be charged in full.
    """

    energies: Floats
    weights: Floats
    excess: float


def largest_energy(directions: str, dimension: int, slices: int) -> float:
    """What B never exceeds."""
    if directions == 'sphere':
        return float(slices)
    return float(-(-slices // dimension))


def mean_energy(dimension: int, slices: int) -> float:
    """Expectation of B, for both kinds of directions."""
    return slices / dimension


@lru_cache(maxsize=32)
def energy_law(directions: str, dimension: int, slices: int) -> EnergyLaw:
    """Law of B in Eq. (2).

    Args:
        directions: ``sphere`` or ``orthonormal``.
        dimension: Length d of an encoded record.
        slices: Number m of directions.
    """
    if directions == 'sphere' and slices > 1 and dimension > 1:
        return _sphere(dimension, slices)
    bases, rest = divmod(slices, dimension)
    return _beta(dimension, rest, bases) if rest else _constant(float(bases))


@lru_cache(maxsize=32)
def energy_bound(directions: str, dimension: int, slices: int, probability: float) -> float:
    """Number that B exceeds with at most the given probability; 0 is allowed."""
    largest = largest_energy(directions, dimension, slices)
    if not probability > 0:
        return largest
    law = energy_law(directions, dimension, slices)
    if law.energies.size == 1:
        return float(law.energies[0])
    if directions == 'sphere' and slices > 1:
        above = law.excess + np.append(np.cumsum(law.weights[:0:-1])[::-1], 0.0)
        allowed = np.flatnonzero(above <= probability)
        return float(law.energies[allowed[0]]) if allowed.size else largest
    bases, rest = divmod(slices, dimension)
    shape = (rest / 2, (dimension - rest) / 2)
    # The least float energy whose tail is small enough, up to a few bits.
    bound = float(1 - special.betaincinv(shape[1], shape[0], probability))
    while bound < 1 and special.betainc(shape[1], shape[0], 1 - bound) > probability:
        bound = min(1.0, bound + 1e-12 + (1 - bound) * 1e-9)
    return min(bases + bound * (1 + 1e-12) + 1e-15, largest)


def _constant(energy: float) -> EnergyLaw:
    return EnergyLaw(np.array([energy]), np.ones(1), 0.0)


def _beta(dimension: int, rest: int, bases: int) -> EnergyLaw:
    """``bases + sin(theta)^2``, the density of theta being a product of powers."""
    nodes, node_weights = special.roots_legendre(400 + 8 * math.isqrt(dimension))
    theta = (nodes + 1) * (math.pi / 4)
    density = (rest - 1) * np.log(np.sin(theta)) + (dimension - rest - 1) * np.log(np.cos(theta))
    density += np.log(node_weights)
    weights = np.exp(density - density.max())
    weights *= (1 + _QUADRATURE_ERROR) / weights.sum()
    return EnergyLaw(bases + np.sin(theta) ** 2, weights, 0.0)


def _sphere(dimension: int, slices: int) -> EnergyLaw:
    """Law of a sum of Betas: each rounded up to a grid, then a power of their transform.

    Rounding up by ``e_i`` in ``[0, h)`` adds nearly its mean: by Hoeffding's inequality, the sum
    of the ``e_i`` falls short of its mean by ``h sqrt(m log(1/p) / 2)`` with probability ``p`` at
    most. So the grid is moved back by the difference. Where the transform's rounding errors could
    matter, the tail is Chernoff's.
    """
    orders, log_moments = _log_moments(dimension, slices)
    top = _chernoff_top(orders, log_moments, dimension, slices)
    cells = 1 << (2 * slices + _FINE_CELLS - 1).bit_length()
    pitch = top / (cells - slices - 2)  # so that sums of rounded values do not wrap around
    edges = np.minimum(np.arange(cells) * pitch, 1.0)
    cumulative = special.betainc(0.5, (dimension - 1) / 2, edges)
    mass = np.diff(cumulative, prepend=0.0)  # of ((i-1) h, i h], placed at i h
    summed = np.maximum(np.fft.irfft(np.fft.rfft(mass) ** slices, cells), 0.0)
    missed = slices * float(special.betainc((dimension - 1) / 2, 0.5, 1 - edges[-1]))
    shortfall = math.sqrt(-_LOG_TAIL * slices / 2) * pitch
    added = slices * (float(mass @ np.arange(cells)) * pitch - 1 / dimension)
    back = max(0.0, added - shortfall)
    above = np.append(np.cumsum(summed[::-1])[::-1], 0.0)  # above[i] = P(sum >= i h)
    noise = 2.0**-50 * slices * math.sqrt(cells)

    low = max(0, int(np.searchsorted(-above, -(1 - _LOW_TAIL))) - 1) * pitch - back
    energies = np.linspace(math.sqrt(max(low, 0.0)), math.sqrt(top), _ATOMS) ** 2
    index = np.floor((energies + back) / pitch * (1 - 1e-12)).astype(np.int64) + 1
    survival = np.minimum(above[np.minimum(index, cells)] + noise, 1.0)
    chernoff = np.exp(np.minimum(0.0, np.min(log_moments - np.outer(energies, orders), axis=1)))
    survival = np.minimum.accumulate(np.minimum(survival, chernoff))
    if not top < slices:
        survival[-1] = 0.0  # B is at most m
    weights = -np.diff(survival, prepend=1.0)
    excess = float(survival[-1]) + missed + math.exp(_LOG_TAIL)
    return EnergyLaw(energies, weights, excess)


def _log_moments(dimension: int, slices: int) -> tuple[Floats, Floats]:
    """Orders t, and ``log E exp(t B)`` for a sum of ``slices`` Betas."""
    orders = np.geomspace(0.01 * dimension / math.sqrt(slices), 200.0 * dimension, 300)
    return orders, slices * np.array([log_hyp1f1(0.5, dimension / 2, t) for t in orders])


def _chernoff_top(orders: Floats, log_moments: Floats, dimension: int, slices: int) -> float:
    """Number that B exceeds with probability ``exp(_LOG_TAIL)`` at most."""
    return float(min(slices, np.min((log_moments - _LOG_TAIL) / orders)))


def log_hyp1f1(a: float, b: float, t: float) -> float:
    """``log 1F1(a; b; t)`` for ``0 < a <= b`` and ``t >= 0``, where all terms are positive."""
    if t == 0 or a == b:
        return float(t)
    turn = t - b - 1
    square = turn * turn - 4 * (b - a * t)
    peak = max(0.0, (turn + math.sqrt(square)) / 2) if square > 0 else 0.0
    reach = 14 * math.sqrt(peak + t + 10) + 60
    n = np.arange(max(0, int(peak - reach)), int(peak + reach) + 2, dtype=float)
    gamma = special.gammaln
    terms = gamma(a + n) - gamma(a) - gamma(b + n) + gamma(b) + n * math.log(t) - gamma(n + 1)
    return float(special.logsumexp(terms))
