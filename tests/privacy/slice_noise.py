"""Releases of one small table, the noise on each of their slices, and what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq
from scipy.stats import chi2, nct

from sdv_slicedp import curator, noise
from sdv_slicedp import mechanism as mechanisms
from sdv_slicedp.accounting import Ledger
from sdv_slicedp.audit_statistics import mu_bound
from sdv_slicedp.domain import CategoricalDomain, NumericalDomain
from sdv_slicedp.noise import admissible_sigma
from sdv_slicedp.release import Release

EPSILON, DELTA = 5.0, 1e-6
RUNS = 250
"""Releases per world. Against noise of half the scale the audit has a power above 0.999."""
DOMAINS = [
    CategoricalDomain('x', 'categorical', ('a', 'b', 'c'), False),
    CategoricalDomain('y', 'categorical', ('a', 'b'), False),
    NumericalDomain('z', 'numerical', 0, 255, (1, 1), False),
]
ROWS = pd.DataFrame(
    {
        'x': ['a', 'b', 'c', 'a'] * 100,
        'y': ['a', 'b', 'b', 'b'] * 100,
        'z': [0.0, 255.0, 77.0, 77.0] * 100,
    }
)
RECORD = {'x': 'a', 'y': 'b', 'z': 77.0}
POSITIONS = np.stack(
    [
        ROWS['x'].map({'a': 0, 'b': 1, 'c': 2}),
        ROWS['y'].map({'a': 0, 'b': 1}),
        ROWS['z'].astype(int),
    ]
)
"""Grid positions of the rows, worked out by hand."""
TARGET = (0, 1, 77)
Noise = Callable[[int | tuple[int, ...], float], np.ndarray]


@dataclass(frozen=True)
class Slice:
    """One slice of a release: noise if the rows are ``ROWS``, and its entry at the target."""

    residuals: np.ndarray
    target: float
    sigma: float


Slices = dict[tuple[int, ...], Slice]
"""By column and depth, or by the columns of two or three and ``PAIR``, then ``AGAIN``."""
PAIR, AGAIN = -1, -2


def slices_of(release: Release) -> Slices:
    """Deviations of all slices of a release from the exact counts of ``ROWS``."""
    found: Slices = {}
    codes, targets = [], []
    for i, (column, target) in enumerate(zip(release.columns, TARGET, strict=True)):
        positions = POSITIONS[i]
        for depth, level in enumerate(column.levels):
            inside = (level.lower <= positions[:, None]) & (positions[:, None] <= level.upper)
            hit = (level.lower <= target) & (target <= level.upper)
            residuals = level.counts - inside.sum(0)
            found[i, depth] = Slice(residuals, float(residuals[hit].sum()), level.sigma)
        cell = np.searchsorted(column.fine_lower, [*positions, target], side='right') - 1
        codes.append(column.bins[cell[:-1]])
        targets.append(column.bins[cell[-1]])
    for marginal in release.marginals:
        exact = np.zeros(marginal.counts.shape, dtype=np.int64)
        np.add.at(exact, tuple(codes[i] for i in marginal.columns), 1)
        residuals = marginal.counts - exact
        target_noise = float(residuals[tuple(targets[i] for i in marginal.columns)])
        name = (*marginal.columns, PAIR)
        name = (*marginal.columns, AGAIN) if name in found else name
        found[name] = Slice(residuals.ravel(), target_noise, marginal.sigma)
    return found


def releases(rows: pd.DataFrame, runs: int = RUNS, draw: Noise | None = None) -> list[Release]:
    """Independent releases of a table; ``draw`` replaces the noise by a wrong one."""
    with pytest.MonkeyPatch.context() as patch:
        if draw is not None:
            patch.setattr(curator, 'discrete_gaussian', draw)
        return [
            mechanisms.measure(rows, DOMAINS, epsilon=EPSILON, delta=DELTA, ledger=Ledger())
            for _ in range(runs)
        ]


def releases_as_slices(runs: int, draw: Noise | None = None) -> list[Slices]:
    return [slices_of(release) for release in releases(ROWS, runs, draw)]


@dataclass(frozen=True)
class Worlds:
    """Releases of the rows, and of the rows with one record more."""

    without: list[Slices]
    with_record: list[Slices]

    @classmethod
    def make(cls, draw: Noise | None = None, runs: int = RUNS) -> Worlds:
        more = pd.concat([ROWS, pd.DataFrame([RECORD])], ignore_index=True)
        return cls(*([slices_of(r) for r in releases(t, runs, draw)] for t in (ROWS, more)))


def halved(shape: int | tuple[int, ...], sigma: float) -> np.ndarray:
    return noise.discrete_gaussian(shape, admissible_sigma(sigma / 2))


def dead_slice(shape: int | tuple[int, ...], sigma: float) -> np.ndarray:
    """No noise on the one-column slice of ``y``, which alone has two cells."""
    return noise.discrete_gaussian(shape, sigma) * (np.prod(shape) != 2)


def reused() -> Noise:
    """The same noise for every slice of a scale, within a release and in the next one."""
    seen: dict[float, np.ndarray] = {}

    def draw(shape: int | tuple[int, ...], sigma: float) -> np.ndarray:
        stream = seen.setdefault(sigma, noise.discrete_gaussian(4000, sigma))
        return stream[: int(np.prod(shape))].reshape(shape)

    return draw


def repeated_in_a_release() -> Noise:
    """New noise for each release, but the same for all its slices of a scale."""
    seen: dict[float, np.ndarray] = {}

    def draw(shape: int | tuple[int, ...], sigma: float) -> np.ndarray:
        size = int(np.prod(shape))
        if size == 3:  # the slice of ``x``, the first of a release
            seen.clear()
        return seen.setdefault(sigma, noise.discrete_gaussian(4000, sigma))[:size].reshape(shape)

    return draw


def joint_bound(worlds: Worlds, alpha: float) -> tuple[float, float]:
    """Bound of mu by the log-likelihood over all slices, and the claim of the ledger, Eq. (6)."""

    def score(slices: Slices) -> float:
        return sum((s.target - 0.5) / s.sigma**2 for s in slices.values())

    scores = [np.array([score(s) for s in w]) for w in (worlds.with_record, worlds.without)]
    claims = [sum(1 / s.sigma**2 for s in slices.values()) for slices in worlds.without]
    return shift_bound(*scores, alpha), math.sqrt(max(claims))


def shift_bound(second: np.ndarray, first: np.ndarray, alpha: float) -> float:
    """Lower bound of the distance of two normal laws of one scale, in standard deviations.

    Exact for normal scores, by the noncentral t law; a score is a sum over all slices of noises
    that are all but normal. Sharper than to count the scores above zero, by means of which
    ``mu_bound`` needs 700 releases for the same power.
    """
    n = len(first)
    scale = math.sqrt((second.var(ddof=1) + first.var(ddof=1)) / 2)
    observed = (second.mean() - first.mean()) / scale
    per_unit, freedom = math.sqrt(n / 2), 2 * n - 2

    def excess(shift: float) -> float:
        return float(nct.sf(observed * per_unit, freedom, shift * per_unit)) - alpha

    return float(brentq(excess, min(observed, 0.0) - 9 / per_unit, observed))


def common(*worlds: list[Slices]) -> list[tuple[int, ...]]:
    """Slices that all releases have; how deep a grid goes depends on the noise."""
    return sorted(set.intersection(*(set(slices) for world in worlds for slices in world)))


def slice_bounds(worlds: Worlds, alpha: float) -> list[tuple[float, float]]:
    """Bound and claim of each slice by itself."""
    found = []
    names = common(worlds.without, worlds.with_record)
    for name in names:
        hits = [
            sum(slices[name].target > 0.5 for slices in world)
            for world in (worlds.with_record, worlds.without)
        ]
        claim = max(1 / slices[name].sigma for slices in worlds.without)
        found.append((mu_bound(*hits, len(worlds.without), alpha / len(names)), claim))
    return found


def variance_level(residuals: list[np.ndarray], sigmas: list[float]) -> float:
    """Two-sided level at which the scale of the noise is rejected, for each noise its own scale."""
    scaled = [r.ravel() / sigma for r, sigma in zip(residuals, sigmas, strict=True)]
    together = np.concatenate(scaled)
    total = float((together**2).sum())
    return 2 * min(chi2.cdf(total, together.size), chi2.sf(total, together.size))


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of two noises, in standard errors; infinite if one of them is constant."""
    if not first.std() * second.std() > 0:
        return math.inf
    return float(abs(np.corrcoef(first, second)[0, 1]) * math.sqrt(len(first)))


def correlations(world: list[Slices]) -> list[float]:
    """Between slices of a release, and between a slice and itself in the next release."""
    names = common(world)
    noises = {
        name: np.array([s[name].residuals[0] / s[name].sigma for s in world]) for name in names
    }
    within = [correlation(noises[a], noises[b]) for a in names for b in names if a < b]
    # Integers agree by chance; all the time only if they are the same noise.
    repeated = [np.mean(values[1:] == values[:-1]) > 0.9 for values in noises.values()]
    return [*within, *(math.inf for again in repeated if again)]
