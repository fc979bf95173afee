import numpy as np
import pytest
import torch
from torch import nn

from sdv_slicedp.denoising import Target
from sdv_slicedp.divergence import PairDivergence
from sdv_slicedp.fitting import (
    BETA,
    cell_laws,
    few_threads,
    minimise_network,
    minimise_pairs,
    random_stream,
    sample_laws,
    starting_point,
)
from sdv_slicedp.networks import Components, headed
from sdv_slicedp.progress import Progress

pytestmark = pytest.mark.filterwarnings('error')

CPU = torch.device('cpu')
SIZES = [3, 4, 2]


def target_of(seed: int = 0) -> Target:
    """Pairs of a joint law of three dependent columns."""
    joint = np.random.default_rng(seed).dirichlet(np.full(24, 0.7)).reshape(SIZES)
    pairs = ((0, 1), (0, 2), (1, 2))
    tables = tuple(joint.sum(axis=({0, 1, 2} - set(pair)).pop()) for pair in pairs)
    laws = tuple(joint.sum(axis=tuple({0, 1, 2} - {axis})) for axis in range(3))
    return Target(laws, laws, pairs, tables, np.array([1.0, 2.0, 1.5]))


def start_logits(n_components: int = 40, seed: int = 0) -> torch.Tensor:
    law = torch.from_numpy(np.concatenate(target_of().laws)).float()
    return starting_point(law, n_components, 0.5, seed)


def test_streams_are_determined_by_their_seed():
    def drawn(seed):
        return torch.rand(4, generator=random_stream(seed, CPU))

    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))
    assert not torch.equal(drawn(None), drawn(None))


def test_training_starts_near_independent_columns():
    law = torch.tensor([0.5, 0.5, 0.0])

    torch.testing.assert_close(
        starting_point(law, 6, 0.0, 0), torch.log(law.clamp_min(1e-6))[:, None].expand(3, 6)
    )
    scattered = starting_point(law, 10_000, 0.5, 0)
    assert float(scattered.std(dim=1).mean()) == pytest.approx(0.5, rel=0.05)
    assert torch.isfinite(scattered).all()


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_the_gradient_in_closed_form_is_that_of_the_loss_of_a_batch(seed):
    """Up to the factor 2 / N, for which Adam does not care."""
    divergence, logits = PairDivergence(target_of(seed), CPU), start_logits(seed=seed)
    moving = logits.T.contiguous().requires_grad_()

    loss = divergence.loss(cell_laws(moving, SIZES))
    (expected,) = torch.autograd.grad(loss, moving)
    closed, gradient = divergence.loss_and_gradient(logits)

    torch.testing.assert_close(closed, loss.detach())
    torch.testing.assert_close(2 / 40 * gradient.T, expected, rtol=1e-3, atol=1e-7)


def test_steps_are_those_of_adam():
    """Of torch, with the gradient by automatic differentiation."""
    divergence, logits = PairDivergence(target_of(), CPU), start_logits()
    moving = logits.T.contiguous().clone().requires_grad_()
    optimizer = torch.optim.Adam([moving], lr=0.1, betas=(BETA, BETA))
    for epoch in range(15):
        optimizer.param_groups[0]['lr'] = 0.1 - 0.08 * epoch / 15
        optimizer.zero_grad()
        divergence.loss(cell_laws(moving, SIZES)).backward()
        optimizer.step()

    moved = minimise_pairs(divergence, logits, (0.1, 0.02), Progress(15))

    torch.testing.assert_close(moved, moving.detach().T, rtol=1e-2, atol=2e-2)


def test_a_mixture_finds_the_pairs():
    divergence, progress = PairDivergence(target_of(), CPU), Progress(200)

    logits = minimise_pairs(divergence, start_logits(), (0.3, 0.003), progress)

    losses = progress.losses['Loss']
    assert losses.iloc[-1] < 0.01 * losses.iloc[0]
    # The last step is small, but the loss is smaller still where it is nearly nothing.
    assert float(divergence.loss(cell_laws(logits.T, SIZES))) <= losses.iloc[-1] + 1e-6


def test_a_strong_pull_ends_at_independence():
    divergence = PairDivergence(target_of(), CPU)

    def spread(pull: float) -> float:
        logits = minimise_pairs(divergence, start_logits(), (0.3, 0.3), Progress(100), pull=pull)
        return float((divergence.softmax(logits) - divergence.law[:, None]).abs().max())

    assert spread(1000.0 / 300) < 0.3 < spread(0.0)


def test_components_grow_half_way():
    divergence, start = PairDivergence(target_of(), CPU), start_logits()

    def grown(seed: int) -> torch.Tensor:
        return minimise_pairs(divergence, start, (0.3, 0.01), Progress(40), growth=3, seed=seed)

    first = grown(1)
    assert first.shape == (len(start), 3 * start.shape[1])
    torch.testing.assert_close(first, grown(1))
    assert not torch.equal(first, grown(2))
    laws = divergence.softmax(first).T
    together = divergence.softmax(minimise_pairs(divergence, start, (0.3, 0.01), Progress(40))).T
    assert float(divergence.loss(laws)) < 2 * float(divergence.loss(together)) + 1e-4


