from types import SimpleNamespace

import numpy as np
import pytest
from test_generator import known_mixture
from test_heads import HUBS, every_cell
from test_posterior import SHAPE

from sdv_slicedp import head_regression
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


def test_discrete_hubs_of_two_cells_have_heads():
    """Of three hubs: a number, words of four cells, booleans."""
    model = known_mixture()
    columns = [SimpleNamespace(domain=decoder.domain) for decoder in model.decoders]
    pairs = ((0, 1), (0, 2), (1, 2))
    goal = SimpleNamespace(
        pairs=pairs, noise=np.full(3, 0.01), hubs=[SimpleNamespace(column=i) for i in HUBS]
    )

    made = head_regression.fitted(model.components, columns, goal, 0)
    again = head_regression.fitted(model.components, columns, goal, 0)

    assert [head.column for head in made] == [2]
    assert all(np.array_equal(a, b) for a, b in zip(made[0].weights, again[0].weights, strict=True))
