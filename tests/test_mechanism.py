import numpy as np
import pandas as pd
import pytest
from effort import examples
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sdv_slicedp import accounting, embedding, noise, projection_stages
from sdv_slicedp.accounting import (
    REPLACE_ONE,
    Ledger,
    LedgerEntry,
    epsilon_spent,
    gaussian_epsilon,
)
from sdv_slicedp.curator import Curator
from sdv_slicedp.denoising import denoise
from sdv_slicedp.domain import CategoricalDomain, NumericalDomain
from sdv_slicedp.errors import DomainError, PrivacyError
from sdv_slicedp.grid import Cells
from sdv_slicedp.ledger import DIRECTIONS
from sdv_slicedp.levels import Level
from sdv_slicedp.mechanism import measure, measure_projection
from sdv_slicedp.projection_privacy import calibrate_projection
from sdv_slicedp.projection_stages import ProjectionPlan
from sdv_slicedp.release import ColumnRelease, Release

pytestmark = pytest.mark.filterwarnings('error')

DELTA = 1e-6
DAY = 86_400 * 10**9
KINDS = ('number', 'money', 'day', 'word', 'flag', 'constant', 'absent', 'gone')
seeds = st.integers(0, 2**32 - 1)


def column(kind: str, n_rows: int, seed: int) -> pd.Series:
    rng = np.random.default_rng(seed)
    if kind == 'number':
        return pd.Series(rng.integers(-5, 500, n_rows).astype(np.float64))
    if kind == 'money':
        return pd.Series(rng.gamma(1, 100, n_rows).round(2)).mask(rng.random(n_rows) < 0.3)
    if kind == 'day':
        return pd.Series(rng.integers(10_000, 20_000, n_rows) * float(DAY))
    if kind == 'word':
        return pd.Series(rng.choice(['a', 'b', 'c'], n_rows), dtype=object)
    if kind == 'flag':
        return pd.Series(rng.random(n_rows) < 0.2, dtype=object).mask(rng.random(n_rows) < 0.1)
    if kind == 'constant':
        return pd.Series(np.full(n_rows, 7.5))
    return pd.Series([None] * n_rows, dtype=object if kind == 'absent' else np.float64)


def domain(kind: str, name: str, *, declared: bool):
    if kind in ('word', 'flag', 'absent'):
        known = {'word': ('a', 'b', 'c'), 'flag': (False, True), 'absent': ('x', 'y')}[kind]
        return CategoricalDomain(name, 'categorical', known if declared else None, True)
    if kind == 'day':
        bounds = (0, 30_000, (DAY, 1)) if declared else (None, None, None)
        return NumericalDomain(name, 'datetime', *bounds, True)
    bounds = (-1000, 100_000, (1, 100)) if declared else (None, None, None)
    return NumericalDomain(name, 'numerical', *bounds, True)


def make(kinds, n_rows: int, *, declared: bool = True, seed: int = 0):
    names = [f'{kind}{i}' for i, kind in enumerate(kinds)]
    frame = {
        name: column(kind, n_rows, seed + i)
        for i, (name, kind) in enumerate(zip(names, kinds, strict=True))
    }
    domains = [domain(k, n, declared=declared) for k, n in zip(kinds, names, strict=True)]
    return pd.DataFrame(frame), domains


def measured(kinds, n_rows: int, epsilon: float = 1.0, *, declared: bool = True) -> Release:
    frame, domains = make(kinds, n_rows, declared=declared)
    return measure(frame, domains, epsilon=epsilon, delta=DELTA, ledger=Ledger())


def assert_complete(release: Release, n_columns: int) -> None:
    assert len(release.columns) == n_columns
    assert all(c.domain.is_complete and c.levels and c.n_bins for c in release.columns)
    hubs = [m.columns for m in release.marginals if len(m.columns) == 3]
    assert all(len(set(columns)) == 3 and columns[1] < columns[2] for columns in hubs)
    pairs = [(a, b) for a in range(n_columns) for b in range(a + 1, n_columns)]
    again = [pair for pair in pairs if {columns[0] for columns in hubs} & {*pair}]
    found = [m.columns for m in release.marginals if len(m.columns) == 2]
    assert sorted(found) == sorted(pairs + again)
    target = denoise(release)
    three = [law for hub in target.hubs for law in hub.tables.values()]
    assert len({columns[0] for columns in hubs}) == len(target.hubs)
    for law in (*target.laws, *target.fine_laws, *target.tables, *three):
        assert np.isfinite(law).all()
        assert law.sum() == pytest.approx(1)


