"""AIM and MST: noisy marginals and a graphical model, by the library dpmm.

dpmm pins versions of NumPy and pandas that SDV's do not meet, so it runs in its own environment.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from sdv.metadata import Metadata

from comparisons.budget import ADD_OR_REMOVE_ONE, Concentrated, Event, Proven
from comparisons.environments import REQUIREMENTS, python_of
from comparisons.method import About
from comparisons.public_domain import (
    Choice,
    Number,
    PublicColumn,
    decode,
    encode,
    public_columns,
)

WORKER = Path(__file__).with_name('dpmm_worker.py')
BINNING_SHARE = 0.1
"""Of epsilon, for the bins of numbers; dpmm spends it on top of the epsilon it is given."""

_NOTES = (
    'Bins of numbers come from PrivTree, whose threshold and number of bins depend on the number '
    'of rows: that number is taken as public. dpmm also reads without noise which columns are '
    'constant, and puts their value back. Selections draw from the seeded generator of NumPy. '
    'Categories and bounds are declared. Numbers are given to dpmm as their place in the range, '
    'missing ones as a place below it, so that dpmm does not fill gaps with a real value.'
)


@dataclass(frozen=True)
class MarginalBased:
    """A mechanism of dpmm.

    Attributes:
        mechanism: ``AIM`` or ``MST``.
        about: For the report.
        max_model_size: Megabytes that the graphical model may take; ``None`` for no limit.
        options: Further settings of the mechanism.
        rounds_per_column: Rounds of AIM for each column.
    """

    mechanism: str
    about: About
    max_model_size: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    rounds_per_column: int | None = None

    def fit(
        self,
        table: pd.DataFrame,
        metadata: Metadata,
        *,
        epsilon: float,
        delta: float,
        seed: int,
    ) -> MarginalModel:
        """Fit in the other environment; see :class:`comparisons.method.Method`."""
        columns = public_columns(metadata)
        python = python_of('dpmm')
        folder = TemporaryDirectory(prefix='marginal-based-')
        request = {
            'mechanism': self.mechanism,
            **split_budget(epsilon, columns),
            'delta': delta,
            'seed': seed,
            'max_model_size': self.max_model_size,
            'options': self._options(len(columns)),
            **domain(columns),
        }
        to_worker(encode(table, columns), columns).to_csv(
            Path(folder.name, 'table.csv'), index=False
        )
        Path(folder.name, 'request.json').write_text(json.dumps(request), encoding='utf-8')
        run_worker(python, 'fit', Path(folder.name))
        Path(folder.name, 'table.csv').unlink()
        response = json.loads(Path(folder.name, 'response.json').read_text(encoding='utf-8'))
        return MarginalModel(
            events=events_of(response),
            versions=response['versions'],
            _folder=folder,
            _python=python,
            _columns=columns,
            _like=table.iloc[:0],
        )

    def _options(self, n_columns: int) -> dict[str, Any]:
        options = dict(self.options)
        if self.rounds_per_column is not None:
            # With fewer rounds than columns, AIM would spend more than rho on single columns.
            options['rounds'] = max(self.rounds_per_column, 1) * n_columns
        return options


@dataclass(frozen=True)
class MarginalModel:
    """A fitted mechanism, which stays in a temporary folder for the other environment.

    Attributes:
        events: Noise of the model and of the bins.
        versions: Of the packages in the other environment.
    """

    events: Sequence[Event]
    versions: Mapping[str, str]
    _folder: TemporaryDirectory[str]
    _python: Path
    _columns: Sequence[PublicColumn]
    _like: pd.DataFrame

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        """``n`` rows in the data types of the real table."""
        folder = Path(self._folder.name)
        request = {'rows': n, 'seed': seed}
        (folder / 'sample.json').write_text(json.dumps(request), encoding='utf-8')
        run_worker(self._python, 'sample', folder)
        coded = pd.read_csv(folder / 'sample.csv', float_precision='round_trip')
        return decode(from_worker(coded, self._columns), self._columns, self._like)


def split_budget(epsilon: float, columns: Sequence[PublicColumn]) -> dict[str, float | None]:
    """Epsilon of the model and of the bins; they add up. Tables without numbers need no bins."""
    if not any(isinstance(column, Number) for column in columns):
        return {'model_epsilon': epsilon, 'binning_epsilon': None}
    return {
        'model_epsilon': (1 - BINNING_SHARE) * epsilon,
        'binning_epsilon': BINNING_SHARE * epsilon,
    }


def events_of(response: Mapping[str, Any]) -> tuple[Event, ...]:
    """What a worker's response says was spent."""
    return (
        Concentrated(float(response['rho'])),
        Proven(epsilon=float(response['binning_epsilon']), delta=0.0),
    )


