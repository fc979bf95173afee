"""Cells of a column, swapped between rows of the same law: pairs with less error of sampling.

Whatever rows are drawn, their counts miss what the model expects by chance. Rows that have the same
law of a column may exchange their cells of it; they do where this takes some of that error away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]
Bins = npt.NDArray[np.integer[Any]]

SWAP_STEPS = 5
"""Steps of a pass over the pairs of rows; after each, counts are up to date."""
MOST_BALANCED = 50_000_000
"""Largest number of rows times squared columns that are swapped."""


def is_worth_it(num_rows: int, num_columns: int) -> bool:
    """Whether rows are so few that swaps take little time, and much of the error of pairs."""
    return num_rows * num_columns**2 <= MOST_BALANCED


def expected_counts(tables: Sequence[Floats], column: int, component: Integers) -> Floats:
    """Counts of a column's cells with those of all columns that a mixture expects.

    Args:
        tables: Laws of each column, shape ``(N, cells)``.
        column: Position of the column.
        component: Component of each row, shape ``(n,)``.

    Returns:
        Shape ``(cells of the column, cells of all columns in turn)``.
    """
    rows = np.bincount(component, minlength=len(tables[0])).astype(np.float32)
    own = (tables[column] * rows[:, None]).T
    return np.concatenate([own @ table for table in tables], axis=1)


def all_balanced(
    bins: Sequence[Bins],
    tables: Sequence[Floats],
    component: Integers,
    rng: np.random.Generator,
) -> list[Bins]:
    """Rows of a mixture after a pass of swaps within components over each column in turn.

    Args:
        bins: Cells of all columns, shape ``(n,)`` each.
        tables: Laws of each column, shape ``(N, cells)``.
        component: Component of each row, shape ``(n,)``.
        rng: Source of randomness.
    """
    made = list(bins)
    sizes = [table.shape[1] for table in tables]
    for i in range(len(made)):
        expected = expected_counts(tables, i, component)
        made[i] = balanced(made, i, component, expected, sizes, rng)
    return made


def balanced(
    bins: Sequence[Bins],
    column: int,
    groups: Integers,
    expected: Floats,
    sizes: Sequence[int],
    rng: np.random.Generator,
) -> Bins:
    """One column after a pass of swaps that make (46) smaller, shape ``(n,)``.

    Each group keeps its cells; only which of its rows has which of them changes.

    Args:
        bins: Cells of all columns, shape ``(n,)`` each.
        column: Position of the column.
        groups: Group of each row, of rows that have about the same law of the column.
        expected: Counts with the cells of all columns in turn, shape ``(cells, sum(sizes))``.
        sizes: Cells of each column.
        rng: Source of randomness.
    """
    offsets = np.cumsum([0, *sizes])
    width = int(offsets[-1])
    others = np.delete(np.stack(bins, axis=1) + offsets[:-1], column, axis=1)
    own = bins[column].astype(np.int64)
    weight = (1 / np.sqrt(1 + expected)).ravel()
    error = -expected.ravel().astype(np.float64)
    error += np.bincount((own[:, None] * width + others).ravel(), minlength=len(error))
    first, second = _pairs(groups, rng)
    for some in np.array_split(np.arange(len(first)), SWAP_STEPS):
        differ = some[own[first[some]] != own[second[some]]]
        r, s = first[differ], second[differ]
        leaves = np.stack([own[r, None] * width + others[r], own[s, None] * width + others[s]])
        enters = np.stack([own[s, None] * width + others[r], own[r, None] * width + others[s]])
        swaps, change = _improving(leaves, enters, error, weight)
        error += change
        r, s = r[swaps], s[swaps]
        own[r], own[s] = own[s], own[r]
    return own.astype(bins[column].dtype)


def _improving(
    leaves: Integers, enters: Integers, error: Floats, weight: Floats
) -> tuple[Integers, Floats]:
    """Swaps that each make (46) smaller, so many of them that all do together.

    Args:
        leaves: Counts that a swap takes 1 from, shape ``(2, swaps, columns)``.
        enters: Counts that it adds 1 to.
        error: Counts less what is expected of them.
        weight: Weights of their squares.

    Returns:
        The numbers of the swaps, and what they change of the counts.
    """
    pull = weight * error
    gain = (pull[leaves] - pull[enters]).sum(axis=(0, 2))
    moves = leaves[0] != enters[1]
    cost = (moves * (weight[leaves] + weight[enters]).sum(axis=0)).sum(axis=1) / 2
    better = np.flatnonzero(gain > cost)
    change = _change(leaves, enters, better, len(error))
    share = -np.sum(pull * change) / max(np.sum(weight * change**2), 1.0)
    fewer = better[: round(min(share, 1.0) * len(better))]
    return fewer, _change(leaves, enters, fewer, len(error))


def _change(leaves: Integers, enters: Integers, swaps: Integers, size: int) -> Floats:
    more = np.bincount(enters[:, swaps].ravel(), minlength=size)
    fewer = np.bincount(leaves[:, swaps].ravel(), minlength=size)
    return np.asarray(more - fewer, dtype=np.float64)


def _pairs(groups: Integers, rng: np.random.Generator) -> tuple[Integers, Integers]:
    """Rows in pairs of the same group, in random order, each row in one pair at most."""
    order = np.argsort(groups + rng.random(len(groups)))
    first, second = order[:-1:2], order[1::2]
    same = np.flatnonzero(groups[first] == groups[second])
    chosen = rng.permutation(same)
    return first[chosen], second[chosen]