@examples(20)
@given(
    st.lists(st.sampled_from(KINDS), min_size=1, max_size=7),
    st.sampled_from([0, 1, 2, 40, 1000]),
    st.floats(0.1, 10),
    st.booleans(),
)
def test_no_table_costs_more_than_the_budget(kinds, n_rows, epsilon, declared):
    frame, domains = make(kinds, n_rows, declared=declared)
    ledger = Ledger()

    release = measure(frame, domains, epsilon=epsilon, delta=DELTA, ledger=ledger)

    assert release.ledger == ledger.entries
    assert epsilon_spent(release.ledger, DELTA) <= epsilon
    assert_complete(release, len(kinds))


@pytest.mark.parametrize('n_rows', [0, 2, 40])
@pytest.mark.parametrize('epsilon', [1.0, 2.5, 6.0])
def test_few_rows_and_few_slices_keep_to_the_budget(n_rows, epsilon):
    """Once, small scales cost more than their mu^2, and nothing was left for the pairs."""
    frame, domains = make(['number', 'number', 'word'], n_rows, declared=False)

    release = measure(frame, domains, epsilon=epsilon, delta=DELTA, ledger=Ledger())

    assert epsilon_spent(release.ledger, DELTA) <= epsilon
    assert_complete(release, 3)


@pytest.mark.parametrize('epsilon', [0.1, 1.0])
@pytest.mark.parametrize('n_columns', [2, 5, 42])
def test_pairs_use_what_is_left_of_the_budget(n_columns, epsilon):
    kinds = [KINDS[i % len(KINDS)] for i in range(n_columns)]

    release = measured(kinds, 300, epsilon)

    assert 0.99 * epsilon < gaussian_epsilon(release.ledger, DELTA) <= epsilon
    assert 0.9 * epsilon < epsilon_spent(release.ledger, DELTA) <= epsilon
    assert release.ledger[-1].stage == 'pairs'
    assert_complete(release, n_columns)


def test_other_entries_of_the_ledger_are_kept_apart():
    frame, domains = make(['word', 'flag'], 100)
    ledger = Ledger()
    ledger.record(LedgerEntry('one-column', 'of an earlier measurement', 1, 2.0, 1))

    release = measure(frame, domains, epsilon=0.5, delta=DELTA, ledger=ledger)

    assert release.ledger == ledger.entries[1:]
    assert 0.45 < epsilon_spent(release.ledger, DELTA) <= 0.5


@pytest.mark.parametrize('declared', [True, False])
def test_counts_are_near_the_truth(declared):
    """All of the release's counts within 7 noise scales; false alarms: below 1e-8 of runs."""
    frame, domains = make(['money', 'word', 'day', 'flag'], 5000, declared=declared)

    release = measure(frame, domains, epsilon=2.0, delta=DELTA, ledger=Ledger())

    curator = Curator(frame, Ledger())
    curator.encode(release.columns)
    deviations = []
    for m in release.marginals:
        deviations.append(((m.counts - curator._pair(m.columns)) / m.sigma).ravel())
    for part in release.columns:
        positions = curator._positions(part.domain)
        for level in part.levels:
            cells = Cells(level.lower, level.upper)
            index = cells.locate(positions)
            exact = np.bincount(index[index >= 0], minlength=len(cells))
            # Counted before values were clipped to the discovered bounds.
            inner = np.ones(len(cells), dtype=bool)
            if not declared and isinstance(part.domain, NumericalDomain):
                inner = (level.lower > part.domain.lower) & (level.upper < part.domain.upper)
            deviations.append(((level.counts - exact) / level.sigma)[inner])
    together = np.concatenate(deviations)
    assert abs(together).max() < 7
    # The noise has the scale that the release states; half of it would be rejected.
    assert len(together) > 800
    assert 0.85 < together.std() < 1.15  # false alarms: below 1e-8 from 800 counts on


