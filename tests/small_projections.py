"""Releases of the projection mechanism made by hand from known rows, with any noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sdv_slicedp import embedding
from sdv_slicedp.directions import DIRECTION_UNIT
from sdv_slicedp.domain import MISSING, CategoricalDomain, ColumnDomain, NumericalDomain
from sdv_slicedp.ledger import ProjectionEntry
from sdv_slicedp.projection import Projection
from sdv_slicedp.projection_privacy import LATTICE_SCALE, PITCH_UNIT
from sdv_slicedp.projection_stages import released_columns
from sdv_slicedp.release import Release
from sdv_slicedp.stages import Column

TINY = 1e-6
"""Noise that hides nothing."""


def category(name: str, size: int, *, missing: bool = False, other: bool = False):
    """A discrete column of ``size`` categories."""
    values = tuple(f'{name}{i}' for i in range(size))
    return CategoricalDomain(name, 'categorical', values, missing, other)


def number(name: str, lower: int, upper: int, *, missing: bool = False):
    """A column of whole numbers."""
    return NumericalDomain(name, 'numerical', lower, upper, (1, 1), missing)


def random_positions(
    domains: Sequence[ColumnDomain], rows: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Independent columns, each of a law of its own."""
    drawn = []
    for domain in domains:
        if isinstance(domain, CategoricalDomain):
            choices = np.arange(domain.n_cells)
        else:
            choices = np.arange(domain.lower, domain.upper + 1)
            choices = np.r_[MISSING, choices] if domain.has_missing else choices
        drawn.append(rng.choice(choices, rows, p=rng.dirichlet(np.full(len(choices), 2.0))))
    return drawn


def unit_directions(kind: str, d: int, m: int, rng: np.random.Generator) -> np.ndarray:
    """As ``draw_directions``, but from a seed; ``'axes'`` are the coordinates themselves."""
    if kind == 'axes':
        matrix = np.eye(d)[:, np.arange(m) % d]
    elif kind == 'sphere':
        matrix = rng.standard_normal((d, m))
    else:
        bases = [np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(-(-m // d))]
        matrix = np.concatenate(bases, axis=1)[:, :m]
    return np.rint(matrix / np.linalg.norm(matrix, axis=0) * DIRECTION_UNIT).astype(np.int64)


def encoded(domains: Sequence[ColumnDomain], positions: Sequence[np.ndarray]) -> np.ndarray:
    """The records phi(x), shape ``(n, d)``."""
    laid_out = embedding.blocks(domains)
    axes = np.eye(embedding.dimension(laid_out), dtype=np.int64)
    return embedding.project(laid_out, positions, axes) / embedding.UNIT


def projection_of(
    domains: Sequence[ColumnDomain],
    positions: Sequence[np.ndarray],
    *,
    sigma: float = TINY,
    kind: str = 'orthonormal',
    slices: int | None = None,
    seed: int = 0,
) -> Projection:
    """Noisy projections of records; the noise is seeded and hence not private."""
    rng = np.random.default_rng(seed)
    laid_out = embedding.blocks(domains)
    d = embedding.dimension(laid_out)
    directions = unit_directions(kind, d, slices or d, rng)
    units = max(round(sigma / LATTICE_SCALE / PITCH_UNIT), 1)
    exact = embedding.project(laid_out, positions, directions) / units
    noise = LATTICE_SCALE * rng.standard_normal(exact.shape)
    return Projection(
        'sphere' if kind == 'sphere' else 'orthonormal',
        directions,
        np.rint(exact + noise).astype(np.int64),
        units * PITCH_UNIT,
        LATTICE_SCALE * units * PITCH_UNIT,
    )


def projection_release(
    domains: Sequence[ColumnDomain], positions: Sequence[np.ndarray], **options
) -> Release:
    """The release of a table; options as for :func:`projection_of`."""
    projection = projection_of(domains, positions, **options)
    d, m = projection.directions.shape
    change = embedding.sensitivity(embedding.blocks(domains))
    entry = ProjectionEntry(
        'projection', 'by hand', projection.kind, d, m, change, 0.0, projection.sigma, LATTICE_SCALE
    )
    columns = released_columns([Column(domain) for domain in domains])
    return Release(columns, (), (entry,), 1.0, 1e-6, 'projection', 'replace_one', (), projection)


def laws_of(positions: Sequence[np.ndarray], columns) -> list[np.ndarray]:
    """Laws of columns over the cells of a cell map."""
    parts = zip(positions, columns, strict=True)
    return [np.eye(column.n_bins)[cell_of(at, column)].mean(axis=0) for at, column in parts]


def cell_of(positions: np.ndarray, column) -> np.ndarray:
    """The cell of each position."""
    return np.searchsorted(column.fine_lower, positions, side='right') - 1
