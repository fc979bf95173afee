"""Attacks on real releases: what they show must be less than the ledger claims.

The mechanism is run many times on tables that differ in one record. An audit can show that a
claim is false, never that it is true; so each one must also catch mechanisms that are wrong.
False-alarm rates, on a correct mechanism, of all tests here together: below 1e-4.
"""

from __future__ import annotations

import io
import logging
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from memory import remembered_accounting
from scipy.stats import beta, binomtest, chi2, norm
from sdv.metadata import Metadata
from state import encodings, reachable
from worlds import QUICK, TABLE

from sdv_slicedp import curator, noise
from sdv_slicedp.accounting import (
    Ledger,
    LedgerEntry,
    budget_mu,
    delta_spent,
    epsilon_spent,
    mu_squared,
)
from sdv_slicedp.curator import Curator
from sdv_slicedp.domain import CategoricalDomain, NumericalDomain
from sdv_slicedp.grid import Cells
from sdv_slicedp.mechanism import measure
from sdv_slicedp.noise import admissible_sigma
from sdv_slicedp.release import Release
from sdv_slicedp.synthesizer import SlicedDPSynthesizer

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
        'x': ['a', 'b', 'c', 'a'] * 50,
        'y': ['a', 'b', 'b', 'b'] * 50,
        'z': [0.0, 255.0, 77.0, 77.0] * 50,
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


@pytest.fixture(scope='module', autouse=True)
def _remember():
    with pytest.MonkeyPatch.context() as patch:
        remembered_accounting(patch)
        yield


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
            measure(rows, DOMAINS, epsilon=EPSILON, delta=DELTA, ledger=Ledger())
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


@pytest.fixture(scope='module')
def honest() -> Worlds:
    return Worlds.make()


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


def lower(hits: int, runs: int, alpha: float) -> float:
    """Clopper-Pearson lower bound of a probability."""
    return 0.0 if hits == 0 else float(beta.ppf(alpha, hits, runs - hits + 1))


def upper(hits: int, runs: int, alpha: float) -> float:
    return 1.0 - lower(runs - hits, runs, alpha)


def mu_bound(true_hits: int, false_hits: int, runs: int, alpha: float) -> float:
    """Lower bound of mu from guesses in two worlds; wrong with probability below ``alpha``.

    The trade-off of mu-GDP: quantile(true positives) - quantile(false positives) <= mu.
    """
    share = alpha / 4

    def bound(right: int, wrong: int) -> float:
        return float(norm.ppf(lower(right, runs, share)) - norm.ppf(upper(wrong, runs, share)))

    return max(0.0, bound(true_hits, false_hits), bound(runs - false_hits, runs - true_hits))


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


class TestGaussianAudit:
    """Guessing by the best statistic whether the record is in the table."""

    def test_all_slices_together_show_no_more_than_the_ledger_says(self, honest):
        # False alarms: below 1e-5.
        bound, claim = joint_bound(honest, 1e-5)
        assert 0.1 < bound <= claim <= budget_mu(EPSILON, DELTA)

    def test_no_slice_shows_more_than_its_scale_says(self, honest):
        # False alarms: below 1e-5 over all slices.
        bounds = slice_bounds(honest, 1e-5)
        assert len(bounds) == 9  # three columns, one of them twice, three pairs, and two hubs
        assert all(bound <= claim for bound, claim in bounds)

    def test_noise_of_half_the_scale_is_caught(self):
        bound, claim = joint_bound(Worlds.make(halved), 1e-5)
        assert bound > claim

    def test_a_slice_without_noise_is_caught(self):
        bounds = slice_bounds(Worlds.make(dead_slice, runs=150), 1e-5)
        assert any(bound > claim for bound, claim in bounds)

    def test_the_ledger_of_a_release_has_all_its_slices(self):
        for release in releases(ROWS, 5):
            sigmas = [s.sigma for s in slices_of(release).values()]
            listed = [entry.sigma for entry in release.ledger for _ in range(entry.slices)]
            assert sorted(sigmas) == sorted(listed)
            assert mu_squared(release.ledger) == pytest.approx(sum(s**-2 for s in sigmas))
            assert epsilon_spent(release.ledger, DELTA) <= EPSILON
            assert delta_spent(release.ledger, EPSILON) <= DELTA


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