def test_word_counts_are_those_of_the_table():
    """Within 7 noise scales, false alarms below 1e-9; and the codes mean what they say."""
    frame, domains = make(['word', 'flag'], 20_000)

    release = measure(frame, domains, epsilon=5.0, delta=DELTA, ledger=Ledger())

    level = release.columns[0].levels[0]
    truth = frame['word0'].value_counts()
    for category, count in zip(release.columns[0].domain.categories, level.counts, strict=False):
        assert abs(count - truth[category]) < 7 * level.sigma
    assert abs(release.noisy_rows - 20_000) < 20 * level.sigma


@pytest.mark.parametrize('declared', [True, False])
@pytest.mark.parametrize('n_rows', [0, 1, 2])
@pytest.mark.parametrize('kinds', [KINDS[:1], KINDS[3:4], KINDS])
def test_tables_with_hardly_any_rows(kinds, n_rows, declared):
    release = measured(kinds, n_rows, declared=declared)

    assert_complete(release, len(kinds))
    assert release.noisy_rows >= 1


def test_columns_without_any_cell():
    nothing = CategoricalDomain('nothing', 'categorical', (), False)
    word = CategoricalDomain('word', 'categorical', ('a', 'b'), True)
    frame = pd.DataFrame({'nothing': [None, None], 'word': ['a', 'b']}, dtype=object)

    ledger = Ledger()
    with pytest.raises(DomainError, match='nothing'):
        measure(frame, [nothing, word], epsilon=1.0, delta=DELTA, ledger=ledger)
    assert not ledger.entries


def test_an_empty_list_of_categories_leaves_the_missing_cell():
    empty = CategoricalDomain('empty', 'categorical', (), True)
    word = CategoricalDomain('word', 'categorical', ('a', 'b'), True)
    frame = pd.DataFrame({'empty': [None] * 900, 'word': ['a', 'b', 'c'] * 300}, dtype=object)

    release = measure(
        frame, [empty, word], epsilon=5.0, delta=DELTA, ledger=Ledger(), public_columns=('empty',)
    )

    assert_complete(release, 2)
    assert release.columns[0].domain.has_missing
    assert release.public_columns == ('empty',)


@pytest.mark.parametrize(
    'partial',
    [
        NumericalDomain('x', 'numerical', None, None, (1, 10), True),
        NumericalDomain('x', 'numerical', None, None, None, False, (-3.0, 300.0)),
        NumericalDomain('x', 'numerical', None, None, None, True, (5.0, 5.0)),
        NumericalDomain('x', 'numerical', 0, 0, (1, 1), False),
    ],
)
def test_pieces_of_a_domain_that_are_not_declared(partial):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({'x': rng.integers(0, 3000, 2000) / 10, 'w': ['a', 'b'] * 1000})
    word = CategoricalDomain('w', 'categorical', None, False)

    release = measure(frame, [partial, word], epsilon=5.0, delta=DELTA, ledger=Ledger())

    found = release.columns[0].domain
    assert_complete(release, 2)
    assert partial.step in (None, found.step)
    if partial.lower is not None:
        assert (found.lower, found.upper) == (partial.lower, partial.upper)
    if partial.bounds is not None:
        assert found.lower / found.step[1] == pytest.approx(partial.bounds[0])
        assert found.upper / found.step[1] == pytest.approx(partial.bounds[1])


def test_rare_categories_are_not_shown():
    """A value that one record has: shown with a probability of at most the threshold's delta."""
    cells = pd.Series(['common'] * 2000 + ['secret'], dtype=object)
    unknown = CategoricalDomain('c', 'categorical', None, True)

    release = measure(
        pd.DataFrame({'c': cells}), [unknown], epsilon=1.0, delta=DELTA, ledger=Ledger()
    )

    assert release.columns[0].domain.categories == ('common',)
    assert release.columns[0].domain.has_other
    assert release.columns[0].levels[0].counts.size >= 2


