"""An attacker on noisy counts who knows all rows but one, and all questions.

The likelihood ratio is the best test of whether the record is there; it adds up over answers,
which may have been asked adaptively. Used by the audit alone, on tables of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.stats import norm

from sdv_slicedp import discovery
from sdv_slicedp.curator import Curator
from sdv_slicedp.domain import (
    Category,
    ColumnDomain,
    NumericalDomain,
    positions_of,
)
from sdv_slicedp.grid import Cells, Integers
from sdv_slicedp.ledger import Entry, Ledger, LedgerEntry
from sdv_slicedp.noise import partition_threshold
from sdv_slicedp.release import ColumnRelease, Release
from sdv_slicedp.slices import Pair


@dataclass(frozen=True, eq=False)
class Attacker:
    """Someone who knows all rows but whether ``record`` is one of them.

    Attributes:
        rows: The known rows.
        record: A table of one row.
    """

    rows: pd.DataFrame
    record: pd.DataFrame
    _located: dict[ColumnDomain, Integers] = field(default_factory=dict)

    @cached_property
    def everyone(self) -> pd.DataFrame:
        """The known rows and the record, which comes last."""
        return pd.concat([self.rows, self.record], ignore_index=True)

    def table(self, has_record: bool) -> pd.DataFrame:
        """The private table of one world or the other."""
        return self.everyone if has_record else self.rows

    def positions(self, domain: ColumnDomain) -> Integers:
        """Grid positions or codes of all rows, the record last."""
        if domain not in self._located:
            self._located[domain] = positions_of(self.everyone[domain.name], domain)
        return self._located[domain]

    def evidence(self, cells: Sequence[Integers], counts: Integers, sigma: float) -> float:
        """Log-likelihood ratio that a noisy table shows.

        Args:
            cells: For each axis of ``counts``, the cell of each row, the record last; negative
                where it is not counted.
            counts: The noisy table.
            sigma: Its noise scale.
        """
        where = np.stack(cells)
        target = where[:, -1]
        if (target < 0).any():
            return 0.0
        known = int((where[:, :-1] == target[:, None]).all(0).sum())
        return (int(counts[tuple(target)]) - known - 0.5) / sigma**2


class WatchedCurator(Curator):
    """A curator whose answers an attacker reads; ``score`` adds up what they show."""

    def __init__(self, attacker: Attacker, has_record: bool) -> None:
        """Take one of the attacker's two worlds."""
        super().__init__(attacker.table(has_record), Ledger())
        self._attacker = attacker
        self._cells: list[Integers] = []
        self.score = 0.0

    @property
    def spent(self) -> tuple[Entry, ...]:
        """What the answers have cost since the start."""
        return self._ledger.entries

    def start_again(self) -> None:
        """Forget all answers and what they cost; the rows stay."""
        self._ledger = Ledger()
        self.score = 0.0

    def row_count(self, sigma: float) -> int:
        """As the curator's."""
        answer = super().row_count(sigma)
        self.score += (answer - len(self._attacker.rows) - 0.5) / sigma**2
        return answer

    def counts(
        self, stage: str, text: str, slices: Sequence[tuple[ColumnDomain, Cells]], sigma: float
    ) -> list[Integers]:
        """As the curator's."""
        answers = super().counts(stage, text, slices, sigma)
        for (domain, cells), answer in zip(slices, answers, strict=True):
            where = cells.locate(self._attacker.positions(domain))
            self.score += self._attacker.evidence([where], answer, sigma)
        return answers

    def resolutions(self, domains: Sequence[NumericalDomain], sigma: float) -> list[Integers]:
        """As the curator's."""
        answers = super().resolutions(domains, sigma)
        for domain, answer in zip(domains, answers, strict=True):
            values = self._attacker.everyone[domain.name].to_numpy(np.float64)
            where, _ = discovery.resolution_cells(values, domain.sdtype)
            self.score += self._attacker.evidence([where], answer, sigma)
        return answers

    def categories(
        self, names: Sequence[str], sigma: float, threshold_delta: float
    ) -> dict[str, tuple[Category, ...]]:
        """As the curator's; whether the record's category is shown is what it tells."""
        answers = super().categories(names, sigma, threshold_delta)
        threshold = partition_threshold(sigma, threshold_delta / len(names))
        for name in names:
            category = self._attacker.record[name].iloc[0]
            known = int((self._attacker.rows[name] == category).sum())
            tail = norm.sf if category in answers[name] else norm.cdf
            here, absent = ((threshold - known - k - 0.5) / sigma for k in (1, 0))
            self.score += math.log(tail(here) / tail(absent))
        return answers

    def encode(self, columns: Sequence[ColumnRelease]) -> None:
        """As the curator's."""
        super().encode(columns)
        self._cells = [pair_cells(self._attacker, column) for column in columns]

    def distances(
        self, pairs: Sequence[Pair], expected: Sequence[Integers], sigma: float
    ) -> Integers:
        """As the curator's; a record moves a distance up or down by 1."""
        answers = super().distances(pairs, expected, sigma)
        for pair, e, answer in zip(pairs, expected, answers, strict=True):
            known = np.zeros(e.shape, dtype=np.int64)
            cells = np.stack([self._cells[column] for column in pair])
            np.add.at(known, tuple(cells[:, :-1]), 1)
            without = np.abs(known - e).sum()
            known[tuple(cells[:, -1])] += 1
            step = int(np.abs(known - e).sum() - without)
            self.score += step * (int(answer) - int(without) - step / 2) / sigma**2
        return answers

    def tables(self, asked: Sequence[tuple[int, ...]], entry: LedgerEntry) -> list[Integers]:
        """As the curator's."""
        answers = super().tables(asked, entry)
        for columns, answer in zip(asked, answers, strict=True):
            where = [self._cells[column] for column in columns]
            self.score += self._attacker.evidence(where, answer, entry.sigma)
        return answers


def pair_cells(attacker: Attacker, column: ColumnRelease) -> Integers:
    """Pair cell of each row, the record last; negative where it is not counted."""
    fine = Cells(column.fine_lower, column.fine_upper).locate(attacker.positions(column.domain))
    return np.where(fine < 0, -1, column.bins[fine])


def release_evidence(attacker: Attacker, release: Release) -> float:
    """Log-likelihood ratio that all counts of a release show together."""
    score, cells = 0.0, []
    for column in release.columns:
        positions = attacker.positions(column.domain)
        for level in column.levels:
            where = Cells(level.lower, level.upper).locate(positions)
            score += attacker.evidence([where], level.counts, level.sigma)
        cells.append(pair_cells(attacker, column))
    for marginal in release.marginals:
        axes = [cells[column] for column in marginal.columns]
        score += attacker.evidence(axes, marginal.counts, marginal.sigma)
    return score
