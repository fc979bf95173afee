import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sdv_slicedp import discovery, grid
from sdv_slicedp.domain import MAX_UNITS, MISSING, NumericalDomain, from_units, to_units

pytestmark = pytest.mark.filterwarnings('error')

SIGMA = 2.0
DAY, HOUR, MINUTE, SECOND, MILLISECOND, MICROSECOND = discovery.TIME_STEPS
DIGITS = 123_456_789_123


def slice_of(values, sdtype: str = 'numerical') -> np.ndarray:
    """Exact counts of a resolution slice."""
    cells, n_cells = discovery.resolution_cells(np.array(values, dtype=np.float64), sdtype)
    return np.bincount(cells[cells >= 0], minlength=n_cells)


def step_of(values, sdtype: str = 'numerical', sigma: float = SIGMA) -> tuple[int, int]:
    return discovery.step(sdtype, slice_of(values, sdtype), sigma)


def unbounded(sdtype: str = 'numerical', step=(1, 1)) -> NumericalDomain:
    return NumericalDomain('x', sdtype, None, None, step, True)


@given(st.integers(0, 8), st.integers(1, 10**11))
def test_decimals_are_counted(decimals, units):
    units += units % 10 == 0  # the last decimal shows

    cells = discovery.decimal_cells(np.array([1, -1]) * units / 10**decimals)

    assert cells.tolist() == [decimals] * 2


