"""Plots of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

import plotly.graph_objects as go
from plotly.colors import qualitative

from comparisons.registry import METHODS
from comparisons.tables import Group, Measure

QUALITY = (
    Measure('sdmetrics', 'SDMetrics quality', True),
    Measure('tv2', 'total variation of pairs', False),
    Measure('auc', 'AUC on real rows', True),
    Measure('r2', 'R2 on real rows', True),
)

LEAST_SECONDS = 0.01  # a logarithmic axis has no 0, and nothing shorter is of interest


def all_of(groups: Sequence[Group]) -> Iterator[go.Figure]:
    """Quality against epsilon and against time, and scores by column and pair, by data set."""
    for dataset in dict.fromkeys(group.dataset for group in groups):
        members = [group for group in groups if group.dataset == dataset and group.done]
        for measure in QUALITY:
            if any(group.values(measure.name) for group in members):
                yield against_epsilon(dataset, members, measure)
                yield against_time(dataset, members, measure)
        if members:
            yield column_scores(dataset, members)
            yield pair_scores(dataset, members)


def against_epsilon(dataset: str, groups: Sequence[Group], measure: Measure) -> go.Figure:
    """A line for each method, a dashed one for those without a budget; bars are the range."""
    figure = _figure(f'{dataset}: {measure.title} against epsilon', 'epsilon', measure.title)
    epsilons = sorted({group.epsilon for group in groups if group.epsilon is not None}) or [1.0]
    figure.update_xaxes(type='log', tickvals=epsilons)
    for title, own, colour in _lines(groups, measure):
        values = [g.values(measure.name) for g in own]
        if own[0].epsilon is None:
            figure.add_scatter(
                x=[epsilons[0], epsilons[-1]],
                y=[median(values[0])] * 2,
                name=title,
                mode='lines',
                line={'dash': 'dash', 'color': colour},
            )
            continue
        middle = [median(v) for v in values]
        figure.add_scatter(
            x=[g.epsilon for g in own],
            y=middle,
            name=title,
            mode='lines+markers',
            line={'color': colour},
            marker={'symbol': _symbol(own)},
            error_y={
                'symmetric': False,
                'array': [max(v) - m for v, m in zip(values, middle, strict=True)],
                'arrayminus': [m - min(v) for v, m in zip(values, middle, strict=True)],
            },
        )
    return figure


def against_time(dataset: str, groups: Sequence[Group], measure: Measure) -> go.Figure:
    """A point for each method and epsilon."""
    figure = _figure(
        f'{dataset}: {measure.title} against time', 'CPU seconds of a fit', measure.title
    )
    figure.update_xaxes(type='log')
    for title, own, colour in _lines(groups, measure):
        figure.add_scatter(
            x=[max(g.median('fit_cpu_s') or 0, LEAST_SECONDS) for g in own],
            y=[g.median(measure.name) for g in own],
            text=['no budget' if g.epsilon is None else f'epsilon {g.epsilon:g}' for g in own],
            name=title,
            mode='markers',
            marker={'color': colour, 'symbol': _symbol(own), 'size': 9},
        )
    return figure


def _lines(groups: Sequence[Group], measure: Measure) -> Iterator[tuple[str, list[Group], str]]:
    """Title, groups and colour of each method; the colour is the same in all figures."""
    for title in dict.fromkeys(group.title for group in groups):
        own = [g for g in groups if g.title == title and g.values(measure.name)]
        if own:
            place = list(METHODS).index(own[0].method) if own[0].method in METHODS else -1
            yield title, own, qualitative.Dark24[place]


def _symbol(groups: Sequence[Group]) -> str:
    return 'circle' if groups[0].rows is None else 'circle-open'


def column_scores(dataset: str, groups: Sequence[Group]) -> go.Figure:
    """SDMetrics' score of each column, a row for each method and epsilon."""
    names = list(groups[0].done[0]['scores']['columns'])
    shown = [[_middle(group, name) for name in names] for group in groups]
    return _heat_map(f'{dataset}: SDMetrics score of each column', names, groups, shown)


def pair_scores(dataset: str, groups: Sequence[Group], worst: int = 40) -> go.Figure:
    """SDMetrics' score of the pairs of columns in which methods differ most."""
    scores = [{(a, b): value for a, b, value in g.done[0]['scores']['pairs']} for g in groups]
    known = {pair: [s[pair] for s in scores if s.get(pair) is not None] for pair in scores[0]}
    spread = sorted(
        (pair for pair in known if known[pair]),
        key=lambda pair: min(known[pair]) - max(known[pair]),
    )[:worst]
    names = [' x '.join(pair) for pair in spread]
    shown = [[s.get(pair) for pair in spread] for s in scores]
    return _heat_map(f'{dataset}: SDMetrics score of pairs, first fits', names, groups, shown)


def _middle(group: Group, column: str) -> float | None:
    values = [record['scores']['columns'].get(column) for record in group.done]
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _heat_map(
    title: str,
    names: Sequence[str],
    groups: Sequence[Group],
    shown: Sequence[Sequence[float | None]],
) -> go.Figure:
    rows = [g.title + ('' if g.epsilon is None else f', epsilon {g.epsilon:g}') for g in groups]
    figure = go.Figure(go.Heatmap(z=shown, x=list(names), y=rows, zmin=0.5, zmax=1))
    return figure.update_layout(
        title=title,
        height=200 + 24 * len(rows),
        template='plotly_white',
        margin={'l': 300},
        yaxis={'autorange': 'reversed'},
    )


def _figure(title: str, x: str, y: str) -> go.Figure:
    return go.Figure().update_layout(
        title=title, xaxis_title=x, yaxis_title=y, template='plotly_white', height=460
    )