@examples(20)
@given(seeds)
def test_order_of_rows_does_not_show_in_the_categories(seed):
    rng = np.random.default_rng(seed)
    cells = rng.permutation(np.array([3] * 500 + ['x'] * 400 + [0.5] * 600, dtype=object))
    unknown = CategoricalDomain('c', 'categorical', None, True)

    release = measure(
        pd.DataFrame({'c': cells}), [unknown], epsilon=5.0, delta=DELTA, ledger=Ledger()
    )

    assert repr(release.columns[0].domain.categories) == "(3, 0.5, 'x')"


@pytest.mark.parametrize(('cell', 'one'), [(1, 1.0), (1, True), (0.0, -0.0), (0, False)])
def test_one_record_does_not_show_in_the_categories(cell, one):
    """Two tables that differ in one record must have the same categories."""
    unknown = CategoricalDomain('c', 'categorical', None, True)
    found = []
    for cells in ([cell] * 500, [one, *[cell] * 500]):
        frame = pd.DataFrame({'c': pd.Series(cells, dtype=object)})
        release = measure(frame, [unknown], epsilon=5.0, delta=DELTA, ledger=Ledger())
        found.append(repr(release.columns[0].domain.categories))

    assert found[0] == found[1]


def neighbours(seed: int) -> tuple[pd.DataFrame, pd.DataFrame, list[ColumnRelease]]:
    """A table, the table with one row removed, and cells to count both on."""
    rng = np.random.default_rng(seed)
    n_rows = int(rng.integers(1, 40))
    frame, domains = make([KINDS[i] for i in rng.integers(0, len(KINDS), 3)], n_rows, seed=seed)
    release = measure(frame, domains, epsilon=3.0, delta=DELTA, ledger=Ledger())
    less = frame.drop(index=int(rng.integers(n_rows))).reset_index(drop=True)
    return frame, less, list(release.columns)


@examples(15)
@given(seeds)
def test_a_record_changes_at_most_one_count_of_a_slice_by_one(seed):
    frame, less, columns = neighbours(seed)
    curators = [Curator(table, Ledger()) for table in (frame, less)]
    for curator in curators:
        curator.encode(columns)

    for a, b in ((0, 1), (0, 2), (1, 2)):
        change = curators[0]._pair((a, b)) - curators[1]._pair((a, b))
        assert change.min() >= 0
        assert change.sum() <= 1
    for part in columns:
        for level in part.levels:
            cells = Cells(level.lower, level.upper)
            whole, rest = (
                np.bincount(cells.locate(c._positions(part.domain)) + 1, minlength=len(cells) + 1)
                for c in curators
            )
            assert abs(whole - rest)[1:].sum() <= 1


def test_the_ledger_is_written_before_the_rows_are_read():
    sigma = noise.admissible_sigma(3.0)
    word = CategoricalDomain('w', 'categorical', ('a',), True)
    number = NumericalDomain('x', 'numerical', None, None, None, True)
    cells = Cells(np.arange(2), np.arange(2))
    entry = LedgerEntry('pairs', 'text', 1, sigma, 1)
    for ask in (
        lambda c: c.counts('one-column', 'text', [(word, cells)], sigma),
        lambda c: c.resolutions([number], sigma),
        lambda c: c.categories(['w'], sigma, 1e-7),
        lambda c: c.distances([(0, 1)], [np.zeros((2, 2), dtype=np.int64)], sigma),
        lambda c: c.tables([(0, 1)], entry),
    ):
        ledger = Ledger()
        with pytest.raises((KeyError, IndexError)):
            ask(Curator(pd.DataFrame(), ledger))
        assert len(ledger.entries) == 1


