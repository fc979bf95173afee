import math
import multiprocessing
import random
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch
from effort import examples
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sdv_slicedp import noise

FALSE_ALARM = 1e-6  # of each statistical test
DRAWS = 200_000
SCALES = [0.5, 1.0, 3.0, 26.5, 300.0]

scales = st.floats(min_value=1e-3, max_value=2000)


def exact_pmf(sigma: float) -> dict[int, mpmath.mpf]:
    """The discrete Gaussian by its definition, to 90 digits."""
    with mpmath.workdps(90):
        reach = math.ceil(13.5 * sigma) + 5
        weights = {k: mpmath.exp(-mpmath.mpf(k) ** 2 / (2 * mpmath.mpf(sigma) ** 2))
                   for k in range(-reach, reach + 1)}  # fmt: skip
        total = mpmath.fsum(weights.values())
        return {k: w / total for k, w in weights.items()}


def goodness_of_fit(draws: np.ndarray, sigma: float) -> float:
    """P-value of the chi-square test of ``draws`` against scale ``sigma``."""
    reach = math.ceil(13.5 * sigma) + 5
    support = np.arange(-reach, reach + 1)
    weights = np.exp(-(support**2) / (2 * sigma**2))
    expected = weights / weights.sum() * draws.size
    observed = np.bincount(np.clip(draws, -reach, reach) + reach, minlength=len(support))
    groups = np.minimum(np.cumsum(expected), draws.size - 1e-6) // max(draws.size / 60, 1)
    observed, expected = (np.bincount(groups.astype(int), v) for v in (observed, expected))
    filled = expected > 5
    observed = np.append(observed[filled], observed[~filled].sum())
    expected = np.append(expected[filled], expected[~filled].sum())
    observed, expected = observed[expected > 0], expected[expected > 0]
    if expected[-1] < 5:
        observed = np.append(observed[:-2], observed[-2:].sum())
        expected = np.append(expected[:-2], expected[-2:].sum())
    return float(stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue)


@pytest.mark.parametrize('sigma', SCALES)
def test_draws_follow_the_law_and_a_wrong_scale_is_rejected(sigma):
    draws = noise.discrete_gaussian(DRAWS, sigma)

    assert goodness_of_fit(draws, sigma) > FALSE_ALARM
    assert goodness_of_fit(draws, sigma * 2 / 3) < FALSE_ALARM
    assert goodness_of_fit(draws, sigma * 3 / 2) < FALSE_ALARM


@pytest.mark.parametrize('sigma', [1.0, 50.0])
def test_rounded_continuous_noise_of_the_same_scale_is_told_apart_where_it_differs(sigma):
    wrong = np.rint(np.random.default_rng(0).normal(0, sigma * 1.05, DRAWS)).astype(np.int64)

    assert goodness_of_fit(wrong, sigma) < FALSE_ALARM


@pytest.mark.parametrize('sigma', [0.5, 3.0, 50.0])
def test_table_is_the_exact_law_within_the_stated_error(sigma):
    table, pmf = noise.noise_table(sigma), exact_pmf(sigma)

    sampled, before = {}, 0
    for k in range(table.high.size):
        cumulative = (int(table.high[k]) << 64) + int(table.low[k])
        sampled[k] = Fraction(cumulative - before, 2**127)
        before = cumulative
    assert before == 2**127
    with mpmath.workdps(90):
        distance = mpmath.mpf(0)
        for k in range(max(pmf) + 1):
            exact = pmf[k] if k == 0 else 2 * pmf[k]
            share = sampled.get(k, Fraction(0))
            distance += abs(mpmath.mpf(share.numerator) / share.denominator - exact) / 2
        assert distance <= noise.sampling_error(sigma, 1)
    assert noise.sampling_error(sigma, 10**6) < 1e-25


@pytest.mark.parametrize('sigma', [0.5, 3.0, 50.0])
def test_ties_of_the_first_word_are_decided_by_the_second(sigma):
    table = noise.noise_table(sigma)
    ends = table.high[:-1]
    below = np.maximum(table.low[:-1], np.uint64(1)) - np.uint64(1)

    at_boundary = noise._break_ties(table, ends, table.low[:-1])
    under_boundary = noise._break_ties(table, ends, below)

    expected = [_invert(table, int(h), int(w)) for h, w in zip(ends, table.low, strict=False)]
    assert at_boundary == expected
    expected = [_invert(table, int(h), int(w)) for h, w in zip(ends, below, strict=True)]
    assert under_boundary == expected
    mask = table.high[1:] != table.high[:-1]
    unique = np.flatnonzero(mask & np.r_[True, mask[:-1]] & (table.low[:-1] > 0))
    assert unique.size > 0
    assert all(at_boundary[k] == k + 1 and under_boundary[k] == k for k in unique)


