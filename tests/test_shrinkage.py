from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdv_slicedp import shrinkage

seeds = st.integers(0, 2**32 - 1)


AXES = [(False, False), (True, False), (True, True)]
DENOISERS = [
    shrinkage.shrink_singular_values,
    *(partial(shrinkage.shrink_frequencies, ordered=axes) for axes in AXES),
    *(partial(shrinkage.denoised_interaction, ordered=axes) for axes in AXES),
]


def centred_noise(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    noise = rng.normal(size=(rows, columns))
    noise -= noise.mean(0)
    return noise - noise.mean(1)[:, None]


@pytest.mark.parametrize('denoiser', DENOISERS)
@pytest.mark.parametrize('shape', [(20, 20), (5, 40), (40, 5), (3, 3)])
def test_pure_noise_shrinks_to_nearly_nothing(denoiser, shape):
    """Mean share of the energy that is left over 200 draws; false alarms below 1e-6."""
    rng = np.random.default_rng(0)
    draws = [centred_noise(rng, *shape) for _ in range(200)]

    def left_over(sigma):
        denoised = [denoiser(d, sigma) for d in draws]
        return sum((d**2).sum() for d in denoised) / sum((d**2).sum() for d in draws)

    limit = 0.5 if shape == (3, 3) else 0.25
    assert left_over(1.0) < limit
    # Noise that is thought to be of a third of the scale is taken for signal.
    assert left_over(1 / 3) > max(0.5, limit)


def errors(denoiser, strength: float) -> tuple[float, float]:
    """Squared errors after and before denoising of matrices of rank two, 100 draws."""
    rng = np.random.default_rng(1)
    raw, denoised = 0.0, 0.0
    for _ in range(100):
        u, v = rng.normal(size=(16, 2)), rng.normal(size=(24, 2))
        signal = strength * (u - u.mean(0)) @ (v - v.mean(0)).T / np.sqrt(20)
        matrix = signal + centred_noise(rng, 16, 24)
        raw += ((matrix - signal) ** 2).sum()
        denoised += ((denoiser(matrix, 1.0) - signal) ** 2).sum()
    return denoised, raw


@pytest.mark.parametrize('strength', [0.0, 0.5, 1.0, 1.5, 3.0, 30.0])
def test_interactions_are_better_known_after_denoising(strength):
    """False alarms below 1e-6: 100 matrices of 345 free entries each."""
    shrunk, raw = errors(shrinkage.shrink_singular_values, strength)
    denoised, _ = errors(partial(shrinkage.denoised_interaction, ordered=(False, False)), strength)

    assert shrunk < 0.75 * raw
    assert denoised <= raw * (1 + 1e-9)
    if strength < 1:
        assert denoised < 0.75 * raw


@pytest.mark.parametrize('denoiser', DENOISERS)
def test_strong_signals_are_kept(denoiser):
    rng = np.random.default_rng(2)
    signal = 1000 * np.outer(np.linspace(-1, 1, 10), np.linspace(-1, 1, 12))

    denoised = denoiser(signal + centred_noise(rng, 10, 12), 1.0)

    assert np.linalg.norm(denoised - signal) < 0.02 * np.linalg.norm(signal)
    assert not denoiser(np.ones((1, 5)), 1.0).any()


def test_strong_interactions_stay_whole():
    matrix = 100 * centred_noise(np.random.default_rng(3), 8, 8)

    np.testing.assert_allclose(shrinkage.denoised_interaction(matrix, 1.0, (True, False)), matrix)


def basis(rng: np.random.Generator, size: int) -> np.ndarray:
    """Random contrasts, the constant one first."""
    vectors = np.column_stack([np.ones(size), rng.normal(size=(size, size - 1))])
    return np.linalg.qr(vectors)[0].T


def test_signals_along_few_contrasts_are_better_known():
    """Rank one along the first contrasts, 100 draws; with none, and with others."""
    rng = np.random.default_rng(6)
    known = basis(rng, 10), basis(rng, 12)
    signal = 6 * np.outer(known[0][1], known[1][1])
    draws = [signal + centred_noise(rng, 10, 12) for _ in range(100)]

    def error(contrasts):
        shrunk = [shrinkage.shrink_contrasts(draw, 1.0, contrasts) for draw in draws]
        return sum(((s - signal) ** 2).sum() for s in shrunk)

    assert error(known) < 0.4 * error((None, None))
    assert error(known) < 0.4 * error((basis(rng, 10), basis(rng, 12)))


def test_contrasts_of_cosines_are_frequencies():
    matrix = 2 * centred_noise(np.random.default_rng(7), 6, 9)

    np.testing.assert_allclose(
        shrinkage.shrink_contrasts(matrix, 1.0, (shrinkage.cosines(6), None)),
        shrinkage.shrink_frequencies(matrix, 1.0, (True, False)),
    )


@given(seeds, st.floats(0.1, 10))
def test_denoising_only_shrinks_and_knows_no_units(seed, factor):
    rng = np.random.default_rng(seed)
    matrix = centred_noise(rng, *rng.integers(2, 9, 2)) * rng.uniform(0.2, 5)

    for denoiser in DENOISERS:
        denoised = denoiser(matrix, 1.0)

        assert np.linalg.norm(denoised) <= np.linalg.norm(matrix) * (1 + 1e-9)
        rescaled = denoiser(factor * matrix, factor)
        np.testing.assert_allclose(rescaled, factor * denoised, atol=1e-5)


@given(seeds)
def test_the_two_columns_are_alike(seed):
    rng = np.random.default_rng(seed)
    matrix = 2 * centred_noise(rng, 6, 9)

    denoised = shrinkage.denoised_interaction(matrix, 1.0, (True, False))
    turned = shrinkage.denoised_interaction(matrix.T, 1.0, (False, True))

    np.testing.assert_allclose(turned, denoised.T, atol=1e-6)


def test_smooth_signals_are_better_known_where_the_order_is_known():
    """A straight line in noise, 100 draws; false alarms below 1e-6."""
    rng = np.random.default_rng(4)
    signal = 0.8 * np.outer([-1.0, 1.0], np.linspace(-1, 1, 24))

    def error(ordered):
        shrunk = [
            shrinkage.shrink_frequencies(signal + centred_noise(rng, 2, 24), 1.0, ordered)
            for _ in range(100)
        ]
        return sum(((s - signal) ** 2).sum() for s in shrunk)

    assert error((False, True)) < 0.9 * error((False, False))


def test_unordered_axes_have_no_order():
    rng = np.random.default_rng(5)
    matrix, turn = 2 * centred_noise(rng, 5, 7), rng.permutation(5)

    denoised = shrinkage.denoised_interaction(matrix, 1.0, (False, True))

    turned = shrinkage.denoised_interaction(matrix[turn], 1.0, (False, True))
    np.testing.assert_allclose(turned, denoised[turn], atol=1e-6)


@given(st.integers(2, 40))
def test_octaves_cover_all_frequencies_but_the_mean(size):
    blocks = shrinkage._octaves(size, ordered=True)

    covered = [i for block, _ in blocks for i in range(block.start, block.stop)]
    assert covered == list(range(1, size))
    assert sum(degrees for _, degrees in blocks) == size - 1


def three_way_noise(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """White noise, centred along all three axes."""
    array = rng.normal(size=shape)
    for axis in range(3):
        array -= array.mean(axis, keepdims=True)
    return array


SHAPES = [(2, 6, 5), (3, 8, 8), (5, 4, 3), (2, 12, 2)]


@pytest.mark.parametrize('ordered', AXES)
@pytest.mark.parametrize('shape', SHAPES)
def test_three_columns_without_noise_are_kept(shape, ordered):
    array = three_way_noise(np.random.default_rng(0), shape)
    kept = shrinkage.denoised_three_way(array, 1e-6, ordered)
    np.testing.assert_allclose(kept, array, atol=1e-4)


@pytest.mark.parametrize('ordered', AXES)
def test_noise_of_three_columns_shrinks_to_nearly_nothing(ordered):
    """Mean share of the energy that is left over 200 draws; false alarms below 1e-6."""
    rng = np.random.default_rng(0)
    draws = [three_way_noise(rng, (4, 10, 12)) for _ in range(200)]

    def left_over(sigma):
        denoised = [shrinkage.denoised_three_way(d, sigma, ordered) for d in draws]
        return sum((d**2).sum() for d in denoised) / sum((d**2).sum() for d in draws)

    assert left_over(1.0) < 0.25
    # Noise that is thought to be of a third of the scale is taken for signal.
    assert left_over(1 / 3) > 0.5


@given(seeds, st.sampled_from(SHAPES), st.sampled_from(AXES), st.floats(0.01, 3))
def test_three_columns_stay_centred(seed, shape, ordered, sigma):
    array = three_way_noise(np.random.default_rng(seed), shape)
    shrunk = shrinkage.denoised_three_way(array, sigma, ordered)
    assert (shrunk**2).sum() <= (array**2).sum() * (1 + 1e-9)
    for axis in range(3):
        # Singular values at the threshold leave a square root of the rounding error.
        np.testing.assert_allclose(shrunk.mean(axis), 0, atol=1e-6)


def test_hub_cells_can_be_numbered_otherwise():
    array = three_way_noise(np.random.default_rng(3), (4, 6, 5))
    order = [2, 0, 3, 1]
    np.testing.assert_allclose(
        shrinkage.denoised_three_way(array[order], 0.5, (True, False)),
        shrinkage.denoised_three_way(array, 0.5, (True, False))[order],
        atol=1e-9,
    )
