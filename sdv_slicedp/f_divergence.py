"""f-divergences as functions of the density ratio r = dP / dQ.

Each is given by its generator f, standardised so that f(1) = f'(1) = 0: then f >= 0, and an
estimated ratio that does not average to one cannot make a divergence negative. The functions are
safe for any ratio: it is first brought between ``LEAST_RATIO`` and ``MOST_RATIO``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

LEAST_RATIO = 1e-6
MOST_RATIO = 1e6
TV_SMOOTHNESS = 0.1

RatioFunction = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class FDivergence:
    """An f-divergence D_f(P || Q) = E_Q f(r), Eq. (21).

    Attributes:
        name: What the registry calls it.
        f: The generator f(r); convex, f(1) = 0 and f'(1) = 0.
        slope: Its derivative f'(r), the best critic of Eq. (22).
        conjugate: f*(f'(r)) = r f'(r) - f(r), f* being the convex conjugate of f. Minus this is the
            derivative of the divergence by the density of Q.
    """

    name: str
    f: RatioFunction
    slope: RatioFunction
    conjugate: RatioFunction


def bounded(ratio: torch.Tensor) -> torch.Tensor:
    """A ratio that every generator can take, in float32 too."""
    return ratio.clamp(LEAST_RATIO, MOST_RATIO)


def _divergence(
    name: str, f: RatioFunction, slope: RatioFunction, conjugate: RatioFunction
) -> FDivergence:
    return FDivergence(
        name,
        lambda ratio: f(bounded(ratio)),
        lambda ratio: slope(bounded(ratio)),
        lambda ratio: conjugate(bounded(ratio)),
    )


def _jensen_shannon(r: torch.Tensor) -> torch.Tensor:
    return 0.5 * (r * torch.log(r) - (1 + r) * torch.log((1 + r) / 2))


def _distance(r: torch.Tensor) -> torch.Tensor:
    """|r - 1|, rounded off where it is zero."""
    return torch.sqrt((r - 1) ** 2 + TV_SMOOTHNESS**2)


def _total_variation_conjugate(r: torch.Tensor) -> torch.Tensor:
    return 0.5 * ((r - 1 - TV_SMOOTHNESS**2) / _distance(r) + TV_SMOOTHNESS)


DIVERGENCES = {
    divergence.name: divergence
    for divergence in (
        _divergence('kl', lambda r: r * torch.log(r) - r + 1, torch.log, lambda r: r - 1),
        _divergence('reverse_kl', lambda r: r - 1 - torch.log(r), lambda r: 1 - 1 / r, torch.log),
        _divergence(
            'jensen_shannon',
            _jensen_shannon,
            lambda r: 0.5 * torch.log(2 * r / (1 + r)),
            lambda r: 0.5 * torch.log((1 + r) / 2),
        ),
        _divergence('chi2', lambda r: (r - 1) ** 2, lambda r: 2 * (r - 1), lambda r: r**2 - 1),
        _divergence(
            'hellinger',
            lambda r: 0.5 * (torch.sqrt(r) - 1) ** 2,
            lambda r: 0.5 * (1 - torch.rsqrt(r)),
            lambda r: 0.5 * (torch.sqrt(r) - 1),
        ),
        _divergence(
            'total_variation',
            lambda r: 0.5 * (_distance(r) - TV_SMOOTHNESS),
            lambda r: 0.5 * (r - 1) / _distance(r),
            _total_variation_conjugate,
        ),
    )
}


def f_divergence(name: str) -> FDivergence:
    """The f-divergence of that name.

    Args:
        name: ``kl``, ``reverse_kl``, ``jensen_shannon``, ``chi2`` (Pearson), ``hellinger``
            (squared, at most 1) or ``total_variation`` (smooth: too small by at most
            ``TV_SMOOTHNESS / 2``).

    Raises:
        ValueError: If there is none of that name.
    """
    if name not in DIVERGENCES:
        raise ValueError(
            f'There is no divergence {name!r}. Please choose one of {", ".join(DIVERGENCES)}.'
        )
    return DIVERGENCES[name]
