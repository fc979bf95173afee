"""Hub columns given all the others: a smooth law in place of what a mixture makes of it.

A mixture with the right pairs is jagged in between: few components stand behind a record, and what
they say of a hub together is far from the law of a hub given all other columns. So most of a hub's
cells are drawn anew, from the smoothest law with the same pairs: a logistic regression on the
mixture. The others keep what the mixture knows of three columns and more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq, minimize
from scipy.sparse import csr_array
from scipy.special import softmax

from sdv_slicedp.balancing import balanced, is_worth_it
from sdv_slicedp.denoising import Target
from sdv_slicedp.domain import CategoricalDomain
from sdv_slicedp.drawing import draw_cells, draw_rows, stratified_uniforms
from sdv_slicedp.posterior import LEAST, Chosen
from sdv_slicedp.release import ColumnRelease

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bins = npt.NDArray[np.integer[Any]]
Tables = npt.NDArray[np.float32]

ROWS = 20_000
"""Rows of the mixture that a head is fitted to."""
STEPS = 100
"""Steps of L-BFGS, at most."""
CELLS = 2
"""Cells of a hub that has a head; of more, boosting learnt less with heads than without."""
KEPT = 0.25
"""Share of the rows that keep the hub's cell of the mixture."""
CANDIDATES_OF_A_ROW = 8
"""Candidates for a row whose hubs are given, Eq. (45)."""
STRATUM = 50
"""Rows of about the same law that draw with stratified uniform numbers."""
MOST_STRETCHED = 5.0
"""Largest factor that weights are multiplied by after shrinkage."""
SMALLEST = 1e-9


@dataclass(frozen=True, eq=False)
class Head:
    """Law of a hub given the pair cells of all other columns, Eq. (43).

    Attributes:
        column: Position of the hub.
        intercept: One number for each cell of the hub.
        weights: One array of shape ``(cells, hub cells)`` per column; zero for the hub.
        means: Mean of the law over each component of the mixture, shape ``(N, hub cells)``.
    """

    column: int
    intercept: Floats
    weights: tuple[Floats, ...]
    means: Tables

    def shares(self, bins: Sequence[Bins]) -> Floats:
        """Probability of each cell of the hub, shape ``(n, hub cells)``.

        Args:
            bins: Pair cells of all columns, shape ``(n,)`` each.
        """
        scores = np.tile(self.intercept, (len(bins[0]), 1))
        for i, (weight, cells) in enumerate(zip(self.weights, bins, strict=True)):
            if i != self.column:
                scores += weight[cells]
        return np.asarray(softmax(scores, axis=1))

    def laws(self, own: Tables) -> Tables:
        """Law of the hub's cells in each component, the hub being drawn as in :meth:`draw`.

        Args:
            own: Laws of the hub's cells by the mixture, shape ``(N, hub cells)``.
        """
        return np.asarray(KEPT * own + (1 - KEPT) * self.means, dtype=np.float32)

    def draw(self, bins: Sequence[Bins], rng: np.random.Generator, *, spread: bool) -> Bins:
        """The hub's cell of each row, in a share ``KEPT`` of them as it is, shape ``(n,)``.

        Args:
            bins: Pair cells of all columns by the mixture, shape ``(n,)`` each.
            rng: Source of randomness.
            spread: Stratify the uniform numbers, Eq. (14), and swap cells, Eq. (46), among rows of
                about the same law if they are few; rows are then not independent.
        """
        laws = (1 - KEPT) * self.shares(bins)
        laws[np.arange(len(laws)), bins[self.column]] += KEPT
        if not spread:
            return self._drawn(laws, rng.random(len(laws)))
        ranks = np.empty(len(laws), dtype=np.int64)
        ranks[np.argsort(laws[:, 0], kind='stable')] = np.arange(len(laws))
        strata = ranks // STRATUM
        cells = self._drawn(laws, stratified_uniforms(strata, rng))
        if not is_worth_it(len(laws), len(bins)):
            return cells
        columns = [*bins]
        columns[self.column] = cells
        return balanced(columns, self.column, strata, self._expected(laws, bins), self._sizes, rng)

    @property
    def _sizes(self) -> list[int]:
        return [len(weight) for weight in self.weights]

    def _drawn(self, laws: Floats, uniforms: Floats) -> Bins:
        return np.asarray((laws.cumsum(axis=1)[:, :-1] <= uniforms[:, None]).sum(axis=1), np.int32)

    def _expected(self, laws: Floats, bins: Sequence[Bins]) -> Floats:
        """Counts of the hub's cells with those of all columns, shape ``(hub cells, all cells)``."""
        counts = [
            [np.bincount(cells, law, size) for cells, size in zip(bins, self._sizes, strict=True)]
            for law in laws.T
        ]
        return np.array([np.concatenate(parts) for parts in counts])


