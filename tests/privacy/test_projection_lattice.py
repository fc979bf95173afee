"""Low bits: what a record adds to the integers of a release is a shift, and nothing else.

With a coarse lattice, so that each integer occurs often. Every statistical test here has a level
of 1e-6. That floats would give the record away is shown in ``test_projection_audit.py``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency

from sdv_slicedp import curator, embedding, noise
from sdv_slicedp.curator import Curator
from sdv_slicedp.domain import CategoricalDomain, NumericalDomain
from sdv_slicedp.ledger import Ledger, ProjectionEntry
from sdv_slicedp.projection_privacy import PITCH_UNIT

LEVEL = 1e-6
ROWS = 20_000
PITCH = 2**42 // 5  # an odd fraction, so that shifts are no round numbers
SCALE = 3.0
DOMAINS = (
    CategoricalDomain('word', 'categorical', ('a', 'b'), False),
    NumericalDomain('number', 'numerical', 0, 999, (1, 1), False),
)
LAID_OUT = embedding.blocks(DOMAINS)
WORLDS = (('a', 123.0), ('b', 871.0))


def entry() -> ProjectionEntry:
    sigma = PITCH * PITCH_UNIT * SCALE
    return ProjectionEntry('projection', 'text', 'sphere', 3, 2, 2.0, 1.0, sigma, SCALE)


@pytest.fixture(autouse=True)
def _known_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = curator.draw_directions('sphere', 3, 2)
    monkeypatch.setattr(curator, 'draw_directions', lambda *_: drawn)


def release(world: tuple[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Values of many rows that are alike, and what they would be without noise."""
    table = pd.DataFrame([world] * ROWS, columns=['word', 'number'])
    asked = Curator(table, Ledger())
    projection = asked.project(LAID_OUT, entry())
    positions = [asked._positions(domain)[:1] for domain in DOMAINS]
    exact = embedding.project(LAID_OUT, positions, projection.directions)[0]
    return projection.values.astype(np.int64), (2 * exact + PITCH) // (2 * PITCH)


def level(first: np.ndarray, second: np.ndarray) -> float:
    """P-value of the chi-square test that two samples of integers have one law."""
    names, codes = np.unique(np.concatenate([first, second]), return_inverse=True)
    counts = np.stack([np.bincount(c, minlength=len(names)) for c in np.split(codes, 2)])
    often = counts.sum(axis=0) > 20
    table = np.c_[counts[:, often], counts[:, ~often].sum(axis=1)]
    return float(chi2_contingency(table[:, table.sum(axis=0) > 0]).pvalue)


def levels() -> list[float]:
    """Noise in the one world and in the other, for each slice."""
    (first, a), (second, b) = (release(world) for world in WORLDS)
    assert first.dtype == second.dtype == np.int64
    return [level(x, y) for x, y in zip((first - a).T, (second - b).T, strict=True)]


def test_integers_are_as_frequent_in_either_world_up_to_the_shift():
    assert min(levels()) > LEVEL


def test_no_integer_is_left_out():
    """Every integer within three scales of the mode, in either world.

    At least 29 are expected of each: false alarms below 1e-10.
    """
    for world in WORLDS:
        values, exact = release(world)
        for column, shift in zip(values.T, exact, strict=True):
            near = np.arange(shift - 9, shift + 10)
            assert np.isin(near, column).all()


def test_the_noise_has_the_law_that_is_stated():
    values, exact = release(WORLDS[0])
    for column in (values - exact).T:
        assert level(column, noise.discrete_gaussian(ROWS, SCALE)) > LEVEL


def even(shape: tuple[int, ...], sigma: float) -> np.ndarray:
    """Noise of the right scale that has even values only."""
    return noise.discrete_gaussian(shape, sigma / 2) * 2


def test_noise_with_gaps_is_caught(monkeypatch):
    first, a = release(WORLDS[0])
    monkeypatch.setattr(curator, 'discrete_gaussian', even)
    second, b = release(WORLDS[1])
    assert level((first - a)[:, 0], (second - b)[:, 0]) < LEVEL
