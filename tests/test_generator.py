import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sdv_slicedp import generator
from sdv_slicedp.domain import MISSING, CategoricalDomain, NumericalDomain
from sdv_slicedp.drawing import stratified_uniforms
from sdv_slicedp.generator import ColumnDecoder, MixtureModel

pytestmark = pytest.mark.filterwarnings('error')

FALSE_ALARM = 1e-6  # of each statistical test
N_ROWS = 40_000

LOSSES = pd.DataFrame({'Epoch': [0], 'Loss': [1.0]})
CELLS = {'x': [(MISSING, MISSING), (0, 0), (1, 9), (10, 19), (20, 99)]}
seeds = st.integers(0, 2**32 - 1)


def number_decoder() -> ColumnDecoder:
    """Pair cells: missing; the spike 0; and three fine cells together."""
    lower, upper = (np.array(side) for side in zip(*CELLS['x'], strict=True))
    domain = NumericalDomain('x', 'numerical', 0, 99, (1, 10), True)
    law = np.array([0.1, 0.3, 0.3, 0.1, 0.2])
    return ColumnDecoder(domain, lower, upper, np.array([0, 1, 2, 2, 2]), law)


def word_decoder(name: str, categories, **options) -> ColumnDecoder:
    domain = CategoricalDomain(name, 'categorical', tuple(categories), **options)
    codes = np.arange(domain.n_cells)
    return ColumnDecoder(domain, codes, codes, codes, np.full(len(codes), 1 / len(codes)))


def known_mixture(seed: int = 0) -> MixtureModel:
    """Three strongly dependent columns: numbers with missing, words with missing, booleans."""
    rng = np.random.default_rng(seed)
    components = [rng.dirichlet(np.full(k, 0.3), 12).astype(np.float32) for k in (3, 4, 2)]
    decoders = [
        number_decoder(),
        word_decoder('w', 'abc', has_missing=True),
        word_decoder('b', (False, True), has_missing=False),
    ]
    model = MixtureModel(components, decoders, LOSSES)
    model.set_random_state(seed)
    return model


def encoded(frame: pd.DataFrame) -> list[np.ndarray]:
    """Pair cells of sampled rows."""
    x = frame['x'].to_numpy()
    number = np.where(np.isnan(x), 0, np.where(x == 0, 1, 2))
    word = frame['w'].map({'a': 0, 'b': 1, 'c': 2}).fillna(3).to_numpy().astype(int)
    return [number, word, frame['b'].to_numpy().astype(int)]


def fit(codes: list[np.ndarray], components, axes: tuple[int, ...]) -> float:
    """P-value of the chi-square test of sampled cells against the mixture's exact marginal.

    Strata make the sample's error smaller than that of independent rows, so the test rejects a
    right sampler less often than it states.
    """
    shape = [components[axis].shape[1] for axis in axes]
    letters = 'abc'[: len(axes)]
    law = np.einsum(
        ','.join('z' + letter for letter in letters) + '->' + letters,
        *[components[axis].astype(np.float64) for axis in axes],
    ).ravel() / len(components[0])
    index = np.ravel_multi_index([codes[axis] for axis in axes], shape)
    observed = np.bincount(index, minlength=law.size)
    filled = law * len(index) > 5
    expected = np.append(law[filled], law[~filled].sum()) * len(index)
    observed = np.append(observed[filled], observed[~filled].sum())
    keep = expected > 1e-9
    expected, observed = expected[keep], observed[keep]
    return float(stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue)


MARGINALS = [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]


@pytest.mark.parametrize('axes', MARGINALS)
@pytest.mark.parametrize('seed', [0, 1, 2])
def test_samples_have_the_marginals_of_the_model(axes, seed):
    model = known_mixture(seed)

    codes = encoded(model.sample(N_ROWS))

    assert fit(codes, model.components, axes) > FALSE_ALARM


@pytest.mark.parametrize('axes', MARGINALS[3:])
def test_a_sampler_with_wrong_joint_laws_is_rejected(axes):
    """The wrong twin draws each column with a component of its own: same margins, no joint."""
    model = known_mixture()
    parts = [encoded(model.sample(N_ROWS))[i] for i in range(3)]

    assert all(fit(parts, model.components, (axis,)) > FALSE_ALARM for axis in range(3))
    assert fit(parts, model.components, axes) < FALSE_ALARM


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_a_sampler_with_wrong_margins_is_rejected(axis):
    model = known_mixture()
    tilted = [c * 1.3 ** np.arange(c.shape[1]) for c in model.components]
    wrong = [c / c.sum(1, keepdims=True) for c in tilted]

    codes = encoded(model.sample(N_ROWS))

    assert fit(codes, wrong, (axis,)) < FALSE_ALARM


