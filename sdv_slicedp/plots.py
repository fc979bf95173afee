"""Plots of columns. With the real table beside the synthetic one they are not private."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

COLORS = {'real': '#4a5568', 'synthetic': '#0f8b8d'}
MAX_CATEGORIES = 15
MAX_BINS = 40
PAIR_BINS = 20
MISSING_LABEL = '(missing)'
OTHER_LABEL = '(other)'
LOG_SCALE_ABOVE = 0.6
"""Share of the largest bar above which a linear axis would show that bar only."""

Shares = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bins:
    """How the values of a column are put into bins: labelled categories, or edges of intervals."""

    labels: tuple[Any, ...]
    edges: npt.NDArray[np.float64] | None

    def codes(self, values: pd.Series) -> npt.NDArray[np.int64]:
        """Bin of each value; -1 for a number that is missing."""
        if self.edges is None:
            return _label_codes(values, self.labels)
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        inside = np.clip(numbers, self.edges[0], self.edges[-1])
        codes = np.searchsorted(self.edges, inside, side='right') - 1
        return np.where(np.isnan(numbers), -1, np.minimum(codes, len(self.labels) - 1))

    def shares(self, values: pd.Series) -> Shares:
        """Share of all rows in each bin."""
        codes = self.codes(values)
        return np.bincount(codes[codes >= 0], minlength=len(self.labels)) / max(len(codes), 1)


def comparable(values: pd.Series, column: Mapping[str, Any]) -> pd.Series:
    """Numbers for numeric and datetime columns (nanoseconds), text for all others."""
    sdtype = column['sdtype']
    if sdtype == 'numerical':
        return pd.to_numeric(values, errors='coerce').astype('float64')
    if sdtype == 'datetime':
        dates = pd.to_datetime(values, format=column.get('datetime_format'), errors='coerce')
        nanoseconds = dates.to_numpy(dtype='datetime64[ns]').astype(np.float64)
        return pd.Series(np.where(dates.isna(), np.nan, nanoseconds))
    return values.astype(object).where(values.notna(), MISSING_LABEL).astype(str)


def make_bins(real: pd.Series, synthetic: pd.Series, limit: int = MAX_BINS) -> Bins:
    """Bins that hold the values of both columns, as given by :func:`comparable`."""
    if real.dtype == object:
        counts = real.value_counts() if len(real) else synthetic.value_counts()
        top = [str(label) for label in counts.index[: min(limit, MAX_CATEGORIES)]]
        rest = (set(real) | set(synthetic)) - set(top)
        return Bins((*top, OTHER_LABEL) if rest else tuple(top), None)
    both = np.concatenate([real.to_numpy(), synthetic.to_numpy()])
    finite = both[np.isfinite(both)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    if high == low:
        edges = np.array([low, high])
    elif np.all(finite == np.rint(finite)) and max(-low, high) < 2**50:
        # Bins of a whole width: otherwise some would hold one more integer than others.
        width = np.ceil((high - low + 1) / limit)
        edges = np.arange(low - 0.5, high + width, width)
    else:
        edges = np.linspace(low, high, limit + 1)
    return Bins(tuple((edges[:-1] + edges[1:]) / 2), edges)


def column_figure(
    name: str, real: pd.Series | None, synthetic: pd.Series, column: Mapping[str, Any]
) -> go.Figure:
    """Shares of rows in each bin of one column: real, if given, beside synthetic."""
    given = {'real': real, 'synthetic': synthetic}
    tables = {kind: comparable(v, column) for kind, v in given.items() if v is not None}
    bins = make_bins(next(iter(tables.values())), tables['synthetic'])
    shares = {kind: bins.shares(values) for kind, values in tables.items()}
    figure = go.Figure(
        [
            go.Bar(name=kind, x=_positions(bins, column), y=shares[kind], marker_color=COLORS[kind])
            for kind in tables
        ]
    ).update_xaxes(_category_ticks(bins))
    largest = max((float(share.max(initial=0.0)) for share in shares.values()), default=0.0)
    log_scale = largest > LOG_SCALE_ABOVE and len(bins.labels) > 5
    missing = {kind: float(values.isna().mean()) for kind, values in tables.items()}
    notes = ['log scale'] if log_scale else []
    if any(share > 0 for share in missing.values()):
        shown = ', '.join(f'{share:.1%} {kind}' for kind, share in missing.items())
        notes.append(f'missing: {shown}')
    return _styled(figure, name, notes).update_yaxes(
        type='log' if log_scale else 'linear',
        tickformat='.2~%',
        dtick=1 if log_scale else None,
    )


def pair_figure(
    names: tuple[str, str],
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    columns: Mapping[str, Mapping[str, Any]],
) -> go.Figure:
    """Two heat maps of the shares of rows in each cell of two columns, real and synthetic."""
    figure = make_subplots(1, 2, subplot_titles=['real', 'synthetic'], shared_yaxes=True)
    tables = [
        {name: comparable(table[name], columns[name]) for name in names}
        for table in (real, synthetic)
    ]
    bins = {name: make_bins(tables[0][name], tables[1][name], PAIR_BINS) for name in names}
    across, down = names
    for position, table in enumerate(tables, start=1):
        heat = go.Heatmap(
            x=_positions(bins[across], columns[across]),
            y=_positions(bins[down], columns[down]),
            # The square root shows rare cells beside frequent ones.
            z=np.sqrt(_joint_shares(table[across], table[down], bins[across], bins[down])),
            coloraxis='coloraxis',
            hovertemplate='%{x}, %{y}<extra></extra>',
        )
        figure.add_trace(heat, row=1, col=position)
    figure.update_xaxes(_category_ticks(bins[across]))
    figure.update_yaxes({**_category_ticks(bins[down]), 'tickangle': 0})
    figure.update_layout(coloraxis={'colorscale': 'Teal', 'showscale': False})
    styled = _styled(figure, f'{across} and {down}', ['colour: square root of the share'])
    return styled.update_layout(height=400, margin_t=80)


def _joint_shares(across: pd.Series, down: pd.Series, x_bins: Bins, y_bins: Bins) -> Shares:
    x, y = x_bins.codes(across), y_bins.codes(down)
    known = (x >= 0) & (y >= 0)
    width = len(x_bins.labels)
    cells = np.bincount(y[known] * width + x[known], minlength=width * len(y_bins.labels))
    return (cells / max(len(x), 1)).reshape(len(y_bins.labels), width)


def _label_codes(values: pd.Series, labels: tuple[Any, ...]) -> npt.NDArray[np.int64]:
    codes = pd.Index(labels, dtype=object).get_indexer(pd.Index(values, dtype=object))
    return np.where(codes < 0, len(labels) - 1, codes).astype(np.int64)


def _positions(bins: Bins, column: Mapping[str, Any]) -> list[Any]:
    if bins.edges is None:
        return list(range(len(bins.labels)))
    if column['sdtype'] == 'datetime':
        return [pd.Timestamp(int(label)).isoformat() for label in bins.labels]
    return [float(label) for label in bins.labels]


def _category_ticks(bins: Bins) -> dict[str, Any]:
    if bins.edges is not None:
        return {}
    short = [label if len(label) <= 24 else f'{label[:23]}…' for label in bins.labels]
    return {
        'tickvals': list(range(len(short))),
        'ticktext': [html.escape(text) for text in short],
        'tickangle': 0 if len(short) < 5 else -45,
        'automargin': True,
    }


def _styled(figure: go.Figure, title: str, notes: list[str]) -> go.Figure:
    note = f' <span style="font-size:12px;color:#718096">({"; ".join(notes)})</span>'
    return figure.update_layout(
        title={'text': html.escape(title) + (note if notes else ''), 'font': {'size': 15}},
        template='plotly_white',
        barmode='group',
        bargap=0.1,
        height=320,
        margin={'l': 50, 'r': 15, 't': 60, 'b': 40},
        legend={'orientation': 'h', 'x': 1, 'xanchor': 'right', 'y': 1.12},
        font={'family': 'system-ui, sans-serif', 'size': 12},
    )
