"""The cells that generators choose from in the projection mechanism, and how they are encoded.

A generator gives each column a law over finitely many cells: the categories, or the positions of
a number, pooled to cells of equal width where there are many. Inside a cell, positions are alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdv_slicedp import embedding, grid
from sdv_slicedp.domain import MISSING, CategoricalDomain, NumericalDomain
from sdv_slicedp.release import ColumnRelease, Release

Floats = npt.NDArray[np.float64]

MOST_POSITIONS = 128
"""A number with at most so many positions has a cell for each."""
NUMBER_CELLS = 64
"""Cells of a number with more positions."""


@dataclass(frozen=True, eq=False)
class CellMap:
    """Cells of all columns, one column after the other, T in all.

    Attributes:
        columns: The columns on these cells.
        vectors: Encoded record of each cell, zero outside of its column, shape ``(T, d)``.
        reach: How far the first coordinate of a number varies inside a cell, shape ``(T,)``.
        offsets: First cell of each column, then T.
        blocks: Coordinates of each column.
    """

    columns: tuple[ColumnRelease, ...]
    vectors: Floats
    reach: Floats
    offsets: tuple[int, ...]
    blocks: tuple[embedding.Block, ...]

    @property
    def sizes(self) -> list[int]:
        """Number of cells of each column."""
        return [column.n_bins for column in self.columns]

    def part(self, column: int) -> slice:
        """Cells of one column among all."""
        return slice(self.offsets[column], self.offsets[column + 1])


def cell_map(release: Release) -> CellMap:
    """The cells of a projection release."""
    laid_out = release.blocks
    columns = tuple(_on_cells(block) for block in laid_out)
    offsets = np.cumsum([0, *(column.n_bins for column in columns)])
    vectors = np.zeros((int(offsets[-1]), embedding.dimension(laid_out)))
    reach = np.zeros(len(vectors))
    for block, column, start in zip(laid_out, columns, offsets[:-1], strict=True):
        rows = slice(int(start), int(start) + column.n_bins)
        vectors[rows, block.start : block.stop], reach[rows] = _encoded(block, column)
    return CellMap(columns, vectors, reach, tuple(int(i) for i in offsets), laid_out)


def _on_cells(block: embedding.Block) -> ColumnRelease:
    domain = block.domain
    if isinstance(domain, CategoricalDomain):
        lower = upper = np.arange(domain.n_cells, dtype=np.int64)
    else:
        first, last = domain.lower or 0, domain.upper or 0
        few = last - first < MOST_POSITIONS
        lower, upper = grid.split(first, last, MOST_POSITIONS if few else NUMBER_CELLS)
        if domain.has_missing:
            lower, upper = np.r_[MISSING, lower], np.r_[MISSING, upper]
    return ColumnRelease(domain, (), lower, upper, np.arange(len(lower)), len(lower))


def _encoded(block: embedding.Block, column: ColumnRelease) -> tuple[Floats, Floats]:
    """Vectors of a column's cells in its block, and the half-width of the cells."""
    if not isinstance(block.domain, NumericalDomain):
        return np.eye(block.width), np.zeros(block.width)
    ends = [
        embedding.coordinates(block.domain, positions) / embedding.UNIT
        for positions in (column.fine_lower, column.fine_upper)
    ]
    vectors = np.zeros((column.n_bins, block.width))
    vectors[:, 0] = (ends[0] + ends[1]) / 2
    if block.domain.has_missing:
        vectors[:, 1] = column.fine_lower == MISSING
    return vectors, np.asarray((ends[1] - ends[0]) / 2)
