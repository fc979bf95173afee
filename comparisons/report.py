"""The report of a run: Markdown, and a page of HTML that loads nothing from elsewhere."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from comparisons import figures
from comparisons.cells import Record, read_records
from comparisons.tables import (
    COSTS,
    MEASURES,
    PRIVACY,
    Group,
    failures,
    groups_of,
    markdown_table,
    summary,
)

SUMMARY_EPSILON = 1.0

HOW_TO_READ = """\
Medians over fits, with the range where there are several; the best private median of a column is
bold. Every method was given the same declared domain, the same rows and the same (epsilon, delta)
under its own neighboring relation (last section); `epsilon recomputed` is what its recorded noise
comes to. TV1 to TV3: mean total variation distance of tables of one to three columns, numbers in
20 bins, from the rows that were fitted. AUC, F1, accuracy, R2: means of logistic (or ridge)
regression, gradient boosting and random forest trained on synthetic rows and tested on real rows
that no method saw.
"""
CAVEAT = """\
None of these is an epsilon or bounds one: a method may pass all of them and still reveal a row.
The membership AUC is that of an attack by distance to the nearest synthetic row (0.5: it learns
nothing); the others are SDMetrics' scores (1 is best).
"""


def write_report(results: Sequence[Path], folder: Path) -> list[Path]:
    """Write ``report.md`` and ``report.html`` of JSON lines.

    Args:
        results: Files that ``run`` wrote.
        folder: Where to; made if it is not there.

    Raises:
        ValueError: If there is no record.
    """
    missing = [str(path) for path in results if not path.exists()]
    if missing:
        raise ValueError(f'There is no file {", ".join(missing)}; `run` writes it.')
    records = read_records(results)
    if not records:
        raise ValueError(f'No record in {", ".join(map(str, results))}.')
    groups = groups_of(records)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / 'report.md', folder / 'report.html']
    paths[0].write_text(markdown(groups), encoding='utf-8')
    paths[1].write_text(page(groups), encoding='utf-8')
    return paths


def markdown(groups: Sequence[Group]) -> str:
    """The report as Markdown."""
    parts = ['# Comparison at matched budgets', HOW_TO_READ]
    parts += [f'## Summary, epsilon {SUMMARY_EPSILON:g}', summary(groups, SUMMARY_EPSILON)]
    for dataset in dict.fromkeys(group.dataset for group in groups):
        parts.append(f'## {dataset}')
        sections = _by_epsilon([group for group in groups if group.dataset == dataset], dataset)
        for title, members in sections:
            parts += [f'### {title}', markdown_table(members, MEASURES)]
            parts += ['Cost:', markdown_table(members, COSTS)]
        parts += [f'### Empirical privacy, {dataset}', CAVEAT]
        for title, members in sections:
            parts += [f'{title.capitalize()}:', markdown_table(members, PRIVACY)]
    parts += ['## Cells without scores', *_list(failures(groups) or ['none'])]
    parts += ['## Methods', *_methods(groups)]
    return '\n\n'.join(part.strip() for part in parts) + '\n'


def _by_epsilon(groups: Sequence[Group], dataset: str) -> list[tuple[str, list[Group]]]:
    """Groups of as many rows and the same epsilon, and those without one beside each."""
    found = []
    for rows in dict.fromkeys(group.rows for group in groups):
        alike = [group for group in groups if group.rows == rows]
        free = [group for group in alike if group.epsilon is None]
        name = dataset if rows is None else f'{dataset}, {rows:,} rows'
        epsilons = dict.fromkeys(g.epsilon for g in alike if g.epsilon is not None)
        found += [
            (f'{name}, epsilon {epsilon:g}', [g for g in alike if g.epsilon == epsilon] + free)
            for epsilon in epsilons
        ] or [(f'{name}, no budget', free)]
    return found


def _methods(groups: Sequence[Group]) -> list[str]:
    firsts: dict[str, Record] = {}
    for group in groups:
        for record in group.done:
            firsts.setdefault(group.method, record)
    return [_method(name, record) for name, record in firsts.items()]


def _method(name: str, record: Record) -> str:
    about = record['about']
    lines = [
        f'### {about["title"]} (`{name}`)',
        f'- neighboring relation: {about["neighboring_relation"]}',
        f'- accountant: {about["accountant"]}',
        f'- hyper-parameters: `{json.dumps(about["hyperparameters"])}`',
        f'- versions: {_versions(record["versions"])}',
    ]
    own = record.get('environment_versions')  # records of earlier runs have none
    lines += [f'- versions in its own environment: {_versions(own)}'] if own else []
    lines += [f'- reference: {about["reference"]}'] if about['reference'] else []
    lines += [f'- notes: {about["notes"].strip()}'] if about['notes'] else []
    return lines[0] + '\n\n' + '\n'.join(lines[1:])


def _versions(found: Mapping[str, str]) -> str:
    return ', '.join(f'{package} {version}' for package, version in found.items())


def _list(items: Sequence[str]) -> list[str]:
    return ['\n'.join(f'- {item}' for item in items)]


def page(groups: Sequence[Group]) -> str:
    """The report as one HTML page with plots."""
    from plotly.offline import get_plotlyjs

    plots = ''.join(
        figure.to_html(full_html=False, include_plotlyjs=False) for figure in figures.all_of(groups)
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<title>Comparison at matched budgets</title>'
        f'<style>{_STYLE}</style><script>{get_plotlyjs()}</script></head><body>'
        f'{_html(markdown(groups), plots)}</body></html>'
    )


def _html(text: str, plots: str) -> str:
    """The subset of Markdown that :func:`markdown` writes; plots come before the first table."""
    parts: list[str] = []
    for block in text.strip().split('\n\n'):
        if block.startswith('#'):
            level = len(block) - len(block.lstrip('#'))
            if block.startswith('## ') and plots:
                parts.append(plots)
                plots = ''
            parts.append(f'<h{level}>{_inline(block[level:].strip())}</h{level}>')
        elif block.startswith('|'):
            parts.append(_html_table(block.splitlines()))
        elif block.startswith('- '):
            items = ''.join(f'<li>{_inline(line[2:])}</li>' for line in block.splitlines())
            parts.append(f'<ul>{items}</ul>')
        else:
            parts.append(f'<p>{_inline(block)}</p>')
    return ''.join(parts)


def _html_table(lines: Sequence[str]) -> str:
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    head = ''.join(f'<th>{_inline(cell)}</th>' for cell in rows[0])
    body = ''.join(
        f'<tr>{"".join(_html_cell(i, cell) for i, cell in enumerate(row))}</tr>' for row in rows[2:]
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _html_cell(column: int, text: str) -> str:
    """A cell; the range goes below the median, which keeps the table on the page."""
    shown = _inline(text)
    if column > 0:
        shown = shown.replace(' (', '<small>').replace(')', '</small>')
    return f'<td>{shown}</td>'


def _inline(text: str) -> str:
    """Escaped text, with bold and code."""
    shown = html.escape(text)
    for mark, tag in (('**', 'strong'), ('`', 'code')):
        pieces = shown.split(mark)
        shown = ''.join(
            piece if i % 2 == 0 else f'<{tag}>{piece}</{tag}>' for i, piece in enumerate(pieces)
        )
    return shown


_STYLE = (
    'body{font:15px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem}'
    'table{border-collapse:collapse;font-variant-numeric:tabular-nums}'
    'th,td{padding:.25rem .6rem;border-bottom:1px solid #ddd;text-align:right}'
    'td{white-space:nowrap;vertical-align:top}small{display:block;color:#666;font-weight:normal}'
    'th:first-child,td:first-child{text-align:left}.wide{overflow-x:auto}'
    'code{overflow-wrap:anywhere}'
)