def test_distances_are_those_from_what_was_expected():
    """With the smallest noise; false alarms: a deviation of 7 has a probability below 1e-20."""
    frame = pd.DataFrame({'a': ['x'] * 50 + ['y'] * 50, 'b': ['x'] * 50 + ['y'] * 50}, dtype=object)
    codes = np.arange(2)
    columns = []
    for name in 'ab':
        known = CategoricalDomain(name, 'categorical', ('x', 'y'), False)
        level = Level(codes, codes, np.array([50, 50]), 0.5)
        columns.append(ColumnRelease(known, (level,), codes, codes, codes, 2))
    curator = Curator(frame, Ledger())
    curator.encode(columns)

    sigma = noise.admissible_sigma(0.5)
    same, far = np.array([[50, 0], [0, 50]]), np.full((2, 2), 25)
    found = curator.distances([(0, 1)] * 2, [same, far], sigma)

    assert abs(found - [0, 100]).max() < 7


@pytest.mark.parametrize('budget', [(0.0, DELTA), (np.nan, DELTA), (1.0, 0.0), (1.0, 1.0)])
def test_budgets_that_are_none_are_refused_before_anything_is_read(budget):
    frame, domains = make(['word', 'flag'], 50)
    ledger = Ledger()

    with pytest.raises(ValueError, match=r'epsilon|delta'):
        measure(frame, domains, epsilon=budget[0], delta=budget[1], ledger=ledger)

    assert ledger.entries == ()


def test_budgets_below_the_noise_are_refused_before_anything_is_spent():
    frame, domains = make(['word', 'flag'], 10)
    ledger = Ledger()

    with pytest.raises(PrivacyError, match='2 modelled columns'):
        measure(frame, domains, epsilon=1e-7, delta=1e-10, ledger=ledger)
    assert ledger.entries == ()


@pytest.mark.parametrize('epsilon', [8.0, 20.0, 40.0, 100.0, 1e4])
@pytest.mark.parametrize('run', [measure, measure_projection])
def test_large_budgets_are_kept(run, epsilon):
    """Up to what the sampler allows; more is not spent, but may be asked for."""
    frame, domains = make(['word', 'flag', 'number', 'money'], 10)

    release = run(frame, domains, epsilon=epsilon, delta=DELTA, ledger=Ledger())

    spent = epsilon_spent(release.ledger, DELTA, release.neighboring_relation)
    assert spent <= min(epsilon, accounting.LARGEST_EPSILON)
    assert release.epsilon == epsilon


def projected(frame, domains, epsilon: float = 1.0, **options) -> Release:
    ledger = Ledger()
    release = measure_projection(
        frame, domains, epsilon=epsilon, delta=DELTA, ledger=ledger, **options
    )
    assert release.ledger == ledger.entries
    return release


def mixed(kinds, n_rows: int, *, n_declared: int, seed: int = 0):
    frame, known = make(kinds, n_rows, seed=seed)
    _, unknown = make(kinds, n_rows, declared=False, seed=seed)
    return frame, [*known[:n_declared], *unknown[n_declared:]]


@pytest.mark.parametrize('kind', DIRECTIONS)
@pytest.mark.parametrize('n_slices', [None, 1, 5, 60])
@pytest.mark.parametrize('n_declared', [0, 2, 5])
def test_projections_cost_no_more_than_the_budget(kind, n_slices, n_declared):
    kinds = ['number', 'word', 'money', 'flag', 'day']
    frame, domains = mixed(kinds, 400, n_declared=n_declared)

    release = projected(frame, domains, 3.0, plan=ProjectionPlan(kind, n_slices))

    entries = release.ledger
    assert epsilon_spent(entries, DELTA, REPLACE_ONE) <= 3.0
    assert {entry.stage for entry in entries[:-1]} <= {'domain'}
    assert (len(entries) > 1) == (n_declared < 5)
    assert (entries[-1].stage, entries[-1].directions) == ('projection', kind)
    assert epsilon_spent(entries, DELTA, REPLACE_ONE) > (2.99 if n_declared == 5 else 1.5)
    assert release.projection.values.shape == (400, n_slices or entries[-1].dimension)
    assert release.noisy_rows == 400
    assert (release.mechanism, release.neighboring_relation) == ('projection', REPLACE_ONE)
    assert entries[-1].sensitivity == embedding.sensitivity(release.blocks)
    assert not release.marginals
    assert all(column.domain.is_complete for column in release.columns)


