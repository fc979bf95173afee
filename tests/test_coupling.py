import numpy as np
import pytest
from scipy.stats import kstest

from sdv_slicedp import coupling
from sdv_slicedp.denoising import Target
from sdv_slicedp.domain import CategoricalDomain, NumericalDomain
from sdv_slicedp.release import ColumnRelease

CELLS = 4


def columns(n, *, discrete=False):
    codes = np.arange(CELLS)
    domains = [NumericalDomain(f'c{i}', 'numerical', 0, CELLS - 1, (1, 1), False) for i in range(n)]
    if discrete:
        names = tuple(map(str, codes))
        domains = [CategoricalDomain(f'c{i}', 'categorical', names, False) for i in range(n)]
    return [ColumnRelease(domain, (), codes, codes, codes, CELLS) for domain in domains]


def normal_cells(correlation, n_rows=200_000, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], n_rows)
    cells = np.searchsorted([-0.7, 0.2, 1.0], scores)
    table = np.zeros((CELLS, CELLS))
    np.add.at(table, (cells[:, 0], cells[:, 1]), 1 / n_rows)
    return scores, cells, table


def target(table):
    laws = (table.sum(1), table.sum(0))
    return Target(laws, laws, ((0, 1),), (table,), np.ones(1))


@pytest.mark.parametrize('correlation', [0.9, -0.7])
def test_a_normal_copula_is_found_again(correlation):
    """Cells of correlated normal numbers: places drawn inside them give the correlation back.

    Places of each cell are uniform: with 200,000 rows, a distance of 0.01 in Kolmogorov's sense is
    3 times what the sampling of the largest cell explains.
    """
    scores, cells, table = normal_cells(correlation)
    found = coupling.fitted(columns(2), target(table))
    assert -np.prod(np.sign(found.precision[0])) == np.sign(correlation)

    places = found.places(list(cells.T), np.random.default_rng(1))

    edges = found.edges[0]
    lower, upper = edges[cells[:, 0]], edges[cells[:, 0] + 1]
    assert (lower <= upper).all()
    inside = cells[:, 0] == cells[:, 1]
    real = np.corrcoef(scores[inside].T)[0, 1] if correlation > 0 else -1
    alike = np.corrcoef(places[0][inside], places[1][inside])[0, 1]
    assert alike > 0.1 * np.sign(real) if correlation > 0 else alike < 0
    for cell in range(CELLS):
        assert kstest(places[0][cells[:, 0] == cell], 'uniform').statistic < 0.03


def test_independent_columns_are_left_alone():
    _, _, table = normal_cells(0.0)
    assert coupling.fitted(columns(2), target(table)) is None
    _, _, table = normal_cells(0.9)
    assert coupling.fitted(columns(2, discrete=True), target(table)) is None


def test_places_are_between_zero_and_one_where_cells_contradict_the_copula():
    _, _, table = normal_cells(0.99)
    found = coupling.fitted(columns(2), target(table))
    cells = [np.array([0, 3, 0, 3]), np.array([3, 0, 0, 3])]
    places = found.places(cells, np.random.default_rng(0))
    for part in places.values():
        assert ((part >= 0) & (part < 1)).all()
    # A cell that is too low for the other one is used at its upper end.
    many = found.places([np.repeat(c, 500) for c in cells], np.random.default_rng(0))
    assert np.median(many[0][:500]) > 0.9 > 0.1 > np.median(many[0][500:1000])


def test_no_rows_have_no_places():
    _, _, table = normal_cells(0.9)
    found = coupling.fitted(columns(2), target(table))
    empty = np.zeros(0, dtype=np.int32)
    assert all(len(p) == 0 for p in found.places([empty, empty], np.random.default_rng(0)).values())


def test_contradicting_correlations_are_made_possible():
    tables = [normal_cells(c)[2] for c in (0.95, 0.95, -0.95)]
    laws = tuple(np.full(CELLS, 1 / CELLS) for _ in range(3))
    contradiction = Target(laws, laws, ((0, 1), (0, 2), (1, 2)), tuple(tables), np.ones(3))
    found = coupling.fitted(columns(3), contradiction)
    assert np.isfinite(found.precision).all()
    assert (np.linalg.eigvalsh(found.precision) > 0).all()
