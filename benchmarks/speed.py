"""Time and memory of fitting and sampling.

    python benchmarks/speed.py                          all cases, three runs of each
    python benchmarks/speed.py --cases adult adult-1M   some of them
    python benchmarks/speed.py --table T.csv --metadata M.json
    python benchmarks/speed.py --cases adult-1M --profile   where the time goes
    python benchmarks/speed.py --no-gpu                 on the CPU, where there is a GPU

Every run is a process of its own. Peak memory is how far the resident memory of the process rises
above what it was before, with the table already loaded; only Linux tells.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cases import Case, load

CASES = (
    Case('adult', 'adult'),
    Case('adult-10k', 'adult', rows=10_000),
    Case('adult-100k', 'adult', rows=100_000),
    Case('adult-1M', 'adult', rows=1_000_000),
    Case('adult-30-columns', 'adult', columns=30),
    Case('adult-60-columns', 'adult', columns=60),
    Case('independent-15-columns', 'independent', rows=50_000, columns=15),
    Case('independent-30-columns', 'independent', rows=50_000, columns=30),
    Case('independent-60-columns', 'independent', rows=50_000, columns=60),
    Case('independent-120-columns', 'independent', rows=50_000, columns=120),
)
MEGABYTE = 2**20


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    if options.case:
        print(json.dumps(measured(Case(**json.loads(options.case)), options)))
        return
    chosen = _chosen(options)
    print(_machine(options.gpu))
    print(_header())
    results = []
    for case in chosen:
        runs = [_run_alone(case, options) for _ in range(1 if options.profile else options.repeats)]
        results.append(_median(runs))
        print(_line(results[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding='utf-8')


def measured(case: Case, options: argparse.Namespace) -> dict[str, Any]:
    """Fit and sample once, in this process."""
    start = time.perf_counter()
    from sdv_slicedp import SlicedDPSynthesizer

    imported = time.perf_counter() - start
    tables, metadata = load(case)
    (table,) = tables.values()
    # SDMetrics and others advise on columns; that is not what is measured here.
    warnings.simplefilter('ignore')
    synthesizer = SlicedDPSynthesizer(
        metadata,
        epsilon=options.epsilon,
        delta=options.delta,
        public_domain=options.public_domain,
        enable_gpu=options.gpu,
        random_state=0,
    )
    rows = options.rows or len(table)
    fit = _measure(lambda: synthesizer.fit(tables), options.profile)
    sample = _measure(lambda: synthesizer.sample(num_rows=rows), options.profile)
    release = synthesizer.get_release()
    return {
        'case': case.name,
        'rows': len(table),
        'columns': len(table.columns),
        'table_mb': table.memory_usage(deep=False).sum() / MEGABYTE,
        'table_deep_mb': table.memory_usage(deep=True).sum() / MEGABYTE,
        'pairs': len({m.columns for m in release.marginals if len(m.columns) == 2}),
        'cells': sum(column.n_bins for column in release.columns),
        'import_s': imported,
        'sampled': rows,
        **{f'fit_{key}': value for key, value in fit.items()},
        **{f'sample_{key}': value for key, value in sample.items()},
    }


def _measure(work: Callable[[], Any], profile: bool) -> dict[str, float]:
    """Wall and CPU seconds of ``work``, and the rise of the memory peak in MB."""
    before = _memory('VmRSS')
    _reset_peak()
    profiler = cProfile.Profile() if profile else None
    wall, cpu = time.perf_counter(), time.process_time()
    if profiler is None:
        kept = work()
    else:
        kept = profiler.runcall(work)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = _memory('VmHWM') - before
    del kept
    if profiler is not None:
        statistics_of = pstats.Stats(profiler, stream=sys.stderr)
        statistics_of.sort_stats('cumulative').print_stats(45)
        statistics_of.sort_stats('tottime').print_stats(25)
    return {'s': wall, 'cpu_s': cpu, 'peak_mb': peak}


def _memory(key: str) -> float:
    """A figure of this process in MB; NaN where the system does not tell."""
    try:
        lines = Path('/proc/self/status').read_text(encoding='ascii').splitlines()
    except OSError:
        return float('nan')
    found = [line.split()[1] for line in lines if line.startswith(f'{key}:')]
    return int(found[0]) / 1024 if found else float('nan')


def _reset_peak() -> None:
    try:
        Path('/proc/self/clear_refs').write_text('5', encoding='ascii')
    except OSError:
        print('the memory peak cannot be reset here: peaks include the import', file=sys.stderr)


def _run_alone(case: Case, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, '--case', json.dumps(case.as_dict())]
    command += ['--epsilon', str(options.epsilon), '--delta', str(options.delta)]
    command += ['--rows', str(options.rows)] if options.rows else []
    command += [] if options.public_domain else ['--no-public-domain']
    command += [] if options.gpu else ['--no-gpu']
    command += ['--profile'] if options.profile else []
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def _median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    first = runs[0]
    return {
        key: statistics.median(run[key] for run in runs) if isinstance(value, float) else value
        for key, value in first.items()
    }


def _chosen(options: argparse.Namespace) -> list[Case]:
    cases = [case for case in CASES if options.cases is None or case.name in options.cases]
    if options.table:
        name = Path(options.table).name.split('.')[0]
        own = Case(name, 'file', table=str(options.table), metadata=str(options.metadata))
        cases = [own] if options.cases is None else [*cases, own]
    return cases


def _machine(gpu: bool) -> str:
    import torch

    used = torch.cuda.get_device_name() if gpu and torch.cuda.is_available() else 'no GPU'
    return (
        f'{os.cpu_count()} cores, {used}, torch {torch.__version__} with '
        f'{torch.get_num_threads()} threads, Python {sys.version.split()[0]}\n'
    )


def _header() -> str:
    names = (
        'case', 'rows', 'columns', 'pairs', 'cells', 'fit s', 'fit CPU s', 'fit peak MB',
        'sample s', 'sample CPU s', 'sample peak MB', 'table MB',
    )  # fmt: skip
    return f'| {" | ".join(names)} |\n|{"---|" * len(names)}'


def _line(result: dict[str, Any]) -> str:
    cells = [
        result['case'],
        f'{result["rows"]:,}',
        f'{result["columns"]}',
        f'{result["pairs"]:,}',
        f'{result["cells"]:,}',
        f'{result["fit_s"]:.1f}',
        f'{result["fit_cpu_s"]:.1f}',
        f'{result["fit_peak_mb"]:.0f}',
        f'{result["sample_s"]:.1f}',
        f'{result["sample_cpu_s"]:.1f}',
        f'{result["sample_peak_mb"]:.0f}',
        f'{result["table_mb"]:.0f} ({result["table_deep_mb"]:.0f})',
    ]
    return f'| {" | ".join(cells)} |'


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [case.name for case in CASES]
    parser.add_argument('--cases', nargs='+', choices=names, metavar='CASE', help=', '.join(names))
    parser.add_argument('--table', type=Path, metavar='CSV', help='a table of your own')
    parser.add_argument('--metadata', type=Path, metavar='JSON', help='its SDV metadata')
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--epsilon', type=float, default=1.0)
    parser.add_argument('--delta', type=float, default=1e-6)
    parser.add_argument('--rows', type=int, help='rows to sample; as many as the table has')
    parser.add_argument('--no-public-domain', dest='public_domain', action='store_false')
    parser.add_argument('--no-gpu', dest='gpu', action='store_false', help='train on the CPU')
    parser.add_argument('--profile', action='store_true', help='print where the time goes')
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write the figures here')
    parser.add_argument('--case', help=argparse.SUPPRESS)
    return parser


if __name__ == '__main__':
    main()
