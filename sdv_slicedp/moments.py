"""What the noisy records say on average: one- and two-column laws with the noise taken out.

Where the noise is large, means and products of coordinates are all that a projection release
tells. They are noisy, but without bias, with noise of known size: so they can be denoised in
closed form, as the histograms of the other mechanism are. Training starts from what is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from sdv_slicedp.cells import CellMap
from sdv_slicedp.denoising import Target, to_simplex
from sdv_slicedp.domain import MISSING, CategoricalDomain
from sdv_slicedp.projection import Projection
from sdv_slicedp.shrinkage import shrink_singular_values

Floats = npt.NDArray[np.float64]

_MOST_TILT = 1e4
_CHUNK = 2**22


@dataclass(frozen=True, eq=False)
class Moments:
    """Least-squares estimates from the noisy projections, Eq. (28).

    Attributes:
        coefficients: Pseudo-inverse of the directions, shape ``(m, d)``: Y times it estimates
            the encoded records.
        mean: Estimated mean record, shape ``(d,)``.
        products: Estimated mean of products of coordinates, shape ``(d, d)``; blocks off the
            diagonal are without bias.
        noise: Covariance of the noise of one estimated record, shape ``(d, d)``.
        rows: Number of records.
        is_complete: Whether the directions span all records.
        seen: Orthogonal projector on what the directions span, shape ``(d, d)``.
    """

    coefficients: Floats
    mean: Floats
    products: Floats
    noise: Floats
    rows: int
    is_complete: bool
    seen: Floats

    def filled(self, prior: Floats) -> Floats:
        """The mean record; what no direction has seen is that of ``prior``."""
        return np.asarray(self.mean + prior - self.seen @ prior)


def moments(projection: Projection) -> Moments:
    """Means and products of the coordinates of all records, Eq. (28)."""
    d, m = projection.directions.shape
    total, squares = np.zeros(m), np.zeros((m, m))
    for start in range(0, projection.n_rows, step := max(_CHUNK // m, 1)):
        part = projection.values[start : start + step] * projection.pitch
        total += part.sum(axis=0)
        squares += part.T @ part
    coefficients = np.asarray(np.linalg.pinv(projection.matrix), dtype=np.float64)
    noise = np.asarray(projection.sigma**2 * coefficients.T @ coefficients)
    products = coefficients.T @ (squares / projection.n_rows) @ coefficients - noise
    mean = (total / projection.n_rows) @ coefficients
    seen = np.asarray(projection.matrix @ coefficients)
    return Moments(coefficients, mean, products, noise, projection.n_rows, m >= d, seen)


def denoised_target(cells: CellMap, estimates: Moments) -> Target:
    """Laws of columns and pairs by the moments, Eqs. (29) and (30).

    Without a complete set of directions, columns are taken to be independent.
    """
    laws = [_column_law(cells, estimates, column) for column in range(len(cells.columns))]
    # A column with a single cell, such as one no category of which was found, depends on nothing.
    varied = [column for column, law in enumerate(laws) if len(law) > 1]
    pairs = list(combinations(varied, 2)) if estimates.is_complete else []
    tables, scales = [], []
    for pair in pairs:
        interaction, scale = _interaction(cells, estimates, laws, pair)
        tables.append(np.outer(laws[pair[0]], laws[pair[1]]) + interaction)
        scales.append(scale)
    return Target(tuple(laws), tuple(laws), tuple(pairs), tuple(tables), np.array(scales))


def _column_law(cells: CellMap, estimates: Moments, column: int) -> Floats:
    """A discrete column: the means on the simplex. A number: the flattest law with its mean."""
    block, released = cells.blocks[column], cells.columns[column]
    here = slice(block.start, block.stop)
    spread = np.diagonal(estimates.noise)[here] / estimates.rows
    mean = estimates.filled(_prior(cells))[here]
    if isinstance(block.domain, CategoricalDomain):
        return to_simplex(mean * estimates.rows, spread * estimates.rows**2, estimates.rows)
    values = cells.vectors[cells.part(column), block.start]
    missing = released.fine_lower == MISSING
    share = float(np.clip(mean[1], 0.0, 1.0 - 1e-3)) if missing.any() else 0.0
    law = np.zeros(len(values))
    law[~missing] = (1 - share) * flattest(values[~missing], float(mean[0]) / (1 - share))
    law[missing] = share
    return law


def _prior(cells: CellMap) -> Floats:
    """Mean record if all cells of a column were alike, shape ``(d,)``."""
    parts = [cells.vectors[cells.part(column)].mean(axis=0) for column in range(len(cells.columns))]
    return np.asarray(np.sum(parts, axis=0))


def flattest(values: Floats, mean: Floats | float) -> Floats:
    """Law of the largest entropy on ``values`` with that mean: an exponential tilt, Eq. (29)."""
    if len(values) == 1 or np.ptp(values) == 0:
        return np.full(len(values), 1 / len(values))
    low, high = -_MOST_TILT, _MOST_TILT
    law = np.full(len(values), 1 / len(values))
    for _ in range(80):
        tilt = (low + high) / 2
        law = np.exp(tilt * values - np.max(tilt * values))
        law /= law.sum()
        low, high = (tilt, high) if law @ values < mean else (low, tilt)
    return law


def _interaction(
    cells: CellMap, estimates: Moments, laws: list[Floats], pair: tuple[int, int]
) -> tuple[Floats, float]:
    """Table of what a pair adds to its margins, and the noise scale of its entries, Eq. (30)."""
    sides = [_side(cells, laws[column], column) for column in pair]
    (left, rows), (right, columns) = (
        (side[0], cells.blocks[c]) for side, c in zip(sides, pair, strict=True)
    )
    a, b = (slice(block.start, block.stop) for block in (rows, columns))
    covariance = estimates.products[a, b] - np.outer(estimates.mean[a], estimates.mean[b])
    variances = [
        float(np.diagonal(estimates.noise)[here].mean()) + spread
        for here, (_, _, spread, _) in zip((a, b), sides, strict=True)
    ]
    scale = float(np.sqrt(variances[0] * variances[1] / estimates.rows))
    white = left.T @ covariance @ right
    # No covariance is larger than this; where the noise is, what stands out of it is chance.
    largest = np.sqrt(sides[0][3] * sides[1][3])
    edge = scale * float(np.sqrt(white.shape).sum())
    believed = largest**2 / (largest**2 + edge**2)
    shrunk = believed * shrink_singular_values(white, scale, centred=False)
    return sides[0][1] @ shrunk @ sides[1][1].T, scale


def _side(cells: CellMap, law: Floats, column: int) -> tuple[Floats, Floats, float, float]:
    """Contrasts of a column, how they are spread over its cells, and their mean variance.

    A discrete column has orthonormal contrasts of its cells. A number has its coordinates; a
    covariance with them is spread over the cells in proportion to their deviations.
    """
    block = cells.blocks[column]
    vectors = cells.vectors[cells.part(column), block.start : block.stop]
    deviation = vectors - law @ vectors
    covariance = deviation.T @ (law[:, None] * deviation)
    if isinstance(block.domain, CategoricalDomain):
        contrasts = _contrasts(block.width)
        spread = contrasts
    else:
        contrasts = np.eye(block.width)
        spread = law[:, None] * deviation @ np.linalg.pinv(covariance, rcond=1e-6, hermitian=True)
    inner = contrasts.T @ covariance @ contrasts
    values = np.linalg.eigvalsh(inner)
    return contrasts, spread, float(values.mean()), float(values.max())


def _contrasts(size: int) -> Floats:
    """Orthonormal columns that sum to zero, shape ``(size, size - 1)``."""
    basis = np.linalg.qr(np.column_stack([np.ones(size), np.eye(size)[:, 1:]]))[0]
    return np.asarray(basis[:, 1:])
