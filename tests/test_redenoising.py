from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_releases import categorical_column, release_of, whole_counts

from sdv_slicedp import denoising, redenoising
from sdv_slicedp.domain import NumericalDomain
from sdv_slicedp.release import Marginal, Release

pytestmark = pytest.mark.filterwarnings('error')

ROWS = 20_000
SIGMA = 60.0
SHAPE = (8, 9, 10)

seeds = st.integers(0, 2**32 - 1)


def mixture(seed: int, n_components: int = 3) -> list[np.ndarray]:
    """Laws of each column in a few components."""
    rng = np.random.default_rng(seed)
    return [rng.dirichlet(np.full(size, 1.0), n_components) for size in SHAPE]


def joint_law(components: list[np.ndarray]) -> np.ndarray:
    return np.einsum('za,zb,zc->abc', *components) / len(components[0])


def noisy(release: Release, rng: np.random.Generator) -> Release:
    """The release with noise of scale ``SIGMA`` in its pairs."""

    def drawn(marginal: Marginal) -> Marginal:
        noise = np.rint(rng.normal(0, SIGMA, marginal.counts.shape)).astype(int)
        return Marginal(marginal.columns, marginal.counts + noise, SIGMA)

    return replace(release, marginals=tuple(drawn(marginal) for marginal in release.marginals))


def squared_error(target: denoising.Target, law: np.ndarray) -> float:
    truth = [law.sum(2), law.sum(1), law.sum(0)]
    return sum(((t - p) ** 2).sum() for t, p in zip(truth, target.tables, strict=True))


def test_about_the_true_mixture_noise_goes_away():
    """Summed over 60 draws; a wrong mixture does not help. False alarms below 1e-6."""
    rng, components = np.random.default_rng(0), mixture(0)
    law = joint_law(components)
    release = release_of(whole_counts(law, ROWS))
    once, about_truth, about_another = 0.0, 0.0, 0.0
    for _ in range(60):
        drawn = noisy(release, rng)
        target = denoising.denoise(drawn)
        once += squared_error(target, law)
        about_truth += squared_error(redenoising.denoise_about(drawn, target, components), law)
        other = redenoising.denoise_about(drawn, target, mixture(1))
        about_another += squared_error(other, law)

    assert about_truth < 0.5 * once < about_another


def test_what_slices_show_beyond_any_mixture_is_kept():
    """Nearly noise-free pairs are themselves, whatever mixture they are denoised about."""
    law = joint_law(mixture(2))
    release = release_of(whole_counts(law, 10**8))
    target = denoising.denoise(release)

    about = redenoising.denoise_about(release, target, mixture(3))

    for table, expected in zip(about.tables, target.tables, strict=True):
        np.testing.assert_allclose(table, expected, atol=1e-6)


@given(seeds)
def test_margins_are_those_of_the_columns(seed):
    rng = np.random.default_rng(seed)
    release = noisy(release_of(whole_counts(joint_law(mixture(seed)), ROWS)), rng)
    target = denoising.denoise(release)

    about = redenoising.denoise_about(release, target, mixture(seed + 1))

    for (a, b), table in zip(about.pairs, about.tables, strict=True):
        np.testing.assert_allclose(table.sum(1), target.laws[a], atol=1e-9)
        np.testing.assert_allclose(table.sum(0), target.laws[b], atol=1e-9)


def test_pairs_of_hubs_stay_and_their_laws_follow_the_others():
    counts = whole_counts(joint_law(mixture(4)), ROWS)
    release = noisy(release_of(counts), np.random.default_rng(4))
    triple = Marginal((2, 0, 1), counts.transpose(2, 0, 1), 10 * SIGMA)
    release = replace(release, marginals=(*release.marginals, triple))
    target = denoising.denoise(release)

    about = redenoising.denoise_about(release, target, mixture(5))

    assert [np.array_equal(a, b) for a, b in zip(about.tables, target.tables, strict=True)] == [
        False, True, True,
    ]  # fmt: skip
    (before,), (after,) = target.hubs, about.hubs
    np.testing.assert_allclose(after.tables[0, 1].sum(0), about.tables[0], atol=0.02)
    assert np.abs(after.tables[0, 1] - before.tables[0, 1]).max() > 1e-4


@given(seeds, st.permutations(range(SHAPE[0])))
def test_the_order_of_categories_does_not_matter(seed, order):
    rng = np.random.default_rng(seed)
    release = noisy(release_of(whole_counts(joint_law(mixture(seed)), ROWS)), rng)
    components = mixture(seed + 1, n_components=12)  # enough for a contrast of each rank
    first = release.columns[0]
    moved = replace(
        release,
        columns=(
            categorical_column(first.levels[0].counts[list(order)], first.levels[0].sigma, 'c0'),
            *release.columns[1:],
        ),
        marginals=tuple(
            Marginal(m.columns, m.counts[list(order)], m.sigma) if 0 in m.columns else m
            for m in release.marginals
        ),
    )

    about = redenoising.denoise_about(release, denoising.denoise(release), components)
    other = redenoising.denoise_about(
        moved, denoising.denoise(moved), [components[0][:, list(order)], *components[1:]]
    )

    np.testing.assert_allclose(other.tables[0], about.tables[0][list(order)], atol=1e-9)
    np.testing.assert_allclose(other.tables[2], about.tables[2], atol=1e-9)


def test_the_interaction_of_a_mixture_is_its_pair_less_its_margins():
    first, second, _ = mixture(6)
    pair = np.mean([np.outer(a, b) for a, b in zip(first, second, strict=True)], axis=0)

    expected = pair - np.outer(pair.sum(1), pair.sum(0))

    np.testing.assert_allclose(redenoising.interaction(first, second), expected, atol=1e-12)


@given(seeds)
def test_contrasts_are_orthonormal_and_the_constant_comes_first(seed):
    components = mixture(seed)
    release = release_of(whole_counts(joint_law(components), ROWS))
    mixed = {(0, 1): redenoising.interaction(*components[:2])}

    for size, basis in zip(SHAPE, redenoising.contrasts(release.columns, mixed), strict=True):
        np.testing.assert_allclose(basis @ basis.T, np.eye(size), atol=1e-9)
        np.testing.assert_allclose(np.abs(basis[0]), size**-0.5)


def test_contrasts_of_categories_tell_most_first_and_those_of_numbers_are_cosines():
    direction, other = np.array([1.0, -3.0, 2.0, 0, 0, 0, 0, 0]), np.linspace(-1, 1, 9)
    release = release_of(whole_counts(joint_law(mixture(7)), ROWS))
    number = NumericalDomain('c1', 'numerical', 0, 8, (1, 1), has_missing=False)
    columns = [release.columns[0], replace(release.columns[1], domain=number), release.columns[2]]

    first, second, third = redenoising.contrasts(columns, {(0, 1): np.outer(direction, other)})

    assert abs(first[1] @ direction) == pytest.approx(np.linalg.norm(direction))
    assert np.abs(first[2:] @ direction).max() < 1e-9
    wave = np.sqrt(2 / 9) * np.cos(np.pi * (np.arange(9) + 0.5) / 9)
    np.testing.assert_allclose(second[1], wave, atol=1e-12)
    assert third.shape == (10, 10)


def test_nothing_to_denoise_is_no_error():
    column = categorical_column(np.array([30, 70]), 1.0, 'c')
    release = replace(release_of(np.array([30, 70])), columns=(column,))
    target = denoising.denoise(release)

    assert redenoising.denoise_about(release, target, [np.array([[0.3, 0.7]])]) == target
