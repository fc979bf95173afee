import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sdv_slicedp.density_ratio import positive
from sdv_slicedp.f_divergence import DIVERGENCES, f_divergence
from sdv_slicedp.grid_divergence import (
    GridKernel,
    count_laws,
    grid_f_divergence,
    grid_kernel,
    grid_ratio,
    node_laws,
    node_shares,
    smoothing,
)

pytestmark = pytest.mark.filterwarnings('error')

PLUG_IN = GridKernel(None, 1e-12)
seeds = st.integers(0, 2**32 - 1)


def random_laws(seed: int, slices: int = 3, nodes: int = 20) -> torch.Tensor:
    laws = np.random.default_rng(seed).dirichlet(np.full(nodes, 0.5), slices)
    return torch.from_numpy(laws)


def normal_laws(mean: float, scale: float, nodes: int = 2001, reach: float = 12) -> torch.Tensor:
    at = torch.linspace(-reach, reach, nodes, dtype=torch.float64)
    law = torch.exp(-0.5 * ((at - mean) / scale) ** 2)
    return (law / law.sum())[None]


# Points on nodes, Eq. (27)


@given(st.integers(4, 40), st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_shares_keep_three_moments(nodes, places):
    positions = torch.tensor(places, dtype=torch.float64) * (nodes - 1)
    first, shares = node_shares(positions, nodes)

    assert (first >= 0).all()
    assert (first + 3 < nodes).all()
    for power in range(4):
        moment = sum(share * (first + i) ** power for i, share in enumerate(shares))
        torch.testing.assert_close(moment, positions**power, rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize('nodes', [4, 5, 12])
def test_a_point_on_a_node_is_in_that_node(nodes):
    laws = node_laws(
        torch.arange(nodes).double()[:, None], torch.zeros(nodes), torch.ones(nodes), nodes
    )
    torch.testing.assert_close(laws, torch.eye(nodes, dtype=torch.float64))


def test_points_outside_go_to_the_ends():
    points = torch.tensor([[-5.0, 100.0, 100.0, -1e30]])
    laws = node_laws(points, torch.tensor([1.0]), torch.tensor([0.5]), 6)
    torch.testing.assert_close(laws, torch.tensor([[0.5, 0, 0, 0, 0, 0.5]]))


def test_derivatives_by_the_points_are_right():
    points = (
        9 * torch.rand(2, 7, generator=torch.Generator().manual_seed(0)).double()
    ).requires_grad_()
    lower, width = torch.tensor([0.3, -1.0]).double(), torch.tensor([1.1, 0.9]).double()
    assert torch.autograd.gradcheck(lambda at: node_laws(at, lower, width, 10), (points,))


def test_counting_agrees_with_sharing():
    stream = torch.Generator().manual_seed(1)
    points = torch.randn(3, 20_000, generator=stream)
    lower, width = torch.tensor([-4.0, -5, -3]), torch.tensor([0.3, 0.4, 0.2])
    smooth = smoothing(32, 3.0)
    exact, counted = (laws(points, lower, width, 32) for laws in (node_laws, count_laws))
    torch.testing.assert_close(counted.sum(dim=1), torch.ones(3))
    torch.testing.assert_close(counted @ smooth, exact @ smooth, rtol=0, atol=1e-3 / 32)
    shifted = count_laws(points + 0.1, lower, width, 32)  # a twin
    assert float((shifted @ smooth - exact @ smooth).abs().max()) > 1e-3


# Smoothing


@given(st.integers(1, 60), st.floats(0, 1e3))
def test_smoothing_keeps_the_mass(nodes, scale):
    matrix = smoothing(nodes, scale)
    assert (matrix >= 0).all()
    torch.testing.assert_close(matrix.sum(dim=1), torch.ones(nodes))


def test_no_smoothing_changes_nothing():
    assert torch.equal(smoothing(9, 0.0), torch.eye(9))


@pytest.mark.parametrize('scale', [-1.0, math.nan, math.inf])
def test_bad_scales_are_named(scale):
    with pytest.raises(ValueError, match='scale must be finite and not negative'):
        smoothing(5, scale)


@pytest.mark.parametrize('place', [20.0, 20.25, 20.5, 20.9])
def test_a_smoothed_point_is_a_normal(place):
    nodes, scale = 41, 3.0
    at = torch.arange(nodes).double()
    made = node_laws(torch.tensor([[place]]), torch.zeros(1), torch.ones(1), nodes)
    law = (made @ smoothing(nodes, scale))[0].double()

    def normal(mean):
        return torch.exp(-0.5 * ((at - mean) / scale) ** 2) / (scale * math.sqrt(2 * math.pi))

    torch.testing.assert_close(law, normal(place), rtol=0, atol=2e-4)
    assert float((law - normal(place + 0.1)).abs().max()) > 1e-3


# The ratio, Eq. (25)


@given(seeds, st.sampled_from([(), (1.0,), (0.5, 4.0)]))
def test_the_ratio_of_equal_laws_is_exactly_one(seed, bandwidths):
    laws = random_laws(seed)
    laws[0, :10] = 0  # need not sum to 1
    ratio = grid_ratio(laws, laws.clone(), grid_kernel(20, bandwidths, dtype=torch.float64))
    assert torch.equal(ratio, torch.ones_like(ratio))


@given(seeds, st.sampled_from([1e-3, 1e-1, 10.0]))
def test_the_ratio_with_a_kernel_solves_its_equation(seed, ridge):
    """K (diag(q) K + ridge I)^-1 applied to p - q: by nodes, not by features."""
    p, q = (0.5 * random_laws(s, 1) + 0.5 / 20 for s in (seed, seed + 1))
    kernel = grid_kernel(20, (1.5,), ridge, dtype=torch.float64)
    gram = kernel.features @ kernel.features.T
    penalty = ridge * torch.eye(20, dtype=torch.float64)
    expected = 1 + gram @ torch.linalg.solve(torch.diag(q[0]) @ gram + penalty, (p - q)[0])
    torch.testing.assert_close(grid_ratio(p, q, kernel)[0], positive(expected))


def test_both_kernels_find_the_ratio_of_smooth_laws():
    p, q = normal_laws(0.3, 1.0, 61, 4), normal_laws(0.0, 1.2, 61, 4)
    truth = p / q
    plug_in = grid_ratio(p, q, grid_kernel(61, (), 1e-9, torch.float64))
    kernel = grid_ratio(p, q, grid_kernel(61, (4.0, 12.0), 1e-6, torch.float64))
    torch.testing.assert_close(plug_in, truth, rtol=1e-3, atol=0)
    assert float(((kernel - truth).square() * q).sum()) < 1e-4


def test_empty_nodes_have_a_finite_ratio():
    p, q = torch.eye(20)[:1], torch.eye(20)[3:4]
    for kernel in (grid_kernel(20), grid_kernel(20, (2.0,))):
        ratio = grid_ratio(p, q, kernel)
        assert torch.isfinite(ratio).all()
        assert (ratio > 0).all()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'bandwidths': (0.0,)}, 'bandwidths must be positive'),
        ({'bandwidths': (1.0, math.nan)}, 'bandwidths must be positive'),
        ({'ridge': 0.0}, 'ridge must be positive'),
        ({'ridge': math.nan}, 'ridge must be positive'),
    ],
)
def test_bad_kernels_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        grid_kernel(8, **change)


