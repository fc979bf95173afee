import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from test_coupling import columns, normal_cells, target
from test_generator import encoded, known_mixture
from test_neural import Sides, model_of

from sdv_slicedp import coupling, models, neural, posterior
from sdv_slicedp.domain import NumericalDomain
from sdv_slicedp.generator import MixtureModel
from sdv_slicedp.release import ColumnRelease

pytestmark = pytest.mark.filterwarnings('error')

FALSE_ALARM = 1e-6  # of each statistical test
N_ROWS = 40_000
SHAPE = (3, 4, 2)
seeds = st.integers(0, 2**32 - 1)


def where(cells: dict[int, list[int]]):
    found = {}
    for i, bins in cells.items():
        bins = np.array(bins, dtype=np.int64)
        found[i] = (bins, np.zeros(len(bins)), np.ones(len(bins)))
    return found


def positions(cells: dict[int, int], count: int) -> dict[int, np.ndarray]:
    """One grid position in each cell of the known mixture."""
    number = [np.iinfo(np.int64).min, 0, 30]
    return {i: np.full(count, number[c] if i == 0 else c) for i, c in cells.items()}


def joint(components) -> np.ndarray:
    tables = [table.astype(np.float64) for table in components]
    return np.einsum('za,zb,zc->abc', *tables) / len(tables[0])


def p_value(counts: np.ndarray, law: np.ndarray) -> float:
    """Chi-square test of counts against a law; cells with fewer than 5 expected are pooled."""
    expected = law.ravel() / law.sum() * counts.sum()
    few = expected < 5
    pooled = [np.append(x[~few], x[few].sum()) for x in (counts.ravel(), expected)]
    kept = pooled[1] > 1e-9
    return float(stats.chisquare(pooled[0][kept], pooled[1][kept], sum_check=False).pvalue)


@given(seeds, st.sets(st.integers(0, 2)))
def test_weights_are_those_of_bayes(seed, conditioned):
    """Brute force over all components of a tiny mixture, for every combination of cells."""
    rng = np.random.default_rng(seed)
    tables = {i: rng.dirichlet(np.full(k, 0.3), 5).astype(np.float32) for i, k in enumerate(SHAPE)}
    combinations = list(itertools.product(*(range(SHAPE[i]) for i in sorted(conditioned))))
    cells = {i: np.array(combinations)[:, n] for n, i in enumerate(sorted(conditioned))}
    logs = {i: posterior._logs(tables[i]) for i in cells}

    ((_, weights),) = posterior._weights(5, logs, cells, len(combinations))

    for combination, found in zip(combinations, weights.astype(np.float64), strict=True):
        truth = np.ones(5)
        for i, cell in zip(sorted(conditioned), combination, strict=True):
            truth *= np.maximum(tables[i][:, cell], posterior.LEAST)
        np.testing.assert_allclose(found / found.sum(), truth / truth.sum(), rtol=1e-4, atol=1e-6)


def test_every_row_has_the_components_of_its_own_condition(monkeypatch):
    """Some combinations at a time, in the order of the rows: chi-square tests of each."""
    monkeypatch.setattr(posterior, 'MOST_WEIGHTS', 30)
    rng = np.random.default_rng(0)
    tables = {i: t for i, t in enumerate(known_mixture().components)}
    bins = {0: rng.integers(0, 3, N_ROWS), 1: rng.integers(0, 4, N_ROWS)}

    chosen = posterior.choose(N_ROWS, tables, where(bins), None, rng)

    assert set(chosen.bins) == {0, 1} and not chosen.places
    for first, second in itertools.product(range(3), range(4)):
        rows = (bins[0] == first) & (bins[1] == second)
        counts = np.bincount(chosen.component[rows], minlength=12)
        law = tables[0][:, first] * tables[1][:, second].astype(np.float64)
        assert p_value(counts, law) > FALSE_ALARM
        assert p_value(counts, tables[0][:, first]) < FALSE_ALARM


