"""The release: everything that ever leaves the private table, and nothing else.

An immutable artefact of noisy integer counts, the public cells they were taken on, noise scales,
domains and the ledger. Training, sampling, refitting and reporting need a release only, so they
cost no privacy. It is saved as plain arrays and JSON (``release_file.py``), never as a pickle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sdv_slicedp import embedding
from sdv_slicedp.accounting import NEIGHBORING_RELATION, REPLACE_ONE, validate_budget
from sdv_slicedp.artefact import Artefact, check_scale, freeze
from sdv_slicedp.domain import MAX_UNITS, CategoricalDomain, ColumnDomain, NumericalDomain
from sdv_slicedp.ledger import Entry, LedgerEntry, ProjectionEntry
from sdv_slicedp.levels import Integers, Level, check_cells, estimated_rows
from sdv_slicedp.projection import Projection


@dataclass(frozen=True, eq=False)
class ColumnRelease(Artefact):
    """All that is known about one column.

    Attributes:
        domain: Its complete domain, public or discovered.
        levels: Its one-column slices, coarse to fine.
        fine_lower: Smallest grid position of each fine cell, shape ``(F,)``.
        fine_upper: Largest grid position of each fine cell, inclusive.
        bins: Pair cell of each fine cell, ``0..n_bins - 1``.
        n_bins: Number of pair cells.
    """

    domain: ColumnDomain
    levels: tuple[Level, ...]
    fine_lower: Integers
    fine_upper: Integers
    bins: Integers
    n_bins: int

    def __post_init__(self) -> None:
        """Check the cells and make the arrays immutable."""
        _check_domain(self.domain)
        object.__setattr__(self, 'levels', tuple(self.levels))
        object.__setattr__(self, 'n_bins', int(self.n_bins))
        if not all(isinstance(level, Level) for level in self.levels):
            raise TypeError('levels must be a sequence of Level.')
        freeze(self, 'fine_lower', 'fine_upper', 'bins')
        check_cells(self.fine_lower, self.fine_upper, self.bins)
        used = np.unique(self.bins)
        if len(used) != self.n_bins or np.any(used != np.arange(len(used))):
            raise ValueError(f'bins must be the numbers 0 to n_bins - 1 = {self.n_bins - 1}.')


@dataclass(frozen=True, eq=False)
class Marginal(Artefact):
    """A measured slice of two or more columns on their pair cells.

    Attributes:
        columns: Positions of the columns.
        counts: Noisy counts, one axis per column.
        sigma: Their noise scale.
    """

    columns: tuple[int, ...]
    counts: Integers
    sigma: float

    def __post_init__(self) -> None:
        """Check the axes and make the array immutable."""
        object.__setattr__(self, 'columns', tuple(int(column) for column in self.columns))
        if len(set(self.columns)) < len(self.columns) or min(self.columns, default=-1) < 0:
            raise ValueError(f'columns must be different positions, got {self.columns}.')
        freeze(self, 'counts')
        if self.counts.ndim != len(self.columns):
            raise ValueError(f'counts must have {len(self.columns)} axes, got {self.counts.ndim}.')
        check_scale(self)


@dataclass(frozen=True, eq=False)
class Release(Artefact):
    """The noisy statistics of a table with the privacy that they cost; safe to share.

    Attributes:
        columns: One entry per modelled column.
        marginals: Slices of two or more columns.
        ledger: What was measured, in order.
        epsilon: Requested budget.
        delta: Requested budget.
        mechanism: Name of the mechanism.
        neighboring_relation: Which tables the guarantee compares.
        public_columns: Columns whose declared domain was attested as public, and joint columns of
            declared combinations.
        projection: Noisy projections of all records; of the projection mechanism only.
    """

    columns: tuple[ColumnRelease, ...]
    marginals: tuple[Marginal, ...]
    ledger: tuple[Entry, ...]
    epsilon: float
    delta: float
    mechanism: str = 'histogram'
    neighboring_relation: str = NEIGHBORING_RELATION
    public_columns: tuple[str, ...] = ()
    projection: Projection | None = None

    def __post_init__(self) -> None:
        """Check that the parts belong together."""
        for name, kind in _PARTS.items():
            object.__setattr__(self, name, tuple(getattr(self, name)))
            if not all(isinstance(part, kind) for part in getattr(self, name)):
                raise TypeError(f'{name} must be a sequence of {_named(kind)}.')
        validate_budget(self.epsilon, self.delta)
        object.__setattr__(self, 'epsilon', float(self.epsilon))
        object.__setattr__(self, 'delta', float(self.delta))
        names = [column.domain.name for column in self.columns]
        if len(set(names)) < len(names):
            raise ValueError('columns must have different names.')
        for marginal in self.marginals:
            _check_shape(marginal, self.columns)
        _check_mechanism(self)

    @property
    def noisy_rows(self) -> float:
        """Estimated number of rows, Eq. (54); of a projection the number itself, it is public."""
        if self.projection is not None:
            return float(self.projection.n_rows)
        return estimated_rows([column.levels for column in self.columns])

    @property
    def blocks(self) -> tuple[embedding.Block, ...]:
        """Which coordinates of an encoded record are which column's."""
        return embedding.blocks([column.domain for column in self.columns])

    def summary(self) -> dict[str, Any]:
        """Public facts in numbers, for reports."""
        projection = {} if self.projection is None else self.projection.summary()
        return {
            'mechanism': self.mechanism,
            'neighboring_relation': self.neighboring_relation,
            'epsilon': self.epsilon,
            'delta': self.delta,
            'columns': len(self.columns),
            'one_column_slices': sum(len(column.levels) for column in self.columns),
            'marginals': len(self.marginals),
            'noisy_rows': round(self.noisy_rows),
            'public_columns': list(self.public_columns),
            **projection,
        }

    def plot(self) -> Any:
        """What the budget bought: its shares, and signal against noise of every slice.

        Returns:
            A plotly figure, as private as the release.
        """
        # Plotting libraries are slow to import, and nothing else here needs them.
        from sdv_slicedp.release_plot import release_figure

        return release_figure(self)

    def save(self, path: str | Path) -> None:
        """Write the release to ``path``; an existing file is replaced in one step."""
        from sdv_slicedp.release_file import write

        write(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Release:
        """Read a release.

        Raises:
            ReleaseFormatError: If the file is damaged, foreign, or of another version.
        """
        from sdv_slicedp.release_file import read

        return read(Path(path))


_PARTS: dict[str, type | tuple[type, ...]] = {
    'columns': ColumnRelease,
    'marginals': Marginal,
    'ledger': (LedgerEntry, ProjectionEntry),
    'public_columns': str,
}


def _named(kind: type | tuple[type, ...]) -> str:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return ' or '.join(kind.__name__ for kind in kinds)


def _check_mechanism(release: Release) -> None:
    """Refuse a release whose parts are not those of its mechanism."""
    projection = release.projection
    if projection is None:
        if release.mechanism == 'projection' and release.columns:
            raise ValueError("projection must be there, since mechanism is 'projection'.")
        if any(isinstance(entry, ProjectionEntry) for entry in release.ledger):
            raise ValueError('the ledger has a projection that is not there.')
        return
    if not isinstance(projection, Projection):
        raise TypeError(f'projection must be a Projection, got {type(projection).__name__}.')
    if (release.mechanism, release.neighboring_relation) != ('projection', REPLACE_ONE):
        raise ValueError(f"a projection needs mechanism 'projection' and '{REPLACE_ONE}'.")
    if release.marginals:
        raise ValueError('a release holds marginals or a projection, not both.')
    expected = embedding.dimension(release.blocks)
    d, m = projection.directions.shape
    if d != expected:
        raise ValueError(f'directions have length {d}, not {expected}.')
    facts = (projection.kind, d, m, projection.sigma, projection.sigma / projection.pitch)
    recorded = [
        (entry.directions, entry.dimension, entry.slices, entry.sigma, entry.lattice_scale)
        for entry in release.ledger
        if isinstance(entry, ProjectionEntry)
    ]
    if recorded != [facts]:
        raise ValueError('the projection is not the one in the ledger.')


def _check_shape(marginal: Marginal, columns: tuple[ColumnRelease, ...]) -> None:
    if max(marginal.columns) >= len(columns):
        raise ValueError(f'columns {marginal.columns} of a marginal are not all in the release.')
    expected = tuple(columns[position].n_bins for position in marginal.columns)
    if marginal.counts.shape != expected:
        raise ValueError(f'a marginal has shape {marginal.counts.shape}, not {expected}.')


def _check_domain(domain: ColumnDomain) -> None:
    """Refuse domains that are incomplete, contradict themselves or cannot be saved."""
    if isinstance(domain, NumericalDomain):
        if domain.lower is None or domain.upper is None or domain.step is None:
            raise ValueError(f"The domain of column '{domain.name}' is not complete.")
        ordered = -MAX_UNITS <= domain.lower <= domain.upper <= MAX_UNITS
        finite = domain.bounds is None or all(math.isfinite(bound) for bound in domain.bounds)
        if not (ordered and finite and min(domain.step) > 0):
            raise ValueError(f"The domain of column '{domain.name}' contradicts itself.")
        return
    if not isinstance(domain, CategoricalDomain):
        raise TypeError(f'domain must be a column domain, got {type(domain).__name__}.')
    if domain.categories is None:
        raise ValueError(f"The domain of column '{domain.name}' is not complete.")
    for category in domain.categories:
        if type(category) not in (str, int, float, bool) or category != category:
            raise TypeError(
                f"Column '{domain.name}' has a category that is no str, number or bool."
            )
    if len(set(domain.categories)) < len(domain.categories):
        raise ValueError(f"Column '{domain.name}' has a category twice.")