class TestResiduals:
    """The noise itself: its scale on every slice, and its independence."""

    def test_every_slice_has_the_noise_that_the_ledger_says(self, honest):
        # False alarms: below 1e-6 in each slice, 1e-5 in all.
        for name in common(honest.without):
            parts = [slices[name] for slices in honest.without]
            level = variance_level([s.residuals for s in parts], [s.sigma for s in parts])
            assert level > 1e-6

    def test_noises_are_independent(self, honest):
        # 5.5 standard errors; false alarms: below 1e-6 over all pairs of slices.
        assert max(correlations(honest.without)) < 5.5

    @pytest.mark.parametrize('draw', [halved, dead_slice])
    def test_a_wrong_scale_on_any_slice_is_caught(self, draw):
        world = Worlds.make(draw, runs=40).without
        levels = [
            variance_level([s[name].residuals for s in world], [s[name].sigma for s in world])
            for name in common(world)
        ]
        assert min(levels) < 1e-6

    def test_too_little_noise_on_three_columns_alone_is_caught(self, monkeypatch):
        # False alarms on the slices of one and two columns: below 1e-5.
        honest_tables = Curator.tables

        def tables(self, asked, entry):
            with pytest.MonkeyPatch.context() as patch:
                if len(asked[0]) == 3:
                    patch.setattr(curator, 'discrete_gaussian', halved)
                return honest_tables(self, asked, entry)

        monkeypatch.setattr(Curator, 'tables', tables)
        world = Worlds.make(runs=40).without
        caught = {
            name
            for name in common(world)
            if variance_level([s[name].residuals for s in world], [s[name].sigma for s in world])
            < 1e-6
        }
        assert caught == {(0, 1, 2, PAIR), (1, 0, 2, PAIR)}

    @pytest.mark.parametrize('make', [reused, repeated_in_a_release])
    def test_noise_that_is_used_twice_is_caught(self, make):
        assert max(correlations(Worlds.make(make(), runs=100).without)) > 5.5

    def test_seeds_of_other_streams_do_not_repeat_the_noise(self):
        import random

        import torch

        found = []
        for _ in range(2):
            random.seed(0)
            np.random.seed(0)  # noqa: NPY002
            torch.manual_seed(0)
            slices = slices_of(releases(ROWS, 1)[0])
            found.append(np.concatenate([s.residuals for s in slices.values()]))
        # Equal by chance with a probability far below 1e-6.
        assert found[0].shape != found[1].shape or not np.array_equal(*found)


SIGMA = admissible_sigma(3.0)
CELLS = Cells(np.arange(4), np.arange(4))
NUMBERED = CategoricalDomain('c', 'categorical', (0, 1, 2, 3), False)
COUNTS = [500, 300, 20, 0]
TABLE_OF_COUNTS = pd.DataFrame(
    {
        'c': pd.Series(np.repeat(np.arange(4), COUNTS), dtype=object),
        'n': np.repeat([1.0, 0.5, 0.25, 0.125], COUNTS),
    }
)


def answers(question: str, curator: Curator) -> tuple[np.ndarray, np.ndarray]:
    """A noisy answer and the exact one, as vectors."""
    if question == 'counts':
        return curator.counts('one-column', 'text', [(NUMBERED, CELLS)], SIGMA)[0], COUNTS
    if question == 'resolutions':
        unknown = NumericalDomain('n', 'numerical', None, None, None, False)
        answer = curator.resolutions([unknown], SIGMA)[0]
        return answer, [*COUNTS[:3], *[0] * (len(answer) - 3)]
    curator._sizes = [4, 1, 1]
    curator._codes = [TABLE_OF_COUNTS['c'].to_numpy(int), 0 * N_CODES, 0 * N_CODES]
    if question == 'pairs':
        entry = LedgerEntry('pairs', 'text', 1, SIGMA, 1)
        return curator.tables([(0, 1)], entry)[0].ravel(), COUNTS
    if question == 'triples':
        entry = LedgerEntry('pairs', 'text', 1, SIGMA, 1)
        return curator.tables([(1, 0, 2)], entry)[0].ravel(), COUNTS
    expected = [np.full((4, 1), 200)] * 5
    exact = sum(abs(count - 200) for count in COUNTS)
    return curator.distances([(0, 1)] * 5, expected, SIGMA), [exact] * 5