def _invert(table: noise.NoiseTable, high: int, low: int) -> int:
    word = (high << 64) + low
    return sum((int(h) << 64) + int(w) <= word for h, w in zip(table.high, table.low, strict=True))


def test_single_words_give_the_inverse_of_the_table():
    table = noise.noise_table(3.0)
    words = np.frombuffer(np.random.default_rng(0).bytes(8000), dtype=np.uint64) >> np.uint64(1)

    magnitudes = noise._magnitudes(table, words)

    assert magnitudes.tolist() == [_invert(table, int(word), 0) for word in words]


@pytest.mark.parametrize('shape', [(), 0, 7, (3, 4), (2, 0, 5)])
def test_shape_and_type(shape):
    draws = noise.discrete_gaussian(shape, 3.0)

    assert draws.shape == np.empty(shape).shape
    assert draws.dtype == np.int64


def test_long_draws_cross_chunks():
    draws = noise.discrete_gaussian(noise._CHUNK + 1000, 100.0)

    assert draws.shape == (noise._CHUNK + 1000,)
    assert np.std(draws[-1000:]) > 50  # false-alarm rate below 1e-100


def test_seeds_have_no_influence():
    def seeded() -> list[int]:
        np.random.seed(0)  # noqa: NPY002
        random.seed(0)
        torch.manual_seed(0)
        return noise.discrete_gaussian(1000, 50.0).tolist()

    assert seeded() != seeded()


def _send_draws(pipe) -> None:
    pipe.send(noise.discrete_gaussian(1000, 50.0).tolist())


@pytest.mark.skipif('fork' not in multiprocessing.get_all_start_methods(), reason='needs fork')
@pytest.mark.filterwarnings('ignore:.*multi-threaded.*:DeprecationWarning')
def test_forked_processes_draw_different_noise():
    context = multiprocessing.get_context('fork')
    answers = []
    for _ in range(2):
        here, there = context.Pipe()
        process = context.Process(target=_send_draws, args=(there,))
        process.start()
        answers.append(here.recv())
        process.join()

    answers.append(noise.discrete_gaussian(1000, 50.0).tolist())
    assert answers[0] != answers[1] != answers[2] != answers[0]
    correlations = np.corrcoef(np.array(answers, dtype=float))[np.triu_indices(3, 1)]
    assert np.all(np.abs(correlations) < 5.5 / math.sqrt(1000))  # false-alarm rate about 1e-7


@given(scales)
def test_admissible_scale_is_the_next_one_up(sigma):
    rounded = noise.admissible_sigma(sigma)

    units = Fraction(rounded) ** 2 * noise.VARIANCE_STEPS
    assert abs(units - round(units)) < Fraction(1, 1000)
    assert rounded >= max(sigma, noise.MIN_SIGMA) * (1 - 1e-15)
    assert (round(units) - 1) / noise.VARIANCE_STEPS < max(sigma, 0.5) ** 2 * (1 + 1e-15)
    assert noise.admissible_sigma(rounded) == rounded
    assert noise.is_admissible(rounded)


@pytest.mark.parametrize('draw', [noise.admissible_sigma, noise.noise_table])
@pytest.mark.parametrize('sigma', [0.0, -1.0, math.nan, math.inf, -math.inf, 2.0**20 * 1.01])
def test_impossible_scales_are_refused(draw, sigma):
    with pytest.raises(ValueError, match='sigma must be'):
        draw(sigma)


@pytest.mark.parametrize('sigma', [True, '3', None, 3j])
def test_scales_that_are_no_numbers_are_refused(sigma):
    with pytest.raises(TypeError, match='sigma must be a number'):
        noise.admissible_sigma(sigma)


@pytest.mark.parametrize('sigma', [0.3, math.pi])
def test_drawing_needs_an_admissible_scale(sigma):
    assert not noise.is_admissible(sigma)
    with pytest.raises(ValueError, match='admissible_sigma'):
        noise.discrete_gaussian(3, sigma)


@examples(30)
@given(st.sampled_from([0.5, 1.0, 3.0, 50.0]), st.floats(min_value=1e-25, max_value=0.49))
def test_threshold_is_the_smallest_that_keeps_delta(sigma, delta):
    threshold = noise.partition_threshold(sigma, delta)

    pmf = exact_pmf(sigma)

    def tail(least: int) -> mpmath.mpf:
        return mpmath.fsum(p for k, p in pmf.items() if 1 + k >= least)

    slack = noise.sampling_error(sigma, 1)
    assert tail(threshold) <= delta + slack
    assert tail(threshold - 1) > delta - slack