@examples(15)
@given(
    st.lists(st.sampled_from(KINDS[:6]), max_size=3).map(lambda kinds: ['flag', *kinds]),
    st.sampled_from([0, 1, 2, 200]),
    st.floats(0.1, 10),
    st.integers(0, 4),
    seeds,
)
def test_no_projected_table_costs_more_than_the_budget(kinds, n_rows, epsilon, n_declared, seed):
    frame, domains = mixed(kinds, n_rows, n_declared=n_declared, seed=seed)

    release = projected(frame, domains, epsilon)

    assert epsilon_spent(release.ledger, DELTA, REPLACE_ONE) <= epsilon
    assert release.projection.n_rows == n_rows


def test_a_range_that_is_found_to_be_empty_leaves_nothing_to_project(monkeypatch):
    """What was spent to find out is in the ledger. Entropy is all zeros here, and so is noise."""
    monkeypatch.setattr('os.urandom', bytes)
    frame, domains = make(['number'], 0, declared=False)
    ledger = Ledger()

    with pytest.raises(PrivacyError, match='nothing to do'):
        measure_projection(frame, domains, epsilon=1.0, delta=DELTA, ledger=ledger)

    assert {entry.stage for entry in ledger.entries} == {'domain'}


@pytest.mark.parametrize('kind', DIRECTIONS)
def test_projections_are_those_of_the_rows_with_the_stated_noise(kind):
    """Of identical rows, so that their order does not matter. Level: 1e-6, power above 0.999."""
    frame, domains = make(['number', 'word', 'flag'], 1)
    frame = frame.iloc[[0] * 2000].reset_index(drop=True)

    release = projected(frame, domains, plan=ProjectionPlan(kind, 10))

    projection, blocks = release.projection, release.blocks
    curator = Curator(frame, Ledger())
    positions = [curator._positions(block.domain)[:1] for block in blocks]
    exact = embedding.project(blocks, positions, projection.directions)[0] * 2.0**-42
    scaled = (projection.values * projection.pitch - exact) / projection.sigma
    total = float((scaled**2).sum())
    assert 1e-6 < 2 * min(stats.chi2.cdf(total, scaled.size), stats.chi2.sf(total, scaled.size))
    for slice_noise in scaled.T:
        assert abs(slice_noise.mean()) < 5.5 / np.sqrt(len(scaled))
    wrong = total * 1.1**2
    assert stats.chi2.sf(wrong, scaled.size) < 1e-6


def test_noises_of_a_projection_are_independent():
    """Between slices, and between rows. Level: 5.5 standard errors, below 1e-5 together."""
    frame, domains = make(['word'], 3000)
    frame.loc[:] = 'a'

    values = projected(frame, domains).projection.values.astype(np.float64)

    values -= values.mean(0)
    correlations = np.corrcoef(values, rowvar=False)[np.triu_indices(values.shape[1], 1)]
    shifted = [np.corrcoef(v[1:], v[:-1])[0, 1] for v in values.T]
    assert np.abs([*correlations, *shifted]).max() < 5.5 / np.sqrt(len(values))


def test_rows_are_released_in_chunks_of_any_size(monkeypatch):
    monkeypatch.setattr('sdv_slicedp.curator._CHUNK', 10)
    frame, domains = make(['word', 'flag'], 57)

    values = projected(frame, domains, 50.0).projection.values

    # No row is left without noise or without content: none is zero, no two are the same.
    assert len(np.unique(values, axis=0)) == 57
    assert np.all(values.any(axis=1))


@pytest.mark.parametrize('n_declared', [0, 1, 2])
def test_the_ledger_is_written_before_the_rows_are_projected(n_declared):
    """The table notes how long the ledger was when a column was read."""
    frame, domains = mixed(['number', 'word'], 50, n_declared=n_declared)
    ledger = Ledger()

    class Reading(pd.DataFrame):
        def __getitem__(self, name):
            read_at.append(len(ledger.entries))
            return super().__getitem__(name)

    read_at: list[int] = []
    measure_projection(Reading(frame), domains, epsilon=1.0, delta=DELTA, ledger=ledger)

    assert min(read_at) == 1
    assert max(read_at) == len(ledger.entries)