def apply(
    heads: Sequence[Head],
    bins: list[Bins],
    chosen: Chosen,
    tables: Mapping[int, Tables],
    rng: np.random.Generator,
) -> Floats:
    """Draw the hubs that are not given, and weigh the rows by those that are, Eq. (45).

    Args:
        heads: In the order in which hubs are drawn.
        bins: Pair cells of all columns, shape ``(n,)`` each; the hubs' are replaced.
        chosen: Components of the rows, and the hubs' cells that are given.
        tables: Laws of the cells by the mixture, by column.
        rng: Source of randomness.

    Returns:
        Logarithms of the weights, shape ``(n,)``.
    """
    component = chosen.component
    log_weights = np.zeros(len(component))
    given = {head.column for head in heads if head.column in chosen.bins}
    for hub in given:
        own, wanted = tables[hub], chosen.bins[hub]
        drawn = draw_cells(own, component, rng)
        before = np.where(rng.random(len(component)) < 0.5, wanted, drawn)
        share = np.maximum(own[component, before], LEAST).astype(np.float64)
        log_weights += np.log(share / (0.5 * (before == wanted) + 0.5 * share))
        bins[hub] = before
    for head in heads:
        if head.column not in given:
            bins[head.column] = head.draw(bins, rng, spread=False)
            continue
        wanted = chosen.bins[head.column]
        share = head.shares(bins)[np.arange(len(wanted)), wanted]
        reached = KEPT * (bins[head.column] == wanted) + (1 - KEPT) * share
        proposed = head.laws(tables[head.column])[component, wanted]
        log_weights += np.log(np.maximum(reached, LEAST)) - np.log(np.maximum(proposed, LEAST))
        bins[head.column] = wanted
    return log_weights


def fitted(
    components: Sequence[Tables],
    columns: Sequence[ColumnRelease],
    target: Target,
    seed: int | None,
) -> tuple[Head, ...]:
    """Heads of the discrete hubs of ``CELLS`` cells of a trained mixture.

    Args:
        components: Laws of the mixture, shape ``(N, cells)`` for each column.
        columns: The columns.
        target: What the mixture was trained on.
        seed: Seed of the rows of the mixture that heads are fitted to.
    """
    noise = dict(zip(target.pairs, target.noise.tolist(), strict=True))
    made = []
    for hub in (law.column for law in target.hubs):
        discrete = isinstance(columns[hub].domain, CategoricalDomain)
        if discrete and components[hub].shape[1] == CELLS:
            others = [i for i in range(len(columns)) if i != hub]
            own = {i: noise[min(hub, i), max(hub, i)] for i in others}
            made.append(regressed(hub, components, own, seed))
    return tuple(made)


def regressed(
    hub: int, components: Sequence[Tables], noise: Mapping[int, float], seed: int | None
) -> Head:
    """Logistic regression of a hub on all other columns, by the laws of a mixture, Eq. (44).

    Args:
        hub: Position of the hub.
        components: Laws of the mixture, shape ``(N, cells)`` for each column.
        noise: Noise scale of the hub's pair with each column, sigma / rows.
        seed: Seed of the rows of the mixture.
    """
    component, bins = draw_rows(components, ROWS, np.random.default_rng(seed))
    law = np.maximum(components[hub].mean(axis=0, dtype=np.float64), SMALLEST)
    law /= law.sum()
    others = [i for i in range(len(components)) if i != hub]
    moments, ridges, scales = [], [], []
    for i in others:
        pair = components[i].T.astype(np.float64) @ components[hub] / len(components[hub])
        pair = np.maximum(pair, SMALLEST)
        seen = np.bincount(bins[i], minlength=len(pair))[:, None] / ROWS
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
