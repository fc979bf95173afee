from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sdv_slicedp.denoising import Target
from sdv_slicedp.divergence import PairDivergence
from sdv_slicedp.hubs import HubLaw

pytestmark = pytest.mark.filterwarnings('error')

CPU = torch.device('cpu')
N = 7

seeds = st.integers(0, 2**32 - 1)


def random_target(rng: np.random.Generator, *, n_columns: int | None = None) -> Target:
    """Laws that need not fit together, and weights that differ, for some of the pairs."""
    n = int(rng.integers(1, 6)) if n_columns is None else n_columns
    sizes = rng.integers(1, 6, n)
    everything = [(a, b) for a in range(n) for b in range(a + 1, n)]
    pairs = tuple(pair for pair in everything if rng.random() < 0.8)
    return Target(
        laws=tuple(rng.dirichlet(np.ones(size)) for size in sizes),
        fine_laws=(),
        pairs=pairs,
        tables=tuple(
            rng.dirichlet(np.ones(sizes[a] * sizes[b])).reshape(sizes[a], sizes[b])
            for a, b in pairs
        ),
        noise=rng.uniform(0.3, 3, len(pairs)),
    )


def random_logits(target: Target, seed: int) -> torch.Tensor:
    stream = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(sum(len(law) for law in target.laws), N, generator=stream)


def explicit_loss(target: Target, logits: torch.Tensor) -> torch.Tensor:
    """Eq. (8) pair by pair, in double precision; weights relative to their mean."""
    blocks = torch.split(logits.double(), [len(law) for law in target.laws])
    laws = [torch.softmax(block, dim=0) for block in blocks]
    loss = torch.zeros((), dtype=torch.float64)
    precisions = target.noise**-2.0
    mean = precisions.mean() if len(precisions) else 1.0
    pairs = zip(target.pairs, target.tables, precisions, strict=True)
    for (a, b), table, precision in pairs:
        model = laws[a] @ laws[b].T / N
        loss = loss + precision / mean * ((model - torch.from_numpy(table)) ** 2).sum()
    return loss


@given(seeds)
def test_loss_is_the_weighted_sum_over_pairs(seed):
    target = random_target(np.random.default_rng(seed))
    logits = random_logits(target, seed)

    loss, _ = PairDivergence(target, CPU).loss_and_gradient(logits)

    assert float(loss) == pytest.approx(float(explicit_loss(target, logits)), rel=1e-4, abs=1e-7)


@given(seeds)
def test_gradient_is_that_of_autograd_up_to_the_factor(seed):
    target = random_target(np.random.default_rng(seed), n_columns=3)
    logits = random_logits(target, seed)
    twin = logits.double().requires_grad_()
    (expected,) = torch.autograd.grad(explicit_loss(target, twin) + 0 * twin.sum(), twin)

    _, gradient = PairDivergence(target, CPU).loss_and_gradient(logits)

    torch.testing.assert_close(gradient.double() * 2 / N, expected, rtol=1e-3, atol=1e-6)


