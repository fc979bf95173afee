"""Components of a mixture given the values of some columns: Bayes' rule, and no rejection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sdv_slicedp.drawing import draw_cells

if TYPE_CHECKING:
    from sdv_slicedp.coupling import Coupling

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bins = npt.NDArray[np.integer[Any]]
Tables = npt.NDArray[np.float32]
Where = tuple[Integers, Floats, Floats]

CANDIDATES = 16
"""Components that are tried for a row where places inside cells tell about them, Eq. (40)."""
LEAST = 1e-30
"""Probabilities are at least this, so that every condition can be met."""
MOST_WEIGHTS = 2**22
"""Weights that are kept in memory."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """What is decided about rows before their other columns are drawn.

    Attributes:
        component: Component of each row, shape ``(n,)``.
        bins: Pair cells of the conditioned columns and of the coupled ones, by column.
        places: Places inside the pair cells of the coupled columns, by column.
    """

    component: Integers
    bins: dict[int, Bins]
    places: dict[int, Floats]


def choose(
    num_rows: int,
    tables: Mapping[int, Tables],
    where: Mapping[int, Where],
    coupling: Coupling | None,
    rng: np.random.Generator,
) -> Chosen:
    """A component for each row, given some of its columns, Eqs. (39) to (40).

    Args:
        num_rows: Number of rows n.
        tables: Laws of the cells of the conditioned and of the coupled columns, one row for each
            component, by column.
        where: Pair cells of the conditioned columns, and the first and last place in them that
            show the value; arrays of shape ``(n,)``, by column.
        coupling: How numbers lie in their pair cells together.
        rng: Source of randomness.
    """
    cells = {i: place[0] for i, place in where.items()}
    group, first = groups(num_rows, cells)
    logs = {i: _logs(tables[i]) for i in cells}
    distinct = {i: bins[first] for i, bins in cells.items()}
    n_components = len(next(iter(tables.values())))
    if coupling is None:
        return Chosen(_components(n_components, logs, distinct, group, rng), dict(cells), {})
    pinned = {i: where[i][1:] for i in coupling.columns if i in where}
    tries = CANDIDATES if 0 < len(pinned) < len(coupling.columns) else 1
    component = _components(n_components, logs, distinct, np.repeat(group, tries), rng)
    bins: dict[int, Bins] = {i: np.repeat(found, tries) for i, found in cells.items()}
    for i in coupling.columns:
        if i not in bins:
            bins[i] = draw_cells(tables[i], component, rng)
    repeated = {i: (np.repeat(a, tries), np.repeat(b, tries)) for i, (a, b) in pinned.items()}
    places, log_weights = coupling.places_given([bins[i] for i in coupling.columns], repeated, rng)
    one = _one_of_each(log_weights.reshape(num_rows, tries), rng)
    return Chosen(
        component[one],
        {i: found[one] for i, found in bins.items()},
        {i: found[one] for i, found in places.items()},
    )


def effective_size(
    num_rows: int, tables: Mapping[int, Tables], where: Mapping[int, Where]
) -> float:
    """Smallest number of equally likely components that stand behind a row.

    Kish's ``(sum w)^2 / sum w^2`` of the weights of Eq. (39).
    """
    cells = {i: place[0] for i, place in where.items()}
    _, first = groups(num_rows, cells)
    logs = {i: _logs(tables[i]) for i in cells}
    distinct = {i: bins[first] for i, bins in cells.items()}
    n_components = len(next(iter(tables.values())))
    smallest = float(n_components)
    for _, weights in _weights(n_components, logs, distinct, len(first)):
        sizes = weights.sum(axis=1, dtype=np.float64) ** 2 / (weights**2).sum(axis=1)
        smallest = min(smallest, float(sizes.min()))
    return smallest


def resample(
    log_weights: Floats, group: Integers, tries: int, rng: np.random.Generator
) -> Integers:
    """Candidates in proportion to their weights, each row's from those of all rows of its group.

    By one random number for each group (systematic resampling): a candidate is taken twice only if
    its weight is more than ``tries`` times the mean.

    Args:
        log_weights: Of the candidates, ``tries`` for each row in turn, shape ``(n * tries,)``.
        group: Group of each row, shape ``(n,)``, numbered from 0.
        tries: Candidates for each row.
        rng: Source of randomness.

    Returns:
        The index of a candidate for each row, shape ``(n,)``.
    """
    order = np.argsort(group, kind='stable')
    candidates = (order[:, None] * tries + np.arange(tries)).ravel()
    member = group[candidates // tries]
    sizes = np.bincount(group)
    largest = np.full(len(sizes), -np.inf)
    np.maximum.at(largest, member, log_weights[candidates])
    weights = np.exp(log_weights[candidates] - largest[member])
    ends = np.cumsum(sizes)
    steps = np.cumsum(weights * (sizes / np.bincount(member, weights))[member])
    steps = np.clip(steps, (ends - sizes)[member], ends[member])
    steps[ends * tries - 1] = ends
    points = np.arange(len(group)) + rng.random(len(sizes))[group[order]]
    found = np.empty_like(order)
    found[order] = candidates[np.searchsorted(steps, points, side='right')]
    return found


def groups(num_rows: int, given: Mapping[int, Integers]) -> tuple[Integers, Integers]:
    """Number of each row's combination of cells or positions, and the first row of each."""
    group = np.zeros(num_rows, dtype=np.int64)
    for values in given.values():
        _, numbers = np.unique(values, return_inverse=True)
        _, group = np.unique(group * (numbers.max(initial=0) + 1) + numbers, return_inverse=True)
    _, first = np.unique(group, return_index=True)
    return group, first


def _logs(table: Tables) -> Tables:
    """Logarithms of a column's laws, one row for each cell."""
    return np.asarray(np.log(np.maximum(table.T, LEAST)), dtype=np.float32)


def _weights(
    n_components: int, logs: Mapping[int, Tables], cells: Mapping[int, Integers], n_groups: int
) -> Any:
    """Weights of the components for some combinations of cells at a time, with their first one."""
    step = max(MOST_WEIGHTS // n_components, 1)
    for start in range(0, n_groups, step):
        weights = np.zeros((min(step, n_groups - start), n_components), dtype=np.float32)
        for i, log in logs.items():
            weights += log[cells[i][start : start + step]]
        weights -= weights.max(axis=1, keepdims=True)
        yield start, np.exp(weights, out=weights)


def _components(
    n_components: int,
    logs: Mapping[int, Tables],
    cells: Mapping[int, Integers],
    group: Integers,
    rng: np.random.Generator,
) -> Integers:
    """A component for each row by the weights of its combination of cells."""
    order = np.argsort(group, kind='stable')
    n_groups = int(group.max(initial=-1)) + 1
    chosen = np.empty(len(group), dtype=np.int64)
    for start, weights in _weights(n_components, logs, cells, n_groups):
        first, last = np.searchsorted(group[order], [start, start + len(weights)])
        rows = order[first:last]
        chosen[rows] = draw_cells(weights, group[rows] - start, rng)
    return chosen


def _one_of_each(log_weights: Floats, rng: np.random.Generator) -> Integers:
    """Index of one candidate of each row among all, by their weights."""
    n, tries = log_weights.shape
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    steps = np.cumsum(weights, axis=1)
    drawn = rng.random((n, 1)) * steps[:, -1:]
    return np.asarray(np.arange(n) * tries + np.minimum((steps <= drawn).sum(axis=1), tries - 1))
