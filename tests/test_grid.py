import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from small_trees import assert_tiles, design, least_squares, random_tree

from sdv_slicedp import grid, pooling
from sdv_slicedp.discovery import TIME_STEPS
from sdv_slicedp.domain import MAX_UNITS, MISSING, UNCOUNTED, CategoricalDomain, NumericalDomain
from sdv_slicedp.grid import Cells

pytestmark = pytest.mark.filterwarnings('error')

units = st.integers(min_value=-MAX_UNITS, max_value=MAX_UNITS)
sizes = st.integers(min_value=1, max_value=12)
seeds = st.integers(0, 2**32 - 1)
counts = st.floats(min_value=-30, max_value=300)


def number(lower, upper, *, sdtype='numerical', step=(1, 1), has_missing=False):
    return NumericalDomain('x', sdtype, lower, upper, step, has_missing)


def row_of_cells(n: int, first: int = 0) -> Cells:
    return Cells(np.arange(first, first + n), np.arange(first, first + n))


def assert_runs(groups: np.ndarray) -> None:
    """Group numbers start at zero and grow by one or not at all."""
    assert groups[0] == 0
    assert set(np.diff(groups)) <= {0, 1}


@given(units, units, st.booleans())
def test_root_cells_tile_the_domain(a, b, has_missing):
    lower, upper = min(a, b), max(a, b)

    cells = grid.root_cells(number(lower, upper, has_missing=has_missing))

    if has_missing:
        assert cells.lower[0] == cells.upper[0] == MISSING
        cells = Cells(cells.lower[1:], cells.upper[1:])
    assert_tiles(cells, lower, upper)
    assert len(cells) == min(grid.ROOT_CELLS, upper - lower + 1)


def test_root_cells_without_bounds_are_powers_of_two():
    cells = grid.root_cells(number(None, None))

    assert_tiles(cells, -MAX_UNITS, MAX_UNITS)
    positive = cells.lower[cells.lower > 0]
    assert positive.tolist() == [2**k for k in range(len(positive))]
    assert (cells.lower[cells.locate(np.array([0]))] == 0).all()
    assert (cells.lower == -cells.upper[::-1]).all()


