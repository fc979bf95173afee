"""Attacks on real releases: what they show must be less than the ledger claims.

The mechanism is run many times on tables that differ in one record. An audit can show that a
claim is false, never that it is true; so each one must also catch mechanisms that are wrong.
False-alarm rates, on a correct mechanism, of all tests here together: below 1e-4.
"""

from __future__ import annotations

import io
import logging
import math

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from checks import (
    every_slice_has_its_noise,
    noises_are_independent,
    says,
    seeds_do_not_repeat_the_noise,
    the_ledger_lists_all_slices,
)
from memory import remembered_accounting
from scipy.stats import binomtest
from sdv.metadata import Metadata
from slice_noise import (
    DELTA,
    EPSILON,
    PAIR,
    Worlds,
    common,
    dead_slice,
    halved,
    joint_bound,
    releases_as_slices,
    slice_bounds,
    variance_level,
)
from state import encodings, reachable
from worlds import QUICK, TABLE

from sdv_slicedp import curator, noise
from sdv_slicedp.accounting import (
    Ledger,
    LedgerEntry,
    budget_mu,
)
from sdv_slicedp.audit_statistics import lower, upper
from sdv_slicedp.curator import Curator
from sdv_slicedp.domain import CategoricalDomain, NumericalDomain
from sdv_slicedp.grid import Cells
from sdv_slicedp.noise import admissible_sigma
from sdv_slicedp.synthesizer import SlicedDPSynthesizer


@pytest.fixture(scope='module', autouse=True)
def _remember():
    with pytest.MonkeyPatch.context() as patch:
        remembered_accounting(patch)
        yield


@pytest.fixture(scope='module')
def honest() -> Worlds:
    return Worlds.make()


class TestGaussianAudit:
    """Guessing by the best statistic whether the record is in the table."""

    def test_all_slices_together_show_no_more_than_the_ledger_says(self, honest):
        # False alarms: below 1e-5.
        bound, claim = joint_bound(honest, 1e-5)
        assert 0.1 < bound <= claim <= budget_mu(EPSILON, DELTA)

    def test_no_slice_shows_more_than_its_scale_says(self, honest):
        # False alarms: below 1e-5 over all slices.
        bounds = slice_bounds(honest, 1e-5)
        # Three columns, one of them three times, three pairs, all of them twice, and two hubs.
        assert len(bounds) == 13
        assert all(bound <= claim for bound, claim in bounds)

    def test_noise_of_half_the_scale_is_caught(self):
        bound, claim = joint_bound(Worlds.make(halved), 1e-5)
        assert bound > claim

    def test_a_slice_without_noise_is_caught(self):
        bounds = slice_bounds(Worlds.make(dead_slice, runs=60), 1e-5)
        assert any(bound > claim for bound, claim in bounds)

    def test_the_ledger_of_a_release_has_all_its_slices(self):
        the_ledger_lists_all_slices()


class TestResiduals:
    """The noise itself: its scale on every slice, and its independence."""

    def test_every_slice_has_the_noise_that_the_ledger_says(self, honest):
        every_slice_has_its_noise(honest.without)

    def test_noises_are_independent(self, honest):
        noises_are_independent(honest.without)

    def test_a_wrong_scale_is_caught(self):
        # On one slice alone, and noise that is used twice: in test_mutants.py.
        with pytest.raises(AssertionError):
            every_slice_has_its_noise(releases_as_slices(40, halved))

    def test_too_little_noise_on_three_columns_alone_is_caught(self, monkeypatch):
        # False alarms on the slices of one and two columns: below 1e-5.
        honest_tables = Curator.tables

        def tables(self, asked, entry):
            with pytest.MonkeyPatch.context() as patch:
                if len(asked[0]) == 3:
                    patch.setattr(curator, 'discrete_gaussian', halved)
                return honest_tables(self, asked, entry)

        monkeypatch.setattr(Curator, 'tables', tables)
        world = releases_as_slices(40)
        caught = {
            name
            for name in common(world)
            if variance_level([s[name].residuals for s in world], [s[name].sigma for s in world])
            < 1e-6
        }
        assert caught == {(0, 1, 2, PAIR), (1, 0, 2, PAIR)}

    def test_seeds_of_other_streams_do_not_repeat_the_noise(self):
        seeds_do_not_repeat_the_noise()


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


LACKING, SHOWINGS = 3, 500
"""Rows that a category lacks to its threshold, a standard deviation; and how often it is asked."""


def level_of_showings() -> float:
    """Level at which the rate of showing the category is not that of the noise."""
    count = noise.partition_threshold(SIGMA, 1e-3) - LACKING
    rows = pd.DataFrame({'c': pd.Series(['rare'] * count, dtype=object)})
    shown = sum(
        bool(Curator(rows, Ledger()).categories(['c'], SIGMA, 1e-3)['c']) for _ in range(SHOWINGS)
    )
    values = np.arange(-200, 201)
    weights = np.exp(-(values**2) / (2 * SIGMA**2))
    chance = float(weights[values >= LACKING].sum() / weights.sum())
    return binomtest(shown, SHOWINGS, chance).pvalue


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
        assert level_of_showings() > 1e-6

    def test_a_category_with_too_little_noise_is_caught(self, monkeypatch):
        monkeypatch.setattr(curator, 'discrete_gaussian', halved)
        assert level_of_showings() < 1e-6


# What one row may not show at epsilon = 0.1: features of fitted synthesizers that are there or
# not. 23 runs are enough to catch any feature that is always there with the row and never without.
LEAK_EPSILON, LEAK_RUNS, LEAK_ALPHA = 0.1, 23, 4e-7
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
        # False alarms: 26 features and directions at 8e-7 each, below 3e-5.
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