@pytest.mark.parametrize(('sigma', 'delta'), [(50.0, 1e-7), (200.0, 1e-9)])
def test_threshold_is_near_the_normal_one(sigma, delta):
    normal = 1 + sigma * stats.norm.isf(delta)

    assert abs(noise.partition_threshold(sigma, delta) - normal) < 2


@pytest.mark.parametrize('delta', [0.0, 0.5, 1.0, -1e-6, math.nan])
def test_threshold_needs_a_small_delta(delta):
    with pytest.raises(ValueError, match='delta'):
        noise.partition_threshold(3.0, delta)


def test_sampling_error_grows_with_draws_and_refuses_negative_ones():
    assert noise.sampling_error(3.0, 0) == 0
    assert noise.sampling_error(3.0, 20) == pytest.approx(20 * noise.sampling_error(3.0, 1))
    with pytest.raises(ValueError, match='draws'):
        noise.sampling_error(3.0, -1)


def test_normals_follow_their_law_and_a_wrong_scale_is_rejected():
    draws = noise.normals((DRAWS // 4, 4)).ravel()

    assert stats.kstest(draws, stats.norm.cdf).pvalue > FALSE_ALARM
    assert stats.kstest(draws, stats.norm(0, 1.05).cdf).pvalue < FALSE_ALARM
    assert stats.kstest(draws, stats.norm(0.05, 1).cdf).pvalue < FALSE_ALARM
    # Tails beyond 3, where the test above has little power.
    beyond = int((np.abs(draws) > 3).sum())
    assert stats.binomtest(beyond, DRAWS, 2 * stats.norm.sf(3)).pvalue > FALSE_ALARM


def test_normals_next_to_each_other_are_independent():
    first, second = noise.normals((2, DRAWS))

    correlation = np.corrcoef(first, second)[0, 1] * math.sqrt(DRAWS)
    assert 2 * stats.norm.sf(abs(correlation)) > FALSE_ALARM
    assert noise.normals((0, 3)).shape == (0, 3)
    assert noise.normals((2, 3, 4)).shape == (2, 3, 4)


@pytest.mark.parametrize('byte', [b'\x00', b'\xff', b'\x80', b'\x7f'])
def test_normals_are_finite_whatever_the_system_answers(monkeypatch, byte):
    monkeypatch.setattr('os.urandom', lambda size: byte * size)

    draws = noise.normals((2, 3))

    assert np.isfinite(draws).all()
    assert 0 < np.abs(draws).max() < 9


def order_level(orders: list[list[int]]) -> float:
    """P-value of the chi-square test that all orders of four things are equally likely."""
    _, counts = np.unique(np.array(orders) @ [64, 16, 4, 1], return_counts=True)
    return float(stats.chisquare(np.append(counts, [0] * (24 - len(counts)))).pvalue)


def test_random_orders_are_uniform_and_a_biased_one_is_rejected():
    draws = 12_000
    rng = np.random.default_rng(0)
    # The twin: keys of three bits, so that ties leave things where they were.
    wrong = [np.argsort(rng.integers(0, 8, 4), kind='stable') for _ in range(draws)]

    assert order_level([noise.random_order(4).tolist() for _ in range(draws)]) > FALSE_ALARM
    assert order_level(wrong) < FALSE_ALARM


@pytest.mark.parametrize('size', [0, 1, 2, 1000])
def test_random_orders_have_everything_once(size):
    order = noise.random_order(size)

    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(size))


def test_random_orders_and_normals_have_no_seed():
    # Equal by chance with a probability far below 1e-100.
    def seeded() -> tuple[list[int], list[float]]:
        np.random.seed(0)  # noqa: NPY002
        random.seed(0)
        torch.manual_seed(0)
        return noise.random_order(100).tolist(), noise.normals((100,)).tolist()

    first, second = seeded(), seeded()
    assert first[0] != second[0]
    assert first[1] != second[1]


def test_ties_of_the_first_key_are_decided_by_the_second(monkeypatch):
    """A sort that left ties in place would show the order of the rows."""
    keys = [np.zeros(50, dtype=np.uint64), np.arange(50, 0, -1).astype(np.uint64)]
    monkeypatch.setattr(noise, '_entropy', lambda size: keys.pop())

    assert noise.random_order(50).tolist() == list(range(49, -1, -1))


@pytest.mark.parametrize('sigma', [0.5, 3.0, 300.0])
def test_no_draw_is_larger_than_the_largest(sigma, monkeypatch):
    largest = noise.largest_draw(sigma)
    assert np.abs(noise.discrete_gaussian(DRAWS, sigma)).max() <= largest
    monkeypatch.setattr('os.urandom', lambda size: b'\xff' * size)

    assert np.all(noise.discrete_gaussian(3, sigma) <= -0.6 * largest)