@pytest.mark.parametrize('growth', [1, 3])
def test_the_loss_is_renewed_once(growth):
    first, second = (PairDivergence(target_of(seed), CPU) for seed in (0, 1))
    seen = []

    def renewal(laws: torch.Tensor) -> PairDivergence:
        seen.append(laws)
        return second

    progress, steps = Progress(120), (0.3, 0.003)
    logits = minimise_pairs(
        first, start_logits(), steps, progress, renewal=renewal, growth=growth, seed=0
    )

    (laws,) = seen
    assert laws.shape == logits.shape
    assert float(first.loss(laws.T)) < 0.5 * float(second.loss(laws.T))
    laws = cell_laws(logits.T, SIZES)
    assert float(second.loss(laws)) < 0.5 * float(first.loss(laws))


@pytest.mark.parametrize('generator', ['mlp', 'residual_mlp', nn.Sequential(nn.Linear(64, 32))])
def test_a_network_finds_the_pairs(generator):
    divergence, progress = PairDivergence(target_of(), CPU), Progress(150)
    network = headed(generator, divergence.law.log(), 0)

    minimise_network(
        network, SIZES, divergence.loss, 256, (5e-3, 1e-3), random_stream(0, CPU), progress
    )

    losses = progress.losses['Loss']
    assert len(losses) == 150
    assert losses.tail(10).mean() < 0.2 * losses.iloc[0]


def test_training_stops_when_it_is_told_to():
    divergence, logits = PairDivergence(target_of(), CPU), start_logits()

    def told(epoch, loss):
        return epoch == 4

    first, second = (Progress(100, callback=told) for _ in range(2))
    minimise_pairs(divergence, logits, (0.3, 0.003), first)
    network = Components(logits.T.contiguous())
    minimise_network(network, SIZES, divergence.loss, 40, (0.1, 0.1), random_stream(0, CPU), second)
    assert len(first.losses) == len(second.losses) == 5


def test_laws_of_a_batch_are_laws():
    network = headed('mlp', start_logits()[:, 0], 0)

    laws = sample_laws(network, SIZES, 50, random_stream(1, CPU))

    assert laws.shape == (50, 9)
    assert not laws.requires_grad
    for part in torch.split(laws, SIZES, dim=1):
        torch.testing.assert_close(part.sum(dim=1), torch.ones(50))
    assert torch.equal(laws, sample_laws(network, SIZES, 50, random_stream(1, CPU)))


def test_threads_are_left_as_they_were():
    before = torch.get_num_threads()
    with pytest.raises(KeyError), few_threads(1):
        assert torch.get_num_threads() == 1
        raise KeyError
    assert torch.get_num_threads() == before
    with few_threads(10**12):
        assert torch.get_num_threads() == before


def test_a_pull_of_the_whole_way_leaves_one_step_from_independence():
    """At the last step the logits are those of the one-column laws, but for a step of Adam."""
    divergence, base = PairDivergence(target_of(), CPU), starting_point_without_scatter()
    rate = 0.01

    logits = minimise_pairs(divergence, start_logits(), (rate, rate), Progress(30), pull=1 / rate)

    # A step of Adam is at most 1 / sqrt(1 - BETA) rates long.
    assert float((logits - base).abs().max()) <= rate / (1 - BETA) ** 0.5 + 1e-5
    torch.testing.assert_close(
        divergence.softmax(logits), divergence.law[:, None].expand(-1, 40), rtol=0, atol=0.05
    )


def starting_point_without_scatter() -> torch.Tensor:
    return starting_point(torch.from_numpy(np.concatenate(target_of().laws)).float(), 40, 0.0, 0)


def test_the_logits_given_are_not_changed():
    divergence, start = PairDivergence(target_of(), CPU), start_logits()
    before = start.clone()
    minimise_pairs(divergence, start, (0.3, 0.01), Progress(4), pull=0.1, growth=2, seed=0)
    assert torch.equal(start, before)


def test_steps_fall_linearly_to_the_last_rate():
    """Steps of a gradient that is always the same are as long as the rate."""

    class Slope:
        law = torch.tensor([0.5, 0.5])

        def loss_and_gradient(self, logits, epoch):
            return logits.sum(), torch.ones_like(logits)

    def after(epochs):
        logits = minimise_pairs(Slope(), torch.zeros(2, 3), (0.4, 0.2), Progress(epochs))
        return float(logits[0, 0])

    assert after(1) == pytest.approx(-0.4)
    assert after(4) == pytest.approx(-(0.4 + 0.35 + 0.3 + 0.25))
