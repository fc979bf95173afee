"""One self-contained HTML page: privacy report, what was measured, training, plots, scores."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import Template
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs
from sdv.metadata import Metadata

from sdv_slicedp.evaluation import Evaluation, evaluate
from sdv_slicedp.losses import loss_figure
from sdv_slicedp.plots import column_figure, pair_figure
from sdv_slicedp.release import Release
from sdv_slicedp.release_plot import release_figure
from sdv_slicedp.report_text import rounded_up
from sdv_slicedp.reports import FitReport, PrivacyReport

MAX_COLUMN_PLOTS = 12
MAX_PAIR_PLOTS = 4
PLOTTED_SDTYPES = ('numerical', 'datetime', 'categorical', 'boolean', 'ordinal')
BANNER = (
    'This page is not private. Its scores and plots were computed from the real table without '
    'noise. Show it only to people who may see the real data; the synthetic table, the release '
    'and the privacy report may be shared without it.'
)
PRIVATE = (
    'This page is as private as the release: it was made from the release, the trained generator '
    'and synthetic rows, and reads no real row.'
)


@dataclass(frozen=True)
class Comparison:
    """The real table, and the scores of the synthetic one against it. Not private."""

    real: pd.DataFrame
    evaluation: Evaluation


@dataclass(frozen=True)
class PageContent:
    """What goes on a page.

    Attributes:
        table_name: Name of the table.
        privacy: The privacy report.
        release: What was measured.
        losses: Loss of each epoch: ``Epoch, Loss``.
        synthetic: The synthetic table.
        columns: The metadata's description of each column.
        comparison: The real table and scores; ``None`` for a page that is private.
        timings: Seconds for each step, in order.
    """

    table_name: str
    privacy: PrivacyReport
    release: Release
    losses: pd.DataFrame
    synthetic: pd.DataFrame
    columns: Mapping[str, Mapping[str, Any]]
    comparison: Comparison | None = None
    timings: Mapping[str, float] = field(default_factory=dict)


def compare(
    real: dict[str, pd.DataFrame], synthetic: dict[str, pd.DataFrame], metadata: Metadata
) -> Comparison:
    """Score ``synthetic`` against ``real``, one table each, by its name. Not private."""
    (table,) = real.values()
    return Comparison(table, evaluate(real, synthetic, metadata))


def render_page(content: PageContent) -> str:
    """The page as HTML text. It loads nothing from the network."""
    compared = content.comparison is not None
    return Template(_PAGE).substitute(
        title=_text(f'Synthetic {content.table_name}'),
        kind='warned' if compared else 'private',
        banner=_text(BANNER if compared else PRIVATE),
        plotly=get_plotlyjs(),
        figures=_key_figures(content),
        guarantee=_text(content.privacy.guarantee()),
        warnings=''.join(f'<p class="warning">{_text(w)}</p>' for w in content.privacy.warnings),
        ledgers=''.join(_ledger(fit) for fit in content.privacy.fits),
        public=_list(content.privacy.public),
        covered=_text(content.privacy.covered),
        not_covered=_list(content.privacy.not_covered),
        measured=_plot(release_figure(content.release)),
        training=_plot(loss_figure(content.losses)),
        quality=_quality(content.comparison),
        plots=_plots(content),
        timings=_timings(content.timings),
    )


def plotted_columns(content: PageContent) -> list[str]:
    """The modelled columns, as many as fit: lowest quality first, or in order without scores."""
    names = [n for n, column in content.columns.items() if column['sdtype'] in PLOTTED_SDTYPES]
    if content.comparison is not None:
        quality = content.comparison.evaluation.columns.set_index('Column')['Quality'].to_dict()
        scores = {name: quality.get(name, math.nan) for name in names}
        names.sort(key=lambda name: (math.isnan(scores[name]), scores[name]))
    return names[:MAX_COLUMN_PLOTS]


def plotted_pairs(comparison: Comparison) -> list[tuple[str, str]]:
    """The pairs of columns that depend most on each other in the real table."""
    pairs = comparison.evaluation.pairs.dropna(subset='Dependence')
    top = pairs.sort_values('Dependence', ascending=False, kind='stable').head(MAX_PAIR_PLOTS)
    return list(zip(top['Column 1'], top['Column 2'], strict=True))


def _plots(content: PageContent) -> str:
    synthetic, columns, comparison = content.synthetic, content.columns, content.comparison
    real = None if comparison is None else comparison.real
    figures = [
        column_figure(name, None if real is None else real[name], synthetic[name], columns[name])
        for name in plotted_columns(content)
    ]
    title, note = 'Synthetic columns', 'Shares of the synthetic rows.'
    if comparison is not None:
        title = 'Real against synthetic'
        note = (
            'Columns with the lowest quality first, then the pairs of columns that depend most on '
            'each other.'
        )
        pairs = plotted_pairs(comparison)
        figures += [pair_figure(names, comparison.real, synthetic, columns) for names in pairs]
    plots = ''.join(map(_plot, figures))
    return f'<section><h2>{title}</h2><p>{note}</p><div class="plots">{plots}</div></section>'


def _plot(figure: go.Figure) -> str:
    config = {'displayModeBar': False, 'responsive': True}
    text = figure.to_html(full_html=False, include_plotlyjs=False, config=config)
    return f'<div class="plot">{text}</div>'


def _quality(comparison: Comparison | None) -> str:
    if comparison is None:
        return ''
    return (
        '<section><h2>Quality</h2>'
        '<p>SDMetrics scores against the real table, from 0 to 1. They say nothing about '
        f'privacy.</p>{_score_table(comparison.evaluation.properties)}'
        f'<h3>By column</h3>{_score_table(comparison.evaluation.columns)}</section>'
    )


def _key_figures(content: PageContent) -> str:
    figures = {
        'epsilon spent': rounded_up(content.privacy.epsilon),
        'delta': f'{content.privacy.delta:g}',
        'synthetic rows': f'{len(content.synthetic):,}',
    }
    if content.comparison is not None:
        evaluation = content.comparison.evaluation
        figures['SDMetrics quality'] = _score(evaluation.quality)
        figures['SDMetrics diagnostic'] = _score(evaluation.diagnostic)
    return ''.join(
        f'<div class="figure"><b>{_text(value)}</b><span>{_text(name)}</span></div>'
        for name, value in figures.items()
    )


def _ledger(fit: FitReport) -> str:
    rows = ''.join(
        f'<tr><td>{_text(line.stage)}</td><td>{_text(line.description)}</td>'
        f'<td class="n"><i style="width:{60 * line.share:.1f}px"></i>{line.share:.1%}</td>'
        f'<td class="n">{line.slices:,}</td><td class="n">{line.sigma:.2f}</td>'
        f'<td class="n">{f"{line.threshold_delta:.3g}" if line.threshold_delta else "-"}</td></tr>'
        for line in fit.lines
    )
    noisy = '' if fit.noisy_rows is None else f', about {fit.noisy_rows:,.0f} rows (noisy count)'
    return (
        f'<p>Spent epsilon = {rounded_up(fit.epsilon)} of the requested '
        f'{fit.requested_epsilon:g} at delta = {fit.delta:g}{noisy}. Each line lists measurements '
        'with one noise scale; shares are shares of the sum of slices / noise².</p>'
        '<table><tr><th>stage</th><th>measured</th><th class="n">share</th>'
        '<th class="n">slices</th><th class="n">noise</th><th class="n">threshold delta</th></tr>'
        f'{rows}</table>'
    )


def _score_table(scores: pd.DataFrame) -> str:
    head = ''.join(
        f'<th{_number_class(scores[name])}>{_text(name)}</th>' for name in scores.columns
    )
    rows = ''.join(
        '<tr>' + ''.join(_score_cell(value) for value in row) + '</tr>'
        for row in scores.itertuples(index=False)
    )
    return f'<table><tr>{head}</tr>{rows}</table>'


def _score_cell(value: Any) -> str:
    if isinstance(value, str):
        return f'<td>{_text(value)}</td>'
    return f'<td class="n">{_score(value)}</td>'


def _number_class(values: pd.Series) -> str:
    return ' class="n"' if pd.api.types.is_numeric_dtype(values) else ''


def _score(value: Any) -> str:
    return '-' if pd.isna(value) else f'{float(value):.3f}'


def _timings(timings: Mapping[str, float]) -> str:
    if not timings:
        return ''
    steps = ', '.join(f'{_text(name)} {seconds:.1f} s' for name, seconds in timings.items())
    return f'<footer><p>Timings: {steps}.</p></footer>'


def _list(items: Sequence[str]) -> str:
    return '<ul>' + ''.join(f'<li>{_text(item)}</li>' for item in items) + '</ul>'


def _text(value: Any) -> str:
    return html.escape(str(value))


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; color: #1a202c; background: #f7fafc; margin: 0; }
main { max-width: 1080px; margin: 0 auto; padding: 24px; }
section { background: #fff; border: 1px solid #e2e8f0; border-radius: 8px; padding: 8px 24px 16px;
  margin: 16px 0; overflow-x: auto; }
h1 { margin: 8px 0; } h2 { margin: 12px 0 8px; font-size: 20px; } h3 { margin: 16px 0 4px; }
.banner { border: 2px solid; border-radius: 8px; padding: 12px 16px; font-weight: 600; }
.warned { background: #fff5f5; color: #9b2c2c; } .private { background: #f0fff4; color: #276749; }
.warning { background: #fffaf0; border-left: 4px solid #dd6b20; padding: 8px 12px; }
.figures { display: flex; flex-wrap: wrap; gap: 12px; margin: 16px 0; }
.figure { flex: 1 1 150px; background: #fff; border: 1px solid #e2e8f0; border-radius: 8px;
  padding: 12px 16px; }
.figure b { display: block; font-size: 24px; } .figure span { color: #4a5568; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; padding: 4px 10px; border-bottom: 1px solid #edf2f7; }
th { color: #4a5568; } .n { text-align: right; font-variant-numeric: tabular-nums; }
td i { display: inline-block; height: 8px; background: #0f8b8d; margin-right: 6px; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); gap: 8px; }
.plot { min-width: 0; overflow: hidden; }
footer { color: #4a5568; font-size: 13px; }
</style>
<script>$plotly</script>
</head>
<body><main>
<h1>$title</h1>
<p class="banner $kind">$banner</p>
<div class="figures">$figures</div>
<section><h2>Privacy</h2><p><b>$guarantee</b></p>$warnings$ledgers
<h3>Taken as public</h3>$public
<h3>Covered</h3><p>$covered</p>
<h3>Not covered</h3>$not_covered</section>
<section><h2>What the budget bought</h2>
<p>Each point is a slice. Above the line it shows more than its noise; far below, nothing.</p>
$measured</section>
<section><h2>Training</h2>
<p>Loss of each epoch, a function of the release.</p>$training</section>
$quality
$plots
$timings
</main>
<script>window.dispatchEvent(new Event('resize'));</script>
</body>
</html>
"""
