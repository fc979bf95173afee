"""Hub columns: what pairs of other columns say together about a column of few values.

Many distributions have the same two-column laws. Of these, the one of largest entropy has no
dependence between three columns that the pairs do not imply. For the hub columns, the generator is
asked to have that, plus what measured three-column slices show beyond it. All of it is
post-processing of a release.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sdv_slicedp.domain import CategoricalDomain
from sdv_slicedp.grid import Floats
from sdv_slicedp.release import ColumnRelease

ROUNDS = 20
"""Rounds of proportional fitting."""
SMALLEST = 1e-9
"""Probability that a cell has at least, so that it can be scaled."""
MOST_CELLS = 8
"""Pair cells that a hub column can have unless a user names it."""
MOST_NAMED_CELLS = 64
"""Pair cells that a hub column can have at all."""
JUDGES = 10
"""Columns, most telling first, whose pairs decide how much of a hub there is in a column."""

Lookup = Callable[[int, int], Floats]
"""Two-column law of two columns, first column first."""


@dataclass(frozen=True)
class HubLaw:
    """Three-column laws with one hub column.

    Attributes:
        column: Position of the hub column.
        tables: By pair of other columns: law of shape ``(hub cells, cells, cells)``.
    """

    column: int
    tables: Mapping[tuple[int, int], Floats]


def lookup(pairs: Sequence[tuple[int, int]], tables: Sequence[Floats]) -> Lookup:
    """Two-column laws by position, in either order of the columns."""
    laws = dict(zip(pairs, tables, strict=True))

    def law(first: int, second: int) -> Floats:
        return laws[first, second] if first < second else laws[second, first].T

    return law


def implied(pair: Floats, first: Floats, second: Floats) -> Floats:
    """Three-column law of largest entropy with the given two-column laws, Eq. (33).

    Iterative proportional fitting (Deming and Stephan 1940; of largest entropy by Csiszar 1975,
    "I-divergence geometry", Theorem 3.2).

    Args:
        pair: Law of the two other columns, shape ``(a, b)``; negative entries are cut.
        first: Law of hub and first column, shape ``(h, a)``.
        second: Law of hub and second column, shape ``(h, b)``.

    Returns:
        Shape ``(h, a, b)``, sums to 1.
    """
    pair, first, second = (_positive(law) for law in (pair, first, second))
    law = np.ones((len(first), *pair.shape))
    for _ in range(ROUNDS):
        law *= (first / law.sum(2))[:, :, None]
        law *= (second / law.sum(1))[:, None, :]
        law *= pair / law.sum(0)
    return law


def _positive(law: Floats) -> Floats:
    cut = np.maximum(law, SMALLEST)
    return np.asarray(cut / cut.sum())


def candidates(columns: Sequence[ColumnRelease], names: Sequence[str] | None) -> list[int]:
    """Columns that can be hubs: those named, else discrete ones of few cells.

    Args:
        columns: All columns.
        names: Names of the target columns, ``None`` if no user said so.
    """
    if len(columns) < 3:
        return []
    if names is not None:
        named = [i for i, column in enumerate(columns) if column.domain.name in names]
        return [i for i in named if 1 < columns[i].n_bins <= MOST_NAMED_CELLS]
    return [
        i
        for i, column in enumerate(columns)
        if isinstance(column.domain, CategoricalDomain) and 1 < column.n_bins <= MOST_CELLS
    ]


def choose(
    possible: Sequence[int], laws: Sequence[Floats], law: Lookup, number: int
) -> tuple[int, ...]:
    """The ``number`` columns with the most to tell as hubs, in order of position.

    Args:
        possible: Columns to choose from.
        laws: One-column laws of all columns.
        law: Two-column laws.
        number: How many to choose at most.
    """
    if len(possible) <= number:
        return tuple(sorted(possible))
    worth = {hub: usefulness(hub, laws, law) for hub in possible}
    return tuple(sorted(sorted(possible, key=lambda hub: -worth[hub])[:number]))


def usefulness(hub: int, laws: Sequence[Floats], law: Lookup) -> float:
    """How much more two columns tell about a hub than the better of them, Eq. (34).

    The mean over the pairs of the most telling columns, as a share of the hub's entropy, over the
    square of the hub's cells: noise and work both grow with their number.
    """
    chosen = partners(hub, len(laws), law, JUDGES)
    alone = {column: information(law(hub, column)) for column in chosen}
    gains = [
        information(implied(law(a, b), law(hub, a), law(hub, b)).reshape(len(laws[hub]), -1))
        - max(alone[a], alone[b])
        for a, b in combinations(chosen, 2)
    ]
    shares = np.maximum(laws[hub], SMALLEST)
    entropy = -float(np.sum(shares * np.log(shares)))
    return float(np.mean(gains)) / (max(entropy, SMALLEST) * len(shares) ** 2)


def partners(hub: int, n_columns: int, law: Lookup, number: int) -> list[int]:
    """The columns that tell most about a hub, in order of position."""
    others = [column for column in range(n_columns) if column != hub]
    told = {column: information(law(hub, column)) for column in others}
    return sorted(sorted(others, key=lambda column: -told[column])[:number])


def information(law: Floats) -> float:
    """Mutual information of a two-column law, in nats."""
    law = _positive(law)
    return float(np.sum(law * np.log(law / np.outer(law.sum(1), law.sum(0)))))