N_CODES = np.zeros(sum(COUNTS), dtype=np.int64)
QUESTIONS = ('counts', 'resolutions', 'distances', 'pairs', 'triples')


def noises(question: str, runs: int = 300) -> list[np.ndarray]:
    found = []
    for _ in range(runs):
        answer, exact = answers(question, Curator(TABLE_OF_COUNTS, Ledger()))
        found.append(np.asarray(answer) - np.asarray(exact))
    return found


def shown_rate(runs: int) -> int:
    """How often a category whose count is its threshold is shown."""
    threshold = noise.partition_threshold(SIGMA, 1e-3)
    rows = pd.DataFrame({'c': pd.Series(['rare'] * threshold, dtype=object)})
    return sum(
        bool(Curator(rows, Ledger()).categories(['c'], SIGMA, 1e-3)['c']) for _ in range(runs)
    )


def chance_of_not_negative(sigma: float) -> float:
    values = np.arange(-200, 201)
    weights = np.exp(-(values**2) / (2 * sigma**2))
    return float(weights[values >= 0].sum() / weights.sum())


class TestEveryQuestion:
    """The curator's answers one by one, those included that do not end up in the release."""

    @pytest.mark.parametrize('question', QUESTIONS)
    def test_has_its_noise(self, question):
        # False alarms: below 1e-6 each.
        found = noises(question)
        assert all(residuals.dtype == np.int64 for residuals in found)
        assert variance_level(found, [SIGMA] * len(found)) > 1e-6

    @pytest.mark.parametrize('question', QUESTIONS)
    def test_a_wrong_scale_is_caught(self, question, monkeypatch):
        monkeypatch.setattr(curator, 'discrete_gaussian', halved)
        found = noises(question, 60)
        assert variance_level(found, [SIGMA] * len(found)) < 1e-6

    def test_a_category_is_shown_as_often_as_the_noise_says(self):
        # False alarms: below 1e-6.
        chance = chance_of_not_negative(SIGMA)
        assert binomtest(shown_rate(2000), 2000, chance).pvalue > 1e-6

    @pytest.mark.parametrize('wrong', [0.0, 0.25], ids=['no noise', 'a quarter'])
    def test_a_category_with_too_little_noise_is_caught(self, wrong, monkeypatch):
        def draw(shape, sigma):
            scaled = noise.discrete_gaussian(shape, sigma) * wrong
            return np.rint(scaled).astype(np.int64)

        monkeypatch.setattr(curator, 'discrete_gaussian', draw)
        assert binomtest(shown_rate(2000), 2000, chance_of_not_negative(SIGMA)).pvalue < 1e-6


# What one row may not show at epsilon = 0.1: features of fitted synthesizers that are there or
# not. 28 runs are enough to catch any feature that is always there with the row and never without.
LEAK_EPSILON, LEAK_RUNS, LEAK_ALPHA = 0.1, 28, 1e-7
N_ROWS = 947
OUTLIER, SECRET = 987654321.25, 'CANARY_9f3'
COLUMNS = {'amount': {'sdtype': 'numerical'}, 'word': {'sdtype': 'categorical'}}


def small_table(*, with_outlier: bool) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    table = pd.DataFrame(
        {'amount': rng.integers(0, 90, N_ROWS), 'word': rng.choice(['p', 'q'], N_ROWS)}
    )
    if with_outlier:
        table.loc[len(table)] = [OUTLIER, SECRET]
    return table


def small_table_with_gap() -> pd.DataFrame:
    table = small_table(with_outlier=False)
    table.loc[len(table)] = [np.nan, None]
    return table


def says(number: int, texts: Iterable[str]) -> bool:
    """Whether a number stands in a text by itself."""
    alone = re.compile(rf'(?<![\d.]){number}(?!\.?\d)|(?<![\d.]){number}\.0(?!\d)')
    return any(alone.search(text) for text in texts)


