import itertools
from dataclasses import replace

import numpy as np
import pytest
from test_generator import N_ROWS, encoded, known_mixture
from test_posterior import FALSE_ALARM, SHAPE, p_value, positions

from sdv_slicedp import heads
from sdv_slicedp.drawing import draw_rows
from sdv_slicedp.heads import Head

pytestmark = pytest.mark.filterwarnings('error')

HUBS = [0, 1, 2]


def every_cell(sizes) -> list[np.ndarray]:
    return [np.array(cells) for cells in zip(*itertools.product(*map(range, sizes)), strict=True)]


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
    _, bins = draw_rows(model.components, 10_000, rng)
    head = model.heads[0]
    expected = head.shares(bins)[:, 1].sum()
    monkeypatch.setattr(heads, 'KEPT', 0.0)

    spread = [head.draw(bins, rng, spread=True).sum() - expected for _ in range(20)]
    free = [head.draw(bins, rng, spread=False).sum() - expected for _ in range(20)]

    assert np.std(spread) < 12 < np.std(free)
