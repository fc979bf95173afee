"""The encoded record phi(x): a vector with one block per column, in whole numbers, Eq. (18).

A discrete column is one-hot over its cells. A number is one coordinate between -1 / sqrt(2) and
1 / sqrt(2), and one more for "missing" if it can be missing. Every block has norm at most 1, and
replacing a record moves every block by at most sqrt(2). Vectors are integers in units of
``1 / UNIT``, so projections of them are exact. These maps look at one record at a time and have
public parameters only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdv_slicedp.domain import MISSING, UNCOUNTED, CategoricalDomain, ColumnDomain, NumericalDomain

Integers = npt.NDArray[np.int64]

UNIT = 2**20
"""Integer that stands for 1."""
REACH = math.isqrt(UNIT**2 // 2)
"""Largest coordinate of a number: 1 / sqrt(2), rounded down."""


@dataclass(frozen=True)
class Block:
    """The coordinates of one column.

    Attributes:
        domain: Its complete domain.
        start: Its first coordinate.
    """

    domain: ColumnDomain
    start: int

    @property
    def width(self) -> int:
        """Number of coordinates."""
        if isinstance(self.domain, CategoricalDomain):
            return self.domain.n_cells
        return 1 + int(self.domain.has_missing)

    @property
    def stop(self) -> int:
        """The coordinate after its last one."""
        return self.start + self.width

    @property
    def squared_change(self) -> int:
        """Largest squared distance between two records' blocks, in units of ``UNIT**-2``.

        A value without a cell is encoded as zero.
        """
        if isinstance(self.domain, CategoricalDomain):
            return UNIT**2 * min(self.domain.n_cells, 2)
        varies = self.domain.lower != self.domain.upper
        number = REACH**2 if varies else 0
        return max(4 * number, number + UNIT**2 if self.domain.has_missing else 0)


def blocks(domains: Sequence[ColumnDomain]) -> tuple[Block, ...]:
    """The blocks of all columns, one after the other."""
    laid_out: list[Block] = []
    for domain in domains:
        laid_out.append(Block(domain, laid_out[-1].stop if laid_out else 0))
    return tuple(laid_out)


def dimension(laid_out: Sequence[Block]) -> int:
    """Length d of an encoded record."""
    return laid_out[-1].stop if laid_out else 0


def sensitivity(laid_out: Sequence[Block]) -> float:
    """Largest distance Delta between two encoded records, rounded up, Eq. (18)."""
    squared = sum(block.squared_change for block in laid_out)
    return math.nextafter(math.sqrt(squared), math.inf) / UNIT


def reach(laid_out: Sequence[Block], directions: Integers) -> int:
    """Bound on the magnitude of every projection of every record, see :func:`project`."""
    largest = [np.abs(directions[b.start : b.stop]).max(initial=0) for b in laid_out]
    return UNIT * sum(int(each) for each in largest)


def coordinates(domain: NumericalDomain, positions: Integers) -> Integers:
    """First coordinate of each number, in units of ``1 / UNIT``; 0 where there is none.

    Args:
        domain: A complete domain.
        positions: Grid positions, shape ``(n,)``; those outside of the domain are clipped.
    """
    lower, upper = domain.lower or 0, domain.upper or 0
    clipped = np.clip(positions, lower, upper).astype(np.float64) - lower
    share = clipped / max(upper - lower, 1)
    values = np.rint((2 * share - 1) * REACH).astype(np.int64)
    if lower == upper:
        values[:] = 0
    values[(positions == MISSING) | (positions == UNCOUNTED)] = 0
    return np.clip(values, -REACH, REACH)


def project(
    laid_out: Sequence[Block], positions: Sequence[Integers], directions: Integers
) -> Integers:
    """Exact projections of encoded records on integer directions.

    Args:
        laid_out: The blocks.
        positions: Category codes or grid positions of each column, shape ``(n,)`` each.
        directions: Shape ``(d, m)``, entries of at most ``2**22``.

    Returns:
        Shape ``(n, m)``, in units of ``1 / UNIT`` times the unit of ``directions``.

    Formal guarantees:
        One row at a time. Public: ``laid_out`` and ``directions``. How far a row can move:
        :func:`sensitivity`.
    """
    total = np.zeros((len(positions[0]), directions.shape[1]), dtype=np.int64)
    for block, column in zip(laid_out, positions, strict=True):
        rows = directions[block.start : block.stop]
        if isinstance(block.domain, CategoricalDomain):
            table = np.concatenate([rows, np.zeros_like(rows[:1], shape=(1, rows.shape[1]))])
            inside = (column >= 0) & (column < block.width)
            total += UNIT * table[np.where(inside, column, block.width)]
            continue
        total += coordinates(block.domain, column)[:, None] * rows[0]
        if block.domain.has_missing:
            total += UNIT * (column == MISSING)[:, None] * rows[1]
    return total
