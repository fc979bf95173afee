"""The smoothed-sliced f-divergence between laws on a grid.

On each slice, all released rows are counted once on a grid of equally spaced nodes, and both sides
are smoothed to the same scale: the released rows, which carry noise already, by what is missing,
and the generator's law by all of it. So one step sees the whole release, and generated rows need
no noise. The ratio of the laws is Eq. (23) with nodes in place of points, Eq. (25).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sdv_slicedp.density_ratio import check_settings, gaussian_kernel, positive, ridge_solve
from sdv_slicedp.f_divergence import FDivergence

NODE_RIDGE = 1e-5
"""Ridge of the plug-in ratio in training, in units of probability of a node."""

_LEAST_EIGENVALUE = 1e-7
_BINS_PER_NODE = 8


@dataclass(frozen=True, eq=False)
class GridKernel:
    """How the ratio of two laws on a grid is regularised, Eq. (25).

    Attributes:
        features: C with kernel matrix K = C C', shape ``(nodes, features)``; ``None`` for the
            narrowest kernel, K = I, which is the plug-in ratio (p + ridge) / (q + ridge).
        ridge: Penalty, as a share of the kernel's trace.
    """

    features: torch.Tensor | None
    ridge: float


def grid_kernel(
    nodes: int,
    bandwidths: Sequence[float] = (),
    ridge: float = 1e-6,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = 'cpu',
) -> GridKernel:
    """Mean of Gaussian kernels on a grid.

    Args:
        nodes: Nodes of each slice.
        bandwidths: Bandwidths in nodes; none for the narrowest kernel.
        ridge: Penalty, as a share of the kernel's trace; 1 / nodes is the mean eigenvalue.
        dtype: Type of the laws.
        device: Where they are.

    Raises:
        ValueError: If a bandwidth or the ridge is not positive.
    """
    check_settings(bandwidths or (1.0,), ridge)
    if not bandwidths:
        return GridKernel(None, ridge)
    positions = torch.arange(nodes, dtype=torch.float64)[None]
    values, vectors = np.linalg.eigh(gaussian_kernel(positions, positions, bandwidths)[0].numpy())
    kept = values > _LEAST_EIGENVALUE * values[-1]
    features = torch.from_numpy(vectors[:, kept] * np.sqrt(values[kept]))
    return GridKernel(features.to(device, dtype), ridge)


def grid_ratio(p: torch.Tensor, q: torch.Tensor, kernel: GridKernel) -> torch.Tensor:
    """Ratio p / q of laws on a grid, regularised, Eq. (25).

    Args:
        p: Probabilities, shape ``(slices, nodes)``.
        q: Probabilities, of the same shape; may be zero.
        kernel: Regulariser.

    Returns:
        Shape ``(slices, nodes)``, positive; exactly 1 where p = q on the whole slice.
    """
    if kernel.features is None:
        return (p + kernel.ridge) / (q + kernel.ridge)
    features = kernel.features
    gram = features.T @ (q[:, :, None] * features)
    return positive(1 + ridge_solve(gram, (p - q) @ features, kernel.ridge) @ features.T)


def grid_f_divergence(
    p: torch.Tensor, q: torch.Tensor, divergence: FDivergence, kernel: GridKernel
) -> torch.Tensor:
    """Mean over slices of the f-divergence of p from q, the variational form Eq. (22) on a grid.

    Its gradient is that at a fixed critic, Eq. (26): minus f*(f'(r)) at each node of q.

    Args:
        p: Real laws, shape ``(slices, nodes)``, rows that sum to 1.
        q: Generated laws, of the same shape; may be zero.
        divergence: Which divergence.
        kernel: Regulariser of the ratio.

    Returns:
        A scalar, differentiable in ``q``; exactly 0 where p = q.

    Raises:
        ValueError: If the shapes differ or a value is not finite.
    """
    _check_laws(p, q)
    with torch.no_grad():
        ratio = grid_ratio(p, q, kernel)
        gain, loss = divergence.slope(ratio), divergence.conjugate(ratio)
    return ((p * gain).sum() - (q * loss).sum()) / len(q)


def node_laws(
    points: torch.Tensor, lower: torch.Tensor, width: torch.Tensor, nodes: int
) -> torch.Tensor:
    """Law over the nodes of each slice's points, each shared by the four nodes around it, Eq. (27).

    Args:
        points: Shape ``(slices, n)``.
        lower: First node of each slice, shape ``(slices,)``; points outside go to the ends.
        width: Distance of the nodes of each slice, shape ``(slices,)``.
        nodes: Number of nodes, at least 4.

    Returns:
        Shape ``(slices, nodes)``, rows that sum to 1, differentiable in ``points``. Single entries
        may be negative before they are smoothed.
    """
    index, shares = node_shares((points - lower[:, None]) / width[:, None], nodes)
    laws = points.new_zeros(len(points), nodes)
    for offset, share in enumerate(shares):
        laws = laws.scatter_add(1, index + offset, share / points.shape[1])
    return laws


def count_laws(
    points: torch.Tensor, lower: torch.Tensor, width: torch.Tensor, nodes: int
) -> torch.Tensor:
    """The same for very many points, without derivatives: they are first put in narrow bins."""
    slices, bins = len(points), nodes * _BINS_PER_NODE
    places = (points - lower[:, None]) / width[:, None] * _BINS_PER_NODE
    flat = places.round().clamp(0, bins - 1).long() + bins * torch.arange(slices)[:, None]
    counts = torch.bincount(flat.reshape(-1), minlength=slices * bins).reshape(slices, bins)
    centres = torch.arange(bins, dtype=points.dtype)[:, None]
    narrow = node_laws(centres, torch.zeros(bins), torch.full((bins,), _BINS_PER_NODE), nodes)
    return (counts / points.shape[1]).to(points.dtype) @ narrow


def node_shares(positions: torch.Tensor, nodes: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The first of four nodes around each position, and their shares, Eq. (27).

    The shares are Lagrange's cubic polynomials: mean, variance and third moment of a law on the
    nodes are those of the points.

    Args:
        positions: In units of the distance of the nodes, from the first one.
        nodes: Number of nodes, at least 4.
    """
    positions = positions.clamp(0, nodes - 1)
    first = positions.detach().floor().clamp(1, nodes - 3) - 1
    t = positions - first - 1
    shares = [
        -t * (t - 1) * (t - 2) / 6,
        (t + 1) * (t - 1) * (t - 2) / 2,
        -(t + 1) * t * (t - 2) / 2,
        (t + 1) * t * (t - 1) / 6,
    ]
    return first.long(), shares


def smoothing(nodes: int, scale: float) -> torch.Tensor:
    """Matrix that smooths laws on a grid with normal noise, from the right, Eq. (27).

    Args:
        nodes: Number of nodes.
        scale: Standard deviation of the noise in nodes; 0 for none.

    Returns:
        Shape ``(nodes, nodes)``, rows that sum to 1.

    Raises:
        ValueError: If ``scale`` is negative or not finite.
    """
    if not 0 <= scale < float('inf'):
        raise ValueError(f'scale must be finite and not negative, got {scale}.')
    at = torch.arange(nodes, dtype=torch.float64)
    squares = (at[:, None] - at) ** 2
    weights = torch.exp(-0.5 * squares / max(scale, 1e-3) ** 2)
    return (weights / weights.sum(dim=1, keepdim=True)).float()


def _check_laws(p: torch.Tensor, q: torch.Tensor) -> None:
    if p.shape != q.shape or p.dim() != 2:
        raise ValueError(
            f'p and q must have the same shape (slices, nodes), got {tuple(p.shape)} and '
            f'{tuple(q.shape)}.'
        )
    for name, law in (('p', p), ('q', q)):
        if not torch.isfinite(law).all():
            raise ValueError(f'{name} must be finite; some probabilities are not.')
