import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_generator import encoded, known_mixture

from sdv_slicedp import balancing
from sdv_slicedp.balancing import balanced, expected_counts
from sdv_slicedp.drawing import draw_rows

pytestmark = pytest.mark.filterwarnings('error')


def sizes_of(tables) -> list[int]:
    return [table.shape[1] for table in tables]


def counts_of(bins, column: int, sizes) -> np.ndarray:
    """Counts of a column's cells with those of all columns."""
    pairs = []
    for cells, size in zip(bins, sizes, strict=True):
        counts = np.zeros((sizes[column], size))
        np.add.at(counts, (bins[column], cells), 1)
        pairs.append(counts)
    return np.concatenate(pairs, axis=1)


def loss(bins, column: int, expected, sizes) -> float:
    """Equation (46), from its definition."""
    start = sum(sizes[:column])
    others = np.delete(np.arange(sum(sizes)), slice(start, start + sizes[column]))
    error = counts_of(bins, column, sizes) - expected
    return float(np.sum((error**2 / np.sqrt(1 + expected))[:, others]))


def with_column(bins, column: int, cells) -> list[np.ndarray]:
    return [cells if i == column else own for i, own in enumerate(bins)]


@pytest.mark.parametrize('column', [0, 1, 2])
def test_expected_counts_are_those_of_the_mixture(column):
    """Of components that have different numbers of rows."""
    tables = known_mixture().components
    component = np.repeat(np.arange(len(tables[0])), np.arange(len(tables[0])) + 1)
    wanted = sum(
        np.outer(tables[column][z], np.concatenate([table[z] for table in tables]))
        for z in component
    )

    found = expected_counts(tables, column, component)

    np.testing.assert_allclose(found, wanted, rtol=1e-4)


@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.integers(1, 6), st.integers(0, 2))
def test_each_group_keeps_its_cells(seed, num_rows, n_groups, column):
    rng = np.random.default_rng(seed)
    sizes = [2, 3, 4]
    bins = [rng.integers(0, size, num_rows).astype(np.int32) for size in sizes]
    groups = rng.integers(0, n_groups, num_rows)
    before = [cells.copy() for cells in bins]

    made = balanced(bins, column, groups, rng.random((sizes[column], 9)), sizes, rng)

    assert made.dtype == np.int32
    assert all(np.array_equal(a, b) for a, b in zip(bins, before, strict=True))
    for group in range(n_groups):
        rows = groups == group
        np.testing.assert_array_equal(np.sort(made[rows]), np.sort(bins[column][rows]))


@pytest.mark.parametrize('column', [0, 1, 2])
def test_swaps_take_error_away(column):
    """Half of what chance leaves in (46), at least: than the best of 20 shuffles within groups."""
    tables = known_mixture().components
    sizes, rng = sizes_of(tables), np.random.default_rng(0)
    component, bins = draw_rows(tables, 5_000, rng)
    expected = expected_counts(tables, column, component)
    shuffles = [bins[column][np.argsort(component + rng.random(5_000))] for _ in range(20)]

    made = balanced(bins, column, component, expected, sizes, rng)

    left, *chance = (
        loss(with_column(bins, column, cells), column, expected, sizes)
        for cells in [made, *shuffles]
    )
    assert left < 0.5 * min(chance)


def test_two_rows_swap_where_it_helps_and_else_do_not():
    """Two rows of one group with the cells (0, 0) and (1, 1)."""
    bins = [np.array([0, 1]), np.array([0, 1])]
    crossed = np.array([[0, 0, 0.0, 1.0], [0, 0, 1.0, 0.0]])
    groups = np.zeros(2, dtype=int)

    def made(expected, groups) -> list[int]:
        return balanced(bins, 0, groups, expected, [2, 2], np.random.default_rng(0)).tolist()

    assert made(crossed, groups) == [1, 0]
    assert made(1 - crossed, groups) == [0, 1]
    assert made(crossed, np.array([0, 1])) == [0, 1]


def test_a_column_alone_has_no_pairs():
    cells = np.array([0, 1, 1], dtype=np.int32)

    groups, expected = np.zeros(3, dtype=int), np.ones((2, 2))

    made = balanced([cells], 0, groups, expected, [2], np.random.default_rng(0))

    np.testing.assert_array_equal(made, cells)


def test_samples_are_swapped_up_to_a_size(monkeypatch):
    """Of rows times squared columns; the mean of ten samples each."""
    model = known_mixture()
    tables, sizes = model.components, sizes_of(model.components)
    expected = expected_counts(tables, 0, np.arange(12 * 100) % 12)

    def error() -> float:
        drawn = [encoded(model.sample(1_200)) for _ in range(10)]
        return float(np.mean([loss(bins, 0, expected, sizes) for bins in drawn]))

    monkeypatch.setattr(balancing, 'MOST_BALANCED', 1_200 * 9)
    few = error()
    monkeypatch.setattr(balancing, 'MOST_BALANCED', 1_200 * 9 - 1)

    assert few < 0.5 * error()
