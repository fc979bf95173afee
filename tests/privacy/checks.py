"""Checks that catch wrong mechanisms, for the tests and for the mutants of ``test_mutants.py``.

A check is a function without arguments that raises ``AssertionError`` if a guarantee is broken.
False-alarm rates on a correct mechanism: below 1e-4 each.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import pytest
import structure
import torch
from scipy.stats import chi2

from sdv_slicedp import curator, noise
from sdv_slicedp import mechanism as mechanisms
from sdv_slicedp.accounting import Ledger, LedgerEntry, delta_spent, epsilon_spent, mu_squared
from sdv_slicedp.audit import audit_step
from sdv_slicedp.audit_statistics import mu_bound
from sdv_slicedp.audit_steps import entry_for
from sdv_slicedp.curator import Curator
from sdv_slicedp.directions import draw_directions
from sdv_slicedp.domain import CategoricalDomain, NumericalDomain
from sdv_slicedp.embedding import blocks
from sdv_slicedp.grid import Cells
from sdv_slicedp.noise import admissible_sigma
from sdv_slicedp.release import ColumnRelease, Release

EPSILON, DELTA = 5.0, 1e-6
RUNS = 700
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
"""By column and depth, or by the columns of two or three and ``PAIR``."""
PAIR = -1


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
        found[(*marginal.columns, PAIR)] = Slice(residuals.ravel(), target_noise, marginal.sigma)
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

    hits = [sum(score(s) > 0 for s in world) for world in (worlds.with_record, worlds.without)]
    claims = [sum(1 / s.sigma**2 for s in slices.values()) for slices in worlds.without]
    return mu_bound(*hits, len(worlds.without), alpha), math.sqrt(max(claims))


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


def says(number: int, texts: Iterable[str]) -> bool:
    """Whether a number stands in a text by itself."""
    alone = re.compile(rf'(?<![\d.]){number}(?!\.?\d)|(?<![\d.]){number}\.0(?!\d)')
    return any(alone.search(text) for text in texts)


def releases_as_slices(runs: int, draw: Noise | None = None) -> list[Slices]:
    return [slices_of(release) for release in releases(ROWS, runs, draw)]


def every_slice_has_its_noise(world: list[Slices] | None = None) -> None:
    """The scale of the noise on each slice is the ledger's; false alarms: below 1e-5 in all."""
    world = world or releases_as_slices(40)
    for name in common(world):
        parts = [slices[name] for slices in world]
        assert variance_level([s.residuals for s in parts], [s.sigma for s in parts]) > 1e-6, name


def noises_are_independent(world: list[Slices] | None = None) -> None:
    """Between slices and between releases, to 5.5 standard errors; false alarms: below 1e-6."""
    assert max(correlations(world or releases_as_slices(100))) < 5.5


def seeds_do_not_repeat_the_noise() -> None:
    """Whatever a user seeds; equal by chance with a probability far below 1e-6."""
    found = []
    for _ in range(2):
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)
        slices = slices_of(releases(ROWS, 1)[0])
        found.append(np.concatenate([s.residuals for s in slices.values()]))
    assert found[0].shape != found[1].shape or not np.array_equal(*found)


def the_ledger_lists_all_slices() -> None:
    """Every noisy vector of a release has an entry of its scale, and all together the budget.

    The number of rows has an entry too; it plans the scales and is not in the release.
    """
    for release in releases(ROWS, 5):
        sigmas = [s.sigma for s in slices_of(release).values()]
        shown = [entry for entry in release.ledger if entry.stage != 'rows']
        assert [entry.slices for entry in release.ledger if entry not in shown] == [1]
        listed = [entry.sigma for entry in shown for _ in range(entry.slices)]
        assert sorted(sigmas) == sorted(listed)
        assert mu_squared(shown) == pytest.approx(sum(s**-2 for s in sigmas))
        assert epsilon_spent(release.ledger, DELTA) <= EPSILON
        assert delta_spent(release.ledger, EPSILON) <= DELTA


def a_step_shows_no_more_than_it_claims(step: str, runs: int = 400) -> None:
    """The best attack on one private step; false alarms: below 1e-4."""
    finding = audit_step(step, EPSILON, DELTA, runs, 1 - 1e-4)
    assert finding.holds, finding
    assert finding.bound > 0, 'the audit says nothing'


def one_record_shows_nowhere(mechanism: str) -> None:
    """In ranges, decimals, categories and gaps of a release; false alarms: below 1e-5."""
    structure.hits.cache_clear()
    try:
        assert structure.leaked((structure.OUTLIER, structure.SECRET), mechanism) == set()
    finally:
        structure.hits.cache_clear()


class Answer(np.ndarray):
    """Noise that hides all of what it is added to."""

    def __radd__(self, exact: np.ndarray) -> np.ndarray:
        return np.array(self)

    __add__ = __radd__