@pytest.mark.parametrize('step', TIME_STEPS)
def test_root_cells_of_datetimes_without_bounds_are_years(step):
    cells = grid.root_cells(number(None, None, sdtype='datetime', step=(step, 1)))

    assert_tiles(cells, int(cells.lower[0]), int(cells.upper[-1]))
    days = cells.widths[1:-1] * step / TIME_STEPS[0]
    assert (abs(days - 365.2425) <= 1 + 1e-6).all()
    for year in (1700, 1970, 2000, 2250):
        position = (np.datetime64(f'{year}-06-15') - np.datetime64('1970-01-01')).astype(int)
        assert cells.locate(np.array([position * TIME_STEPS[0] // step]))[0] >= 0


def test_root_cells_of_categories_are_their_codes():
    domain = CategoricalDomain('c', 'categorical', ('a', 'b'), True, True)

    assert grid.root_cells(domain).lower.tolist() == [0, 1, 2, 3]
    assert len(grid.root_cells(CategoricalDomain('c', 'categorical', (), False))) == 0


@given(units, st.integers(0, 10**6), st.integers(1, 70))
def test_split_tiles_with_nearly_equal_widths(lower, width, parts):
    cells = Cells(*grid.split(lower, lower + width, parts))

    assert_tiles(cells, lower, lower + width)
    assert len(cells) == min(parts, width + 1)
    assert np.ptp(cells.upper - cells.lower) <= 1


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=8), seeds)
def test_locate_finds_the_cell_that_holds_a_position(steps, seed):
    lower, upper, at = [], [], -20
    for gap, width in steps:
        lower.append(at + gap)
        upper.append(at + gap + width)
        at = upper[-1] + 1
    cells = Cells(np.array(lower, dtype=np.int64), np.array(upper, dtype=np.int64))
    positions = np.random.default_rng(seed).integers(-25, 60, 30)

    for position, index in zip(positions, cells.locate(positions), strict=True):
        inside = [i for i in range(len(cells)) if lower[i] <= position <= upper[i]]
        assert [index] == (inside or [-1])


def test_values_without_a_cell_are_not_located():
    cells = grid.root_cells(number(0, 5, has_missing=True))
    without = grid.root_cells(number(0, 5))

    assert cells.locate(np.array([MISSING, UNCOUNTED, 6])).tolist() == [0, -1, -1]
    assert without.locate(np.array([MISSING, UNCOUNTED])).tolist() == [-1, -1]


@given(units, st.lists(st.tuples(st.integers(1, 300), st.booleans()), min_size=1, max_size=10))
def test_refining_tiles_the_significant_cells_only(start, parts):
    edges = start + np.cumsum([0, *[width for width, _ in parts]])
    cells = Cells(edges[:-1], edges[1:] - 1)
    sigma = 3.0
    noisy = np.where([chosen for _, chosen in parts], 10**6, 0)

    children = grid.refine(cells, noisy, sigma)

    parent = cells.locate(children.lower)
    assert (parent == cells.locate(children.upper)).all()
    for i, (width, chosen) in enumerate(parts):
        mine = Cells(children.lower[parent == i], children.upper[parent == i])
        if chosen and width > 1:
            assert_tiles(mine, int(cells.lower[i]), int(cells.upper[i]))
            assert len(mine) > 1
        else:
            assert len(mine) == 0


def test_nothing_is_refined_where_noise_hides_everything():
    cells = Cells(np.array([0, 10]), np.array([9, 19]))

    assert len(grid.refine(cells, np.array([0, -50]), 3.0)) == 0


@given(st.integers(1, 2**53))
def test_levels_needed_reach_single_positions(width):
    cells = Cells(np.array([5]), np.array([5 + width - 1]))
    levels = 0
    while cells.widths.max() > 1:
        widest = int(np.argmax(cells.widths))
        one = Cells(cells.lower[[widest]], cells.upper[[widest]])
        cells = grid.refine(one, np.array([10**9]), 1.0)
        levels += 1

    assert levels == grid.levels_needed(float(width))


def check_least_squares(seed: int, depth: int) -> None:
    rng = np.random.default_rng(seed)
    levels = random_tree(rng, depth)
    noisy = [rng.normal(50, 30, len(cells)) for cells in levels]
    variances = rng.uniform(0.5, 20, len(levels))

    leaves, found, spread = grid.consistent_leaves(list(zip(levels, noisy, variances, strict=True)))

    assert_tiles(leaves, int(levels[0].lower[0]), int(levels[0].upper[-1]))
    solution, covariance = least_squares(levels, noisy, variances, leaves)
    np.testing.assert_allclose(found, solution, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(spread, np.diag(covariance), rtol=1e-7)


@given(seeds, st.integers(1, 2))
def test_consistent_leaves_are_least_squares(seed, depth):
    check_least_squares(seed, depth)


@given(seeds, st.integers(3, 5))
def test_consistent_leaves_of_deep_trees_are_least_squares(seed, depth):
    check_least_squares(seed, depth)


@given(seeds, st.integers(1, 5))
def test_consistent_leaves_are_linear_and_exact_without_noise(seed, depth):
    """So they are unbiased: their expectation is what they make of the true counts."""
    rng = np.random.default_rng(seed)
    levels = random_tree(rng, depth)
    variances = rng.uniform(0.5, 20, len(levels))

    def leaves_of(noisy):
        return grid.consistent_leaves(list(zip(levels, noisy, variances, strict=True)))

    leaves = leaves_of([np.zeros(len(cells)) for cells in levels])[0]
    truth = rng.normal(0, 100, len(leaves))
    edges = np.cumsum([len(cells) for cells in levels])[:-1]
    exact = np.split(design(levels, leaves) @ truth, edges)
    noise = [rng.normal(0, 10, len(cells)) for cells in levels]
    both = leaves_of([e + n for e, n in zip(exact, noise, strict=True)])[1]

    np.testing.assert_allclose(leaves_of(exact)[1], truth, atol=1e-8)
    np.testing.assert_allclose(both, truth + leaves_of(noise)[1], atol=1e-8)


@given(seeds, st.integers(2, 5))
def test_consistent_leaves_are_better_than_the_finest_counts(seed, depth):
    rng = np.random.default_rng(seed)
    levels = random_tree(rng, depth)
    assume(len(levels) > 1)

    leaves, _, spread = grid.consistent_leaves([(c, np.zeros(len(c)), 1.0) for c in levels])

    refined = levels[0].locate(leaves.lower)
    split = np.bincount(refined, minlength=len(levels[0])) > 1
    assert (spread > 0).all()
    assert (spread[split[refined]] < 1).all()
    np.testing.assert_allclose(spread[~split[refined]], 1.0)


@given(st.lists(counts, min_size=1, max_size=30), st.floats(0.1, 100), st.booleans())
def test_pooled_groups_are_runs_with_spikes_alone(values, spread, has_missing):
    n, target = len(values), 40.0
    cells = row_of_cells(n)
    if has_missing:
        cells = Cells(np.r_[MISSING, cells.lower[1:]], np.r_[MISSING, cells.upper[1:]])
    values, spreads = np.array(values), np.full(n, spread)

    groups = pooling.pool(cells, values, spreads, target)

    assert_runs(groups)
    spike = (values >= target) & grid.significant(values, np.sqrt(spread))
    alone = spike | (cells.lower == MISSING)
    assert (np.bincount(groups)[groups[alone]] == 1).all()
    # A group ends because it has enough, because a lone cell follows, or at the end.
    sums = np.bincount(groups, values)
    for group in range(groups[-1]):
        following = int(np.flatnonzero(groups == group + 1)[0])
        lone = alone[groups == group].any() or alone[following]
        assert sums[group] >= target or lone


@given(st.lists(st.floats(0, 50), min_size=1, max_size=30), seeds)
def test_joined_groups_are_runs_that_leave_kept_ones_alone(values, seed):
    rng = np.random.default_rng(seed)
    values, target = np.array(values), 40.0
    groups = np.cumsum(np.r_[0, rng.integers(0, 2, len(values) - 1)])
    n = groups[-1] + 1
    keep = np.flatnonzero(rng.random(n) < 0.3)

    joined = pooling.join_small(groups, values, target, keep)

    assert_runs(joined)
    members = [set(joined[groups == group]) for group in range(n)]
    assert all(len(m) == 1 for m in members)
    before = np.bincount(groups, values)
    for group in range(n):
        same = [other for other in range(n) if members[other] == members[group]]
        assert group not in keep or same == [group]
        first_after_kept = group == 0 or group - 1 in keep
        if before[group] >= target or first_after_kept:
            assert same[0] == group
        elif group not in keep:
            assert group - 1 in same


@given(
    st.lists(st.tuples(st.floats(0, 0.4), st.floats(0, 60), st.booleans()), min_size=1, max_size=30)
)
def test_closed_bins_are_runs_that_reach_score_and_count(rows):
    score, values = (np.array([row[i] for row in rows]) for i in (0, 1))
    alone = np.array([row[2] and i == 0 for i, row in enumerate(rows)])
    target, floor = 0.1, 40.0

    groups = pooling.close_bins(score, values, alone, target, floor)

    assert_runs(groups)
    single = alone | ((score >= target) & (values >= floor))
    assert (np.bincount(groups)[groups[single]] == 1).all()
    scores, sums = np.bincount(groups, score), np.bincount(groups, values)
    for group in range(groups[-1]):
        following = int(np.flatnonzero(groups == group + 1)[0])
        if not (single[groups == group].any() or single[following]):
            assert scores[group] >= target * (1 - 1e-9)
            assert sums[group] >= floor * (1 - 1e-9)


@given(st.lists(st.integers(-20, 200), min_size=1, max_size=30), st.floats(1, 100))
def test_packed_groups_hold_enough_but_the_last(values, target):
    values = np.array(values, dtype=np.float64)

    groups = pooling.pack(values, target)

    assert sorted(set(groups)) == list(range(groups.max() + 1))
    sums = np.bincount(groups, np.maximum(values, 0))
    assert (sums[:-1] >= target).all()
    order = np.argsort(-values, kind='stable')
    assert (np.diff(groups[order]) >= 0).all()
    large = np.flatnonzero(values >= target)
    assert (np.bincount(groups)[groups[large]][np.argsort(-values[large])[:-1]] == 1).all()


@given(st.lists(counts, min_size=1, max_size=30), st.floats(0.1, 100), seeds)
def test_pooled_cells_are_the_groups_with_their_sums(values, spread, seed):
    values, spreads = np.array(values), np.full(len(values), spread)
    cells = row_of_cells(len(values))
    law = np.random.default_rng(seed).uniform(0, 9, len(values))

    merged, sums, groups = grid.pooled(cells, values, spreads, law)

    target = grid.SIGNIFICANCE * np.sqrt(spread)
    assert groups.tolist() == pooling.pool(cells, values, spreads, target).tolist()
    assert_tiles(merged, 0, len(values) - 1)
    assert merged.locate(cells.lower).tolist() == groups.tolist()
    np.testing.assert_allclose(sums, [law[groups == g].sum() for g in range(len(merged))])


def test_within_keeps_inner_and_missing_cells():
    cells = Cells(np.array([MISSING, 0, 5, 10]), np.array([MISSING, 4, 9, 14]))

    assert grid.within(cells, 0, 9).tolist() == [True, True, True, False]
    assert grid.within(cells, 1, 14).tolist() == [True, False, True, True]