def domain(columns: Sequence[PublicColumn]) -> dict[str, dict[str, Any]]:
    """Bounds of numbers and numbers of categories, by the names that the worker knows."""
    bounds, cells = {}, {}
    for name, column in _named(columns):
        if isinstance(column, Choice):
            cells[name] = column.n_cells
        else:
            bounds[name] = [-1.0 if column.has_missing else 0.0, 1.0]
    return {'bounds': bounds, 'cells': cells}


def to_worker(encoded: pd.DataFrame, columns: Sequence[PublicColumn]) -> pd.DataFrame:
    """Numbers as their place in 0..1, missing ones as -1; choices as codes.

    A number takes the middle of its cell, the cells being the numbers with its decimals. The
    first cut of dpmm's bins is at 0, between the missing and the others.
    """
    frame = {}
    for name, column in _named(columns):
        values = encoded[column.name].to_numpy()
        if isinstance(column, Number):
            unit, n_cells = _cells(column)
            place = ((values - column.lower) / unit + 0.5) / n_cells
            values = np.where(np.isnan(place), -1.0, place)
        frame[name] = values
    return pd.DataFrame(frame)


def from_worker(coded: pd.DataFrame, columns: Sequence[PublicColumn]) -> pd.DataFrame:
    """Inverse of :func:`to_worker`, as :func:`comparisons.public_domain.decode` takes it."""
    frame = {}
    for name, column in _named(columns):
        values = coded[name].to_numpy()
        if isinstance(column, Number):
            unit, n_cells = _cells(column)
            cell = np.minimum(np.floor(values * n_cells), n_cells - 1)
            values = np.where(values < 0, np.nan, column.lower + unit * cell)
        frame[column.name] = values
    return pd.DataFrame(frame)


def _named(columns: Sequence[PublicColumn]) -> list[tuple[str, PublicColumn]]:
    """Names that need no quoting and say nothing."""
    return [(f'c{i}', column) for i, column in enumerate(columns)]


def _cells(column: Number) -> tuple[float, int]:
    unit = 10.0**-column.decimals
    return unit, round((column.upper - column.lower) / unit) + 1


def run_worker(python: Path, task: str, folder: Path) -> None:
    """Run one task of the worker.

    Raises:
        RuntimeError: If it fails, with the last line that it wrote.
    """
    # Isolated: packages of this environment must not be seen by the other.
    done = subprocess.run(
        [str(python), '-I', '-W', 'ignore', str(WORKER), task, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ['no message']
        raise RuntimeError(f'dpmm could not {task}: {lines[-1]}')


def _about(title: str, reference: str, notes: str, hyperparameters: Mapping[str, Any]) -> About:
    return About(
        title=title,
        private=True,
        neighboring_relation=ADD_OR_REMOVE_ONE,
        accountant='zCDP of the measurements and selections; plus the epsilon of PrivTree',
        hyperparameters={
            'environment': list(REQUIREMENTS['dpmm']),
            'binning_share_of_epsilon': BINNING_SHARE,
            'n_bins': 'auto',
            'compress': True,
            **hyperparameters,
        },
        notes=f'{notes}{_NOTES}',
        reference=reference,
    )


def aim(
    max_model_size: float = 10.0, rounds_per_column: int = 3, n_iters: int = 500
) -> MarginalBased:
    """AIM, cut to what a small computer fits in minutes.

    Args:
        max_model_size: Megabytes; the authors use 80.
        rounds_per_column: The authors use up to 16.
        n_iters: Steps of each estimation; dpmm uses 1000.
    """
    cut = {'max_model_size': max_model_size, 'n_iters': n_iters, 'degree': 2}
    about = _about(
        'AIM (dpmm)',
        'McKenna, Mullins, Sheldon and Miklau (2022), AIM: an adaptive and iterative mechanism '
        'for differentially private synthetic data, arXiv:2201.12677',
        f'A lower bound on AIM: model of {max_model_size:g} MB, {rounds_per_column} rounds a '
        f'column and {n_iters} iterations, where the authors use 80 MB and up to 16 rounds a '
        'column. ',
        {**cut, 'rounds_per_column': rounds_per_column},
    )
    options = {'n_iters': n_iters, 'degree': 2}
    return MarginalBased('AIM', about, max_model_size, options, rounds_per_column)


def mst(n_iters: int = 5000) -> MarginalBased:
    """MST with the settings of dpmm.

    Args:
        n_iters: Steps of the estimation.
    """
    about = _about(
        'MST (dpmm)',
        'McKenna, Miklau and Sheldon (2021), Winning the NIST contest, arXiv:2108.04978',
        '',
        {'n_iters': n_iters, 'max_model_size': None},
    )
    return MarginalBased('MST', about, None, {'n_iters': n_iters})


AIM = aim()
MST = mst()
