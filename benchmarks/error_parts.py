"""Where the error of a fit comes from: every step of the method against the real rows.

Nothing here is private: it reads the real table next to the release. It belongs to no synthesizer
and is never part of a release.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scoring import Grid, comparable, total_variation
from sdv.metadata import Metadata

from sdv_slicedp import SlicedDPSynthesizer
from sdv_slicedp.denoising import denoise, pair_tables
from sdv_slicedp.domain import (
    MISSING,
    UNCOUNTED,
    CategoricalDomain,
    from_units,
    positions_of,
)
from sdv_slicedp.generator import MixtureModel
from sdv_slicedp.grid import Cells
from sdv_slicedp.release import ColumnRelease, Release

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
NAN = float('nan')
LOST = '<not in the domain>'


@dataclass(frozen=True)
class Part:
    """Total variation distance of one step.

    Attributes:
        name: The part of the error.
        between: What is compared.
        one: Mean over columns; NaN where the step has none.
        two: Mean over the measured pairs of columns; NaN where the step has none.
    """

    name: str
    between: str
    one: float
    two: float


@dataclass(frozen=True)
class Laws:
    """Laws over pair cells: one per column, and one per measured pair."""

    columns: Sequence[Floats]
    pairs: Sequence[Floats]


def split(
    synthesizer: SlicedDPSynthesizer,
    metadata: Metadata,
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
) -> list[Part]:
    """The parts of the error of one fit.

    Args:
        synthesizer: A fitted synthesizer.
        metadata: The metadata that it was made with.
        real: The table that it was fitted on.
        synthetic: A sample of it.
    """
    release = synthesizer.get_release()
    model: MixtureModel = synthesizer._model
    rows, made = (_processed(metadata, table) for table in (real, synthetic))
    codes = _pair_cells(release, rows)
    truth, sample = _empirical(release, codes), _empirical(release, _pair_cells(release, made))
    released = [table.counts / release.noisy_rows for table in pair_tables(release)]
    target = denoise(release)
    denoised, trained = Laws(target.laws, target.tables), _exact(release, model)
    fine = [_fine_law(column, rows) for column in release.columns]
    moved, redrawn = _moved(release, rows), _redrawn(release, model, codes)
    return [
        _on_values('domain', 'real, and real moved into the released domain', rows, moved),
        _on_values('cells', 'real, and real redrawn inside its pair cells', rows, redrawn),
        Part('one-column', 'real and fitted, fine cells', _mean(fine, target.fine_laws), NAN),
        Part('noise', 'real and released, pair cells', NAN, _mean(truth.pairs, released)),
        _on_cells('two-column', 'real and denoised, pair cells', truth, denoised),
        _on_cells('model', 'denoised and trained, pair cells', denoised, trained),
        _on_cells('trained', 'real and trained, pair cells', truth, trained),
        _on_cells('sampling', 'trained and sampled, pair cells', trained, sample),
        _on_cells('all', 'real and sampled, pair cells', truth, sample),
        _on_values('all', 'real and sampled, scored bins', rows, made),
    ]


def _on_cells(name: str, between: str, left: Laws, right: Laws) -> Part:
    return Part(name, between, _mean(left.columns, right.columns), _mean(left.pairs, right.pairs))


def _on_values(name: str, between: str, left: pd.DataFrame, right: pd.DataFrame) -> Part:
    """Distances on the bins of ``scoring.py``, of frames in the processed space."""
    columns = {
        column: {'sdtype': 'numerical' if left[column].dtype == float else 'categorical'}
        for column in left.columns
    }
    frames = [comparable(frame, columns) for frame in (left, right)]
    grid = Grid.of(frames[0])
    codes = [grid.codes(frame) for frame in frames]
    return Part(name, between, total_variation(*codes, order=1), total_variation(*codes, order=2))


def _mean(laws: Sequence[Floats], others: Sequence[Floats]) -> float:
    distances = [0.5 * np.abs(a - b).sum() for a, b in zip(laws, others, strict=True)]
    return float(np.mean(distances)) if distances else NAN


def _processed(metadata: Metadata, table: pd.DataFrame) -> pd.DataFrame:
    """The table in the processed space."""
    name = next(iter(metadata.tables))
    return SlicedDPSynthesizer(metadata).preprocess({name: table})[name]


def _fine_cells(column: ColumnRelease, frame: pd.DataFrame) -> Integers:
    positions = positions_of(frame[column.domain.name], column.domain)
    return Cells(column.fine_lower, column.fine_upper).locate(positions)


def _fine_law(column: ColumnRelease, frame: pd.DataFrame) -> Floats:
    cells = _fine_cells(column, frame)
    return np.bincount(cells[cells >= 0], minlength=len(column.fine_lower)) / len(cells)


def _pair_cells(release: Release, frame: pd.DataFrame) -> list[Integers]:
    """Pair cell of every row and column; ``n_bins`` where the domain has no cell."""
    return [
        np.append(column.bins, column.n_bins)[_fine_cells(column, frame)]
        for column in release.columns
    ]


def _empirical(release: Release, codes: list[Integers]) -> Laws:
    """Laws of the rows of a table."""
    rows, sizes = len(codes[0]), [column.n_bins + 1 for column in release.columns]
    pairs = []
    for a, b in (table.columns for table in pair_tables(release)):
        counts = np.bincount(codes[a] * sizes[b] + codes[b], minlength=sizes[a] * sizes[b])
        pairs.append(counts.reshape(sizes[a], sizes[b])[:-1, :-1] / rows)
    columns = [
        np.bincount(code, minlength=size)[:-1] / rows
        for code, size in zip(codes, sizes, strict=True)
    ]
    return Laws(columns, pairs)


def _exact(release: Release, model: MixtureModel) -> Laws:
    """Exact laws of the trained model, Eq. (7), on the cells of the release."""
    components = []
    for column, table, shown in zip(
        release.columns, model.components, _shown(release, model), strict=True
    ):
        wide = np.zeros((len(table), column.n_bins))
        wide[:, shown] = table
        components.append(wide)
    pairs = [
        components[a].T @ components[b] / len(components[a])
        for a, b in (table.columns for table in pair_tables(release))
    ]
    return Laws([table.mean(axis=0) for table in components], pairs)


def _shown(release: Release, model: MixtureModel) -> list[Integers]:
    """The pair cells of each column that the model can sample."""
    return [
        np.unique(column.bins[np.searchsorted(column.fine_lower, decoder.lower)])
        for column, decoder in zip(release.columns, model.decoders, strict=True)
    ]


def _moved(release: Release, rows: pd.DataFrame) -> pd.DataFrame:
    """Real rows, each value as near as the released domain can write it."""
    frame = {}
    for domain in (column.domain for column in release.columns):
        positions = positions_of(rows[domain.name], domain)
        if isinstance(domain, CategoricalDomain):
            choices = np.full(domain.n_cells + 1, None, dtype=object)
            choices[: len(domain.categories or ())] = domain.categories
            choices[domain.n_cells - int(domain.has_other) :] = LOST
            frame[domain.name] = choices[np.where(positions < 0, domain.n_cells, positions)]
        else:
            absent = (positions == MISSING) | (positions == UNCOUNTED)
            numbers = from_units(np.where(absent, 0, positions), domain.step or (1, 1))
            frame[domain.name] = np.where(absent, np.nan, numbers)
    return pd.DataFrame(frame)


def _redrawn(release: Release, model: MixtureModel, codes: list[Integers]) -> pd.DataFrame:
    """Real rows, each value drawn again inside its pair cell."""
    rng = np.random.default_rng(0)
    frame = {}
    for column, decoder, code, shown in zip(
        release.columns, model.decoders, codes, _shown(release, model), strict=True
    ):
        numbers = np.full(column.n_bins + 1, -1)
        numbers[shown] = np.arange(len(shown))
        bins = numbers[code]
        values = decoder.values(decoder.positions(np.maximum(bins, 0), rng))
        lost = LOST if isinstance(column.domain, CategoricalDomain) else np.nan
        frame[column.domain.name] = values.where(bins >= 0, lost)
    return pd.DataFrame(frame)
