"""The curator: the only module that aggregates private rows and draws privacy noise.

Formal guarantees:
    Every answer is a vector of integers with discrete Gaussian noise from operating-system entropy
    (``noise.py``). Its entry goes to the ledger before the rows are touched. Which questions may
    be asked, and at what cost, is up to ``mechanism.py``. Each method states its relation, how
    far the exact answer of a neighbouring table is away (its sensitivity), and what is public.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from sdv_slicedp import discovery, embedding
from sdv_slicedp.directions import draw_directions
from sdv_slicedp.domain import (
    Category,
    ColumnDomain,
    NumericalDomain,
    positions_of,
)
from sdv_slicedp.grid import Cells, Integers
from sdv_slicedp.ledger import Ledger, LedgerEntry, ProjectionEntry
from sdv_slicedp.noise import (
    discrete_gaussian,
    largest_draw,
    partition_threshold,
    random_order,
)
from sdv_slicedp.projection import Projection, narrowest
from sdv_slicedp.projection_privacy import PITCH_UNIT, pitch_units
from sdv_slicedp.release import ColumnRelease
from sdv_slicedp.slices import Pair

_CHUNK = 2**20  # projections at a time


class Curator:
    """Holds the private rows and answers with noisy integers; every answer is in the ledger."""

    def __init__(self, processed: pd.DataFrame, ledger: Ledger) -> None:
        """Take the processed table; rows are private, column names are public."""
        self._table = processed
        self._ledger = ledger
        self._located: dict[str, tuple[ColumnDomain, Integers]] = {}
        self._codes: list[npt.NDArray[np.int32]] = []
        self._sizes: list[int] = []
        self._tables: dict[tuple[int, ...], Integers] = {}

    def row_count(self, sigma: float) -> int:
        """Noisy number of rows.

        Formal guarantees:
            Relation: ``add_or_remove_one``. Sensitivity: 1, as one slice of one cell; 0 under
            ``replace_one``, where it is charged like any slice. Public: ``sigma``.
        """
        self._ledger.record(LedgerEntry('rows', 'number of rows', 1, sigma, 1))
        exact = np.array([len(self._table)], dtype=np.int64)
        return int((exact + discrete_gaussian(1, sigma))[0])

    def counts(
        self, stage: str, text: str, slices: Sequence[tuple[ColumnDomain, Cells]], sigma: float
    ) -> list[Integers]:
        """Noisy counts of one-column slices, an int64 array of shape ``(cells,)`` each.

        Args:
            stage: Ledger stage.
            text: Public description for the ledger.
            slices: Complete domain and disjoint cells of each slice.
            sigma: Admissible noise scale.

        Formal guarantees:
            Relation: either. Sensitivity: a row lies in at most one cell of a slice, so a record
            more changes one count, by 1; a replaced one changes two. Public: all arguments.
        """
        self._ledger.record(LedgerEntry(stage, text, len(slices), sigma, len(slices)))
        return [
            _noisy_histogram(cells.locate(self._positions(domain)), len(cells), sigma)
            for domain, cells in slices
        ]

    def resolutions(self, domains: Sequence[NumericalDomain], sigma: float) -> list[Integers]:
        """Noisy counts of the decimals of numbers and of the time steps of datetimes.

        Formal guarantees:
            Relation: either. Sensitivity: a row has at most one resolution per column, so a record
            more changes one count of each, by 1; a replaced one changes two. Public: all
            arguments.
        """
        text = 'decimals of numbers, steps of datetimes'
        self._ledger.record(LedgerEntry('domain', text, len(domains), sigma, len(domains)))
        answers = []
        for domain in domains:
            values = self._table[domain.name].to_numpy(dtype=np.float64, na_value=np.nan)
            cells, n_cells = discovery.resolution_cells(values, domain.sdtype)
            answers.append(_noisy_histogram(cells, n_cells, sigma))
        return answers

    def categories(
        self, names: Sequence[str], sigma: float, threshold_delta: float
    ) -> dict[str, tuple[Category, ...]]:
        """Values whose noisy count reaches a threshold (partition selection).

        Formal guarantees:
            Relation: either. Sensitivity: a record more adds 1 to one value's count per column; a
            replaced one also takes 1 from another. A value that only this record has is shown
            with probability at most ``threshold_delta`` over all columns together. Public: all
            arguments. Values of different types are counted apart (1, 1.0 and True are equal), and
            sorted, so neither their type nor their order depends on the order of the rows.
        """
        text = 'categories with a noisy count above a threshold'
        entry = LedgerEntry('domain', text, len(names), sigma, len(names), threshold_delta)
        self._ledger.record(entry)
        threshold = partition_threshold(sigma, threshold_delta / len(names))
        found = {}
        for name in names:
            kept: list[Category] = []
            for values in discovery.by_type(self._table[name]):
                counts = values.value_counts(dropna=True)
                noisy = counts.to_numpy(dtype=np.int64) + discrete_gaussian(len(counts), sigma)
                kept.extend(counts.index[noisy >= threshold])
            found[name] = discovery.in_public_order(kept)
        return found

    def encode(self, columns: Sequence[ColumnRelease]) -> None:
        """Keep the pair cell of every row and column, ``n_bins`` where it is not counted.

        Formal guarantees:
            Answers nothing. One row at a time. Public: ``columns``.
        """
        self._sizes = [column.n_bins for column in columns]
        self._codes = []
        for column in columns:
            index = Cells(column.fine_lower, column.fine_upper).locate(
                self._positions(column.domain)
            )
            lookup = np.append(column.bins, column.n_bins).astype(np.int32)
            self._codes.append(lookup[index])
        self._located = {}

    def distances(
        self, pairs: Sequence[Pair], expected: Sequence[Integers], sigma: float
    ) -> Integers:
        """Noisy L1 distance of each two-column table from public expected counts.

        Formal guarantees:
            Relation: ``add_or_remove_one``; a replaced record may change a distance by 2, which
            accounting refuses. Sensitivity: a record more changes one count of a table by 1, so
            each distance by at most 1. Public: all arguments.
        """
        text = 'distance of each pair of columns from independence'
        self._ledger.record(LedgerEntry('selection', text, len(pairs), sigma, len(pairs)))
        true = [np.abs(self._pair(pair) - e).sum() for pair, e in zip(pairs, expected, strict=True)]
        return np.array(true, dtype=np.int64) + discrete_gaussian(len(pairs), sigma)

    def tables(self, asked: Sequence[tuple[int, ...]], entry: LedgerEntry) -> list[Integers]:
        """Noisy tables of two or three columns over their pair cells.

        Formal guarantees:
            Relation: either. Sensitivity: a row lies in at most one cell of a table, so a record
            more changes one count, by 1; a replaced one changes two. Public: all arguments.
        """
        self._ledger.record(entry)
        tables = (self._crossed(columns) for columns in asked)
        return [t + discrete_gaussian(t.size, entry.sigma).reshape(t.shape) for t in tables]

    def project(self, laid_out: Sequence[embedding.Block], entry: ProjectionEntry) -> Projection:
        """All records on new random directions, with noise, in random order.

        Formal guarantees:
            Relation: ``replace_one``. Sensitivity: one row moves, in units of the lattice by at
            most ``(entry.sensitivity * sqrt(B) + entry.rounding) / pitch``, B being what the
            directions see of the squared move, Eq. (20). Public: all arguments, the number of rows,
            and the directions, which do not depend on the rows.
        """
        self._ledger.record(entry)
        directions = draw_directions(entry.directions, entry.dimension, entry.slices)
        positions = [self._positions(block.domain) for block in laid_out]
        order = random_order(len(self._table))
        units = pitch_units(entry)
        reach = embedding.reach(laid_out, directions) // units + 1
        reach += largest_draw(entry.lattice_scale)
        values = np.empty((len(order), entry.slices), dtype=narrowest(reach))
        step = max(_CHUNK // entry.slices, 1)
        for start in range(0, len(order), step):
            rows = order[start : start + step]
            exact = embedding.project(laid_out, [column[rows] for column in positions], directions)
            lattice = (exact + units // 2) // units  # to the nearest
            noise = discrete_gaussian(lattice.shape, entry.lattice_scale)
            values[start : start + step] = lattice + noise
        return Projection(entry.directions, directions, values, units * PITCH_UNIT, entry.sigma)

    def _positions(self, domain: ColumnDomain) -> Integers:
        known, positions = self._located.get(domain.name, (None, np.zeros(0, dtype=np.int64)))
        if known != domain:
            positions = positions_of(self._table[domain.name], domain)
            self._located[domain.name] = (domain, positions)
        return positions

    def _pair(self, pair: Pair) -> Integers:
        """As :meth:`_crossed`, kept for the next time."""
        self._tables[pair] = self._crossed(pair)
        return self._tables[pair]

    def _crossed(self, columns: tuple[int, ...]) -> Integers:
        if columns in self._tables:
            return self._tables[columns]
        shape = tuple(self._sizes[column] + 1 for column in columns)
        joint = self._codes[columns[0]].astype(np.int64)
        for column, size in zip(columns[1:], shape[1:], strict=True):
            joint = joint * size + self._codes[column]
        counts = np.bincount(joint, minlength=math.prod(shape)).reshape(shape)
        counted = tuple(slice(0, size - 1) for size in shape)
        return counts[counted].astype(np.int64)


def _noisy_histogram(cells: Integers, n_cells: int, sigma: float) -> Integers:
    """Counts of ``0..n_cells - 1`` in ``cells`` (negative: not counted), with noise."""
    counts = np.bincount(cells[cells >= 0], minlength=n_cells).astype(np.int64)
    return counts + discrete_gaussian(n_cells, sigma)
