"""One row more changes every measured vector by at most 1 in at most one entry.

The noise is replaced by a recorder in the mechanism's namespace: it adds nothing and keeps the
exact vector that noise would have been added to. Whatever is released passes there
(``test_boundary.py``), so no statistic can be overlooked. The queries that a real run asks on one
table are asked again on its neighbour, since the guarantee is about fixed queries.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
from effort import examples
from hypothesis import given
from hypothesis import strategies as st
from memory import remembered_accounting

from sdv_slicedp import curator as curator_module
from sdv_slicedp import datetimes, dtypes, mechanism
from sdv_slicedp.accounting import Ledger, LedgerEntry
from sdv_slicedp.curator import Curator
from sdv_slicedp.domain import CategoricalDomain, ColumnDomain, NumericalDomain, category_codes
from sdv_slicedp.grid import Cells
from sdv_slicedp.mechanism import measure
from sdv_slicedp.release import ColumnRelease
from sdv_slicedp.slices import HistogramPlan

# Pandas and numpy warn of odd cells; the synthesizer keeps that from everyone (hooks.unwarned).
pytestmark = pytest.mark.filterwarnings('ignore')

COPIES = 40
"""Of every row but one, so that counts stand out and grids become fine."""
DAY = 86_400 * 10**9
NUMBERS = ['bounded', 'free', 'stepless', 'day', 'instant']
WORDS = ['listed', 'found', 'flag']
DOMAINS: list[ColumnDomain] = [
    NumericalDomain('bounded', 'numerical', -50, 5000, (1, 10), False),
    NumericalDomain('free', 'numerical', None, None, None, True),
    NumericalDomain('stepless', 'numerical', None, None, None, True, (-1e6, 1e9)),
    NumericalDomain('day', 'datetime', -40_000, 40_000, (DAY, 1), True),
    NumericalDomain('instant', 'datetime', None, None, None, True),
    CategoricalDomain('listed', 'categorical', ('a', 'b', 1, 2.5, False), True, has_other=True),
    CategoricalDomain('found', 'categorical', None, True),
    CategoricalDomain('flag', 'boolean', (False, True), False),
]

numbers = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 0.1, 99999.0, math.nan, math.inf, -math.inf, 1e300, -1e-300]),
    st.integers(-(2**70), 2**70).map(float),
    st.floats(width=64),
    st.integers(-50_000, 50_000).map(lambda days: float(days * DAY)),
)
cells = st.one_of(
    st.sampled_from(['a', 'b', '', 'z', True, False, 1, 0, 2.5, None, math.nan, pd.NA, pd.NaT]),
    st.text(max_size=3),
    st.integers(-(2**53), 2**53),  # longer ones are floats or text in the processed space
    st.floats(),
    st.sampled_from([(), b'a', 1j, pd.Timestamp(0), np.float32(0.1), np.int64(3), np.bool_(True)]),
)
rows = st.tuples(*[numbers] * len(NUMBERS), *[cells] * len(WORDS))


@dataclass
class Recording:
    """What a curator was asked and what it would have answered without noise."""

    calls: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    vectors: list[list[np.ndarray]] = field(default_factory=list)


class NoNoise(np.ndarray):
    """Zeros that keep what they are added to."""

    def __radd__(self, exact: np.ndarray) -> np.ndarray:
        SEEN.append(np.array(exact))
        return np.array(exact)

    __add__ = __radd__


SEEN: list[np.ndarray] = []


def no_noise(shape: int | tuple[int, ...], sigma: float) -> np.ndarray:
    return np.zeros(shape, dtype=np.int64).view(NoNoise)


class RecordingCurator(Curator):
    """Notes each question and the exact vectors behind its answer."""

    def __init__(self, table: pd.DataFrame, ledger: Ledger) -> None:
        super().__init__(table, ledger)
        self.recording = Recording()
        RUNS.append(self)


RUNS: list[RecordingCurator] = []
QUESTIONS = ('row_count', 'counts', 'resolutions', 'categories', 'encode', 'distances', 'tables')


def _recorded(name: str) -> Callable[..., Any]:
    def ask(self: RecordingCurator, *arguments: Any) -> Any:
        first, before = len(SEEN), len(self._ledger.entries)
        answer = getattr(Curator, name)(self, *arguments)
        seen = SEEN[first:]
        if name == 'categories':
            seen = joined(seen, len(arguments[0]))
        self.recording.calls.append((name, arguments))
        self.recording.vectors.append(seen)
        new = self._ledger.entries[before:]
        assert len(new) == (name != 'encode')
        assert sum(entry.slices for entry in new) == n_slices(name, seen)
        return answer

    return ask


for _name in QUESTIONS:
    setattr(RecordingCurator, _name, _recorded(_name))


def joined(vectors: list[np.ndarray], n_columns: int) -> list[np.ndarray]:
    """One vector for each column, of the parts for the types that its values have."""
    parts = len(vectors) // n_columns
    assert len(vectors) == parts * n_columns
    return [np.concatenate(vectors[i : i + parts]) for i in range(0, len(vectors), parts)]


def n_slices(name: str, vectors: list[np.ndarray]) -> int:
    """Vectors of sensitivity 1; each of the distances is one by itself."""
    return sum(len(v) for v in vectors) if name == 'distances' else len(vectors)


@pytest.fixture(scope='module', autouse=True)
def _without_noise() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curator_module, 'discrete_gaussian', no_noise)
        patch.setattr(mechanism, 'Curator', RecordingCurator)
        remembered_accounting(patch)
        yield


def table_of(values: list[tuple[Any, ...]]) -> pd.DataFrame:
    """A processed table, as wide as ``DOMAINS``."""
    columns = list(zip(*values, strict=True)) if values else [()] * len(DOMAINS)
    table = {}
    for domain, cells in zip(DOMAINS, columns, strict=True):
        column = np.empty(len(cells), dtype=object)
        column[:] = cells
        number = isinstance(domain, NumericalDomain)
        table[domain.name] = (
            column.astype(np.float64) if number else pd.Series(column, dtype=object)
        )
    return pd.DataFrame(table)


def replay(calls: list[tuple[str, tuple[Any, ...]]], table: pd.DataFrame) -> Recording:
    """The same questions to another table."""
    curator = RecordingCurator(table, Ledger())
    for name, arguments in calls:
        getattr(curator, name)(*arguments)
    return curator.recording


def change(name: str, first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    """Whether the vectors of one question are those of neighbouring tables."""
    return len(first) == len(second) and all(
        _neighbouring(name, a, b) for a, b in zip(first, second, strict=True)
    )


def _neighbouring(name: str, first: np.ndarray, second: np.ndarray) -> bool:
    if first.dtype != np.int64 or second.dtype != np.int64:
        return False
    if name == 'categories':
        # Counts of the values that occur; which values these are is checked by name below.
        size = max(len(first), len(second))
        first, second = (np.sort(np.r_[v, [0] * (size - len(v))])[::-1] for v in (first, second))
    if first.shape != second.shape:
        return False
    changes = np.abs(first - second)
    return bool((changes.max(initial=0) if name == 'distances' else changes.sum()) <= 1)


@examples(15)
@given(st.lists(rows, max_size=4), rows, st.integers(0, 200), st.sampled_from([0.0, 1e9]))
def test_one_row_changes_one_entry_of_every_vector_by_one(base, row, place, selection_from):
    values = [copy for value in base for copy in [value] * COPIES]
    more = [*values[:place], row, *values[place:]]
    tables = [table_of(values), table_of(more)]
    plan = HistogramPlan(selection_from=selection_from)
    for asked, other in (tables, tables[::-1]):
        RUNS.clear()
        SEEN.clear()
        ledger = Ledger()
        measure(asked, DOMAINS, epsilon=8.0, delta=1e-6, ledger=ledger, plan=plan)
        (run,) = RUNS
        asked_names = [name for name, _ in run.recording.calls]
        assert set(asked_names) >= set(QUESTIONS) - {'distances'}
        assert ('distances' in asked_names) == (selection_from == 0.0)
        again = replay(run.recording.calls, other)
        for name, first, second in zip(
            asked_names, run.recording.vectors, again.vectors, strict=True
        ):
            assert change(name, first, second), name
        assert sum(map(n_slices, asked_names, run.recording.vectors)) == sum(
            entry.slices for entry in ledger.entries
        )


def test_slices_of_three_columns_are_among_the_questions():
    """With rows enough for hubs to have cells."""
    kinds = [
        (5.0, 1.5, 2.0, float(DAY), 1e9, 'a', 'b', True),
        (99.0, 0.5, 7.0, float(2 * DAY), 5e9, 'b', 'a', False),
        (250.0, 0.5, 7.0, math.nan, 5e9, 1, 'a', False),
    ]
    tables = [table_of(kinds * COPIES), table_of([*(kinds * COPIES), kinds[2]])]
    for asked, other in (tables, tables[::-1]):
        RUNS.clear()
        measure(asked, DOMAINS, epsilon=40.0, delta=1e-6, ledger=Ledger())
        (run,) = RUNS
        again = replay(run.recording.calls, other)
        widths = set()
        for (name, arguments), first, second in zip(
            run.recording.calls, run.recording.vectors, again.vectors, strict=True
        ):
            assert change(name, first, second), name
            widths |= {len(columns) for columns in arguments[0]} if name == 'tables' else set()
        assert widths == {2, 3}


LISTED = CategoricalDomain('listed', 'categorical', ('a', 'b', 1), True, has_other=True)
CROSSED = [DOMAINS[0], LISTED, DOMAINS[7]]


def crossed_column(domain: ColumnDomain) -> ColumnRelease:
    """All cells of a column of words, and of numbers three cells that do not cover the range."""
    if isinstance(domain, CategoricalDomain):
        lower = upper = np.arange(domain.n_cells)
    else:
        lower, upper = np.array([-50, 0, 100]), np.array([-1, 99, 4000])
    return ColumnRelease(domain, (), lower, upper, np.arange(len(lower)), len(lower))


triples_of_cells = st.tuples(
    st.sampled_from([-3.0, 0.5, 10.0, 399.9, 450.0, math.nan, 1e300]),
    st.sampled_from(['a', 'b', 1, 'else', None]),
    st.sampled_from([True, False, None, 'odd']),
)


@pytest.mark.parametrize('columns', [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@examples(40)
@given(st.lists(triples_of_cells, max_size=8), triples_of_cells, st.integers(0, 8))
def test_one_row_changes_one_count_of_three_columns_by_one(columns, values, row, place):
    found, names = [], [domain.name for domain in CROSSED]
    for rows_ in (values, [*values[:place], row, *values[place:]]):
        cells = list(zip(*rows_, strict=True)) if rows_ else [()] * 3
        table = pd.DataFrame({n: column(list(c)) for n, c in zip(names, cells, strict=True)})
        curator = RecordingCurator(table.astype({'bounded': np.float64}), Ledger())
        curator.encode([crossed_column(domain) for domain in CROSSED])
        entry = LedgerEntry('pairs', 'text', 1, 1.0, 1)
        found.append(curator.tables([columns], entry)[0])
    before, after = found
    assert before.shape == after.shape
    assert before.ndim == 3
    moved = after - before
    assert set(np.unique(moved)) <= {0, 1}
    counted = row[0] == row[0] and -50 <= row[0] * 10 <= 4000 and row[2] in (True, False)
    assert moved.sum() == counted


def category_counts(table: pd.DataFrame) -> dict[Any, int]:
    """Counts behind partition selection, by value: the thresholds at which a value is shown."""
    found: dict[Any, int] = {}
    with pytest.MonkeyPatch.context() as patch:
        for threshold in range(1, len(table) + 1):
            patch.setattr(curator_module, 'partition_threshold', lambda *_, t=threshold: t)
            answer = Curator(table, Ledger()).categories(['found'], 1.0, 1e-7)
            found.update(((type(c), c), threshold) for c in answer['found'])
    return found


@examples(30)
@given(st.lists(cells, max_size=6), cells, st.integers(0, 6))
def test_one_row_changes_the_count_of_one_category_by_one(values, cell, place):
    more = [*values[:place], cell, *values[place:]]
    before, after = (
        category_counts(pd.DataFrame({'found': column(cells)})) for cells in (values, more)
    )
    changed = [c for c in before | after if before.get(c, 0) != after.get(c, 0)]
    assert len(changed) <= 1
    assert all(after[c] == before.get(c, 0) + 1 for c in changed)


def column(values: list[Any]) -> pd.Series:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return pd.Series(array, dtype=object)


odd_cells = st.one_of(
    cells,
    st.integers(-(10**400), 10**400),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(datetime.timezone.utc)),
    st.sampled_from(['2020-01-02', '2020-01-02 03:04', '02/01/2020', '9999-01-01', '20200102']),
    st.sampled_from([[], {}, np.array([1, 2]), pd.Timedelta(1), datetime.time(1)]),
)


def written(fmt: str | None) -> Callable[[pd.Series], np.ndarray]:
    description = {'datetime_format': fmt} if fmt else {}
    return lambda values: datetimes.to_nanoseconds(values, datetimes.layout(description))


MAPS: dict[str, Callable[[pd.Series], np.ndarray]] = {
    'numbers': dtypes.plain_numbers,
    'categories': dtypes.plain_categories,
    'dates': written('%Y-%m-%d'),
    'compact dates': written('%Y%m%d'),
    'dates without a format': written(None),
    'codes': lambda v: category_codes(v, DOMAINS[5]),
    'flags': lambda v: category_codes(v, DOMAINS[7]),
}


@pytest.mark.parametrize('name', MAPS)
@examples(60)
@given(values=st.lists(odd_cells, min_size=1, max_size=5), cell=odd_cells, place=st.integers(0, 5))
def test_maps_before_counting_see_one_row_at_a_time(name, values, cell, place):
    """Otherwise one row would change the cells of others; their dtype, object, is public."""
    place = min(place, len(values))
    more = [*values[:place], cell, *values[place:]]
    if name in ('codes', 'flags'):
        values, more = (list(dtypes.plain_categories(column(v))) for v in (values, more))
    before, after = (list(MAPS[name](column(v))) for v in (values, more))
    del after[place]
    assert [repr(v) for v in before] == [repr(v) for v in after]


@pytest.mark.parametrize('name', ['numbers', 'categories'])
@given(st.lists(st.integers(-(2**53), 2**53), min_size=1, max_size=5))
def test_a_gap_in_integers_changes_no_other_cell(name, values):
    """One missing value turns integers into floats; that dtype is not taken as public."""
    before, after = (list(MAPS[name](pd.Series(v))) for v in (values, [*values, None]))
    assert [repr(v) for v in before] == [repr(v) for v in after[:-1]]


@pytest.mark.parametrize('value', [2**53 + 1, 2**60])
def test_a_gap_in_long_integers_changes_no_other_cell(value):
    before, after = (list(dtypes.plain_categories(pd.Series(v))) for v in ([value], [value, None]))
    assert repr(before[0]) == repr(after[0])


class ReadingTable:
    """A table that notes how many ledger entries there were when a column was read."""

    def __init__(self, table: pd.DataFrame, ledger: Ledger) -> None:
        self._table, self._ledger = table, ledger
        self.read_at: list[int] = []

    def __getitem__(self, name: str) -> pd.Series:
        self.read_at.append(len(self._ledger.entries))
        return self._table[name]

    def __len__(self) -> int:
        self.read_at.append(len(self._ledger.entries))
        return len(self._table)


@pytest.mark.parametrize('declared', [True, False])
def test_no_row_is_read_before_the_ledger_says_so(declared):
    complete = [domain for domain in DOMAINS if domain.is_complete]
    ledger = Ledger()
    table = ReadingTable(table_of([(1.0,) * 5 + ('a', 'b', True)] * 100), ledger)
    measure(table, complete if declared else DOMAINS, epsilon=8.0, delta=1e-6, ledger=ledger)
    assert min(table.read_at) == 1
    assert max(table.read_at) < len(ledger.entries)  # the pairs are counted from the codes


CODES = np.arange(3)
WHERE = Cells(CODES, CODES)
KNOWN = CategoricalDomain('flag', 'categorical', ('a', 'b'), True)


class TwoCells(Cells):
    """A wrong twin: every row is counted in another cell when there is one row more."""

    def locate(self, positions: np.ndarray) -> np.ndarray:
        return (positions + len(positions)) % len(self)


def asked(counting: Cells, table: pd.DataFrame) -> list[np.ndarray]:
    curator = RecordingCurator(table, Ledger())
    curator.counts('one-column', 'text', [(KNOWN, counting)], 1.0)
    return curator.recording.vectors[0]


class TestTheTestsThemselves:
    """Twins with a larger sensitivity must be caught."""

    tables = (pd.DataFrame({'flag': ['a'] * 5}), pd.DataFrame({'flag': ['a'] * 5 + ['b']}))

    def test_cells_that_depend_on_other_rows_are_caught(self):
        assert change('counts', *(asked(WHERE, table) for table in self.tables))
        twin = TwoCells(CODES, CODES)
        assert not change('counts', *(asked(twin, table) for table in self.tables))

    def test_vectors_that_change_too_much_are_caught(self):
        one = np.array([3, 0, 1])
        assert change('tables', [one], [np.array([3, 1, 1])])
        for twin in ([3, 2, 1], [4, 1, 1], [4, -1, 1], [3.0, 0.0, 1.0], [3, 0]):
            assert not change('tables', [one], [np.array(twin)])
        assert not change('counts', [one], [one, one])
        assert change('distances', [one], [np.array([4, -1, 2])])
        assert not change('distances', [one], [np.array([3, 2, 1])])

    def test_a_slice_that_is_not_in_the_ledger_is_caught(self):
        class Forgetful(Ledger):
            def record(self, entry: LedgerEntry) -> None:
                fewer = LedgerEntry(entry.stage, entry.description, 1, entry.sigma, 1)
                super().record(fewer)

        curator = RecordingCurator(self.tables[0], Forgetful())
        with pytest.raises(AssertionError):
            curator.counts('one-column', 'text', [(KNOWN, WHERE)] * 2, 1.0)

    def test_a_column_map_that_looks_at_all_rows_is_caught(self):
        by_rank = {'rank': lambda v: v.rank().to_numpy()}
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(MAPS, 'rank', by_rank['rank'])
            check = test_maps_before_counting_see_one_row_at_a_time.hypothesis.inner_test
            with pytest.raises(AssertionError):
                check('rank', [2.0], 1.0, 0)
            check('rank', [2.0], 3.0, 1)


def test_the_recorder_is_the_noise_of_every_answer():
    """Each answer is what the recorder saw: no statistic goes around it."""
    codes = np.arange(2)
    columns = [
        ColumnRelease(
            CategoricalDomain(name, 'categorical', ('a', 'b'), False), (), codes, codes, codes, 2
        )
        for name in 'xy'
    ]
    curator = RecordingCurator(pd.DataFrame({'x': ['a', 'b', 'b'], 'y': ['a', 'a', 'b']}), Ledger())
    curator.encode(columns)
    (table,) = curator.tables([(0, 1)], LedgerEntry('pairs', 'text', 1, 1.0, 1))
    assert table.tolist() == SEEN[-1].tolist() == [[1, 0], [1, 1]]
    assert curator.distances([(0, 1)], [np.ones((2, 2), dtype=np.int64)], 1.0).tolist() == [1]
