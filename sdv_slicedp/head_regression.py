"""Heads fitted to a mixture: logistic regressions that keep its pairs with a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.sparse import csr_array
from scipy.special import softmax

from sdv_slicedp.denoising import Target
from sdv_slicedp.domain import CategoricalDomain
from sdv_slicedp.drawing import draw_rows
from sdv_slicedp.heads import Bins, Floats, Head, Integers, Tables
from sdv_slicedp.hubs import information
from sdv_slicedp.release import ColumnRelease

ROWS = 20_000
"""Rows of the mixture that a head is fitted to."""
STEPS = 100
"""Steps of L-BFGS, at most."""
CELLS = 2
"""Cells of a column that has a head; of more, boosting learnt less with heads than without."""
MOST_HEADS = 8
"""Heads of a mixture, at most."""
MOST_STRETCHED = 5.0
"""Largest factor that weights are multiplied by after shrinkage."""
SMALLEST = 1e-9


def fitted(
    components: Sequence[Tables],
    columns: Sequence[ColumnRelease],
    target: Target,
    seed: int | None,
) -> tuple[Head, ...]:
    """Heads of the discrete columns of ``CELLS`` cells of a trained mixture.

    Any of them may be what a user predicts, and where noise rules, the hubs are guesses.

    Args:
        components: Laws of the mixture, shape ``(N, cells)`` for each column.
        columns: The columns.
        target: What the mixture was trained on.
        seed: Seed of the rows of the mixture that heads are fitted to.
    """
    noise = dict(zip(target.pairs, target.noise.tolist(), strict=True))
    rows = draw_rows(components, ROWS, np.random.default_rng(seed))
    made = []
    for column in _headed(components, columns, target):
        others = [i for i in range(len(columns)) if i != column]
        own = {i: noise[min(column, i), max(column, i)] for i in others}
        made.append(regressed(column, components, rows, own))
    return tuple(made)


def _headed(
    components: Sequence[Tables], columns: Sequence[ColumnRelease], target: Target
) -> list[int]:
    """Columns that have heads: hubs before others, then those that the pairs tell most about.

    Without hubs there are none: pairs are too noisy then, or moments of a projection.
    """
    if not target.hubs:
        return []
    possible = [
        i
        for i, column in enumerate(columns)
        if isinstance(column.domain, CategoricalDomain) and components[i].shape[1] == CELLS
    ]
    if len(possible) <= MOST_HEADS:
        return possible
    hub_columns = {law.column for law in target.hubs}
    told = np.zeros(len(columns))
    for pair, table in zip(target.pairs, target.tables, strict=True):
        told[list(pair)] += information(table)
    ranked = sorted(possible, key=lambda i: (i not in hub_columns, -told[i]))
    return sorted(ranked[:MOST_HEADS])


def regressed(
    hub: int,
    components: Sequence[Tables],
    rows: tuple[Integers, Sequence[Bins]],
    noise: Mapping[int, float],
) -> Head:
    """Logistic regression of a hub on all other columns, by the laws of a mixture, Eq. (44).

    Args:
        hub: Position of the hub.
        components: Laws of the mixture, shape ``(N, cells)`` for each column.
        rows: Components of some rows of the mixture, and their cells of each column.
        noise: Noise scale of the hub's pair with each column, sigma / rows.
    """
    component, bins = rows
    law = np.maximum(components[hub].mean(axis=0, dtype=np.float64), SMALLEST)
    law /= law.sum()
    others = [i for i in range(len(components)) if i != hub]
    moments, ridges, scales = [], [], []
    for i in others:
        pair = components[i].T.astype(np.float64) @ components[hub] / len(components[hub])
        pair = np.maximum(pair, SMALLEST)
        seen = np.bincount(bins[i], minlength=len(pair))[:, None] / len(component)
        curvature = np.maximum(seen * law * (1 - law), SMALLEST)
        moments.append(seen * pair / pair.sum(1, keepdims=True))
        ridges.append(noise[i] ** 2 / (curvature * _expected_square(pair)))
        scales.append(1 / np.sqrt(curvature + ridges[-1]))
    cells = _one_hot([bins[i] for i in others], [len(moment) for moment in moments])
    stacked = (np.concatenate(parts) for parts in (moments, ridges, scales))
    weights = _minimised(cells, np.log(law), *stacked)
    ends = np.cumsum([len(moment) for moment in moments])[:-1]
    parts = np.split(weights, ends)
    parts.insert(hub, np.zeros((len(law), len(law))))
    head = Head(hub, np.log(law), tuple(parts), components[hub])
    sums = np.zeros(components[hub].shape)
    np.add.at(sums, component, head.shares(bins))
    drawn = np.bincount(component, minlength=len(sums))[:, None]
    means = np.where(drawn > 0, sums / np.maximum(drawn, 1), law)
    return replace(head, means=means.astype(np.float32))


def _expected_square(pair: Floats) -> Floats:
    """Square of the weight that a cell would have alone, at least the mean over the column."""
    pair = pair / pair.sum()
    independent = np.outer(pair.sum(1), pair.sum(0))
    square = np.log(pair / independent) ** 2
    return np.asarray(np.maximum(square, np.sum(independent * square)) + SMALLEST)


def _one_hot(bins: Sequence[Bins], sizes: Sequence[int]) -> csr_array:
    """Indicators of all cells of all columns, one row for each record."""
    offsets = np.cumsum([0, *sizes])
    cells = np.stack([b + offset for b, offset in zip(bins, offsets[:-1], strict=True)], axis=1)
    n_rows, n_columns = cells.shape
    ends = np.arange(n_rows + 1) * n_columns
    return csr_array((np.ones(cells.size), cells.ravel(), ends), shape=(n_rows, offsets[-1]))


def _minimised(
    cells: csr_array, intercept: Floats, moments: Floats, ridge: Floats, scale: Floats
) -> Floats:
    """Weights at the minimum of (44), in coordinates in which its curvature is about 1.

    Args:
        cells: Indicators of the cells, shape ``(rows, T)``.
        intercept: Shape ``(hub cells,)``.
        moments: Shape ``(T, hub cells)``, like the next two.
        ridge: Weights of the squares.
        scale: Unit of each coordinate.
    """
    transposed = cells.T.tocsr()
    seen = np.asarray(cells.sum(axis=0)) / cells.shape[0]

    def loss_and_gradient(point: Floats) -> tuple[float, Floats]:
        weights = point.reshape(moments.shape) * scale
        scores = cells @ (weights[:, 1:] - weights[:, :1]) + (intercept[1:] - intercept[0])
        shares, total = _relative_shares(scores)
        loss = total.mean() + seen @ weights[:, 0] + intercept[0]
        loss += np.sum((0.5 * ridge * weights - moments) * weights)
        others = transposed @ shares / len(shares)
        expected = np.column_stack([seen - others.sum(axis=1), others])
        return float(loss), ((expected - moments + ridge * weights) * scale).ravel()

    start = np.zeros(moments.size)
    options = {'maxiter': STEPS}
    found = minimize(loss_and_gradient, start, jac=True, method='L-BFGS-B', options=options)
    return _stretched(cells, intercept, moments, found.x.reshape(moments.shape) * scale)


def _relative_shares(scores: Floats) -> tuple[Floats, Floats]:
    """Probabilities of all cells but the first, and the logarithm that normalises them.

    Args:
        scores: Those of the same cells, from that of the first, shape ``(n, hub cells - 1)``.
    """
    top = np.maximum(scores.max(axis=1), 0.0)
    powers = np.exp(scores - top[:, None])
    total = np.exp(-top) + powers.sum(axis=1)
    return powers / total[:, None], top + np.log(total)


def _stretched(cells: csr_array, intercept: Floats, moments: Floats, weights: Floats) -> Floats:
    """Weights times the factor that fits the moments best: shrinkage is to rank, not to flatten."""
    scores = cells @ weights
    wanted = float(np.sum(moments * weights))

    def slope(factor: float) -> float:
        shares = softmax(intercept + factor * scores, axis=1)
        return float(np.sum(shares * scores)) / len(scores) - wanted

    factor = 1.0
    if slope(1.0) < 0 < slope(MOST_STRETCHED):
        factor = float(brentq(slope, 1.0, MOST_STRETCHED, xtol=1e-3))
    return weights * factor
