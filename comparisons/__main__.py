"""``python -m comparisons run``, ``report`` and ``tune``."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from comparisons import catalogue, registry, tuning
from comparisons.cells import Cell, read_records, to_do
from comparisons.method import MissingExtraError
from comparisons.runner import Limits, run_cells

RESULTS = Path('comparisons/results')


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; errors of the user are one line."""
    options = _parser().parse_args(arguments)
    try:
        result: int = options.command(options)
        return result
    except (ValueError, OSError, MissingExtraError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('stopped; the same command goes on from here', file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    cells = _cells(options)
    known = read_records([options.output]) if options.output.exists() else []
    left = to_do(cells, known, options.again)
    print(f'{len(cells)} cells, {len(cells) - len(left)} of them in {options.output} already')
    records = run_cells(left, options.output, Limits(options.jobs, options.time_limit))
    failed = sum(record['status'] != 'done' for record in records)
    print(f'{len(records) - failed} done, {failed} not; {options.output}')
    return 0


def _report(options: argparse.Namespace) -> int:
    from comparisons.report import write_report

    for path in write_report(options.results, options.output):
        print(path)
    return 0


def _cells(options: argparse.Namespace) -> list[Cell]:
    registry.check_names(options.methods)
    own = _own_table(options)
    for epsilon in options.epsilons:
        if not 0 < epsilon < math.inf:
            raise ValueError(f'--epsilons must be positive and finite, got {epsilon:g}.')
    if not 0 < options.delta < 1:
        raise ValueError(f'--delta must be between 0 and 1, got {options.delta:g}.')
    for name in ('jobs', 'time_limit', 'rows'):
        if (value := getattr(options, name)) is not None and not value > 0:
            raise ValueError(f'--{name.replace("_", "-")} must be positive, got {value:g}.')
    budgets = {
        method: options.epsilons if registry.method(method).about.uses_epsilon else [None]
        for method in options.methods
    }
    return [
        Cell(dataset, method, epsilon, options.delta, seed, options.rows, **own)
        for dataset, seed, method in product(options.datasets, options.seeds, options.methods)
        for epsilon in budgets[method]
    ]


def _own_table(options: argparse.Namespace) -> dict[str, str]:
    from comparisons import datasets

    if (options.csv is None) != (options.metadata is None):
        raise ValueError('--csv and --metadata belong together.')
    if options.csv is None:
        catalogue.check_names(options.datasets)
        return {}
    _, _, target = datasets.load_files(options.csv, options.metadata, options.target)
    options.datasets = [datasets.name_of_files(options.csv, options.metadata, target)]
    paths = {'csv': options.csv.resolve(), 'metadata': options.metadata.resolve()}
    return {**{key: str(path) for key, path in paths.items()}, 'target': target}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='python -m comparisons', description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser('run', help='fit and score methods, one JSON line each')
    run.set_defaults(command=_run)
    run.add_argument('--datasets', nargs='+', default=['adult'], metavar='NAME')
    run.add_argument('--csv', type=Path, help='a table of your own, instead of --datasets')
    run.add_argument('--metadata', type=Path, help='its SDV metadata, with declared ranges')
    run.add_argument('--target', help='its column to predict; the last one unless named')
    run.add_argument(
        '--methods', nargs='+', default=list(registry.METHODS), metavar='NAME',
        help=f'of {", ".join(registry.METHODS)}',
    )  # fmt: skip
    run.add_argument('--epsilons', nargs='+', type=float, default=[0.5, 1.0, 3.0, 10.0])
    run.add_argument('--delta', type=float, default=1e-5)
    run.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    run.add_argument('--rows', type=int, help='fit on so many real rows; all unless given')
    run.add_argument('--jobs', type=int, default=1, help='cells at a time')
    run.add_argument('--time-limit', type=float, default=1800.0, help='seconds of a cell')
    run.add_argument('--output', type=Path, default=RESULTS / 'results.jsonl')
    run.add_argument('--again', action='store_true', help='run failed cells again')
    report = commands.add_parser('report', help='Markdown and HTML of results')
    report.set_defaults(command=_report)
    report.add_argument('results', nargs='*', type=Path, default=[RESULTS / 'results.jsonl'])
    report.add_argument('--output', type=Path, default=RESULTS, help='folder')
    tune = commands.add_parser('tune', help='search settings of the methods on a public table')
    tune.set_defaults(command=tuning.run)
    tuning.add_arguments(tune)
    return parser


if __name__ == '__main__':
    sys.exit(main())
