"""What the docstrings of the private side state, and that it is true on neighbouring tables.

Every answer is compared without its noise. ``test_sensitivity.py`` asks the questions of whole
fits; here each method is held to its own statement, under both relations.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from checks import no_noise
from hypothesis import given, settings
from hypothesis import strategies as st

from sdv_slicedp import curator, embedding, mechanism
from sdv_slicedp.accounting import Ledger, LedgerEntry, epsilon_spent
from sdv_slicedp.curator import Curator
from sdv_slicedp.discovery import by_type, resolution_cells
from sdv_slicedp.domain import CategoricalDomain, NumericalDomain, positions_of
from sdv_slicedp.errors import PrivacyError
from sdv_slicedp.grid import Cells
from sdv_slicedp.ledger import ProjectionEntry
from sdv_slicedp.projection_privacy import PITCH_UNIT, calibrate_projection
from sdv_slicedp.release import ColumnRelease
from sdv_slicedp.spending import ADD_OR_REMOVE_ONE, REPLACE_ONE

WORD = CategoricalDomain('word', 'categorical', ('a', 'b', 'c'), True)
NUMBER = NumericalDomain('number', 'numerical', 0, 50, (1, 2), True)
UNKNOWN = NumericalDomain('number', 'numerical', None, None, None, True)
CODES = np.arange(4)
HALVES = Cells(np.array([0, 25]), np.array([24, 50]))
COLUMNS = [
    ColumnRelease(WORD, (), CODES, CODES, CODES, 4),
    ColumnRelease(NUMBER, (), HALVES.lower, HALVES.upper, np.arange(2), 2),
]
rows = st.tuples(
    st.sampled_from(['a', 'b', 'c', 'd', None, 2.5]),  # of equal values one is shown: 1, True
    st.sampled_from([0.0, 0.5, 0.25, 12.5, 25.0, 99.0, -1e300, np.nan, np.inf]),
)
Answers = list[dict[object, int]]
"""Counts that an answer has, one dictionary for each slice."""


def table_of(drawn: list[tuple[object, float]]) -> pd.DataFrame:
    words, numbers = zip(*drawn, strict=True) if drawn else ((), ())
    columns = {
        'word': pd.Series(list(words), dtype=object),
        'number': np.array(numbers, dtype=float),
    }
    return pd.DataFrame(columns)


def vectors(found: list[np.ndarray]) -> Answers:
    return [dict(enumerate(np.ravel(vector).tolist())) for vector in found]


def encoded(asked: Curator) -> Curator:
    asked.encode(COLUMNS)
    return asked


def categories(asked: Curator) -> Answers:
    """Counts of the values, from the thresholds that each of them reaches."""
    counts: dict[object, int] = {}
    for threshold in range(1, len(asked._table) + 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(curator, 'partition_threshold', lambda *_, least=threshold: least)
            for value in asked.categories(['word'], 1.0, 1e-6)['word']:
                counts[type(value), value] = threshold
    return [counts]


ENTRY = LedgerEntry('pairs', 'text', 1, 1.0, 1)
ASK: dict[str, Callable[[Curator], Answers]] = {
    'row_count': lambda asked: [{0: asked.row_count(1.0)}],
    'counts': lambda asked: vectors(
        asked.counts('one-column', '', [(WORD, Cells(CODES, CODES)), (NUMBER, HALVES)], 1.0)
    ),
    'resolutions': lambda asked: vectors(asked.resolutions([UNKNOWN], 1.0)),
    'categories': categories,
    'distances': lambda asked: vectors(
        [encoded(asked).distances([(0, 1)] * 2, [np.full((4, 2), n) for n in (0, 2)], 1.0)]
    ),
    'tables': lambda asked: vectors(encoded(asked).tables([(0, 1), (1, 0)], ENTRY)),
}
MAPS = (positions_of, resolution_cells, by_type, embedding.project)
"""What the curator does to rows before it counts them."""
NOT_ASKED_LIKE_THAT = {'encode', 'project'}


def changes(question: str, first: pd.DataFrame, second: pd.DataFrame) -> list[list[int]]:
    """What differs between the exact answers for two tables, slice by slice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curator, 'discrete_gaussian', no_noise)
        found = [ASK[question](Curator(table, Ledger())) for table in (first, second)]
    slices = zip(*found, strict=True)
    moves = [[b.get(cell, 0) - a.get(cell, 0) for cell in {**a, **b}] for a, b in slices]
    return [[move for move in moved if move] for moved in moves]


def is_kept(question: str, relation: str, moved: list[int]) -> bool:
    """Whether one slice has changed by no more than is stated."""
    if question == 'distances':  # one slice for each entry of the answer
        return all(abs(move) <= 1 for move in moved)
    if relation == ADD_OR_REMOVE_ONE:
        return moved in ([], [1])
    return sorted(moved) in ([], [1], [-1], [-1, 1])


def test_every_public_method_of_the_curator_is_held_to_its_statement():
    public = {name for name in vars(Curator) if not name.startswith('_')}
    assert public == {*ASK, *NOT_ASKED_LIKE_THAT}
    for name in public:
        stated = inspect.getdoc(getattr(Curator, name)) or ''
        assert 'Formal guarantees:' in stated and 'Public:' in stated, name
        if name != 'encode':
            assert 'Relation:' in stated and 'Sensitivity:' in stated, name
    for function in MAPS:
        assert 'One row at a time' in (inspect.getdoc(function) or ''), function.__name__
    for function in (mechanism.measure, mechanism.measure_projection):
        stated = inspect.getdoc(function) or ''
        assert 'differential privacy under' in stated and 'Public:' in stated


