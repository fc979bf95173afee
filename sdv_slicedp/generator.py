"""The mixture of products: a generator whose two-column laws are exact matrix products.

N components, each a product of per-column categorical laws over the pair cells:
p(x) = 1/N sum_z prod_j P_j[z, x_j]. Its state is a function of the release alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sdv_slicedp import balancing, heads, posterior
from sdv_slicedp.domain import MISSING, CategoricalDomain, ColumnDomain, from_units
from sdv_slicedp.drawing import draw_cells, draw_rows

if TYPE_CHECKING:
    from sdv_slicedp.coupling import Coupling

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bins = npt.NDArray[np.integer[Any]]

_CHUNK = 2**18  # candidates at a time


@dataclass(frozen=True)
class ColumnDecoder:
    """Turns pair cells of one column into values.

    Attributes:
        domain: Complete domain.
        lower: First grid position of each fine cell, sorted by pair cell, shape ``(F,)``.
        upper: Last grid position of each fine cell.
        bins: Pair cell of each fine cell, increasing.
        law: Probability of each fine cell given its pair cell.
    """

    domain: ColumnDomain
    lower: Integers
    upper: Integers
    bins: Integers
    law: Floats

    def positions(
        self, bins: Bins, rng: np.random.Generator, places: Floats | None = None
    ) -> Integers:
        """Grid positions inside the given pair cells, shape ``(n,)``.

        Args:
            bins: Pair cells.
            rng: Source of randomness.
            places: Where in their pair cells, from 0 to 1 in order of position; ``None`` for
                anywhere, by the law inside the cell.
        """
        steps = self.bins + _cumulative(self.law, self.bins)
        drawn = rng.random(len(bins)) if places is None else places
        cells = _inside(np.searchsorted(steps, bins + drawn, side='right'), bins, self.bins)
        if places is None:
            left = rng.random(len(bins))
        else:
            before = np.r_[0.0, steps[:-1]][cells]
            before = np.maximum(before, bins)
            left = np.clip((bins + drawn - before) / np.maximum(steps[cells] - before, 1e-15), 0, 1)
        width = (self.upper - self.lower)[cells].astype(np.float64) + 1.0
        inside = np.floor(left * width)
        return self.lower[cells] + np.minimum(inside, width - 1).astype(np.int64)

    def cells(self, positions: Integers) -> tuple[Integers, Floats, Floats]:
        """Where grid positions of the domain lie; the inverse of :meth:`positions`.

        Returns:
            The pair cell of each position, and the first and last place in it that show it.
        """
        order = np.argsort(self.lower, kind='stable')
        found = np.searchsorted(self.lower[order], positions, side='right') - 1
        cells = order[np.maximum(found, 0)]
        after = _cumulative(self.law, self.bins)
        first = np.r_[True, np.diff(self.bins) > 0]
        before = np.where(first, 0.0, np.r_[0.0, after[:-1]])
        width = (self.upper - self.lower)[cells].astype(np.float64) + 1.0
        share = (positions - self.lower[cells]) / width
        mass = (after - before)[cells]
        start = before[cells] + share * mass
        return self.bins[cells], start, np.minimum(start + mass / width, 1.0)

    def values(self, positions: Integers) -> pd.Series:
        """Values in the processed space at grid positions."""
        if isinstance(self.domain, CategoricalDomain):
            choices = np.empty(self.domain.n_cells + 1, dtype=object)
            choices[:] = None
            choices[: len(self.domain.categories or ())] = self.domain.categories
            return pd.Series(choices[positions], dtype=object)
        missing = positions == MISSING
        numbers = from_units(np.where(missing, 0, positions), self.domain.step or (1, 1))
        numbers[missing] = np.nan
        return pd.Series(numbers)


def _cumulative(law: Floats, groups: Integers) -> Floats:
    """Cumulative sum of ``law`` inside each run of equal ``groups``, scaled to end at 1."""
    total = np.cumsum(law)
    first = np.flatnonzero(np.r_[True, np.diff(groups) > 0])
    last = np.r_[first[1:] - 1, len(groups) - 1]
    before = np.repeat(total[first] - law[first], last - first + 1)
    mass = np.repeat(total[last], last - first + 1) - before
    result = (total - before) / np.where(mass > 0, mass, 1.0)
    result[last] = 1.0
    return result


def _inside(cells: Integers, bins: Bins, cell_bins: Integers) -> Integers:
    """Cells moved into their pair cell where rounding put them next to it."""
    every = np.arange(cell_bins[-1] + 1)
    first = np.searchsorted(cell_bins, every, side='left')
    last = np.searchsorted(cell_bins, every, side='right') - 1
    return np.clip(cells, first[bins], last[bins])


class MixtureModel:
    """A trained mixture of products; plain arrays, so it pickles without devices or libraries.

    Attributes:
        heads: Laws of two-valued columns given all others; most of the rows follow them.
    """

    def __init__(
        self,
        components: list[npt.NDArray[np.float32]],
        decoders: list[ColumnDecoder],
        loss_values: pd.DataFrame,
        coupling: Coupling | None = None,
    ) -> None:
        """Keep the fitted tables.

        Args:
            components: One array of shape ``(N, n_bins)`` per column, rows sum to 1.
            decoders: One per column.
            loss_values: Columns ``Epoch`` and ``Loss``.
            coupling: How numbers lie in their pair cells together.
        """
        self.coupling = coupling
        self.heads: tuple[heads.Head, ...] = ()
        self.components = components
        self.decoders = decoders
        self.loss_values = loss_values
        self._rng = np.random.default_rng()

    def set_random_state(self, random_state: Any) -> None:
        """Restart the sampling stream from a seed."""
        self._rng = np.random.default_rng(random_state)

    def sample(self, num_rows: int) -> pd.DataFrame:
        """Rows in the processed space.

        Components are used equally often, the pair cells of each component are drawn with
        stratified uniforms and swapped within it, Eq. (46): every row has the model's law, and the
        rows together have less sampling error than independent ones.
        """
        order = self._rng.permutation(num_rows)
        component, drawn = draw_rows(self.components, num_rows, self._rng)
        bins: list[Bins] = [*drawn]
        if balancing.is_worth_it(num_rows, len(bins)):
            bins = balancing.all_balanced(bins, self.components, component, self._rng)
        for head in self.heads:
            bins[head.column] = head.draw(bins, self._rng, spread=True)
        places = coupled_places(bins, self.coupling, self._rng)
        return decoded(bins, self.decoders, places, order, self._rng)

    def sample_given(self, num_rows: int, given: Mapping[int, Integers]) -> pd.DataFrame:
        """Rows in the processed space whose columns have the given values, Eq. (39).

        Args:
            num_rows: Number of rows.
            given: Grid positions or codes of the conditioned columns, arrays of shape
                ``(num_rows,)``, by the number of the column.
        """
        asked = any(head.column in given for head in self.heads)
        tries = heads.CANDIDATES_OF_A_ROW if asked else 1
        parts = []
        for start in range(0, max(num_rows, 1), _CHUNK // tries):
            rows = slice(start, min(start + _CHUNK // tries, num_rows))
            known = {i: positions[rows] for i, positions in given.items()}
            bins, places = self._drawn_given(rows.stop - start, known, tries)
            order = np.arange(rows.stop - start)
            parts.append(decoded(bins, self.decoders, places, order, self._rng, known))
        return pd.concat(parts, ignore_index=True)

    def _drawn_given(
        self, num_rows: int, given: Mapping[int, Integers], tries: int
    ) -> tuple[list[Bins], dict[int, Floats]]:
        """Pair cells, and places of coupled columns, chosen among ``tries`` candidates a row."""
        where = {}
        for i, positions in given.items():
            cells, start, end = self.decoders[i].cells(positions)
            where[i] = np.repeat(cells, tries), np.repeat(start, tries), np.repeat(end, tries)
        tables = dict(enumerate(self.components))
        smooth = {head.column: head.laws(tables[head.column]) for head in self.heads}
        chosen = posterior.choose(
            num_rows * tries, tables | smooth, where, self.coupling, self._rng
        )
        bins = [
            chosen.bins[i] if i in chosen.bins else draw_cells(table, chosen.component, self._rng)
            for i, table in tables.items()
        ]
        log_weights = heads.apply(self.heads, bins, chosen, tables, self._rng)
        if tries == 1:
            return bins, chosen.places
        group, _ = posterior.groups(num_rows, given)
        one = posterior.resample(log_weights, group, tries, self._rng)
        return [cells[one] for cells in bins], {i: p[one] for i, p in chosen.places.items()}


def coupled_places(
    bins: Sequence[Bins], coupling: Coupling | None, rng: np.random.Generator
) -> dict[int, Floats]:
    """Places inside the pair cells of the columns that are coupled."""
    return {} if coupling is None else coupling.places([bins[i] for i in coupling.columns], rng)


def decoded(
    bins: Sequence[Bins],
    decoders: Sequence[ColumnDecoder],
    places: Mapping[int, Floats],
    order: Integers,
    rng: np.random.Generator,
    given: Mapping[int, Integers] | None = None,
) -> pd.DataFrame:
    """Rows in the processed space, of the given pair cells.

    Args:
        bins: Pair cells of each column, shape ``(n,)``.
        decoders: One per column.
        places: Places inside the pair cells, of the columns that are coupled.
        order: Rows in the order in which they are shown.
        rng: Source of randomness.
        given: Positions that are known already, by column.
    """
    known = given or {}
    frame = {}
    for i, decoder in enumerate(decoders):
        if i in known:
            positions = known[i]
        else:
            positions = decoder.positions(bins[i], rng, places.get(i))
        frame[decoder.domain.name] = decoder.values(positions[order])
    return pd.DataFrame(frame, index=pd.RangeIndex(len(order)), copy=False)
