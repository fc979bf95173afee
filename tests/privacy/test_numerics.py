"""Counts are exact integers: of any scale of noise, of any number of rows, and with no float."""

from __future__ import annotations

import contextlib
import sys
from types import FrameType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare
from test_noise import goodness_of_fit

from sdv_slicedp import curator, noise
from sdv_slicedp.accounting import Ledger, LedgerEntry
from sdv_slicedp.curator import Curator
from sdv_slicedp.denoising import denoise_pairs
from sdv_slicedp.domain import CategoricalDomain, NumericalDomain
from sdv_slicedp.mechanism import measure

FALSE_ALARM = 1e-6


def check_sampler(sigma: float) -> None:
    draws = noise.discrete_gaussian(200_000, sigma)
    assert goodness_of_fit(draws, sigma) > FALSE_ALARM
    assert goodness_of_fit(draws, sigma * 1.05) < FALSE_ALARM
    if sigma > 1000:  # groups of values hide the low bits
        counts = np.bincount(draws % 64, minlength=64)
        assert chisquare(counts).pvalue > FALSE_ALARM


@pytest.mark.parametrize('sigma', [noise.MIN_SIGMA, noise.admissible_sigma(0.51), 2.0**14])
def test_the_sampler_follows_its_law_at_the_ends_of_its_range(sigma):
    check_sampler(sigma)


@pytest.mark.slow
def test_the_sampler_follows_its_law_at_the_largest_scale():
    check_sampler(noise.MAX_SIGMA)


def test_coarse_noise_is_caught():
    coarse = noise.discrete_gaussian(200_000, 2.0**14) // 2 * 2
    assert chisquare(np.bincount(coarse % 64, minlength=64) + 1).pvalue < FALSE_ALARM


DOMAINS = [
    CategoricalDomain('word', 'categorical', ('a', 'b'), True),
    CategoricalDomain('found', 'categorical', None, True),
    NumericalDomain('free', 'numerical', None, None, None, True),
    NumericalDomain('day', 'datetime', None, None, None, True),
]
TABLE = pd.DataFrame(
    {
        'word': pd.Series(['a', 'b', 'a', None] * 25, dtype=object),
        'found': pd.Series(['x', 'y', 'x', 'x'] * 25, dtype=object),
        'free': [1.5, 2.5, np.nan, 700.25] * 25,
        'day': [0.0, 86_400e9, np.nan, 5 * 86_400e9] * 25,
    }
)
TIMES = 10**8


class ManyRows:
    """NumPy as if every row were there ``TIMES`` times."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def bincount(self, *arguments: Any, **options: Any) -> np.ndarray:
        return np.bincount(*arguments, **options) * TIMES


def test_ten_billion_rows_do_not_overflow(monkeypatch):
    monkeypatch.setattr(curator, 'np', ManyRows())
    release = measure(TABLE, DOMAINS[::2], epsilon=1.0, delta=1e-12, ledger=Ledger())
    n_rows = len(TABLE) * TIMES
    assert abs(release.noisy_rows - n_rows) < 1e5
    for marginal in release.marginals:
        assert marginal.counts.dtype == np.int64
        # What is not in a pair cell is one value of four at most.
        assert 0.7 * n_rows < marginal.counts.sum() < 1.01 * n_rows
    assert all(np.isfinite(table).all() for table in denoise_pairs(release).tables)


def test_distances_of_ten_billion_rows_do_not_overflow(monkeypatch):
    monkeypatch.setattr(curator, 'np', ManyRows())
    asked = Curator(TABLE, Ledger())
    asked._sizes, asked._codes = [2, 2], [np.arange(100) % 2] * 2
    expected = [np.full((2, 2), 10**10, dtype=np.int64)]
    (distance,) = asked.distances([(0, 1)], expected, 1.0)
    assert abs(int(distance) - 3 * 10**10) < 100


MAY_HOLD_FLOATS = {('resolutions', 'values')}
"""One value to one cell, before anything is counted."""


def float_arrays(run: Any) -> set[tuple[str, str]]:
    """Function and name of each array of floats that the curator's functions have or return."""
    found = set()

    def watch(frame: FrameType, event: str, answer: Any) -> None:
        if event != 'return' or frame.f_code.co_filename != curator.__file__:
            return
        for name, value in {**frame.f_locals, 'return': answer}.items():
            arrays = value if isinstance(value, list | tuple) else [value]
            if any(isinstance(a, np.ndarray) and a.dtype.kind not in 'iu' for a in arrays):
                found.add((frame.f_code.co_name, name))

    sys.setprofile(watch)
    try:
        run()
    finally:
        sys.setprofile(None)
    return found


def ask_everything() -> None:
    with contextlib.suppress(TypeError):  # a release refuses floats by itself
        measure(TABLE, DOMAINS, epsilon=20.0, delta=1e-6, ledger=Ledger())
    asked = Curator(TABLE, Ledger())
    asked._sizes, asked._codes = [2, 2], [np.arange(100) % 2] * 2
    asked.distances([(0, 1)], [np.full((2, 2), 25)], 1.0)
    asked.tables([(0, 1)], LedgerEntry('pairs', 'text', 1, 1.0, 1))


def test_no_float_is_in_the_private_path_of_the_histograms():
    assert float_arrays(ask_everything) <= MAY_HOLD_FLOATS


def test_a_float_in_the_private_path_is_caught(monkeypatch):
    monkeypatch.setattr(curator, 'discrete_gaussian', lambda n, _: np.zeros(n))
    found = {function for function, _ in float_arrays(ask_everything)}
    assert {'resolutions', 'distances', 'tables', '_noisy_histogram'} <= found
