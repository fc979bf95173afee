"""What an attacker's guesses say about epsilon: bounds that hold with a stated confidence.

A bound above the claim refutes the claim; a bound below it proves nothing.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr
from scipy.stats import beta, binom, norm

from sdv_slicedp.slice_energy import EnergyLaw

Floats = npt.NDArray[np.float64]

_LARGEST_EPSILON = 100.0


def lower(hits: int, runs: int, alpha: float) -> float:
    """Clopper-Pearson lower bound of a probability; too large with probability ``alpha``."""
    return 0.0 if hits == 0 else float(beta.ppf(alpha, hits, runs - hits + 1))


def upper(hits: int, runs: int, alpha: float) -> float:
    """Clopper-Pearson upper bound of a probability; too small with probability ``alpha``."""
    return 1.0 - lower(runs - hits, runs, alpha)


def mu_bound(true_hits: int, false_hits: int, runs: int, alpha: float) -> float:
    """Lower bound of mu from guesses in two worlds, ``runs`` each.

    The trade-off of mu-GDP: quantile(true positives) - quantile(false positives) <= mu. Wrong
    with probability below ``alpha``.

    Args:
        true_hits: Guesses "it is there" where it is.
        false_hits: Guesses "it is there" where it is not.
        runs: Guesses in each world.
        alpha: Probability of a bound that is too large.
    """
    share = alpha / 4

    def bound(right: int, wrong: int) -> float:
        return float(norm.ppf(lower(right, runs, share)) - norm.ppf(upper(wrong, runs, share)))

    return max(0.0, bound(true_hits, false_hits), bound(runs - false_hits, runs - true_hits))


def gaussian_epsilon_of(mu: float, delta: float) -> float:
    """Epsilon at ``delta`` of the Gaussian mechanism with ``mu`` (Balle and Wang, 2018)."""

    def excess(epsilon: float) -> float:
        shown = math.exp(log_ndtr(mu / 2 - epsilon / mu))
        return shown - math.exp(epsilon + log_ndtr(-mu / 2 - epsilon / mu)) - delta

    if mu <= 0 or excess(0.0) <= 0:
        return 0.0
    return float(brentq(excess, 0.0, mu * mu / 2 + mu * (10 - norm.ppf(delta))))


def shift_share(mu: float, largest: float, law: EnergyLaw) -> float:
    """How much of its shift a projection shows at least, if guesses show ``mu``.

    Someone who knows the directions and guesses by the likelihood ratio is right with probability
    ``E Phi(share * largest * sqrt(B) / 2)`` in either world, B being what the directions see.

    Args:
        mu: Lower bound from guesses, at the threshold 0.
        largest: Shift where the directions see all, in units of the noise.
        law: Law of B, from above, so that the share comes out too small rather than too large.
    """
    shifts = largest * np.sqrt(law.energies) / 2

    def excess(share: float) -> float:
        right = float(law.weights @ ndtr(share * shifts)) + law.excess
        return right - float(ndtr(mu / 2))

    if excess(0.0) >= 0:
        return 0.0
    high = 1.0
    while excess(high) < 0:
        high *= 2
    return float(brentq(excess, 0.0, high))


def event_epsilon(
    with_it: Floats, without: Floats, threshold: float, delta: float, alpha: float
) -> float:
    """Lower bound of epsilon from one event, whatever the mechanism: a score above a threshold.

    Args:
        with_it: Scores of releases of the one table.
        without: As many of the other.
        threshold: Fixed before the scores were seen; its mirror image is the second event.
        delta: At which epsilon is meant.
        alpha: Probability of a bound that is too large.
    """
    found = [0.0]
    for right, wrong in ((with_it, without), (-without, -with_it)):
        least = lower(int((right > threshold).sum()), len(right), alpha / 4) - delta
        most = upper(int((wrong > threshold).sum()), len(wrong), alpha / 4)
        found.append(math.log(least / most) if least > 0 else 0.0)
    return max(found)


def one_run_p_value(canaries: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """Probability of so many right guesses in one run of an ``(epsilon, delta)``-private fit.

    Each canary is in the table by a fair coin of its own, and the attacker guesses some coins
    (Steinke, Nasr and Jagielski, "Privacy auditing with one (1) training run", NeurIPS 2023,
    arXiv 2305.08846, Theorem 5.2 and appendix D).

    Args:
        canaries: Number of canaries.
        guesses: How many of them were guessed, at most ``canaries``.
        right: Guesses that were right.
        epsilon: Claimed.
        delta: Claimed.
    """
    chance = 1 / (1 + math.exp(-epsilon))
    tail = float(binom.sf(right - 1, guesses, chance))
    below = np.cumsum(binom.pmf(np.arange(right - 1, -1, -1), guesses, chance))
    slope = float(np.max(below / np.arange(1, right + 1), initial=0.0))
    return min(1.0, tail + slope * delta * 2 * canaries)


def one_run_epsilon(canaries: int, guesses: int, right: int, delta: float, alpha: float) -> float:
    """Lower bound of epsilon from one run; too large with probability ``alpha`` at most."""

    def margin(epsilon: float) -> float:
        return one_run_p_value(canaries, guesses, right, epsilon, delta) - alpha

    if margin(0.0) >= 0:
        return 0.0
    if margin(_LARGEST_EPSILON) <= 0:
        return _LARGEST_EPSILON
    return float(brentq(margin, 0.0, _LARGEST_EPSILON))