@pytest.mark.parametrize('decimals', range(discovery.MAX_DECIMALS + 1))
def test_every_number_of_decimals_gives_its_step(decimals):
    value = (DIGITS // 10 ** (12 - decimals)) / 10**decimals
    values = np.r_[np.full(900, value), np.zeros(100)]

    assert step_of(values) == (1, 10**decimals)


@pytest.mark.parametrize('exponent', [-8, -5, -1, 0, 1, 4, 8, 11, 14])
def test_endless_decimals_keep_nine_digits_of_the_largest(exponent):
    rng = np.random.default_rng(0)
    values = rng.uniform(1, 10, 1000) * 10.0**exponent

    numerator, denominator = step_of(values)

    step = numerator / denominator
    assert numerator == 1
    assert step == 1 or 1e8 <= 10.0**exponent / step * (1 + 1e-9) < 1e9
    rounded = from_units(to_units(values, (numerator, denominator)).astype(np.int64), (1, 1))
    assert abs(rounded * step / values - 1).max() < max(1e-8, step / 10.0**exponent)


@pytest.mark.parametrize('exponent', [-14, -12, -10])
def test_tiny_endless_decimals_keep_nine_digits(exponent):
    values = np.random.default_rng(0).uniform(1, 10, 1000) * 10.0**exponent

    assert step_of(values)[1] >= 10 ** (8 - exponent)


def test_whole_numbers_of_any_size_have_no_decimals():
    assert slice_of([0.0, -0.0, 7.0, -1e9, 1e12, 3e15, 1e22, 2.0**53])[0] == 8


def test_missing_and_infinite_numbers_are_not_counted():
    assert slice_of([np.nan, math.inf, -math.inf]).sum() == 0
    assert slice_of([np.nan, math.inf, -math.inf], 'datetime').sum() == 0
    assert slice_of([]).sum() == 0


wide = st.one_of(st.floats(-1e290, 1e290), st.sampled_from([np.nan, math.inf, -math.inf]))


@given(st.lists(wide, max_size=8), st.lists(wide, max_size=8))
def test_resolutions_are_found_row_by_row(first, second):
    for sdtype in ('numerical', 'datetime'):
        a, b, both = (
            discovery.resolution_cells(np.array(v, dtype=np.float64), sdtype)[0]
            for v in (first, second, [*first, *second])
        )

        assert both.tolist() == [*a, *b]


def test_huge_numbers_are_counted_in_silence():
    assert slice_of([1.7e308, -1.7e308])[0] == 2


def test_few_finer_numbers_do_not_decide():
    coarse, fine = np.full(100_000, 0.5), np.full(20, 0.123)

    assert step_of(np.r_[coarse, fine]) == (1, 10)
    assert step_of(np.r_[coarse, np.full(20_000, 0.123)]) == (1, 1000)
    assert step_of(np.r_[coarse, np.full(20, math.pi)]) == (1, 10)


def test_noise_alone_gives_the_coarsest_step():
    assert step_of([]) == (1, 1)
    assert step_of([], 'datetime') == (DAY, 1)
    noise = np.tile([-3, 2], discovery.DECIMAL_CELLS)[: discovery.DECIMAL_CELLS]
    assert discovery.step('numerical', noise, SIGMA) == (1, 1)


@pytest.mark.parametrize('sdtype', ['numerical', 'datetime'])
def test_noise_alone_rarely_refines_a_step(sdtype, monkeypatch):
    # 10,000 columns have 10 false alarms at most: more than 20 with probability 0.002. Three scales
    # for any number of cells must fail.
    whole = slice_of([0.0] * 1_000, sdtype)
    noise = np.rint(np.random.default_rng(0).normal(0, 20.0, (10_000, len(whole)))).astype(np.int64)

    def false_alarms() -> int:
        coarsest = step_of([], sdtype)
        return sum(discovery.step(sdtype, whole + drawn, 20.0) != coarsest for drawn in noise)

    assert false_alarms() <= 20
    monkeypatch.setattr(discovery, 'significance', lambda n_cells: 3.0)
    assert false_alarms() > 20


@pytest.mark.parametrize('step', [DAY, HOUR, MINUTE, SECOND])
@given(st.integers(-53_000, 53_000), st.integers(1, 22))
def test_time_steps_are_found(step, days, part):
    coarser = {HOUR: DAY, MINUTE: HOUR, SECOND: MINUTE}
    instant = days * DAY + (0 if step == DAY else part * step)
    assert step == DAY or instant % coarser[step]

    cells = discovery.time_cells(np.array([instant, np.nan]))

    assert [discovery.TIME_STEPS[cells[0]], cells[1]] == [step, -1]


@pytest.mark.parametrize('step', [DAY, HOUR, MINUTE, SECOND, MICROSECOND])
def test_step_of_a_datetime_column(step):
    rng = np.random.default_rng(0)
    instants = rng.integers(-53_000 * DAY // step, 53_000 * DAY // step, 2_000) * step

    assert step_of(np.r_[instants.astype(np.float64), np.nan], 'datetime') == (step, 1)


@pytest.mark.parametrize('day', ['1800-01-01', '2116-03-01', '2199-12-31', '2262-04-01'])
def test_days_far_away_are_days(day):
    instant = (np.datetime64(day) - np.datetime64('1970-01-01')).astype(np.int64) * DAY

    assert step_of(np.full(1000, float(instant)), 'datetime') == (DAY, 1)


def test_step_of_milliseconds():
    rng = np.random.default_rng(0)
    instants = rng.integers(0, 20_000 * DAY // MILLISECOND, 2_000) * MILLISECOND

    assert step_of(instants.astype(np.float64), 'datetime') == (MILLISECOND, 1)


def test_declared_bounds_become_positions_of_the_step():
    declared = NumericalDomain('x', 'numerical', None, None, None, True, (-1.5, 20.25))

    domain = discovery.with_step(declared, (1, 100))

    assert (domain.lower, domain.upper, domain.step) == (-150, 2025, (1, 100))
    assert domain.is_complete
    free = discovery.with_step(unbounded(step=None), (1, 10))
    assert (free.lower, free.upper, free.step) == (None, None, (1, 10))
    assert discovery.widest(free).lower == -MAX_UNITS
    assert discovery.widest(free).upper == MAX_UNITS


@given(
    bounds=st.tuples(st.floats(-1e20, 1e20), st.floats(-1e20, 1e20)).map(sorted),
    decimals=st.integers(0, 23),
)
def test_no_resolution_that_noise_asks_for_takes_anything_of_the_declared_bounds(bounds, decimals):
    declared = NumericalDomain('x', 'numerical', None, None, None, True, tuple(bounds))

    domain = discovery.with_step(declared, (1, 10**decimals))

    kept = from_units(np.array([domain.lower, domain.upper]), domain.step)
    resolution = domain.step[0] / domain.step[1]
    assert np.abs(kept - bounds).max() <= resolution / 2 + 1e-15 * np.abs(bounds).max()


@given(
    st.lists(
        st.one_of(st.integers(-MAX_UNITS, MAX_UNITS), st.integers(-50, 50)), min_size=1, max_size=20
    )
)
def test_discovered_bounds_hold_all_that_stands_out(positions):
    cells = grid.root_cells(unbounded())
    positions = np.array(positions, dtype=np.int64)
    counts = 1000 * np.bincount(cells.locate(positions), minlength=len(cells))

    domain, inside = discovery.with_bounds(unbounded(), cells, counts, SIGMA)

    assert domain.is_complete
    assert domain.lower <= positions.min()
    assert positions.max() <= domain.upper
    # No wider than the next powers of two.
    assert domain.lower >= min(2 * positions.min(), positions.min(), 1)
    assert domain.upper <= max(2 * positions.max(), positions.max(), -1)
    value = cells.lower != MISSING
    expected = ~value | ((cells.lower >= domain.lower) & (cells.upper <= domain.upper))
    assert inside.tolist() == expected.tolist()
    assert inside[0]  # the cell of missing values


@pytest.mark.parametrize('sdtype', ['numerical', 'datetime'])
def test_without_values_the_domain_is_the_cell_of_zero(sdtype):
    step = (1, 1) if sdtype == 'numerical' else (DAY, 1)
    cells = grid.root_cells(unbounded(sdtype, step))
    all_missing = np.where(cells.lower == MISSING, 10**6, 0)

    domain, inside = discovery.with_bounds(unbounded(sdtype, step), cells, all_missing, SIGMA)

    assert domain.lower <= 0 <= domain.upper
    assert domain.upper - domain.lower <= 366
    assert inside.sum() == 2


@pytest.mark.parametrize('sdtype', ['numerical', 'datetime'])
def test_noise_alone_rarely_widens_the_bounds(sdtype):
    cells = grid.root_cells(unbounded(sdtype, (1, 1) if sdtype == 'numerical' else (DAY, 1)))

    false_alarms = len(cells) * stats.norm.sf(discovery.significance(len(cells)))

    assert false_alarms < 0.02


plain = st.lists(
    st.one_of(st.text(max_size=3), st.integers(), st.floats(allow_nan=False), st.booleans()),
    unique=True,
    max_size=12,
)


@given(plain, st.randoms(use_true_random=False))
def test_order_of_categories_is_no_order_of_the_table(values, random):
    shuffled = list(values)
    random.shuffle(shuffled)

    found = discovery.in_public_order(shuffled)

    assert found == discovery.in_public_order(values)
    assert set(found) == set(values)


def test_categories_are_plain_values():
    found = discovery.in_public_order([np.int64(3), np.str_('a'), np.bool_(True), np.float32(0.5)])

    assert {type(value) for value in found} == {int, str, bool, float}


def test_values_that_cannot_be_categories_are_missing():
    cells = pd.Series(['a', 1, 0.5, True, np.int8(1), None, [1], {'b': 2}, b'c'], dtype=object)

    booleans, integers, floats, texts = discovery.by_type(cells)

    assert [part.index.tolist() for part in (booleans, integers, floats, texts)] == [
        [3],
        [1, 4],
        [2],
        [0],
    ]
    assert len(discovery.by_type(pd.Series(['a', 'b'], dtype='category'))[-1]) == 2


def unit_cells(size):
    positions = np.arange(size, dtype=np.int64)
    return grid.Cells(positions, positions)


@given(st.integers(0, 2**32 - 1), st.integers(5, 40), st.integers(0, 4), st.integers(1, 4))
def test_bounds_are_drawn_in_to_what_stands_out(seed, inner, left, right):
    counts = np.full(left + inner + right, 0.0)
    counts[left : left + inner] = np.random.default_rng(seed).uniform(100, 1000, inner)

    ends = discovery.outermost(unit_cells(len(counts)), counts, np.full(len(counts), 4.0))

    assert ends == (left, left + inner - 1)


def test_a_thin_tail_that_stands_out_together_is_kept():
    counts = np.r_[1000.0, np.full(50, 3.0)]

    lower, upper = discovery.outermost(unit_cells(51), counts, np.full(51, 4.0))

    assert lower == 0
    assert upper > 30  # 3 noise scales are reached by 36 of such cells at the most
    assert discovery.outermost(unit_cells(3), np.zeros(3), np.ones(3)) is None


def test_the_cell_of_missing_values_has_no_say_in_the_bounds():
    cells = grid.Cells(np.array([MISSING, 5, 6]), np.array([MISSING, 5, 6]))

    assert discovery.outermost(cells, np.array([1e6, 0.0, 100.0]), np.ones(3)) == (6, 6)


@given(st.permutations([True, 1, 1.0, 0.0, -0.0, False, 'x', 2.5]))
def test_of_equal_categories_the_first_type_stays(values):
    assert repr(discovery.in_public_order(values)) == "(False, True, 2.5, 'x')"
