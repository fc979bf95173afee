"""What the others are compared with: one column at a time, no privacy, and the real rows."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from sdv.metadata import Metadata

from comparisons import budget
from comparisons.method import About
from comparisons.public_domain import Number, PublicColumn, decode, encode, public_columns

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class IndependentHistograms:
    """One noisy histogram of each column; columns are drawn independently.

    Attributes:
        n_bins: Bins of equal width of a number's range.
    """

    n_bins: int = 20

    @property
    def about(self) -> About:
        """What a report says of it."""
        return About(
            title='Independent histograms',
            private=True,
            neighboring_relation=budget.ADD_OR_REMOVE_ONE,
            accountant='exact profile (dp-accounting) of Gaussian mechanisms',
            hyperparameters=asdict(self),
            notes='The floor: no dependence between columns. The budget is shared evenly; inside '
            'a bin, numbers are uniform. Noise is floating-point Gaussian, not hardened.',
        )

    def fit(
        self, table: pd.DataFrame, metadata: Metadata, *, epsilon: float, delta: float, seed: int
    ) -> FittedHistograms:
        """Fit on all rows of ``table``."""
        columns = tuple(public_columns(metadata))
        sigma = budget.gaussian_multiplier(epsilon, delta, len(columns))
        counts = histograms(table, columns, self.n_bins)
        noise = np.random.default_rng()  # from system entropy: privacy noise has no seed
        laws = tuple(_law(count + noise.normal(0, sigma, len(count))) for count in counts)
        return FittedHistograms(columns, laws, (budget.Gaussian(sigma, len(columns)),), table[:0])


def histograms(table: pd.DataFrame, columns: Sequence[PublicColumn], n_bins: int) -> list[Floats]:
    """Counts of each column's cells; one row adds one to one cell of each.

    Cells of a number: the bins, then the missing ones if there can be any.
    """
    encoded = encode(table, columns)
    counts = []
    for column in columns:
        codes, size = _codes(encoded[column.name].to_numpy(), column, n_bins)
        counts.append(np.bincount(codes, minlength=size).astype(np.float64))
    return counts


def _codes(
    values: npt.NDArray[Any], column: PublicColumn, n_bins: int
) -> tuple[npt.NDArray[np.int64], int]:
    if not isinstance(column, Number):
        return values, column.n_cells
    missing = np.isnan(values)
    places = (values - column.lower) / max(column.upper - column.lower, np.finfo(float).tiny)
    bins = np.clip(np.floor(np.where(missing, 0, places) * n_bins), 0, n_bins - 1)
    return np.where(missing, n_bins, bins).astype(np.int64), n_bins + int(column.has_missing)


def _law(noisy: Floats) -> Floats:
    positive = np.maximum(noisy, 0)
    total = positive.sum()
    return positive / total if total > 0 else np.full(len(noisy), 1 / len(noisy))


@dataclass(frozen=True)
class FittedHistograms:
    """A law for each column."""

    columns: tuple[PublicColumn, ...]
    laws: tuple[Floats, ...]
    events: Sequence[budget.Event]
    like: pd.DataFrame

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        """``n`` rows in the data types of the real table."""
        stream = np.random.default_rng(seed)
        frame = {}
        for column, law in zip(self.columns, self.laws, strict=True):
            cells = stream.choice(len(law), n, p=law)
            frame[column.name] = (
                _numbers(cells, column, len(law), stream) if isinstance(column, Number) else cells
            )
        return decode(pd.DataFrame(frame), self.columns, self.like)


def _numbers(
    cells: npt.NDArray[np.int64], column: Number, n_cells: int, stream: np.random.Generator
) -> Floats:
    n_bins = n_cells - int(column.has_missing)
    places = (cells + stream.random(len(cells))) / n_bins
    values = column.lower + places * (column.upper - column.lower)
    return np.where(cells == n_bins, np.nan, values)


@dataclass(frozen=True)
class SDVReference:
    """A synthesizer of SDV, without privacy.

    Attributes:
        synthesizer: ``GaussianCopula``, ``CTGAN`` or ``TVAE``.
        epochs: Of the networks; SDV's default is 300.
    """

    synthesizer: str = 'GaussianCopula'
    epochs: int = 30

    @property
    def about(self) -> About:
        """What a report says of it."""
        cut = '' if self.synthesizer == 'GaussianCopula' else f' Cut to {self.epochs} epochs.'
        return About(
            title=f'{self.synthesizer} (SDV)',
            private=False,
            neighboring_relation='none',
            accountant='none',
            packages=('sdv', 'copulas', 'ctgan', 'torch'),
            hyperparameters=self._options(),
            notes='Not private; its samples are brought into the public domain.' + cut,
            reference='https://docs.sdv.dev',
            uses_epsilon=False,
        )

    def _options(self) -> dict[str, Any]:
        if self.synthesizer == 'GaussianCopula':
            return {}
        return {'epochs': self.epochs, 'enable_gpu': False}

    def fit(
        self, table: pd.DataFrame, metadata: Metadata, *, epsilon: float, delta: float, seed: int
    ) -> FittedSDV:
        """Fit on all rows of ``table``; the budget is ignored."""
        from sdv import single_table

        (name,) = metadata.tables
        kind = getattr(single_table, f'{self.synthesizer}Synthesizer')
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter('ignore')
            torch.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002  (what SDV's networks draw their batches from)
            model = kind(metadata, **self._options())
            model.fit({name: table})
        return FittedSDV(model, tuple(public_columns(metadata)), table[:0])


@dataclass(frozen=True)
class FittedSDV:
    """A fitted synthesizer of SDV."""

    model: Any
    columns: tuple[PublicColumn, ...]
    like: pd.DataFrame
    events: ClassVar[tuple[budget.Event, ...]] = ()

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        """``n`` rows in the data types of the real table."""
        self.model._set_random_state(seed)  # what SDV does itself, always with one seed
        (table,) = self.model.sample(num_rows=n).values()
        return decode(encode(table, self.columns), self.columns, self.like)


@dataclass(frozen=True)
class Bootstrap:
    """Real rows, drawn with replacement."""

    @property
    def about(self) -> About:
        """What a report says of it."""
        return About(
            title='Real rows, drawn again',
            private=False,
            neighboring_relation='none',
            accountant='none',
            notes='The ceiling: as good as a sample of this size can be. Not private at all.',
            uses_epsilon=False,
        )

    def fit(
        self, table: pd.DataFrame, metadata: Metadata, *, epsilon: float, delta: float, seed: int
    ) -> FittedRows:
        """Keep all rows of ``table``; the budget is ignored."""
        return FittedRows(table)


@dataclass(frozen=True)
class FittedRows:
    """Real rows."""

    table: pd.DataFrame
    events: ClassVar[tuple[budget.Event, ...]] = ()

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        """``n`` rows in the data types of the real table."""
        chosen = np.random.default_rng(seed).integers(0, len(self.table), n)
        return self.table.take(chosen).reset_index(drop=True)