@pytest.mark.parametrize('cells', [{}, {0: 2}, {1: 3}, {0: 0, 2: 1}])
def test_rows_follow_the_conditional_law(cells):
    model = known_mixture()
    asked = positions(cells, N_ROWS)

    codes = encoded(model.sample_given(N_ROWS, asked))

    for i, cell in cells.items():
        assert (codes[i] == cell).all()
    counts = np.zeros(SHAPE)
    np.add.at(counts, tuple(codes), 1)
    given_cells = tuple(
        slice(c, c + 1) if (c := cells.get(i)) is not None else slice(None) for i in range(3)
    )
    assert p_value(counts[given_cells], joint(model.components)[given_cells]) > FALSE_ALARM


def test_conditional_rows_are_those_that_rejection_keeps():
    """Two samples of one law, a chi-square test; components used evenly are rejected."""
    model = known_mixture()
    kept = model.sample(400_000)
    kept = kept[kept['w'] == 'c']
    rows = model.sample_given(len(kept), {1: np.full(len(kept), 2)})
    wrong = model.sample(len(kept))

    def alike(first: pd.DataFrame, second: pd.DataFrame) -> float:
        tables = []
        for frame in (first, second):
            number, _, truth = encoded(frame)
            tables.append(np.bincount(2 * number + truth, minlength=6))
        return float(stats.chi2_contingency(np.array(tables)).pvalue)

    assert alike(kept, rows) > FALSE_ALARM
    assert alike(kept, wrong) < FALSE_ALARM


def test_what_the_model_rules_out_is_met_all_the_same():
    model = known_mixture()
    model.components = [table.copy() for table in model.components]
    model.components[1][:, 2] = 0.0

    rows = model.sample_given(50, {0: np.full(50, 30), 1: np.full(50, 2)})

    assert (rows['w'] == 'c').all() and (rows['x'] == 3.0).all()
    assert rows['b'].notna().all()


@pytest.mark.parametrize('count', [0, 1])
def test_few_rows(count):
    for asked in ({}, {1: np.zeros(count, dtype=np.int64)}):
        assert known_mixture().sample_given(count, asked).shape == (count, 3)
        assert model_of(Sides()).sample_given(count, asked).shape == (count, 2)


CELL_WIDTH = 10


def coupled_mixture(seed: int = 0) -> MixtureModel:
    """Two near-copies with four wide cells each; the cells of 500 components are certain."""
    _, cells, law = normal_cells(0.9)
    chosen = np.random.default_rng(seed).choice(len(cells), 500)
    edges = np.arange(4) * CELL_WIDTH
    wide = [
        ColumnRelease(
            NumericalDomain(f'c{i}', 'numerical', 0, 4 * CELL_WIDTH - 1, (1, 1), False),
            (),
            edges,
            edges + CELL_WIDTH - 1,
            np.arange(4),
            4,
        )
        for i in range(2)
    ]
    goal = target(law)
    components = [np.eye(4, dtype=np.float32)[cells[chosen, i]] for i in range(2)]
    losses = pd.DataFrame({'Epoch': [0], 'Loss': [1.0]})
    model = models.mixture_model(wide, goal, components, losses, coupling.fitted(columns(2), goal))
    model.set_random_state(seed)
    return model