@given(seeds, st.floats(-40, 40))
def test_component_laws_sum_to_one_per_column(seed, offset):
    target = random_target(np.random.default_rng(seed))
    divergence = PairDivergence(target, CPU)
    logits = random_logits(target, seed)
    logits[: len(target.laws[0])] += offset

    laws = divergence.softmax(logits)

    blocks = torch.split(laws, [len(law) for law in target.laws])
    raw_blocks = torch.split(logits, [len(block) for block in blocks])
    for block, raw in zip(blocks, raw_blocks, strict=True):
        torch.testing.assert_close(block, torch.softmax(raw, dim=0), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(block.sum(0), torch.ones(N))


@pytest.mark.parametrize('offset', [-300.0, -100.0, -80.0])
def test_a_constant_added_to_a_column_changes_nothing(offset):
    target = random_target(np.random.default_rng(0), n_columns=3)
    divergence = PairDivergence(target, CPU)
    logits = random_logits(target, 0)
    shifted = logits.clone()
    shifted[: len(target.laws[0])] += offset

    torch.testing.assert_close(divergence.softmax(shifted), divergence.softmax(logits))


def test_loss_and_gradient_vanish_where_the_model_is_the_target():
    base = random_target(np.random.default_rng(1), n_columns=3)
    logits = random_logits(base, 1)
    sizes = [len(law) for law in base.laws]
    laws = [torch.softmax(b, 0).double().numpy() for b in torch.split(logits, sizes)]
    pairs = ((0, 1), (0, 2), (1, 2))
    tables = tuple(laws[a] @ laws[b].T / N for a, b in pairs)
    target = Target(base.laws, (), pairs, tables, np.ones(3))

    loss, gradient = PairDivergence(target, CPU).loss_and_gradient(logits)

    assert float(loss) < 1e-12
    assert float(gradient.abs().max()) < 1e-6


def test_laws_are_laid_out_one_after_the_other():
    target = random_target(np.random.default_rng(2), n_columns=4)

    divergence = PairDivergence(target, CPU)

    assert divergence.n_columns == 4
    assert divergence.offsets.tolist() == np.cumsum([0, *map(len, target.laws)]).tolist()
    np.testing.assert_allclose(divergence.law.numpy(), np.concatenate(target.laws), rtol=1e-6)


@given(seeds)
def test_the_loss_of_a_batch_is_that_of_a_mixture(seed):
    target = random_target(np.random.default_rng(seed))
    divergence, logits = PairDivergence(target, CPU), random_logits(target, seed)

    loss, _ = divergence.loss_and_gradient(logits)

    torch.testing.assert_close(
        divergence.loss(divergence.softmax(logits).T), loss, rtol=1e-4, atol=1e-7
    )


@given(seeds)
def test_derivatives_of_the_loss_of_a_batch_are_right(seed):
    target = random_target(np.random.default_rng(seed), n_columns=3)
    divergence, logits = PairDivergence(target, CPU), random_logits(target, seed)
    twin = logits.double().requires_grad_()
    (expected,) = torch.autograd.grad(explicit_loss(target, twin) + 0 * twin.sum(), twin)

    moving = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(divergence.loss(divergence.softmax(moving).T), moving)

    torch.testing.assert_close(gradient.double(), expected, rtol=1e-3, atol=1e-6)


def with_hubs(target: Target, rng: np.random.Generator) -> Target:
    """With laws of three columns for one or two hubs, of all measured pairs without the hub."""
    sizes = [len(law) for law in target.laws]
    chosen = rng.permutation(len(sizes))[: int(rng.integers(1, 3))]
    laws = [
        HubLaw(
            int(hub),
            {
                (a, b): rng.dirichlet(np.ones(sizes[hub] * sizes[a] * sizes[b])).reshape(
                    sizes[hub], sizes[a], sizes[b]
                )
                for a, b in target.pairs
                if hub not in (a, b)
            },
        )
        for hub in chosen
    ]
    return replace(target, hubs=tuple(laws))


def explicit_hub_loss(target: Target, logits: torch.Tensor, epoch: int) -> torch.Tensor:
    """Eq. (36) for the hub cell whose turn it is, pair by pair, in double precision."""
    blocks = torch.split(logits.double(), [len(law) for law in target.laws])
    laws = [torch.softmax(block, dim=0) for block in blocks]
    turns = [(hub, cell) for hub in target.hubs for cell in range(len(target.laws[hub.column]))]
    hub, cell = turns[epoch % len(turns)]
    precisions = target.noise**-2.0
    loss = torch.zeros((), dtype=torch.float64)
    for (a, b), precision in zip(target.pairs, precisions, strict=True):
        if hub.column not in (a, b):
            model = (laws[a] * laws[hub.column][cell]) @ laws[b].T / N
            residual = model - torch.from_numpy(hub.tables[a, b][cell])
            loss = loss + precision / precisions.mean() * (residual**2).sum()
    return loss * len(turns) / len(target.hubs)


@given(seeds, st.integers(0, 20))
def test_loss_and_gradient_of_hub_cells_are_those_of_autograd(seed, epoch):
    rng = np.random.default_rng(seed)
    target = with_hubs(random_target(rng, n_columns=4), rng)
    logits = random_logits(target, seed)
    twin = logits.double().requires_grad_()
    expected = explicit_loss(target, twin) + explicit_hub_loss(target, twin, epoch)
    (slope,) = torch.autograd.grad(expected + 0 * twin.sum(), twin)

    loss, gradient = PairDivergence(target, CPU).loss_and_gradient(logits, epoch)

    assert float(loss) == pytest.approx(float(expected.detach()), rel=1e-4, abs=1e-7)
    torch.testing.assert_close(gradient.double() * 2 / N, slope, rtol=1e-3, atol=1e-6)


def exact_target() -> tuple[Target, torch.Tensor]:
    """Pairs and two hubs of a mixture, and its logits."""
    base = random_target(np.random.default_rng(3), n_columns=4)
    logits = random_logits(base, 3)
    sizes = [len(law) for law in base.laws]
    laws = [torch.softmax(b, 0).double().numpy() for b in torch.split(logits, sizes)]
    pairs = tuple((a, b) for a in range(4) for b in range(a + 1, 4))
    hub_laws = tuple(
        HubLaw(
            h,
            {
                (a, b): np.einsum('hn,an,bn->hab', laws[h], laws[a], laws[b]) / N
                for a, b in pairs
                if h not in (a, b)
            },
        )
        for h in (3, 0)
    )
    tables = tuple(laws[a] @ laws[b].T / N for a, b in pairs)
    return Target(base.laws, (), pairs, tables, np.arange(1.0, 7.0), hub_laws), logits


def test_hub_cells_vanish_where_the_model_is_the_target():
    target, logits = exact_target()
    divergence = PairDivergence(target, CPU)
    turns = len(target.laws[3]) + len(target.laws[0])
    for epoch in range(turns):
        loss, gradient = divergence.loss_and_gradient(logits, epoch)
        assert float(loss) < 1e-11
        assert float(gradient.abs().max()) < 1e-6


def test_every_hub_cell_has_its_turn():
    """A wrong probability shows in the step of its hub cell and in no other."""
    target, logits = exact_target()
    n_first, n_second = len(target.laws[3]), len(target.laws[0])
    wrong = {pair: law.copy() for pair, law in target.hubs[1].tables.items()}
    wrong[1, 2][n_second - 1, 0, 0] += 0.1
    changed = replace(target, hubs=(target.hubs[0], HubLaw(0, wrong)))
    divergence = PairDivergence(changed, CPU)
    turns = n_first + n_second
    losses = [float(divergence.loss_and_gradient(logits, e)[0]) for e in range(2 * turns)]
    assert [e for e, loss in enumerate(losses) if loss > 1e-4] == [turns - 1, 2 * turns - 1]