def features(table: pd.DataFrame, *, attested: bool) -> dict[str, bool]:
    """Fit, sample, save and listen; what is there to see."""
    metadata = Metadata.load_from_dict({'tables': {TABLE: {'columns': COLUMNS}}})
    if attested:
        read = Metadata.detect_from_dataframes({TABLE: table}).to_dict()['tables'][TABLE]['columns']
        ranged = {
            name: {**column, **{k: v for k, v in read[name].items() if k.startswith('range')}}
            for name, column in COLUMNS.items()
        }
        metadata = Metadata.load_from_dict({'tables': {TABLE: {'columns': ranged}}})
    options = {**QUICK, 'epochs': 1, 'n_components': 2, 'random_state': None}
    synthesizer = SlicedDPSynthesizer(
        metadata, epsilon=LEAK_EPSILON, public_domain=attested, **options
    )
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.root.addHandler(handler)
    try:
        synthesizer.fit({TABLE: table})
    finally:
        logging.root.removeHandler(handler)
    rows = synthesizer.sample(60)[TABLE]
    saved = cloudpickle.dumps(synthesizer)
    domains = [column.domain for column in synthesizer.get_release().columns]
    seen, logged = reachable(synthesizer).values(), [log.getvalue()]
    return {
        'large numbers': bool(rows['amount'].max() > 1e6),
        'large range': bool(domains[0].upper / domains[0].step[1] > 1e6),
        'decimals': domains[0].step != (1, 1),
        'the number': any(text in saved for text in encodings(OUTLIER)),
        'the category': SECRET.encode() in saved or SECRET in set(rows['word']),
        'categories': len(domains[1].categories or ()) > 2,
        'missing numbers': bool(rows['amount'].isna().any()) or domains[0].has_missing,
        'missing words': bool(rows['word'].isna().any()) or domains[1].has_missing,
        'integers': rows['amount'].dtype == np.int64,
        'the number of rows': says(N_ROWS, seen),
        'another number of rows': says(N_ROWS + 1, seen),
        'a number of rows in the log': says(N_ROWS, logged) or says(N_ROWS + 1, logged),
        'a cell in the log': SECRET in log.getvalue() or str(OUTLIER) in log.getvalue(),
    }


def hits(table: pd.DataFrame, *, attested: bool = False) -> dict[str, int]:
    runs = [features(table, attested=attested) for _ in range(LEAK_RUNS)]
    return {name: sum(run[name] for run in runs) for name in runs[0]}


def leaked(first: dict[str, int], second: dict[str, int]) -> dict[str, float]:
    """Features that show more than epsilon, with a lower bound of what they show."""
    found = {}
    for name in first:
        for a, b in ((first[name], second[name]), (second[name], first[name])):
            chance = lower(a, LEAK_RUNS, LEAK_ALPHA) - DELTA
            other = upper(b, LEAK_RUNS, LEAK_ALPHA)
            if chance > 0 and math.log(chance / other) > LEAK_EPSILON:
                found[name] = math.log(chance / other)
    return found


@pytest.fixture(scope='module')
def plain_hits() -> dict[str, int]:
    return hits(small_table(with_outlier=False))


class TestStructure:
    """Ranges, categories, gaps, dtypes and the number of rows of fitted synthesizers."""

    def test_the_bound_can_be_exceeded_with_so_few_runs(self):
        assert leaked({'leak': LEAK_RUNS}, {'leak': 0})
        assert not leaked({'leak': LEAK_RUNS}, {'leak': LEAK_RUNS // 2})

    @pytest.mark.parametrize('kind', ['outlier', 'gap'])
    def test_one_row_shows_nowhere(self, kind, plain_hits):
        # False alarms: 26 features and directions at 2e-7 each, below 6e-6.
        table = small_table(with_outlier=True) if kind == 'outlier' else small_table_with_gap()
        assert leaked(hits(table), plain_hits) == {}

    def test_ranges_read_from_the_table_are_caught(self):
        """The twin: a user attests as public what was in fact read from the rows."""
        worlds = (
            hits(small_table(with_outlier=True), attested=True),
            hits(small_table(with_outlier=False), attested=True),
        )
        found = leaked(*worlds)
        assert {'large range', 'the number', 'the category', 'categories'} <= set(found)
