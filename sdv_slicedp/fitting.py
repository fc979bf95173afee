"""Two ways to minimise: the mixture on pairs with its gradient in closed form, and any network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from sdv_slicedp.divergence import PairDivergence
from sdv_slicedp.networks import latent_dim
from sdv_slicedp.objectives import Objective
from sdv_slicedp.progress import Progress

SMALL = 2 * 10**8
"""Multiplications per matrix product below which training keeps to one thread."""


BETA = 0.9
"""Decay of both averages of Adam on pairs. The gradient is exact, so a short memory will do."""
GROWTH_SCATTER = 0.3
"""Spread of the logits of components that come from one."""
RENEWED_AFTER = 0.7
"""Share of the epochs after which the loss is renewed."""
SMALLEST_LAW = 1e-6


def random_stream(seed: int | None, device: torch.device) -> torch.Generator:
    """A stream of its own on a device; from the entropy of the system without a seed."""
    stream = torch.Generator(device=device)
    if seed is None:
        stream.seed()
    else:
        stream.manual_seed(seed)
    return stream


def starting_point(
    law: torch.Tensor, n_components: int, scale: float, seed: int | None
) -> torch.Tensor:
    """Logits of shape ``(T, N)`` near the product of the one-column laws.

    Args:
        law: One-column laws, one after the other, shape ``(T,)``.
        n_components: Number N of components.
        scale: Spread of the logits.
        seed: Seed of the spread.
    """
    stream = random_stream(seed, torch.device('cpu'))
    noise = torch.randn(len(law), n_components, generator=stream)
    return torch.log(law.clamp_min(SMALLEST_LAW))[:, None] + scale * noise.to(law.device)


def minimise_pairs(
    divergence: PairDivergence,
    logits: torch.Tensor,
    rates: tuple[float, float],
    progress: Progress,
    *,
    pull: float = 0.0,
    renewal: Callable[[torch.Tensor], PairDivergence] | None = None,
    growth: int = 1,
    seed: int | None = None,
) -> torch.Tensor:
    """Adam (Kingma and Ba, arXiv 1412.6980v9) on the logits of a mixture.

    The decay towards the product of the one-column laws is decoupled from the gradient (Loshchilov
    and Hutter, arXiv 1711.05101), Eq. (37): of the many mixtures with about the same pairs, it
    prefers one of large entropy.

    Args:
        divergence: Loss (8) and (36), with its gradient in closed form.
        logits: Shape ``(T, N)``.
        rates: First and last step, linear in between.
        progress: Epochs to go.
        pull: Strength of the decay.
        renewal: Takes the laws of the mixture after a share ``RENEWED_AFTER`` of the epochs, shape
            ``(T, N)``, and gives the loss of the others; ``None`` for the same.
        growth: Each component becomes so many, half-way.
        seed: Seed of what they differ by.

    Returns:
        Logits of shape ``(T, growth N)``.
    """
    logits = logits.clone()
    base = torch.log(divergence.law.clamp_min(SMALLEST_LAW))[:, None]
    mean, square = torch.zeros_like(logits), torch.zeros_like(logits)
    with few_threads(growth * logits.numel() * len(logits)):
        for epoch in progress:
            if growth > 1 and epoch == progress.epochs // 2:
                logits = _grown(logits, growth, seed)
                mean, square = mean.repeat(1, growth), square.repeat(1, growth)
            if renewal is not None and epoch == int(RENEWED_AFTER * progress.epochs):
                divergence = renewal(divergence.softmax(logits))
            loss, gradient = divergence.loss_and_gradient(logits, epoch)
            mean.lerp_(gradient, 1 - BETA)
            square.lerp_(gradient.square_(), 1 - BETA)
            rate = rates[0] + (rates[1] - rates[0]) * epoch / progress.epochs
            unbiased = 1 - BETA ** (epoch + 1)
            logits.lerp_(base.expand_as(logits), pull * rate)
            spread = square.div(unbiased).sqrt_().add_(1e-12)
            logits.addcdiv_(mean, spread, value=-rate / unbiased)
            progress.record(float(loss))
    return logits


def _grown(logits: torch.Tensor, growth: int, seed: int | None) -> torch.Tensor:
    """Every component several times, each a little different."""
    stream = random_stream(seed, torch.device('cpu'))
    repeated = logits.repeat(1, growth)
    noise = torch.randn(repeated.shape, generator=stream)
    return repeated + GROWTH_SCATTER * noise.to(logits.device)


def minimise_network(
    network: nn.Module,
    sizes: Sequence[int],
    objective: Objective,
    batch_size: int,
    rates: tuple[float, float],
    stream: torch.Generator,
    progress: Progress,
) -> None:
    """Adam on the parameters of a network, in place; fresh latent numbers at every epoch.

    Args:
        network: Latent numbers to logits of all cells.
        sizes: Cells of each column.
        objective: Loss of the laws of a batch.
        batch_size: Latent numbers, in rows.
        rates: First and last step, geometric in between.
        stream: Source of the latent numbers.
        progress: Epochs to go.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=rates[0], betas=(0.9, 0.99))
    shape = (batch_size, latent_dim(network))
    for epoch in progress:
        for group in optimizer.param_groups:
            group['lr'] = rates[0] * (rates[1] / rates[0]) ** (epoch / progress.epochs)
        logits = network(torch.randn(shape, generator=stream, device=stream.device))
        loss = objective(cell_laws(logits, sizes))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        progress.record(float(loss.detach()))


def sample_laws(
    network: nn.Module, sizes: Sequence[int], batch_size: int, stream: torch.Generator
) -> torch.Tensor:
    """Laws of a batch of fresh latent numbers, shape ``(batch, T)``."""
    shape = (batch_size, latent_dim(network))
    with torch.no_grad():
        logits = network(torch.randn(shape, generator=stream, device=stream.device))
        return cell_laws(logits, sizes)


def cell_laws(logits: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """Softmax of each column's block of logits, shape ``(batch, T)``."""
    parts = [torch.softmax(part, dim=1) for part in torch.split(logits, list(sizes), dim=1)]
    return torch.cat(parts, dim=1)


@contextmanager
def few_threads(multiplications: int) -> Iterator[None]:
    """One thread for small problems: there, more threads wait longer than they compute."""
    before = torch.get_num_threads()
    if multiplications < SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
