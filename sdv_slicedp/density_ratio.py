"""The smoothed-sliced f-divergence, estimated from samples by a kernel density ratio.

Inputs are projections that both carry the noise of the release already: the released rows on some
slices, and generated rows on the same slices with the same noise. The ratio of their laws is
estimated slice by slice, Eq. (5), and the divergence averaged over the slices, Eq. (4). The module
`grid_divergence` has the same for laws on a grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.utils.checkpoint import checkpoint

from sdv_slicedp.f_divergence import FDivergence

KERNEL_ELEMENTS = 2**24
"""Entries of a kernel matrix that are held at a time; further slices wait for the next chunk."""

LEAST_RATIO = 1e-2
"""Estimated ratios below it are joined smoothly to half of it, Eq. (24)."""

_MOST_ATTEMPTS = 8


@dataclass(frozen=True, eq=False)
class DensityRatio:
    """Estimate r = dP / dQ of real to generated density on each slice, a function, Eq. (23).

    Attributes:
        real: Real projections in units of ``scale``, shape ``(slices, n_p)``.
        fake: Generated projections in units of ``scale``, shape ``(slices, n_q)``.
        at_fake: The ratio at the generated points, shape ``(slices, n_q)``; may be negative.
        centre: What is taken off each slice's projections, shape ``(slices, 1)``.
        scale: Unit of each slice's projections, shape ``(slices, 1)``.
        bandwidths: Bandwidths of the Gaussian kernels, in units of ``scale``.
        ridge: The ridge, as a share of the kernel's trace.
        prior: What the ratio is where the samples say nothing.
    """

    real: torch.Tensor
    fake: torch.Tensor
    at_fake: torch.Tensor
    centre: torch.Tensor
    scale: torch.Tensor
    bandwidths: tuple[float, ...]
    ridge: float
    prior: float

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        """The ratio at any points.

        Args:
            points: Shape ``(slices, n)``.

        Returns:
            Shape ``(slices, n)``, differentiable in ``points``.
        """
        points = (points - self.centre) / self.scale
        real = gaussian_kernel(points, self.real, self.bandwidths).mean(dim=2)
        fake = gaussian_kernel(points, self.fake, self.bandwidths) @ self.at_fake[..., None]
        return self.prior + (real - fake[..., 0] / self.fake.shape[1]) / self.ridge


def gaussian_kernel(
    first: torch.Tensor, second: torch.Tensor, bandwidths: Sequence[float]
) -> torch.Tensor:
    """Mean of Gaussian kernels, one per bandwidth, between points of the same slice.

    Args:
        first: Shape ``(slices, n)``.
        second: Shape ``(slices, k)``.
        bandwidths: Positive numbers, in units of the points.

    Returns:
        Shape ``(slices, n, k)``; 1 at distance 0.
    """
    distances = (first[:, :, None] - second[:, None, :]) ** 2
    kernels = [torch.exp(distances * (-0.5 / width**2)) for width in bandwidths]
    return torch.stack(kernels).mean(dim=0) if len(kernels) > 1 else kernels[0]


def density_ratio(
    real: torch.Tensor,
    fake: torch.Tensor,
    bandwidths: Sequence[float] = (0.3, 1.0),
    ridge: float = 1e-3,
    prior: float = 1.0,
    scale: float | None = None,
) -> DensityRatio:
    """Estimate the density ratio of real to generated points on each slice, Eq. (5) or (23).

    Args:
        real: Real projections, shape ``(slices, n_p)``, float32 or float64.
        fake: Generated projections, shape ``(slices, n_q)``, of the same type.
        bandwidths: Bandwidths of the Gaussian kernels, in units of ``scale``.
        ridge: Weight of the penalty, as a share of the kernel's trace: the lambda of Eq. (5)
            divided by n_q. It is raised to what the precision needs.
        prior: What the ratio shrinks to. 0 for Eq. (5) as it stands; 1 makes the ratio of a
            sample to itself exactly 1.
        scale: Unit of the bandwidths; ``None`` for the spread of each slice's real points.

    Returns:
        The estimate, differentiable in ``fake``.

    Raises:
        ValueError: If the points are not finite or their shapes do not fit, or if a bandwidth, the
            ridge or the scale is not positive.
    """
    check_settings(bandwidths, ridge)
    _check_points(real, fake)
    if scale is not None and not 0 < scale < float('inf'):
        raise ValueError(f'scale must be None or positive, got {scale}.')
    centre = real.mean(dim=1, keepdim=True)
    unit = _spread(real, fake) if scale is None else torch.full_like(centre, scale)
    p, q = (real - centre) / unit, (fake - centre) / unit
    ridge = max(ridge, 16 * torch.finfo(q.dtype).eps)
    gram = gaussian_kernel(q, q, bandwidths)
    target = gaussian_kernel(q, p, bandwidths).mean(dim=2) - prior * gram.mean(dim=2)
    return DensityRatio(
        real=p,
        fake=q,
        at_fake=prior + ridge_solve(gram / q.shape[1], target, ridge),
        centre=centre,
        scale=unit,
        bandwidths=tuple(bandwidths),
        ridge=ridge,
        prior=prior,
    )


def ridge_solve(matrices: torch.Tensor, targets: torch.Tensor, ridge: float) -> torch.Tensor:
    """Solve (M + ridge I) x = b for positive semidefinite M.

    Where rounding makes a matrix indefinite, its ridge is raised until it is not.

    Args:
        matrices: Shape ``(slices, n, n)``, of trace about 1.
        targets: Shape ``(slices, n)``.
        ridge: What is added to the diagonal.

    Returns:
        Shape ``(slices, n)``.

    Raises:
        ValueError: If no ridge helps, as with matrices that are not finite.
    """
    size = matrices.shape[-1]
    identity = torch.eye(size, dtype=matrices.dtype, device=matrices.device)
    ridges = torch.full_like(matrices[:, :1, :1], ridge)
    for _ in range(_MOST_ATTEMPTS):
        factors, failed = torch.linalg.cholesky_ex(matrices + ridges * identity)
        if not failed.any():
            return torch.cholesky_solve(targets[..., None], factors)[..., 0]
        ridges = torch.where(failed[:, None, None] > 0, 10 * ridges, ridges)
    raise ValueError(f'ridge={ridge} is too small for these points. Please raise it.')


def positive(ratio: torch.Tensor) -> torch.Tensor:
    """A positive ratio: estimates below ``LEAST_RATIO`` end smoothly at half of it, Eq. (24)."""
    excess = torch.exp(2 * (ratio / LEAST_RATIO - 1).clamp(max=0))
    return torch.where(ratio > LEAST_RATIO, ratio, LEAST_RATIO / 2 * (1 + excess))


def sliced_f_divergence(
    real_projection: torch.Tensor,
    fake_projection: torch.Tensor,
    divergence: FDivergence,
    bandwidths: Sequence[float] = (0.3, 1.0),
    ridge: float = 1e-3,
    prior: float = 1.0,
    scale: float | None = None,
) -> torch.Tensor:
    """Smoothed-sliced f-divergence of real from generated rows, Eq. (4) estimated by (5).

    Memory is bounded by ``KERNEL_ELEMENTS`` or one slice, in the backward pass too.

    Args:
        real_projection: Released rows on the slices, with their noise, shape ``(slices, n_p)``.
        fake_projection: Generated rows on the same slices, with the same noise, ``(slices, n_q)``.
        divergence: Which divergence.
        bandwidths: As in `density_ratio`.
        ridge: As in `density_ratio`.
        prior: As in `density_ratio`.
        scale: As in `density_ratio`.

    Returns:
        Mean over the slices, a scalar, differentiable in ``fake_projection``.

    Raises:
        ValueError: As `density_ratio`.
    """
    _check_points(real_projection, fake_projection)

    def total(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        ratio = density_ratio(real, fake, bandwidths, ridge, prior, scale).at_fake
        return divergence.f(positive(ratio)).mean(dim=1).sum()

    n_slices, n_fake = fake_projection.shape
    chunk = max(1, KERNEL_ELEMENTS // (n_fake * max(n_fake, real_projection.shape[1])))
    pairs = zip(
        torch.split(real_projection, chunk), torch.split(fake_projection, chunk), strict=True
    )
    parts = [
        checkpoint(total, *pair, use_reentrant=False) if n_slices > chunk else total(*pair)
        for pair in pairs
    ]
    return torch.stack(parts).sum() / n_slices


def check_settings(bandwidths: Sequence[float], ridge: float) -> None:
    """Refuse bandwidths and ridges that are not positive numbers.

    Raises:
        ValueError: If one is not.
    """
    if not (len(bandwidths) and all(0 < width < float('inf') for width in bandwidths)):
        raise ValueError(f'bandwidths must be positive and finite, got {bandwidths}.')
    if not 0 < ridge < float('inf'):
        raise ValueError(f'ridge must be positive and finite, got {ridge}.')


def _spread(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Standard deviation of each slice's real points; of all its points if these are all alike."""
    with torch.no_grad():
        own, pooled = _deviation(real), _deviation(torch.cat([real, fake], dim=1))
        tiny = torch.finfo(real.dtype).tiny
        spread = torch.where(own > tiny, own, pooled)
        return torch.where(spread > tiny, spread, torch.ones_like(spread))


def _deviation(points: torch.Tensor) -> torch.Tensor:
    """Standard deviation of each row, of any magnitude."""
    points = points - points.mean(dim=1, keepdim=True)
    largest = points.abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(points.dtype).tiny)
    return largest * (points / largest).square().mean(dim=1, keepdim=True).sqrt()


def _check_points(real: torch.Tensor, fake: torch.Tensor) -> None:
    for name, points in (('real', real), ('fake', fake)):
        if points.dim() != 2 or not points.numel():
            raise ValueError(
                f'{name} projections must have shape (slices, points), got {tuple(points.shape)}.'
            )
        if not torch.isfinite(points).all():
            raise ValueError(f'{name} projections must be finite; some are not.')
    if len(real) != len(fake):
        raise ValueError(f'real has {len(real)} slices and fake has {len(fake)}; they must agree.')
    if real.dtype != fake.dtype:
        raise ValueError(f'real is {real.dtype} and fake is {fake.dtype}; they must agree.')
