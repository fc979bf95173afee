"""What the budget bought: signal against noise of every slice of a release. As private as it is."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sdv_slicedp.projection import Projection
from sdv_slicedp.release import Release
from sdv_slicedp.slices import bin_laws
from sdv_slicedp.spending import mu_squared

COLORS = {
    'one column': '#0f8b8d',
    'two columns': '#dd6b20',
    'three columns': '#805ad5',
    'direction': '#0f8b8d',
}
LOWEST = 0.1
"""Signals below this many noise scales are drawn there: they cannot be told from none."""


@dataclass(frozen=True)
class SliceSignal:
    """How strongly a slice shows above its noise.

    Attributes:
        name: Its columns, or its number.
        kind: ``one column``, ``two columns``, ``three columns`` or ``direction``.
        cells: Noisy numbers in it.
        signal: Root mean square of what was measured, the noise's share taken off: of the counts
            of one column, of the departures from independence of several, in rows; of the
            projected records' deviation from their mean, in units of the encoding.
        noise: Scale of the noise, in the same unit.
    """

    name: str
    kind: str
    cells: int
    signal: float
    noise: float


def slice_signals(release: Release) -> tuple[SliceSignal, ...]:
    """Signal and noise of every slice, in the order of the release."""
    if release.projection is not None:
        return tuple(_directions(release.projection))
    return (*_columns(release), *_marginals(release))


def stage_shares(release: Release) -> dict[str, float]:
    """Share of the budget (of mu squared) that each stage spent, in the order of the ledger."""
    shares: dict[str, float] = {}
    total = mu_squared(release.ledger, release.neighboring_relation)
    for entry in release.ledger:
        share = mu_squared((entry,), release.neighboring_relation) / total
        shares[entry.stage] = shares.get(entry.stage, 0.0) + share
    return shares


def release_figure(release: Release) -> go.Figure:
    """Shares of the budget by stage, beside signal against noise of every slice."""
    titles = ['Share of the budget', 'Signal against noise of each slice']
    figure = make_subplots(1, 2, column_widths=[0.3, 0.7], subplot_titles=titles)
    shares = stage_shares(release)
    figure.add_trace(
        go.Bar(x=list(shares), y=list(shares.values()), marker_color='#4a5568', showlegend=False),
        row=1,
        col=1,
    )
    signals = slice_signals(release)
    for kind in dict.fromkeys(signal.kind for signal in signals):
        figure.add_trace(_points(kind, [s for s in signals if s.kind == kind]), row=1, col=2)
    if signals:
        ends = [min(s.noise for s in signals), max(s.noise for s in signals)]
        line = {'color': '#718096', 'dash': 'dot'}
        figure.add_trace(
            go.Scatter(x=ends, y=ends, mode='lines', line=line, name='signal = noise'), row=1, col=2
        )
    unit = 'rows' if release.projection is None else 'units of the encoding'
    figure.update_yaxes(tickformat='.0%', row=1, col=1)
    figure.update_xaxes(type='log', title=f'noise scale, {unit}', row=1, col=2)
    figure.update_yaxes(type='log', title=f'signal, {unit}', row=1, col=2)
    return figure.update_layout(
        template='plotly_white',
        height=420,
        margin={'l': 50, 'r': 15, 't': 60, 'b': 50},
        font={'family': 'system-ui, sans-serif', 'size': 12},
    )


def _columns(release: Release) -> Iterator[SliceSignal]:
    for column in release.columns:
        for number, level in enumerate(column.levels, start=1):
            name = column.domain.name
            name = name if len(column.levels) == 1 else f'{name}, level {number}'
            signal = _above(level.counts, level.sigma)
            yield SliceSignal(name, 'one column', level.counts.size, signal, level.sigma)


def _marginals(release: Release) -> Iterator[SliceSignal]:
    if not release.marginals:
        return
    laws, rows = bin_laws(release.columns), release.noisy_rows
    for marginal in release.marginals:
        # Independence is known from the one-column slices, far better than from this one.
        independent = rows * reduce(np.multiply.outer, [laws[c] for c in marginal.columns])
        yield SliceSignal(
            name=' x '.join(release.columns[c].domain.name for c in marginal.columns),
            kind='two columns' if len(marginal.columns) == 2 else 'three columns',
            cells=marginal.counts.size,
            signal=_above(marginal.counts - independent, marginal.sigma),
            noise=marginal.sigma,
        )


def _directions(projection: Projection) -> Iterator[SliceSignal]:
    for number, values in enumerate(projection.values.T, start=1):
        spread = (values - values.mean()) * projection.pitch
        signal = _above(spread, projection.sigma)
        yield SliceSignal(f'direction {number}', 'direction', values.size, signal, projection.sigma)


def _above(values: npt.NDArray[np.generic], sigma: float) -> float:
    """Root mean square of what is left of noisy values when the noise's share is taken off."""
    if not values.size:
        return 0.0
    return math.sqrt(max(float(np.mean(np.square(values, dtype=np.float64))) - sigma**2, 0.0))


def _points(kind: str, signals: list[SliceSignal]) -> go.Scatter:
    return go.Scatter(
        x=[s.noise for s in signals],
        y=[max(s.signal, LOWEST * s.noise) for s in signals],
        text=[f'{html.escape(s.name)}<br>{s.cells:,} cells' for s in signals],
        hovertemplate='%{text}<br>signal %{y:.3g}, noise %{x:.3g}<extra></extra>',
        mode='markers',
        marker={'color': COLORS[kind], 'size': 7, 'opacity': 0.6},
        name=kind,
    )
