"""Looser analyses of a projection release, to compare Eq. (2) with: Renyi and published bounds.

All return the noise scale ``sigma / Delta`` that the analysis asks for, without the lattice.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize_scalar

from sdv_slicedp import gaussian_mixture, slice_energy
from sdv_slicedp.accounting import budget_mu
from sdv_slicedp.slice_energy import log_hyp1f1


def exact_scale(
    directions: str, dimension: int, slices: int, epsilon: float, delta: float
) -> float:
    """``sigma / Delta`` by Eq. (2)."""
    law = slice_energy.energy_law(directions, dimension, slices)

    def holds(scale: float) -> bool:
        mu = np.sqrt(law.energies) / scale
        return (
            gaussian_mixture.delta(gaussian_mixture.Mixture(mu, law.weights, law.excess), epsilon)
            <= delta
        )

    return _least_scale(holds)


def renyi_divergence(order: float, dimension: int, slices: int, scale: float) -> float:
    """Renyi divergence of a projection on independent unit vectors, Eq. (3).

    Args:
        order: Greater than 1.
        dimension: Length d of an encoded record.
        slices: Number m of directions.
        scale: ``sigma / Delta``.
    """
    t = order * (order - 1) / (2 * scale**2)
    return float(slices * log_hyp1f1(0.5, dimension / 2, t) / (order - 1))


def renyi_epsilon(dimension: int, slices: int, scale: float, delta: float) -> float:
    """Epsilon by (3), converted by Proposition 12 of Canonne, Kamath, Steinke (2004.00010v5).

    Minimised over the order; every order gives a valid epsilon.
    """

    def converted(log_gap: float) -> float:
        order = 1 + math.exp(log_gap)
        divergence = renyi_divergence(order, dimension, slices, scale)
        return divergence + math.log1p(-1 / order) - math.log(order * delta) / (order - 1)

    best = min(np.linspace(-4, 8, 13).tolist(), key=converted)
    found = minimize_scalar(converted, bounds=(best - 1, best + 1), method='bounded')
    return max(0.0, float(found.fun))


def renyi_scale(dimension: int, slices: int, epsilon: float, delta: float) -> float:
    """``sigma / Delta`` by (3), directions being independent unit vectors."""
    low = 0.5 * math.sqrt(slices / dimension) / budget_mu(epsilon, delta)
    high = 8 * low * math.sqrt(dimension)
    return _least_scale(
        lambda scale: renyi_epsilon(dimension, slices, scale, delta) <= epsilon, low, high
    )


def published_scale(dimension: int, slices: int, epsilon: float, delta: float) -> float:
    """``sigma / Delta`` by the high-probability bound of Rakotomamonjy and Ralaivola (2021).

    With probability ``1 - delta / 2``, a unit vector has an energy of at most ``w``, by Bernstein's
    inequality; there, Gaussian noise by its Renyi divergence and the classic conversion.
    """
    log_term = math.log(2 / delta)
    deviation = math.sqrt(slices * (dimension - 1) / (dimension + 2) * log_term)
    energy = slices / dimension + 2 / 3 * log_term + 2 / dimension * deviation
    # min over orders a of a w / (2 s^2) + log(2 / delta) / (a - 1) <= epsilon
    root = math.sqrt(log_term + epsilon) - math.sqrt(log_term)
    return math.sqrt(energy / 2) / root


def worst_case_scale(dimension: int, slices: int, epsilon: float, delta: float) -> float:
    """``sigma / Delta`` if only ``B <= ceil(m / d)``, as for orthonormal directions, is used."""
    energy = slice_energy.largest_energy('orthonormal', dimension, slices)
    return float(math.sqrt(energy) / budget_mu(epsilon, delta))


def _least_scale(holds: gaussian_mixture.Condition, low: float = 1e-6, high: float = 1e6) -> float:
    """Smallest scale at which a monotone condition holds, from above."""
    while high > low * (1 + 1e-7):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
