"""Value and gradient of the divergence estimators, where both are known. One slice, public laws.

    python benchmarks/divergence_estimators.py
    python benchmarks/divergence_estimators.py --points 2048 --divergences kl chi2

A generator shifts all its points by theta. For every estimator: bias and standard deviation of the
divergence and of its derivative by theta, over many independent samples, as shares of the truth.
The real side has as many points as a batch for the sample forms ("batch"), or all rows ("rows").
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from sdv_slicedp.density_ratio import density_ratio, positive, sliced_f_divergence
from sdv_slicedp.f_divergence import DIVERGENCES, FDivergence
from sdv_slicedp.grid_divergence import (
    count_laws,
    grid_f_divergence,
    grid_kernel,
    node_laws,
    smoothing,
)

SIGMA = 0.6
CELLS = 64
REACH = 5.0
Estimator = Callable[[torch.Tensor, torch.Tensor, FDivergence], torch.Tensor]


@dataclass(frozen=True)
class Law:
    """A mixture of normal laws of equal width; the release adds noise of scale ``SIGMA``."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    deviation: float

    def draw(self, slices: int, points: int) -> torch.Tensor:
        part = torch.multinomial(torch.tensor(self.weights), slices * points, replacement=True)
        means = torch.tensor(self.means)[part].reshape(slices, points)
        return means + self.deviation * torch.randn(slices, points)

    def density(self, at: torch.Tensor, shift: float) -> torch.Tensor:
        """Density with the noise, its parts shifted."""
        width = (self.deviation**2 + SIGMA**2) ** 0.5
        parts = [
            weight * torch.exp(torch.distributions.Normal(mean + shift, width).log_prob(at))
            for weight, mean in zip(self.weights, self.means, strict=True)
        ]
        return torch.stack(parts).sum(dim=0)


@dataclass(frozen=True)
class Case:
    """A pair of laws: the real one, and the generator's at theta."""

    name: str
    real: Law
    fake: Law
    theta: float


NORMAL = Law((1.0,), (0.0,), 0.8)
CASES = (
    Case('normal, near', NORMAL, NORMAL, 0.2),
    Case('normal, far', NORMAL, NORMAL, 2.0),
    Case('mixture', Law((0.5, 0.5), (-1.0, 1.0), 0.0), Law((0.35, 0.65), (-1.0, 1.0), 0.0), 0.3),
)


def truth(case: Case, divergence: FDivergence, step: float = 1e-4) -> tuple[float, float]:
    """Divergence and its derivative by theta, by quadrature."""
    at = torch.linspace(-12, 12, 24_001, dtype=torch.float64)
    real = case.real.density(at, 0.0)

    def value(theta: float) -> float:
        fake = case.fake.density(at, theta)
        return float((fake * divergence.f(real / fake)).sum() * (at[1] - at[0]))

    middle, left, right = (value(case.theta + shift) for shift in (0, -step, step))
    return middle, (right - left) / (2 * step)


def noisy(points: torch.Tensor) -> torch.Tensor:
    return points + SIGMA * torch.randn_like(points)


def through_ratio(prior: float, widths: Sequence[float], ridge: float) -> Estimator:
    """Mean of f(r) at generated points, differentiated through the ratio: the package's own."""

    def value(real: torch.Tensor, fake: torch.Tensor, divergence: FDivergence) -> torch.Tensor:
        return len(real) * sliced_f_divergence(
            noisy(real), noisy(fake), divergence, widths, ridge, prior
        )

    return value


def fixed_ratio(variational: bool, widths: Sequence[float], ridge: float) -> Estimator:
    """The ratio as a fixed function of the moving points."""

    def value(real: torch.Tensor, fake: torch.Tensor, divergence: FDivergence) -> torch.Tensor:
        real, fake = noisy(real), noisy(fake)
        ratio = density_ratio(real, fake.detach(), widths, ridge)
        moving = positive(ratio(fake))
        if not variational:
            return divergence.f(moving).mean(dim=1).sum()
        gain = divergence.slope(positive(ratio(real))).mean(dim=1)
        return (gain - divergence.conjugate(moving).mean(dim=1)).sum()

    return value


