"""The privacy report as text for a terminal."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from decimal import ROUND_CEILING, Context, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sdv_slicedp.reports import FitReport, LedgerLine, PrivacyReport


def render_text(report: PrivacyReport) -> str:
    """``report`` in lines of at most 96 characters, ledger descriptions excepted."""
    lines = ['Privacy report', f'  {report.guarantee()}']
    for warning in report.warnings:
        lines += _wrapped(warning, '  WARNING: ')
    for position, fit in enumerate(report.fits):
        lines += _fit_text(fit, position, len(report.fits))
    lines += _bullets('Taken as public', report.public)
    lines += _bullets('Covered', (report.covered,))
    lines += _bullets('Not covered', report.not_covered)
    return '\n'.join(lines)


def rounded_up(epsilon: float, digits: int = 4) -> str:
    """``epsilon`` to some significant digits, never less than it is."""
    if not math.isfinite(epsilon):
        return 'infinite'
    rounded = Context(prec=digits, rounding=ROUND_CEILING).create_decimal(Decimal(repr(epsilon)))
    return f'{float(rounded):g}'


def _fit_text(fit: FitReport, position: int, total: int) -> list[str]:
    title = 'Ledger' if total == 1 else f'Ledger of fit {position + 1} of {total}'
    rows = _rows_text(fit)
    header = ('stage', 'share', 'slices', 'noise', 'threshold delta', 'measured')
    cells = [header, *(_line_cells(line) for line in fit.lines)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    return [
        '',
        title,
        f'  spent epsilon = {rounded_up(fit.epsilon)} of {fit.requested_epsilon:g} at '
        f'delta = {fit.delta:g}{rows}{"" if fit.completed else ", did not end"}',
        *(_aligned(row, widths) for row in cells if fit.lines),
    ]


def _rows_text(fit: FitReport) -> str:
    if fit.noisy_rows is None:
        return ''
    if fit.rows_are_public:
        return f', {fit.noisy_rows:,.0f} rows'
    return f', about {fit.noisy_rows:,.0f} rows (noisy)'


def _line_cells(line: LedgerLine) -> tuple[str, ...]:
    moves = '' if line.sensitivity is None else f'; a record moves by up to {line.sensitivity:.4g}'
    threshold = f'{line.threshold_delta:.3g}' if line.threshold_delta else '-'
    return (
        line.stage,
        f'{line.share:.1%}',
        f'{line.slices:,}',
        f'{line.sigma:.2f}' if line.sigma >= 1 else f'{line.sigma:.3g}',
        threshold,
        line.description + moves,
    )


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    numbers = range(1, len(row) - 1)
    padded = [
        cell.rjust(width) if i in numbers else cell.ljust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return ('  ' + '  '.join(padded)).rstrip()


def _bullets(title: str, items: Sequence[str]) -> list[str]:
    return ['', title, *(line for item in items for line in _wrapped(item, '  - '))]


def _wrapped(text: str, start: str) -> list[str]:
    return textwrap.wrap(
        text,
        width=96,
        initial_indent=start,
        subsequent_indent=' ' * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    )
