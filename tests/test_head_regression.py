import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from test_generator import known_mixture
from test_heads import HUBS, every_cell
from test_posterior import SHAPE

from sdv_slicedp import head_regression
from sdv_slicedp.domain import CategoricalDomain
from sdv_slicedp.drawing import draw_rows
from sdv_slicedp.head_regression import regressed

pytestmark = pytest.mark.filterwarnings('error')

NO_NOISE = dict.fromkeys(HUBS, 1e-6)


def rows_of(tables, seed: int):
    return draw_rows(tables, head_regression.ROWS, np.random.default_rng(seed))


def bayes_mixture(seed: int) -> list[np.ndarray]:
    """Columns that are independent given a hub, the last one; a component for each of its cells."""
    rng = np.random.default_rng(seed)
    others = [rng.dirichlet(np.full(k, 3.0), 3) for k in (3, 4)]
    tables = [np.repeat(table, [1, 2, 3], axis=0) for table in [*others, np.eye(3)]]
    return [table.astype(np.float32) for table in tables]


@pytest.mark.parametrize('seed', [0, 1, 2, 115])
def test_a_logistic_law_is_found(seed, monkeypatch):
    """Given the hub, columns are independent: by Bayes' rule its law given them is logistic."""
    monkeypatch.setattr(head_regression, 'STEPS', 1000)
    tables = bayes_mixture(seed)
    cells = every_cell((3, 4, 3))
    joint = np.einsum('zk,za,zb->kab', *(tables[i].astype(float) for i in (2, 0, 1)))
    truth = (joint / joint.sum(0))[:, cells[0], cells[1]].T

    found = regressed(2, tables, rows_of(tables, seed), NO_NOISE).shares(cells)

    np.testing.assert_allclose(found, truth, atol=0.01)


@pytest.mark.parametrize('hub', HUBS)
def test_pairs_with_the_hub_stay_those_of_the_mixture(hub):
    """Also where the mixture is not logistic; the same head with two columns swapped does not."""
    tables = known_mixture().components
    head = regressed(hub, tables, rows_of(tables, 0), NO_NOISE)
    _, bins = draw_rows(tables, 100_000, np.random.default_rng(1))

    shares = head.shares(bins)

    for i in {*HUBS} - {hub}:
        wanted = tables[i].T @ tables[hub] / len(tables[hub])
        found = [shares[bins[i] == cell].sum(0) / len(shares) for cell in range(len(wanted))]
        np.testing.assert_allclose(found, wanted, atol=0.005)
        assert np.abs(np.roll(found, 1, axis=0) - wanted).max() > 0.05


def test_much_noise_leaves_the_law_of_the_hub():
    tables = known_mixture().components
    cells = every_cell(SHAPE)

    found = regressed(1, tables, rows_of(tables, 0), dict.fromkeys(HUBS, 1e3)).shares(cells)

    np.testing.assert_allclose(found, np.tile(tables[1].mean(0), (24, 1)), atol=1e-3)


def goal_of(tables, hubs):
    """What a mixture was trained on, its own pairs."""
    pairs = tuple(itertools.combinations(range(len(tables)), 2))
    laws = [tables[a].T.astype(np.float64) @ tables[b] / len(tables[a]) for a, b in pairs]
    return SimpleNamespace(
        pairs=pairs,
        tables=laws,
        noise=np.full(len(pairs), 0.01),
        hubs=[SimpleNamespace(column=i) for i in hubs],
    )


@pytest.mark.parametrize('hubs', [HUBS, [0], [2], []])
def test_discrete_columns_of_two_cells_have_heads(hubs):
    """Of three columns: a number, words of four cells, booleans. Without any hub, none has."""
    model = known_mixture()
    columns = [SimpleNamespace(domain=decoder.domain) for decoder in model.decoders]
    goal = goal_of(model.components, hubs)

    made = head_regression.fitted(model.components, columns, goal, 0)
    again = head_regression.fitted(model.components, columns, goal, 0)

    assert [head.column for head in made] == ([2] if hubs else [])
    for head, twin in zip(made, again, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(head.weights, twin.weights, strict=True))


@pytest.mark.parametrize(
    ('hubs', 'most', 'expected'), [([0], 1, [0]), ([0], 3, [0, 1, 3]), ([3], 2, [1, 3])]
)
def test_hubs_have_heads_before_columns_that_pairs_tell_most_about(
    hubs, most, expected, monkeypatch
):
    """Of four columns of two cells, the second and the last depend on each other."""
    monkeypatch.setattr(head_regression, 'MOST_HEADS', most)
    same = np.array([[0.9, 0.1], [0.1, 0.9]], dtype=np.float32)
    even = np.full((2, 2), 0.5, dtype=np.float32)
    tables = [even, same, even, same]
    domains = [CategoricalDomain(f'c{i}', 'boolean', (False, True), False, True) for i in range(4)]
    columns = [SimpleNamespace(domain=domain) for domain in domains]

    made = head_regression.fitted(tables, columns, goal_of(tables, hubs), 0)

    assert [head.column for head in made] == expected