def on_grid(widths: Sequence[float], ridge: float) -> Estimator:
    """Laws on the nodes of a grid, the generator's smoothed to the scale of the noise."""
    kernel = grid_kernel(CELLS, widths, ridge)
    width = 2 * REACH / (CELLS - 1)
    blur = smoothing(CELLS, SIGMA / width)

    def value(real: torch.Tensor, fake: torch.Tensor, divergence: FDivergence) -> torch.Tensor:
        lower, step = torch.full((len(real),), -REACH), torch.full((len(real),), width)
        p = count_laws(noisy(real), lower, step, CELLS)
        q = node_laws(fake, lower, step, CELLS) @ blur
        return len(real) * grid_f_divergence(p, q, divergence, kernel)

    return value


ESTIMATORS: dict[str, tuple[str, Estimator]] = {
    'sample, through the ratio, (5)': ('batch', through_ratio(0.0, (0.3, 1.0), 1e-3)),
    'sample, through the ratio, (23)': ('batch', through_ratio(1.0, (0.3, 1.0), 1e-3)),
    'sample, fixed ratio, mean of f(r)': ('batch', fixed_ratio(False, (0.3, 1.0), 1e-3)),
    'sample, fixed ratio, (22)': ('batch', fixed_ratio(True, (0.3, 1.0), 1e-3)),
    'grid, K = I, ridge 1e-4': ('batch', on_grid((), 1e-4)),
    'grid, kernel 2 cells, ridge 1e-3': ('batch', on_grid((2.0,), 1e-3)),
    'grid, K = I, ridge 1e-6, all rows': ('rows', on_grid((), 1e-6)),
    'grid, K = I, ridge 1e-4, all rows': ('rows', on_grid((), 1e-4)),
    'grid, kernel 2 cells, ridge 1e-3, all rows': ('rows', on_grid((2.0,), 1e-3)),
    'grid, kernel 2 cells, ridge 1e-4, all rows': ('rows', on_grid((2.0,), 1e-4)),
}


@dataclass(frozen=True)
class Figures:
    """Mean and standard deviation of estimates of a value and a derivative."""

    value: float
    value_spread: float
    slope: float
    slope_spread: float
    milliseconds: float


def measure(
    case: Case, divergence: FDivergence, estimator: Estimator, sizes: tuple[int, int], repeats: int
) -> Figures:
    """Estimates of value and derivative over independent samples.

    Args:
        case: The laws.
        divergence: The divergence.
        estimator: Gives the sum over slices of the estimates.
        sizes: Real and generated points.
        repeats: Independent samples.
    """
    values, slopes = [], []
    start = time.process_time()
    for _ in range(repeats):
        real = case.real.draw(1, sizes[0])
        fake = (case.fake.draw(1, sizes[1]) + case.theta).requires_grad_()
        value = estimator(real, fake, divergence)
        (gradient,) = torch.autograd.grad(value, fake)
        values.append(float(value.detach()))
        slopes.append(float(gradient.sum()))
    seconds = time.process_time() - start
    value, slope = torch.tensor(values), torch.tensor(slopes)
    return Figures(
        float(value.mean()),
        float(value.std()),
        float(slope.mean()),
        float(slope.std()),
        1000 * seconds / repeats,
    )


def rows(options: argparse.Namespace) -> list[str]:
    """Lines of the markdown table."""
    lines = [
        '| laws | divergence | estimator | value: bias | sd | derivative: bias | sd | CPU ms |',
        '|---|---|---|---|---|---|---|---|',
    ]
    for case in CASES:
        for divergence in (DIVERGENCES[name] for name in options.divergences):
            value, slope = truth(case, divergence)
            head = f'| {case.name} | {divergence.name} | truth | {value:.4f} | | {slope:.4f} | | |'
            lines.append(head)
            for name, (side, estimator) in ESTIMATORS.items():
                real = options.points if side == 'batch' else options.rows
                sizes = (real, options.points)
                got = measure(case, divergence, estimator, sizes, options.repeats)
                lines.append(
                    f'| | | {name} | {got.value / value - 1:+.0%} | {got.value_spread / value:.0%} '
                    f'| {got.slope / slope - 1:+.0%} | {got.slope_spread / abs(slope):.0%} '
                    f'| {got.milliseconds:.1f} |'
                )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--points', type=int, default=512, help='points of a generated batch')
    parser.add_argument('--rows', type=int, default=36_000, help='rows of the release')
    parser.add_argument('--repeats', type=int, default=100)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--divergences', nargs='+', default=list(DIVERGENCES), choices=DIVERGENCES)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    print('\n'.join(rows(options)))


if __name__ == '__main__':
    main()