@pytest.mark.parametrize('n_rows', [0, 1, 5, 1000, 12_345])
def test_margins_are_those_of_the_model_up_to_rounding(n_rows):
    """Strata bound the error of a count by the number of components, whatever the seed."""
    model = known_mixture()

    codes = encoded(model.sample(n_rows))

    for cells, table in zip(codes, model.components, strict=True):
        expected = n_rows * table.mean(0)
        observed = np.bincount(cells, minlength=table.shape[1])
        assert abs(observed - expected).max() <= 3 * len(table)


def test_rows_of_small_samples_are_drawn_from_all_components():
    """One row at a time: 1,000 draws against the exact law; false alarms below 1e-6."""
    model = known_mixture()
    codes = encoded(pd.concat([model.sample(1) for _ in range(1000)]))

    for axes in MARGINALS[:6]:
        assert fit(codes, model.components, axes) > FALSE_ALARM


@given(st.lists(st.integers(0, 6), max_size=60), seeds)
def test_uniforms_have_one_value_in_each_stratum(groups, seed):
    groups = np.array(groups, dtype=np.int64)

    drawn = stratified_uniforms(groups, np.random.default_rng(seed))

    assert ((drawn >= 0) & (drawn < 1)).all()
    for group in np.unique(groups):
        mine = np.sort(drawn[groups == group])
        assert np.floor(mine * len(mine) + 1e-9).tolist() == list(range(len(mine)))


def test_each_uniform_is_uniform_by_itself():
    """Kolmogorov-Smirnov test on the first of seven rows; two of them share a group."""
    rng = np.random.default_rng(0)
    groups = np.array([2, 0, 2, 1, 1, 1, 4])
    drawn = np.array([stratified_uniforms(groups, rng) for _ in range(5000)])

    for row in range(len(groups)):
        assert stats.kstest(drawn[:, row], 'uniform').pvalue > FALSE_ALARM
        assert stats.kstest(drawn[:, row] ** 1.3, 'uniform').pvalue < FALSE_ALARM
    # Rows of different groups are independent, rows of one group are never in one half.
    assert stats.pearsonr(drawn[:, 0], drawn[:, 1]).pvalue > FALSE_ALARM
    assert ((drawn[:, 0] < 0.5) != (drawn[:, 2] < 0.5)).all()


def test_positions_stay_inside_their_cells_and_follow_the_law():
    decoder = number_decoder()
    rng = np.random.default_rng(0)
    bins = rng.integers(0, 3, 30_000)

    found = decoder.positions(bins, rng)

    assert (found[bins == 0] == MISSING).all()
    assert (found[bins == 1] == 0).all()
    inside = found[bins == 2]
    assert set(inside) == set(range(1, 100))
    law = np.repeat([3 / 6 / 9, 1 / 6 / 10, 2 / 6 / 80], [9, 10, 80])
    observed = np.bincount(inside, minlength=100)[1:]
    assert stats.chisquare(observed, law * len(inside)).pvalue > FALSE_ALARM
    even = np.full(99, len(inside) / 99)
    assert stats.chisquare(observed, even).pvalue < FALSE_ALARM


@given(seeds, st.integers(1, 12), st.integers(0, 40))
def test_every_position_lies_in_a_fine_cell_of_its_pair_cell(seed, n_cells, n_rows):
    rng = np.random.default_rng(seed)
    edges = np.cumsum(rng.integers(1, 10**6, n_cells + 1)) - 10**6
    numbers = np.cumsum(np.r_[0, rng.integers(0, 2, n_cells - 1)])
    law = rng.dirichlet(np.full(n_cells, 0.2)) * (rng.random(n_cells) < 0.7)
    domain = NumericalDomain('x', 'numerical', -(10**6), 10**8, (1, 1), False)
    decoder = ColumnDecoder(domain, edges[:-1], edges[1:] - 1, numbers, law)
    bins = rng.integers(0, numbers[-1] + 1, n_rows)

    found = decoder.positions(bins, rng)

    cell = np.searchsorted(edges, found, side='right') - 1
    assert (numbers[cell] == bins).all()
    # Where a pair cell has mass, cells without mass are not drawn.
    mass = np.bincount(numbers, law)
    assert (law[cell][mass[bins] > 0] > 0).all()


