"""The commands ``sdv-slicedp demo`` and ``fit``: from a table to files of synthetic rows."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from sdv.metadata import Metadata

from sdv_slicedp.files import check_writable, load_metadata, read_table, write_table, write_text
from sdv_slicedp.options import RELATIONS
from sdv_slicedp.synthesizer import SlicedDPSynthesizer


@dataclass
class Run:
    """One run of the program: what it was asked for, and how far it has come.

    Attributes:
        metadata: Metadata of the table.
        tables: The table, by its name.
        synthesizer: Made for this run, not yet fitted.
        rows: Number of rows to sample; ``None`` for as many as the release says.
        output: Where the synthetic rows go.
        release: Where the release goes, if anywhere.
        page: Where the HTML page goes, if anywhere.
        timings: Seconds that each step took.
    """

    metadata: Metadata
    tables: dict[str, pd.DataFrame]
    synthesizer: SlicedDPSynthesizer
    rows: int | None
    output: Path
    release: Path | None
    page: Path | None
    timings: dict[str, float] = field(default_factory=dict)


def add_to(commands: Any) -> None:
    """Add both commands to the subparsers of the command line."""
    demo = commands.add_parser('demo', help='private synthetic rows of the Adult census table')
    demo.set_defaults(prepare=_prepare_demo)
    demo.add_argument('--output-dir', type=Path, default=Path('sdv-slicedp-demo'), metavar='DIR')
    fit = commands.add_parser('fit', help='private synthetic rows of your own table')
    fit.set_defaults(prepare=_prepare_fit)
    fit.add_argument('table', type=Path, metavar='TABLE.csv')
    fit.add_argument('--metadata', type=Path, required=True, metavar='M.json')
    fit.add_argument('--output', type=Path, required=True, metavar='OUT.csv')
    fit.add_argument('--release', type=Path, metavar='FILE', help='also save the release')
    fit.add_argument(
        '--report',
        type=Path,
        metavar='FILE.html',
        help='also write a page of scores and plots; it reads the real table and is not private',
    )
    fit.add_argument(
        '--public-domain',
        nargs='*',
        default=None,
        metavar='COLUMN',
        help='attest that the ranges in the metadata of these columns (of all, if none is named) '
        'do not come from the data',
    )
    fit.add_argument(
        '--mechanism',
        choices=tuple(RELATIONS),
        default='histogram',
        help='what is measured; default: %(default)s',
    )
    fit.add_argument(
        '--target-columns',
        nargs='+',
        metavar='COLUMN',
        help='columns that matter most, such as one to predict; a public hint',
    )
    fit.add_argument('--table-name', metavar='NAME', help='which table of the metadata')
    demo.add_argument('--epsilon', type=float, default=1.0, help='default: %(default)s')
    fit.add_argument('--epsilon', type=float, required=True, help='privacy budget')
    for command in (demo, fit):
        command.add_argument('--delta', type=float, default=1e-6, help='default: %(default)s')
        command.add_argument('--rows', type=int, metavar='N', help='number of rows to sample')
        command.add_argument('--seed', type=int, help='of the training; the noise cannot be seeded')


def _prepare_demo(options: argparse.Namespace) -> Run:
    from sdv_slicedp.datasets import load_adult

    folder: Path = options.output_dir
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"--output-dir '{folder}' is a file.")
    with _step('load Adult', {}):
        tables, metadata = load_adult()
    run = Run(
        metadata=metadata,
        tables=tables,
        synthesizer=_synthesizer(options, metadata, public_domain=True),
        rows=len(tables['adult']) if options.rows is None else _row_count(options.rows),
        output=folder / 'synthetic.csv',
        release=folder / 'adult.release',
        page=folder / 'report.html',
    )
    folder.mkdir(parents=True, exist_ok=True)
    return run


def _prepare_fit(options: argparse.Namespace) -> Run:
    rows = None if options.rows is None else _row_count(options.rows)
    if not options.table.is_file():
        raise FileNotFoundError(f"There is no table file '{options.table}'.")
    metadata = load_metadata(options.metadata, options.table_name)
    (table_name,) = metadata.tables
    public_domain: bool | list[str] = options.public_domain or options.public_domain is not None
    synthesizer = _synthesizer(options, metadata, public_domain=public_domain)
    _check_outputs(options)
    timings: dict[str, float] = {}
    with _step('read', timings):
        table = read_table(options.table, metadata.tables[table_name].columns)
    return Run(
        metadata=metadata,
        tables={table_name: table},
        synthesizer=synthesizer,
        rows=rows,
        output=options.output,
        release=options.release,
        page=options.report,
        timings=timings,
    )


def _synthesizer(
    options: argparse.Namespace, metadata: Metadata, public_domain: bool | list[str]
) -> SlicedDPSynthesizer:
    return SlicedDPSynthesizer(
        metadata,
        epsilon=options.epsilon,
        delta=options.delta,
        public_domain=public_domain,
        mechanism=getattr(options, 'mechanism', 'histogram'),
        target_columns=getattr(options, 'target_columns', None),
        random_state=options.seed,
        verbose=True,
    )


def _row_count(rows: int) -> int:
    if rows < 1:
        raise ValueError(f'--rows must be at least 1, not {rows}.')
    return rows


def _check_outputs(options: argparse.Namespace) -> None:
    outputs = [path for path in (options.output, options.release, options.report) if path]
    used = [path.resolve() for path in (*outputs, options.table, options.metadata)]
    if len(set(used)) < len(used):
        raise ValueError('--output, --release, --report, the table and the metadata must differ.')


def work(run: Run) -> None:
    """Fit, sample and write every file."""
    # Nothing may fail for want of a place to write after the budget is spent.
    for path in (run.output, run.release, run.page):
        if path is not None:
            check_writable(path)
    (table_name,) = run.tables
    with _step('fit', run.timings):
        run.synthesizer.fit(run.tables)
    if run.release is not None:
        run.synthesizer.get_release().save(run.release)
    rows = _noisy_row_count(run) if run.rows is None else run.rows
    with _step('sample', run.timings):
        synthetic = run.synthesizer.sample(num_rows=rows)
    write_table(run.output, synthetic[table_name])
    if run.page is not None:
        _evaluate(run, synthetic)
    print(run.synthesizer.get_privacy_report())
    print('\nFiles')
    for path in (run.output, run.release, run.page):
        if path is not None:
            print(f'  {path}{"  (shows real data: not private)" if path == run.page else ""}')
    print('Timings: ' + ', '.join(f'{name} {spent:.1f} s' for name, spent in run.timings.items()))


def _noisy_row_count(run: Run) -> int:
    release = run.synthesizer.get_release()
    if not release.columns:
        raise ValueError('no column is measured, so there is no count of the rows: give --rows.')
    rows = round(release.noisy_rows)
    say(f'no --rows given: sampling {rows:,}, the noisy number of rows in the release')
    return rows


def _evaluate(run: Run, synthetic: dict[str, pd.DataFrame]) -> None:
    from sdv_slicedp.page import PageContent, compare, render_page

    (table_name,) = run.tables
    with _step('evaluate', run.timings):
        comparison = compare(run.tables, synthetic, run.metadata)
    content = PageContent(
        table_name=table_name,
        privacy=run.synthesizer.get_privacy_report(),
        release=run.synthesizer.get_release(),
        losses=run.synthesizer.get_loss_values(),
        synthetic=synthetic[table_name],
        columns=run.metadata.tables[table_name].columns,
        comparison=comparison,
        timings=run.timings,
    )
    if run.page is not None:
        write_text(run.page, render_page(content))
    print('Quality (SDMetrics, read from the real table: not private)')
    print(f'  quality     {_score(comparison.evaluation.quality)}')
    print(f'  diagnostic  {_score(comparison.evaluation.diagnostic)}\n')


def _score(score: float) -> str:
    return '-' if math.isnan(score) else f'{score:.3f}'


@contextmanager
def _step(name: str, timings: dict[str, float]) -> Iterator[None]:
    say(f'{name} ...')
    start = time.perf_counter()
    yield
    timings[name] = time.perf_counter() - start
    say(f'{name}: {timings[name]:.1f} s')


def say(message: str) -> None:
    """Tell the user on stderr, in one line."""
    print(f'sdv-slicedp: {message}', file=sys.stderr, flush=True)
