"""Directions: their lengths and angles, their laws, and that nobody can choose them."""

import math
import random
from functools import cache

import numpy as np
import pytest
import torch
from effort import examples
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sdv_slicedp.directions import DIRECTION_UNIT, draw_directions
from sdv_slicedp.ledger import DIRECTIONS

FALSE_ALARM = 1e-6  # of each statistical test
ROUNDING = 2.0**-23 * (1 + 2.0**-10)
"""Of an entry: half a unit, and the rounding of floats before it."""
quick = examples(40)
sizes = st.tuples(st.integers(1, 30), st.integers(1, 70))


def drawn(kind: str, dimension: int, slices: int) -> np.ndarray:
    directions = draw_directions(kind, dimension, slices)
    assert directions.dtype == np.int64
    assert directions.shape == (dimension, slices)
    return directions / DIRECTION_UNIT


def energies(directions: np.ndarray, v: np.ndarray) -> float:
    """B = |U^T v|^2 / |v|^2."""
    return float(np.sum((directions.T @ v) ** 2) / (v @ v))


def near_orthonormal(columns: np.ndarray) -> bool:
    """Whether rounding alone can keep the columns from being orthonormal."""
    gram = columns.T @ columns - np.eye(columns.shape[1])
    return bool(np.abs(gram).max() <= 2 * ROUNDING * math.sqrt(len(columns)) * 1.01)


@quick
@given(st.sampled_from(DIRECTIONS), sizes)
def test_entries_are_those_of_unit_vectors_up_to_rounding(kind, size):
    directions = drawn(kind, *size)

    lengths = np.linalg.norm(directions, axis=0)
    assert np.abs(directions).max() <= 1
    assert np.abs(lengths - 1).max() <= ROUNDING * math.sqrt(size[0])


@quick
@given(sizes)
def test_every_basis_is_orthonormal_and_so_is_the_rest(size):
    dimension, slices = size
    directions = drawn('orthonormal', dimension, slices)

    for start in range(0, slices, dimension):
        assert near_orthonormal(directions[:, start : start + dimension])


def test_independent_directions_are_not_orthonormal():
    # The twin of the tests above. False alarms: angles below 1e-5 in 5 dimensions: below 1e-20.
    assert not near_orthonormal(drawn('sphere', 5, 5))


@quick
@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_full_bases_see_every_move_alike(dimension, bases, seed):
    directions = drawn('orthonormal', dimension, bases * dimension)

    for v in np.random.default_rng(seed).normal(size=(5, dimension)):
        # Length of U^T v, off by at most the Frobenius norm of the rounding.
        off = ROUNDING * math.sqrt(directions.size)
        assert abs(math.sqrt(energies(directions, v)) - math.sqrt(bases)) <= off


DRAWS = 2000


@cache
def many(kind: str, dimension: int, slices: int) -> np.ndarray:
    """Independent draws, shape ``(DRAWS, d, m)``."""
    return np.array([drawn(kind, dimension, slices) for _ in range(DRAWS)])


def sample(kind: str, dimension: int, slices: int, v: np.ndarray) -> np.ndarray:
    return ((many(kind, dimension, slices).swapaxes(1, 2) @ v) ** 2).sum(1) / (v @ v)


def moves(dimension: int) -> list[np.ndarray]:
    """Of one coordinate, and of all."""
    return [np.eye(dimension)[0], np.ones(dimension), np.arange(dimension) - 1.5]


@pytest.mark.parametrize('v', moves(6), ids=['axis', 'diagonal', 'oblique'])
@pytest.mark.parametrize('slices', [1, 2, 5, 8])
def test_law_of_the_energy_of_orthonormal_directions(slices, v):
    bases, rest = divmod(slices, 6)
    law = stats.beta(rest / 2, (6 - rest) / 2)

    found = sample('orthonormal', 6, slices, v) - bases

    assert stats.kstest(found, law.cdf).pvalue > FALSE_ALARM
    # The twin: independent directions in place of the rest (for one, there is no difference).
    wrong = energy_of_spheres(6, rest)
    assert rest == 1 or stats.kstest(wrong, law.cdf).pvalue < FALSE_ALARM


def energy_of_spheres(dimension: int, slices: int) -> np.ndarray:
    """B of independent directions by its law: a sum of Betas."""
    rng = np.random.default_rng(0)
    return rng.beta(0.5, (dimension - 1) / 2, (20_000, slices)).sum(1)


@pytest.mark.parametrize('v', moves(6), ids=['axis', 'diagonal', 'oblique'])
@pytest.mark.parametrize('slices', [1, 3, 6])
def test_law_of_the_energy_of_independent_directions(slices, v):
    law = energy_of_spheres(6, slices)

    found = sample('sphere', 6, slices, v)

    assert stats.ks_2samp(found, law).pvalue > FALSE_ALARM
    # The twin: normal directions, whose length is only 1 in the mean.
    normal = np.random.default_rng(1).normal(size=(20_000, slices)) / math.sqrt(6)
    assert stats.ks_2samp((normal**2).sum(1), law).pvalue < FALSE_ALARM


@pytest.mark.parametrize(('slices', 'column'), [(4, 0), (4, 3), (2, 1), (9, 5)])
def test_signs_are_as_uniform_as_the_rest(slices, column):
    """Any entry of a uniform unit vector; the twin is a QR factor as LAPACK has it."""
    law = stats.beta(1.5, 1.5)

    entries = many('orthonormal', 4, slices)[:, 0, column]

    assert stats.kstest((entries + 1) / 2, law.cdf).pvalue > FALSE_ALARM
    rng = np.random.default_rng(0)
    wrong = np.array([np.linalg.qr(rng.normal(size=(4, 4)))[0][0, 0] for _ in range(DRAWS)])
    assert stats.kstest((wrong + 1) / 2, law.cdf).pvalue < FALSE_ALARM


def test_bases_are_independent_of_each_other():
    """Inner products of columns of different bases, against those of independent directions."""
    found = np.array([u[:, 1] @ u[:, 5] for u in many('orthonormal', 4, 9)])

    assert stats.kstest((found + 1) / 2, stats.beta(1.5, 1.5).cdf).pvalue > FALSE_ALARM


@pytest.mark.parametrize('kind', DIRECTIONS)
def test_directions_are_new_at_every_call_and_have_no_seed(kind):
    """Two are equal with a probability far below 1e-100."""

    def seeded() -> list[list[int]]:
        np.random.seed(0)  # noqa: NPY002
        random.seed(0)
        torch.manual_seed(0)
        return draw_directions(kind, 8, 9).tolist()

    assert seeded() != seeded()
    before = [np.random.get_state()[1].tolist(), random.getstate(), torch.get_rng_state().tolist()]  # noqa: NPY002
    draw_directions(kind, 8, 9)
    after = [np.random.get_state()[1].tolist(), random.getstate(), torch.get_rng_state().tolist()]  # noqa: NPY002
    assert before == after


@pytest.mark.parametrize('kind', DIRECTIONS)
def test_one_dimension_has_two_directions(kind):
    # False alarms: 200 equal signs, 2^-199.
    directions = draw_directions(kind, 1, 200)

    assert set(directions.ravel().tolist()) == {-DIRECTION_UNIT, DIRECTION_UNIT}


def test_other_directions_cannot_be_drawn():
    with pytest.raises(ValueError, match="'orthonormal', 'sphere'"):
        draw_directions('hadamard', 3, 3)
