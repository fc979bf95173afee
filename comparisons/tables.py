"""Medians and spreads of records, and the tables of a report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from comparisons.cells import Record


@dataclass(frozen=True)
class Measure:
    """A column of the tables: what it is called, where it is, and which direction is better."""

    name: str
    title: str
    higher: bool | None
    digits: int = 3


MEASURES = (
    Measure('sdmetrics', 'SDMetrics', True),
    Measure('tv1', 'TV1', False),
    Measure('tv2', 'TV2', False),
    Measure('tv3', 'TV3', False),
    Measure('correlation_error', 'correlation error', False),
    Measure('auc', 'AUC', True),
    Measure('f1', 'F1', True),
    Measure('accuracy', 'accuracy', True),
    Measure('r2', 'R2', True),
)
COSTS = (
    Measure('fit_cpu_s', 'fit CPU s', False, 1),
    Measure('fit_s', 'fit s', False, 1),
    Measure('sample_s', 'sample s', False, 1),
    Measure('peak_memory_mb', 'peak MB', False, 0),
)
SUMMARY = (
    Measure('sdmetrics', 'SDMetrics', True),
    Measure('tv2', 'TV2', False),
    Measure('auc', 'AUC', True),
    Measure('fit_cpu_s', 'fit CPU s', None, 0),
)
PRIVACY = (
    Measure('diagnostic', 'diagnostic', None),
    Measure('membership_auc', 'membership AUC', None),
    Measure('dcr_overfitting_protection', 'DCR protection', None),
    Measure('disclosure_protection', 'disclosure protection', None),
    Measure('spent_epsilon', 'epsilon recomputed', None, 4),
)


@dataclass(frozen=True)
class Group:
    """Records of one method on one data set with one epsilon, over seeds.

    Attributes:
        dataset: Name of the data set.
        method: Name of the method.
        epsilon: ``None`` for a method without a budget.
        rows: Rows that it was cut to; ``None`` for all.
        done: Records with scores.
        others: Records without.
    """

    dataset: str
    method: str
    epsilon: float | None
    rows: int | None
    done: tuple[Record, ...]
    others: tuple[Record, ...]

    @property
    def title(self) -> str:
        """Name in tables, with what was cut."""
        if not self.done:
            return self.method
        title: str = self.done[0]['about']['title']
        rows = {record['train_rows'] for record in self.done if record['cell']['rows']}
        return title + ''.join(f' ({n:,} rows)' for n in sorted(rows))

    def values(self, name: str) -> list[float]:
        """What the seeds came to; nothing where a score is not defined."""
        found = [_value(record, name) for record in self.done]
        return [value for value in found if value is not None and math.isfinite(value)]

    def median(self, name: str) -> float | None:
        """Median over the seeds."""
        values = self.values(name)
        return median(values) if values else None


def _value(record: Record, name: str) -> float | None:
    found: Any = record['scores'].get(name, record.get(name))
    return None if found is None else float(found)


def groups_of(records: Iterable[Record]) -> list[Group]:
    """Groups in the order of data set, epsilon, and first appearance of the method."""
    found: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        cell = record['cell']
        key = (cell['dataset'], cell['epsilon'], cell['method'], cell['rows'])
        found.setdefault(key, []).append(record)
    groups = []
    for (dataset, epsilon, method, rows), members in found.items():
        done = tuple(record for record in members if record['status'] == 'done')
        others = tuple(record for record in members if record['status'] != 'done')
        groups.append(Group(dataset, method, epsilon, rows, done, others))
    return sorted(groups, key=lambda g: (g.dataset, math.inf if g.epsilon is None else g.epsilon))


def cell_text(group: Group, measure: Measure) -> str:
    """Median, and the range over seeds where there are several."""
    values, shown = group.values(measure.name), _median_text(group, measure)
    if not values:
        return shown
    low, high = (f'{value:.{measure.digits}f}' for value in (min(values), max(values)))
    return shown if low == high else f'{shown} ({low} to {high})'


def best(groups: Sequence[Group], measure: Measure) -> float | None:
    """Best median among the private methods; ``None`` where better has no meaning."""
    medians = [group.median(measure.name) for group in groups if group.done and _is_private(group)]
    known = [value for value in medians if value is not None]
    if measure.higher is None or not known:
        return None
    return max(known) if measure.higher else min(known)


def _is_private(group: Group) -> bool:
    return bool(group.done[0]['about']['private'])


def shown_measures(groups: Sequence[Group], measures: Sequence[Measure]) -> list[Measure]:
    """Those that some group has."""
    return [m for m in measures if any(group.values(m.name) for group in groups)]


def markdown_table(groups: Sequence[Group], measures: Sequence[Measure]) -> str:
    """Rows are methods; the best private median of each column is bold."""
    shown = shown_measures(groups, measures)
    header = ['method', 'fits', *(measure.title for measure in shown)]
    lines = [f'| {" | ".join(header)} |', f'|{"---|" * len(header)}']
    tops = [best(groups, measure) for measure in shown]
    for group in groups:
        if group.done:
            cells = [
                _marked(cell_text(group, m), group, m, top)
                for m, top in zip(shown, tops, strict=True)
            ]
            lines.append(f'| {group.title} | {len(group.done)} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def summary(groups: Sequence[Group], epsilon: float) -> str:
    """One table of medians: all methods at one epsilon, by data set and number of rows.

    Private methods come first, those that are nearest in their pairs of columns before the others.
    The best private median among fits of the same rows is bold.
    """
    shown = [g for g in groups if g.done and g.epsilon in (epsilon, None)]
    header = ['data set', 'method', 'rows', 'fits', *(m.title for m in SUMMARY)]
    lines = [f'| {" | ".join(header)} |', f'|{"---|" * 2}{"--:|" * (len(header) - 2)}']
    for dataset, rows in dict.fromkeys((g.dataset, g.rows) for g in shown):
        alike = [g for g in shown if (g.dataset, g.rows) == (dataset, rows)]
        alike.sort(key=lambda g: (not _is_private(g), g.median('tv2') or 0.0))
        tops = [best(alike, measure) for measure in SUMMARY]
        for g in alike:
            title = g.done[0]['about']['title'] + ('' if _is_private(g) else ' (not private)')
            medians = [
                _marked(_median_text(g, m), g, m, top) for m, top in zip(SUMMARY, tops, strict=True)
            ]
            cells = [dataset, title, f'{g.done[0]["train_rows"]:,}', str(len(g.done)), *medians]
            lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def _median_text(group: Group, measure: Measure) -> str:
    middle = group.median(measure.name)
    return '-' if middle is None else f'{middle:.{measure.digits}f}'


def _marked(text: str, group: Group, measure: Measure, top: float | None) -> str:
    """The text of a cell, bold if its median is the best."""
    wins = top is not None and _is_private(group) and group.median(measure.name) == top
    return f'**{text}**' if wins else text


def failures(groups: Sequence[Group]) -> list[str]:
    """A line for each cell without scores."""
    return [
        f'{g.dataset}, {g.method}, epsilon {g.epsilon}, seed {record["cell"]["seed"]}: '
        f'{record["status"]}: {record["error"]}'
        for g in groups
        for record in g.others
    ]