def test_the_place_inside_a_cell_tells_about_the_other_cell(monkeypatch):
    """Against rejection from unconditional rows; without the weights of places it is rejected."""
    model = coupled_mixture()
    pool = model.sample(1_000_000)
    asked = 29  # the upper end of its cell
    kept = pool.loc[pool['c0'] == asked, 'c1']

    def alike(tries: int) -> float:
        monkeypatch.setattr(posterior, 'CANDIDATES', tries)
        rows = model.sample_given(len(kept), {0: np.full(len(kept), asked)})
        assert (rows['c0'] == asked).all()
        tables = [np.bincount(x.astype(int) // 5, minlength=8) for x in (kept, rows['c1'])]
        filled = np.array(tables)[:, np.sum(tables, axis=0) > 10]
        return float(stats.chi2_contingency(filled).pvalue)

    assert alike(posterior.CANDIDATES) > FALSE_ALARM
    assert alike(1) < FALSE_ALARM


def test_with_all_coupled_columns_given_nothing_is_left_to_weigh():
    model = coupled_mixture()
    asked = {0: np.array([5, 39, 0]), 1: np.array([6, 0, 39])}
    rows = model.sample_given(3, asked)
    assert rows['c0'].tolist() == [5, 39, 0] and rows['c1'].tolist() == [6, 0, 39]


def test_networks_by_importance_resampling():
    """The sign of the latent number decides: its law given a cell is known."""
    model = model_of(Sides())
    model.set_random_state(0)
    rows = model.sample_given(20_000, {0: np.zeros(20_000, dtype=np.int64)})

    sides = np.array([[2.0, 0, -2], [-2.0, 0, 2]])
    first = np.exp(sides) / np.exp(sides).sum(axis=1, keepdims=True)
    second = torch.softmax(
        torch.tensor([[1.0], [-1.0]]) * torch.tensor([2.0, 1, 0, -1]), dim=1
    ).numpy()
    counts = rows['b'].value_counts().reindex([f'b{i}' for i in range(4)]).to_numpy()
    shares = counts / counts.sum()
    # The pool has 8,192 latent numbers, half of them on the side that fits: 0.02 is more than
    # 4 standard errors of it and of the rows together.
    np.testing.assert_allclose(shares, first[:, 0] @ second / first[:, 0].sum(), atol=0.02)
    assert np.abs(shares - second.mean(axis=0)).max() > 0.1


class Rarely(torch.nn.Module):
    """Cell a2 is likely where the latent number is large, which hardly ever happens."""

    latent_dim = 1

    def forward(self, latent):
        far = 30 * (latent > 3.0)
        return torch.cat([torch.zeros(len(latent), 2), far - 15, far, -far, far * 0, -far], 1)


def test_rare_values_get_more_latent_numbers(monkeypatch):
    sizes = []
    pool = neural.NeuralModel._pool

    def counted(self, count, where):
        sizes.append(count)
        return pool(self, count, where)

    monkeypatch.setattr(neural.NeuralModel, '_pool', counted)
    model = model_of(Rarely())
    model.set_random_state(0)

    rows = model.sample_given(300, {0: np.full(300, 2)})

    assert sizes == [neural.FEW_LATENTS, neural.MANY_LATENTS]
    assert (rows['a'] == 'a2').all() and (rows['b'] == 'b0').all()
    sizes.clear()
    model.sample_given(300, {0: np.zeros(300, dtype=np.int64)})
    assert sizes == [neural.FEW_LATENTS]


@given(seeds, st.integers(1, 30))
def test_effective_sizes_are_between_one_and_all(seed, n_components):
    rng = np.random.default_rng(seed)
    table = rng.dirichlet(np.full(3, 0.2), n_components).astype(np.float32)
    size = posterior.effective_size(3, {0: table}, where({0: [0, 1, 2]}))
    assert 1 - 1e-6 <= size <= n_components + 1e-3
    even = np.full((n_components, 3), 1 / 3, dtype=np.float32)
    everyone = posterior.effective_size(1, {0: even}, where({0: [1]}))
    assert everyone == pytest.approx(n_components)


@given(seeds, st.integers(1, 5), st.integers(1, 40))
def test_candidates_are_taken_by_weight_within_their_group(seed, tries, n_rows):
    """Each at most once more or less than its share of the group's rows."""
    rng = np.random.default_rng(seed)
    _, group = np.unique(rng.integers(0, 6, n_rows), return_inverse=True)
    log_weights = 3 * rng.normal(size=n_rows * tries) - 50

    taken = posterior.resample(log_weights, group, tries, rng)

    assert (group[taken // tries] == group).all()
    member = np.repeat(group, tries)
    weights = np.exp(log_weights)
    share = weights / np.bincount(member, weights)[member] * np.bincount(group)[member]
    counts = np.bincount(taken, minlength=len(weights))
    assert (np.abs(counts - share) < 1 + 1e-6).all()


def test_a_row_alone_takes_candidates_in_proportion():
    rng = np.random.default_rng(0)
    weights = np.array([0.1, 0.6, 0.3])
    logs = np.tile(np.log(weights), 10_000)

    taken = posterior.resample(logs, np.arange(10_000), 3, rng)

    assert p_value(np.bincount(taken % 3), weights) > FALSE_ALARM
