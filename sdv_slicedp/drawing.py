"""Cells drawn from laws with stratified uniform numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def stratified_uniforms(groups: Integers, rng: np.random.Generator) -> Floats:
    """Uniform numbers, spread evenly inside each group: one in each of its equal strata.

    Every number is uniform on [0, 1) by itself; together they have the smallest possible
    sampling error of a one-column law.

    Args:
        groups: Group of each row, shape ``(n,)``.
        rng: Source of randomness.
    """
    order = np.argsort(groups + rng.random(len(groups)))
    sizes = np.bincount(groups)
    start = np.cumsum(sizes) - sizes
    ranks = np.empty(len(groups), dtype=np.float64)
    ranks[order] = np.arange(len(groups)) - start[groups[order]]
    return np.asarray((ranks + rng.random(len(groups))) / sizes[groups])


def draw_cells(
    table: npt.NDArray[np.floating[Any]], component: Integers, rng: np.random.Generator
) -> Integers:
    """Cell of each row, given each row's law.

    Args:
        table: Laws, one in each row, up to a factor; shape ``(N, cells)``.
        component: Which of them each row has, shape ``(n,)``.
        rng: Source of randomness.
    """
    steps = np.cumsum(table.astype(np.float64), axis=1)
    steps /= steps[:, -1:]
    n_cells = table.shape[1]
    ladder = (steps + np.arange(len(table))[:, None]).ravel()
    drawn = np.searchsorted(ladder, component + stratified_uniforms(component, rng), side='right')
    cells: Integers = np.clip(drawn - component * n_cells, 0, n_cells - 1)
    return cells


def draw_rows(
    tables: Sequence[npt.NDArray[np.floating[Any]]], num_rows: int, rng: np.random.Generator
) -> tuple[Integers, list[npt.NDArray[np.int32]]]:
    """Cells of the rows of a mixture, components used equally often and in order.

    Args:
        tables: Laws of each column, shape ``(N, cells)``.
        num_rows: Number of rows n.
        rng: Source of randomness.

    Returns:
        The component of each row, and its cell of each column, shape ``(n,)`` each.
    """
    n_components = len(tables[0])
    component = np.sort(rng.permutation(n_components)[np.arange(num_rows) % n_components])
    return component, [draw_cells(table, component, rng).astype(np.int32) for table in tables]