@settings(max_examples=20)
@given(st.lists(rows, max_size=5), st.lists(rows, max_size=5))
def test_maps_see_one_row_at_a_time(first, second):
    """What they make of two tables together is what they make of each, one behind the other."""
    tables = [table_of(drawn) for drawn in (first, second, [*first, *second])]
    laid_out = embedding.blocks([WORD, NUMBER])
    directions = np.arange(2 * embedding.dimension(laid_out)).reshape(-1, 2) + 1

    def mapped(table: pd.DataFrame) -> list[np.ndarray]:
        positions = [positions_of(table[domain.name], domain) for domain in (WORD, NUMBER)]
        cells, _ = resolution_cells(table['number'].to_numpy(), 'numerical')
        return [*positions, cells, embedding.project(laid_out, positions, directions)]

    for one, other, both in zip(*map(mapped, tables), strict=True):
        assert np.array_equal(np.concatenate([one, other]), both)
    for one, other, both in zip(*(by_type(table['word']) for table in tables), strict=True):
        assert [*one, *other] == [*both]


@pytest.mark.parametrize('question', ASK)
@settings(max_examples=20)
@given(st.lists(rows, max_size=5), rows)
def test_a_record_more(question, base, row):
    moved = changes(question, table_of(base), table_of([*base, row]))
    assert all(is_kept(question, ADD_OR_REMOVE_ONE, each) for each in moved)


@pytest.mark.parametrize('question', [q for q in ASK if q != 'distances'])
@settings(max_examples=20)
@given(st.lists(rows, max_size=5), rows, rows)
def test_a_replaced_record(question, base, row, other):
    moved = changes(question, table_of([*base, row]), table_of([*base, other]))
    assert all(is_kept(question, REPLACE_ONE, each) for each in moved)
    if question == 'row_count':
        assert moved == [[]]


def test_the_statements_are_attained():
    """So the tests above look at something."""
    one, other = table_of([('a', 0.0)]), table_of([('b', 25.5)])
    for question in ASK:
        assert any(changes(question, table_of([]), one)), question
        if question not in ('row_count', 'distances'):
            assert any(len(each) == 2 for each in changes(question, one, other)), question


def test_a_row_counted_twice_breaks_them(monkeypatch):
    real = np.bincount
    monkeypatch.setattr(np, 'bincount', lambda *a, **options: 2 * real(*a, **options))
    one = table_of([('a', 0.0)])
    for question in ('counts', 'resolutions', 'distances', 'tables'):
        moved = changes(question, table_of([]), one)
        assert not all(is_kept(question, ADD_OR_REMOVE_ONE, each) for each in moved), question


class TestCharges:
    """What a ledger charges for the number of rows and refuses for distances."""

    def test_the_number_of_rows_costs_as_much_as_any_slice(self):
        for relation in (ADD_OR_REMOVE_ONE, REPLACE_ONE):
            costs = [
                epsilon_spent([LedgerEntry(stage, '', 1, 9.0, 1)], 1e-6, relation)
                for stage in ('rows', 'one-column')
            ]
            assert costs[0] == costs[1] > 0

    def test_distances_have_no_cost_under_replacement(self):
        with pytest.raises(PrivacyError, match='may change by 2'):
            epsilon_spent([LedgerEntry('selection', '', 1, 9.0, 1)], 1e-6, REPLACE_ONE)


@settings(max_examples=20)
@given(st.lists(rows, max_size=3), rows, rows, st.sampled_from([1, 3, 5, 7]))
def test_a_replaced_record_of_a_projection(base, row, other, slices):
    """One line moves, and by no more than the directions see of the sensitivity."""
    laid_out = embedding.blocks([WORD, NUMBER])
    d, change = embedding.dimension(laid_out), embedding.sensitivity(laid_out)
    entry = calibrated(d, slices, change)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curator, 'discrete_gaussian', no_noise)
        patch.setattr(curator, 'random_order', np.arange)
        first = Curator(table_of([*base, row]), Ledger()).project(laid_out, entry)
        patch.setattr(curator, 'draw_directions', lambda *_: first.directions)
        second = Curator(table_of([*base, other]), Ledger()).project(laid_out, entry)
    moved = (second.values.astype(np.int64) - first.values) * first.pitch
    assert not moved[:-1].any()
    seen = np.linalg.norm(first.directions * 2.0**-22, 2)  # the largest sqrt(B) of any move
    assert np.linalg.norm(moved[-1]) <= entry.sensitivity * seen + entry.rounding
    assert np.array_equal(first.values * first.pitch % PITCH_UNIT, 0.0 * first.values)


CALIBRATED: dict[tuple[int, int], ProjectionEntry] = {}


def calibrated(d: int, slices: int, change: float) -> ProjectionEntry:
    if (d, slices) not in CALIBRATED:
        CALIBRATED[d, slices] = calibrate_projection('sphere', d, slices, change, 2.0, 1e-6)
    return CALIBRATED[d, slices]