def test_values_are_what_the_processed_space_asks_for():
    frame = known_mixture().sample(500)

    assert list(frame.columns) == ['x', 'w', 'b']
    assert isinstance(frame.index, pd.RangeIndex)
    assert frame['x'].dtype == np.float64
    assert frame['w'].dtype == frame['b'].dtype == object
    assert frame['x'].isna().any()
    assert frame['w'].isna().any()
    x = frame['x'].dropna()
    assert ((x * 10).round() / 10 == x).all()
    assert x.between(0, 9.9).all()
    assert set(frame['w'].dropna()) <= set('abc')
    assert {type(value) for value in frame['b']} == {bool}


def test_categories_keep_their_types():
    decoder = word_decoder('m', (1, 'one', 1.5, True + 1), has_missing=True, has_other=True)

    values = decoder.values(np.arange(6))

    assert repr(values.tolist()) == repr([1, 'one', 1.5, 2, None, None])


def test_datetimes_are_whole_steps_in_nanoseconds():
    day = 86_400 * 10**9
    domain = NumericalDomain('d', 'datetime', -50_000, 60_000, (day, 1), True)
    decoder = ColumnDecoder(
        domain, np.array([-50_000]), np.array([60_000]), np.array([0]), np.array([1.0])
    )

    values = decoder.values(np.array([MISSING, -50_000, 0, 19_000]))

    assert np.isnan(values[0])
    assert values[1:].tolist() == [-50_000.0 * day, 0.0, 19_000.0 * day]


@given(seeds)
def test_cells_without_probability_are_never_drawn(seed):
    rng = np.random.default_rng(seed)
    table = rng.dirichlet(np.full(5, 0.3), 8) * (rng.random((8, 5)) < 0.5)
    table[table.sum(1) == 0, 2] = 1.0
    table = (table / table.sum(1, keepdims=True)).astype(np.float32)
    component = rng.integers(0, 8, 400)

    drawn = generator.draw_cells(table, component, rng)

    assert (table[component, drawn] > 0).all()


def test_samples_are_reproducible_by_seed():
    model = known_mixture()
    model.set_random_state(5)
    first, second = model.sample(50), model.sample(50)
    model.set_random_state(5)

    pd.testing.assert_frame_equal(model.sample(50), first)
    assert not first.equals(second)
    model.set_random_state(6)
    assert not model.sample(50).equals(first)


def test_models_pickle_with_their_stream():
    model = known_mixture()
    model.sample(3)

    twin = pickle.loads(pickle.dumps(model))

    pd.testing.assert_frame_equal(twin.sample(40), model.sample(40))
    pd.testing.assert_frame_equal(twin.loss_values, model.loss_values)


def test_an_empty_sample_has_the_columns():
    frame = known_mixture().sample(0)

    assert frame.shape == (0, 3)
    assert frame['x'].dtype == np.float64


@given(seeds, st.integers(1, 12))
def test_cells_and_places_of_positions_are_found_again(seed, n_cells):
    """A place between the two that are told gives the position back."""
    rng = np.random.default_rng(seed)
    edges = np.cumsum(rng.integers(1, 50, n_cells + 1))
    numbers = np.cumsum(np.r_[0, rng.integers(0, 2, n_cells - 1)])
    law = rng.dirichlet(np.full(n_cells, 5.0))
    domain = NumericalDomain('x', 'numerical', int(edges[0]), int(edges[-1]) - 1, (1, 1), False)
    decoder = ColumnDecoder(domain, edges[:-1], edges[1:] - 1, numbers, law)
    positions = rng.integers(edges[0], edges[-1], 30)

    bins, first, last = decoder.cells(positions)

    assert (numbers[np.searchsorted(edges, positions, side='right') - 1] == bins).all()
    assert ((first >= -1e-12) & (first < last) & (last <= 1)).all()
    assert (decoder.positions(bins, rng, (first + last) / 2) == positions).all()


def test_cells_of_categories_in_any_order():
    codes = np.array([2, 0, 3, 1])
    domain = CategoricalDomain('w', 'categorical', tuple('abcd'), False)
    decoder = ColumnDecoder(domain, codes, codes, np.array([0, 0, 1, 2]), np.full(4, 0.25))

    assert decoder.cells(np.arange(4))[0].tolist() == [0, 2, 0, 1]
