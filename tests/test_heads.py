import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from test_generator import N_ROWS, encoded, known_mixture
from test_posterior import FALSE_ALARM, SHAPE, p_value, positions

from sdv_slicedp import heads
from sdv_slicedp.heads import Head

pytestmark = pytest.mark.filterwarnings('error')

HUBS = [0, 1, 2]
NO_NOISE = dict.fromkeys(HUBS, 1e-6)


def bayes_mixture(seed: int) -> list[np.ndarray]:
    """Columns that are independent given a hub, the last one; a component for each of its cells."""
    rng = np.random.default_rng(seed)
    others = [rng.dirichlet(np.full(k, 3.0), 3) for k in (3, 4)]
    tables = [np.repeat(table, [1, 2, 3], axis=0) for table in [*others, np.eye(3)]]
    return [table.astype(np.float32) for table in tables]


def every_cell(sizes) -> list[np.ndarray]:
    return [np.array(cells) for cells in zip(*itertools.product(*map(range, sizes)), strict=True)]


@pytest.mark.parametrize('seed', [0, 1, 2, 115])
def test_a_logistic_law_is_found(seed, monkeypatch):
    """Given the hub, columns are independent: by Bayes' rule its law given them is logistic."""
    monkeypatch.setattr(heads, 'STEPS', 1000)
    tables = bayes_mixture(seed)
    cells = every_cell((3, 4, 3))
    joint = np.einsum('zk,za,zb->kab', *(tables[i].astype(float) for i in (2, 0, 1)))
    truth = (joint / joint.sum(0))[:, cells[0], cells[1]].T

    found = heads.regressed(2, tables, NO_NOISE, seed).shares(cells)

    np.testing.assert_allclose(found, truth, atol=0.01)


@pytest.mark.parametrize('hub', HUBS)
def test_pairs_with_the_hub_stay_those_of_the_mixture(hub):
    """Also where the mixture is not logistic; the same head with two columns swapped does not."""
    tables = known_mixture().components
    head = heads.regressed(hub, tables, NO_NOISE, 0)
    _, bins = heads.draw_rows(tables, 100_000, np.random.default_rng(1))

    shares = head.shares(bins)

    for i in {*HUBS} - {hub}:
        wanted = tables[i].T @ tables[hub] / len(tables[hub])
        found = [shares[bins[i] == cell].sum(0) / len(shares) for cell in range(len(wanted))]
        np.testing.assert_allclose(found, wanted, atol=0.005)
        assert np.abs(np.roll(found, 1, axis=0) - wanted).max() > 0.05


def test_much_noise_leaves_the_law_of_the_hub():
    tables = known_mixture().components
    cells = every_cell(SHAPE)

    found = heads.regressed(1, tables, dict.fromkeys(HUBS, 1e3), 0).shares(cells)

    np.testing.assert_allclose(found, np.tile(tables[1].mean(0), (24, 1)), atol=1e-3)


def headed():
    """The known mixture with heads of its last two columns, and their joint law."""
    rng = np.random.default_rng(5)
    model = known_mixture()
    a, b, c = (table.astype(np.float64) for table in model.components)
    laws = np.einsum('za,zb,zc->zabc', a, b, c).reshape(len(a), -1)
    for i in (2, 1):
        weights = tuple(rng.normal(size=(k, SHAPE[i])) for k in SHAPE)
        head = Head(i, rng.normal(size=SHAPE[i]), weights, np.ones((len(a), SHAPE[i])))
        model.heads += (replace(head, means=laws @ head.shares(every_cell(SHAPE))),)
    last, middle = (head.shares(every_cell(SHAPE)).reshape(*SHAPE, -1) for head in model.heads)
    new_last, new_middle = last[:, :, 0], middle[:, 0].swapaxes(1, 2)
    law = np.einsum('za,zb,zc->abc', a, b, c) / len(a)
    law = heads.KEPT * law + (1 - heads.KEPT) * law.sum(2, keepdims=True) * new_last
    return model, heads.KEPT * law + (1 - heads.KEPT) * law.sum(1, keepdims=True) * new_middle


def counts_of(frame) -> np.ndarray:
    counts = np.zeros(SHAPE)
    np.add.at(counts, tuple(encoded(frame)), 1)
    return counts


@pytest.mark.parametrize('cells', [None, {}, {0: 2}, {1: 3}, {2: 1}, {0: 1, 2: 0}, {1: 0, 2: 1}])
def test_rows_have_the_law_of_the_heads(cells):
    """With and without conditions on hubs, a chi-square test; the mixture's own law is rejected."""
    model, law = headed()
    given_cells = tuple((cells or {}).get(i, slice(None)) for i in HUBS)

    if cells is None:
        made = model.sample(N_ROWS)
    else:
        made = model.sample_given(N_ROWS, positions(cells, N_ROWS))

    counts = counts_of(made)
    assert counts[given_cells].sum() == N_ROWS
    assert p_value(counts[given_cells], law[given_cells]) > FALSE_ALARM
    own = np.einsum('za,zb,zc->abc', *model.components)[given_cells]
    assert p_value(counts[given_cells], own) < FALSE_ALARM


def test_draws_are_stratified_where_asked(monkeypatch):
    """The number of rows with a cell is that of the law, up to the strata; else it varies."""
    model, _ = headed()
    rng = np.random.default_rng(0)
    _, bins = heads.draw_rows(model.components, 10_000, rng)
    head = model.heads[0]
    expected = head.shares(bins)[:, 1].sum()
    monkeypatch.setattr(heads, 'KEPT', 0.0)

    spread = [head.draw(bins, rng, spread=True).sum() - expected for _ in range(20)]
    free = [head.draw(bins, rng, spread=False).sum() - expected for _ in range(20)]

    assert np.std(spread) < 12 < np.std(free)


def test_discrete_hubs_of_two_cells_have_heads():
    """Of three hubs: a number, words of four cells, booleans."""
    model = known_mixture()
    columns = [SimpleNamespace(domain=decoder.domain) for decoder in model.decoders]
    pairs = ((0, 1), (0, 2), (1, 2))
    goal = SimpleNamespace(
        pairs=pairs, noise=np.full(3, 0.01), hubs=[SimpleNamespace(column=i) for i in HUBS]
    )

    made = heads.fitted(model.components, columns, goal, 0)
    again = heads.fitted(model.components, columns, goal, 0)

    assert [head.column for head in made] == [2]
    assert all(np.array_equal(a, b) for a, b in zip(made[0].weights, again[0].weights, strict=True))
