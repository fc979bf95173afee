"""Two-valued columns given all the others: a smooth law in place of what a mixture makes of it.

A mixture with the right pairs is jagged in between: few components stand behind a record, and what
they say of a column together is far from its law given all others. So most of its cells are drawn
anew, from the smoothest law with the same pairs: a logistic regression on the mixture. The others
keep what the mixture knows of three columns and more. A column with a head is called a hub here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from sdv_slicedp.balancing import balanced, is_worth_it
from sdv_slicedp.drawing import draw_cells, stratified_uniforms
from sdv_slicedp.posterior import LEAST, Chosen

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bins = npt.NDArray[np.integer[Any]]
Tables = npt.NDArray[np.float32]

KEPT = 0.25
"""Share of the rows that keep the hub's cell of the mixture."""
CANDIDATES_OF_A_ROW = 8
"""Candidates for a row whose hubs are given, Eq. (45)."""
STRATUM = 50
"""Rows of about the same law that draw with stratified uniform numbers."""


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