def test_a_curator_without_rows_has_recorded_the_projection():
    laid_out = embedding.blocks([CategoricalDomain('w', 'categorical', ('a', 'b'), False)])
    entry = calibrate_projection('sphere', 2, 3, embedding.sensitivity(laid_out), 1.0, DELTA)
    ledger = Ledger()

    with pytest.raises(KeyError):
        Curator(pd.DataFrame(), ledger).project(laid_out, entry)
    assert ledger.entries == (entry,)


@pytest.mark.parametrize(
    'budget', [(0.0, DELTA), (np.nan, DELTA), (np.inf, DELTA), (1.0, 0.0), (1.0, 1.0), (1.0, 1.05)]
)
@pytest.mark.parametrize('declared', [True, False])
@pytest.mark.parametrize('run', [measure, measure_projection])
def test_budgets_that_are_none_are_refused_before_any_entry(run, declared, budget):
    frame, domains = make(['word', 'flag', 'number'], 50, declared=declared)
    ledger = Ledger()

    with pytest.raises(ValueError, match=r'epsilon|delta'):
        run(frame, domains, epsilon=budget[0], delta=budget[1], ledger=ledger)

    assert ledger.entries == ()


@pytest.mark.parametrize('declared', [True, False])
@pytest.mark.parametrize(('epsilon', 'delta'), [(1e-7, 1e-10), (1e-9, 1e-6)])
def test_budgets_below_the_noise_of_a_projection_are_refused_before_any_entry(
    epsilon, delta, declared
):
    frame, domains = make(['word', 'flag', 'number'], 50, declared=declared)
    ledger = Ledger()

    with pytest.raises(PrivacyError, match='epsilon'):
        measure_projection(frame, domains, epsilon=epsilon, delta=delta, ledger=ledger)

    assert ledger.entries == ()


@pytest.mark.parametrize('declared', [True, False])
def test_more_slices_than_rows_allow_are_refused_before_any_entry(declared):
    frame, domains = make(['word', 'flag'], 50, declared=declared)
    ledger = Ledger()
    plan = ProjectionPlan(n_slices=projection_stages.MOST_VALUES // 50 + 1)

    with pytest.raises(ValueError, match='n_slices must be at most'):
        measure_projection(frame, domains, epsilon=1.0, delta=DELTA, ledger=ledger, plan=plan)

    assert ledger.entries == ()


def test_columns_without_any_cell_are_not_projected():
    nothing = CategoricalDomain('nothing', 'categorical', (), False)
    frame = pd.DataFrame({'nothing': [None, None]}, dtype=object)
    ledger = Ledger()

    with pytest.raises(DomainError, match='nothing'):
        measure_projection(frame, [nothing], epsilon=1.0, delta=DELTA, ledger=ledger)
    with pytest.raises(PrivacyError, match='nothing to do'):
        measure_projection(frame, [], epsilon=1.0, delta=DELTA, ledger=ledger)

    assert ledger.entries == ()


def test_a_rare_category_is_not_in_a_projection_either():
    cells = pd.Series(['common'] * 2000 + ['secret'], dtype=object)
    unknown = CategoricalDomain('c', 'categorical', None, True)

    release = projected(pd.DataFrame({'c': cells}), [unknown])

    assert release.columns[0].domain.categories == ('common',)
    assert release.columns[0].domain.has_other


def test_discovered_ranges_clip_the_projected_numbers():
    """One outlier: outside of the range that is found; its row is as long as any other."""
    rng = np.random.default_rng(0)
    values = np.append(rng.integers(0, 100, 4000), 10**9).astype(np.float64)
    unknown = NumericalDomain('x', 'numerical', None, None, None, False)

    release = projected(pd.DataFrame({'x': values}), [unknown], 20.0)

    assert release.columns[0].domain.upper < 1000
    reach = np.abs(release.projection.values * release.projection.pitch).max()
    # False alarms: 8 noise scales, below 1e-10.
    assert reach < 1 + 8 * release.projection.sigma
