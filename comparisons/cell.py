"""One cell of the comparison, in a process of its own: fit, check the budget, sample, score.

``python -m comparisons.cell REQUEST`` with the request as JSON; prints the record as one line.
"""

from __future__ import annotations

import json
import math
import resource
import sys
import time
import warnings
from dataclasses import asdict, fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
from sdv.metadata import Metadata

from comparisons import budget, datasets, registry
from comparisons.cells import Cell
from comparisons.method import About, Method

PACKAGES = ('sdv-slicedp', 'sdv', 'sdmetrics', 'torch', 'numpy', 'pandas', 'dp-accounting')
_MEGABYTE = 1024  # ru_maxrss is in KiB on Linux


def main() -> None:
    """Run the cell of the command line."""
    warnings.simplefilter('ignore')  # of what is compared; errors are recorded
    cell = Cell(**json.loads(sys.argv[1]))
    print(json.dumps(_without_nan(run(cell)), allow_nan=False))


def run(cell: Cell) -> dict[str, Any]:
    """Record of a cell; scores only if the method kept to its budget.

    Raises:
        budget.OverspentError: If the noise that the method recorded is too little.
    """
    from comparisons.scores import Task, score

    table, metadata, target = _load(cell)
    train, test = datasets.split(table)
    if cell.rows is not None and cell.rows < len(train):
        train = train.sample(cell.rows, random_state=cell.seed).reset_index(drop=True)
    regression = pd.api.types.is_numeric_dtype(table[target]) and _is_number(metadata, target)
    method = registry.method(cell.method)
    method = method if regression else with_target(method, target)
    synthetic, record = fit_and_sample(method, train, metadata, cell)
    record['train_rows'] = len(train)
    started = time.perf_counter()
    task = Task(train, test, metadata, target, regression)
    record['scores'] = score(task, synthetic, cell.seed)
    record['score_s'] = time.perf_counter() - started
    return record


def with_target(method: Method, target: str) -> Method:
    """The method, told which column matters if it has a place for that, as DP-MERF has."""
    settings: Any = method
    if any(field.name == 'target' for field in fields(settings)):
        told: Method = replace(settings, target=target)
        return told
    return method


def fit_and_sample(
    method: Method, train: pd.DataFrame, metadata: Metadata, cell: Cell
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Synthetic rows, as many as real ones, and what it took to make them."""
    started, cpu = time.perf_counter(), _cpu_seconds()
    fitted = method.fit(
        train, metadata, epsilon=cell.epsilon or 1.0, delta=cell.delta, seed=cell.seed
    )
    fit_s, fit_cpu_s = time.perf_counter() - started, _cpu_seconds() - cpu
    spent = _spent(method, fitted.events, cell)
    started = time.perf_counter()
    synthetic = fitted.sample(len(train), cell.seed)
    if len(synthetic) != len(train) or list(synthetic) != list(train):
        raise ValueError('the method did not sample the rows and columns that were asked for')
    return synthetic, {
        'spent_epsilon': spent,
        'events': [{'kind': type(event).__name__, **asdict(event)} for event in fitted.events],
        'fit_s': fit_s,
        'fit_cpu_s': fit_cpu_s,
        'sample_s': time.perf_counter() - started,
        'peak_memory_mb': _peak_megabytes(),
        'about': asdict(method.about),
        'versions': versions(method.about),
        'environment_versions': dict(getattr(fitted, 'versions', {})),
    }


def _spent(method: Method, events: Any, cell: Cell) -> float | None:
    if not method.about.private:
        return None
    if not events:
        raise budget.OverspentError('a private method recorded no noise')
    return budget.check(events, cell.epsilon or 0.0, cell.delta)


def _without_nan(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def versions(about: About) -> dict[str, str]:
    """Installed versions of our packages and those of the method."""
    found = {}
    for package in (*PACKAGES, *about.packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # in an environment of its own, which says its versions
            continue
    return found


def _load(cell: Cell) -> datasets.Loaded:
    if cell.csv is None or cell.metadata is None:
        return datasets.load(cell.dataset)
    return datasets.load_files(Path(cell.csv), Path(cell.metadata), cell.target)


def _is_number(metadata: Metadata, target: str) -> bool:
    (table,) = metadata.tables.values()
    return bool(table.columns[target]['sdtype'] == 'numerical')


def _cpu_seconds() -> float:
    """Of this process and its ended children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_megabytes() -> float:
    """The larger of this process, libraries included, and its largest child."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(usage.ru_maxrss for usage in usages) / _MEGABYTE


if __name__ == '__main__':
    main()