def answers_alone_decide(mechanism: str) -> None:
    """Two tables with the same noisy answers get the same questions and the same release.

    So domains, the number of slices, scales and all else depend on the rows through answers only.
    """
    found = []
    for table in strangers(40, 90 if mechanism == 'histogram' else 40):
        asked = iter(range(10**6))

        def answer(shape: int | tuple[int, ...], sigma: float, asked=asked) -> np.ndarray:
            drawn = np.random.default_rng(next(asked)).random(shape)
            return (2000 * (drawn > 0.9)).astype(np.int64).view(Answer)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(curator, 'discrete_gaussian', answer)
            patch.setattr(curator, 'draw_directions', _known_directions)
            patch.setattr(curator, 'partition_threshold', lambda *_: 10**6)
            ask = getattr(mechanisms, ASKS[mechanism])
            ledger = Ledger()
            release = ask(table, STRANGE, epsilon=EPSILON, delta=DELTA, ledger=ledger)
        found.append((release, ledger.entries))
    assert found[0] == found[1]


ASKS = {'histogram': 'measure', 'projection': 'measure_projection'}
STRANGE = [
    NumericalDomain('amount', 'numerical', None, None, None, True),
    NumericalDomain('day', 'datetime', None, None, None, True),
    CategoricalDomain('word', 'categorical', None, True),
    CategoricalDomain('listed', 'categorical', ('a', 'b', 'c'), True, True),
    NumericalDomain('number', 'numerical', 0, 50, (1, 1), False),
]


def strangers(*sizes: int) -> list[pd.DataFrame]:
    """Tables with nothing in common but their columns."""
    tables = []
    for i, n in enumerate(sizes):
        number = np.arange(n, dtype=np.float64)
        gaps = np.where(number % 3 == 0, np.nan, number) if i else number
        words = np.array([f'word {i} {k % 4}' for k in range(n)], dtype=object)
        tables.append(
            pd.DataFrame(
                {
                    'amount': gaps * 10.0 ** (4 * i) + 0.25 * i,
                    'day': (gaps + 1000 * i) * 86_400e9 + i,
                    'word': words,
                    'listed': pd.Series(['ab'[i]] * n, dtype=object),
                    'number': number % 7 + 20 * i,
                }
            )
        )
    return tables


@cache
def _known_directions(kind: str, dimension: int, slices: int) -> np.ndarray:
    return draw_directions(kind, dimension, slices)


def no_noise(shape: int | tuple[int, ...], sigma: float) -> np.ndarray:
    return np.zeros(shape, dtype=np.int64)


def curator_answers(rows: pd.DataFrame) -> dict[str, list[np.ndarray]]:
    """What a curator answers to questions about ``x``, ``y`` and ``z``."""
    x, y, z = DOMAINS
    codes = [np.arange(3), np.arange(2)]
    columns = [
        ColumnRelease(domain, (), code, code, code, len(code))
        for domain, code in zip((x, y), codes, strict=True)
    ]
    entry = LedgerEntry('pairs', 'text', 1, 1.0, 1)
    asked = Curator(rows, Ledger())
    asked.encode(columns)
    return {
        'counts': asked.counts('one-column', '', [(y, Cells(codes[1], codes[1]))], 1.0),
        'resolutions': asked.resolutions([z], 1.0),
        'tables': asked.tables([(0, 1)], entry),
        'distances': [asked.distances([(0, 1)], [np.full((3, 2), 20)], 1.0)],
    }


def a_row_changes_one_count_by_one() -> None:
    """Without noise, an answer changes by 1 in one entry, whichever row is added."""
    tables = [pd.concat([ROWS, ROWS.iloc[[i]]], ignore_index=True) for i in range(4)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curator, 'discrete_gaussian', no_noise)
        before, *others = (curator_answers(table) for table in (ROWS, *tables))
    for after in others:
        for question, vectors in before.items():
            changes = [np.abs(a - b).sum() for a, b in zip(vectors, after[question], strict=True)]
            assert changes == [1], question


def answers_are_integers() -> None:
    """All that a curator answers is 64-bit integers; floats would show in their low bits."""
    for question, vectors in curator_answers(ROWS).items():
        assert all(vector.dtype == np.int64 for vector in vectors), question


NUMBERS = [NumericalDomain(f'x{i}', 'numerical', 0, 100, (1, 1), False) for i in range(8)]


def a_long_record_moves_no_farther_than_stated() -> None:
    """On a full basis, a record far outside of the domain moves by the sensitivity at most."""
    entry = entry_for(NUMBERS, 'orthonormal', None, EPSILON, DELTA)
    rows = [pd.DataFrame({d.name: [value] for d in NUMBERS}) for value in (-1e5, 1e5)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curator, 'discrete_gaussian', no_noise)
        patch.setattr(curator, 'draw_directions', _known_directions)
        first, second = (Curator(row, Ledger()).project(blocks(NUMBERS), entry) for row in rows)
    moved = np.linalg.norm((first.values - second.values) * first.pitch)
    assert 0.99 * entry.sensitivity < moved <= entry.sensitivity + entry.rounding