# The divergence, Eqs. (22) and (26)


@pytest.mark.parametrize('name', sorted(DIVERGENCES))
@pytest.mark.parametrize('bandwidths', [(), (2.0,)])
def test_equal_laws_have_no_divergence(name, bandwidths):
    laws = random_laws(3)
    kernel = grid_kernel(20, bandwidths, dtype=torch.float64)
    assert abs(float(grid_f_divergence(laws, laws, f_divergence(name), kernel))) < 1e-15
    if not bandwidths:  # else the critic need not be good where q is empty
        assert float(grid_f_divergence(laws, random_laws(4), f_divergence(name), kernel)) > 1e-2


def closed_form(name: str, mean: float) -> float:
    """Of N(0, 1) from N(mean, 1)."""
    if name in ('kl', 'reverse_kl'):
        return mean**2 / 2
    if name == 'chi2':
        return math.exp(mean**2) - 1
    if name == 'hellinger':
        return 1 - math.exp(-(mean**2) / 8)
    at = np.linspace(-14, 14, 200_001)
    p, q = (np.exp(-((at - m) ** 2) / 2) / math.sqrt(2 * math.pi) for m in (0, mean))
    middle, step = (p + q) / 2, at[1] - at[0]
    return float((p * np.log(p / middle) + q * np.log(q / middle)).sum() * step / 2)


@pytest.mark.parametrize('name', ['kl', 'reverse_kl', 'chi2', 'hellinger', 'jensen_shannon'])
@pytest.mark.parametrize('mean', [0.3, 1.0])
def test_normals_have_their_divergence(name, mean):
    p, q = normal_laws(0, 1), normal_laws(mean, 1)
    value = float(grid_f_divergence(p, q, f_divergence(name), PLUG_IN))
    assert value == pytest.approx(closed_form(name, mean), rel=1e-4)
    swapped = float(grid_f_divergence(p, normal_laws(1.1 * mean, 1), f_divergence(name), PLUG_IN))
    assert swapped != pytest.approx(closed_form(name, mean), rel=1e-2)


def test_total_variation_is_too_small_by_at_most_its_smoothness():
    p, q = normal_laws(0, 1), normal_laws(1, 1)
    value = float(grid_f_divergence(p, q, f_divergence('total_variation'), PLUG_IN))
    assert -0.05 <= value - float((p - q).abs().sum() / 2) <= 0


@given(seeds, st.sampled_from(sorted(DIVERGENCES)), st.sampled_from([(), (2.0,)]))
def test_the_gradient_is_minus_the_conjugate(seed, name, bandwidths):
    p, q = random_laws(seed), random_laws(seed + 1).requires_grad_()
    divergence, kernel = f_divergence(name), grid_kernel(20, bandwidths, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(grid_f_divergence(p, q, divergence, kernel), q)
    expected = -divergence.conjugate(grid_ratio(p, q.detach(), kernel)) / len(q)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize('name', sorted(DIVERGENCES))
def test_with_the_best_critic_it_is_the_derivative_of_the_value(name):
    """Eq. (26) leaves out how the critic moves, which does not matter where it is the best."""
    p = (random_laws(5) + 0.05) / 2
    q = ((random_laws(6) + 0.05) / 2).requires_grad_()

    def value(law):
        return (law * f_divergence(name).f(p / law)).sum() / len(law)

    direct, fixed = (
        torch.autograd.grad(loss, q)[0]
        for loss in (value(q), grid_f_divergence(p, q, f_divergence(name), PLUG_IN))
    )
    torch.testing.assert_close(fixed, direct, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ('p', 'q', 'message'),
    [
        (torch.ones(2, 5), torch.ones(1, 5), 'p and q must have the same shape'),
        (torch.ones(5), torch.ones(5), 'p and q must have the same shape'),
        (torch.full((1, 5), math.nan), torch.ones(1, 5), 'p must be finite'),
        (torch.ones(1, 5), torch.full((1, 5), math.inf), 'q must be finite'),
    ],
)
def test_bad_laws_are_named(p, q, message):
    with pytest.raises(ValueError, match=message):
        grid_f_divergence(p, q, f_divergence('kl'), grid_kernel(5))
