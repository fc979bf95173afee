"""Runs cells in processes of their own and writes one JSON line for each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

from comparisons.cells import Cell, Record

ROOT = Path(__file__).resolve().parents[1]
_LAST_LINES = 3


@dataclass(frozen=True)
class Limits:
    """How cells are run.

    Attributes:
        jobs: Cells at a time; each has one thread.
        seconds: Longest time of a cell, scoring included.
    """

    jobs: int
    seconds: float


def run_cells(
    cells: Sequence[Cell], output: Path, limits: Limits, say: Callable[[str], None] = print
) -> list[Record]:
    """Run all cells; what one of them fails at is in its record and stops no other.

    Args:
        cells: What to run.
        output: JSON lines are appended to it, each as soon as its cell has ended.
        limits: How cells are run.
        say: Receives a line for each cell.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    _end_cut_off_line(output)
    records: list[Record] = []
    pool = ThreadPoolExecutor(limits.jobs)
    try:
        futures = [pool.submit(run_cell, cell, limits.seconds) for cell in cells]
        for future in as_completed(futures):
            records.append(future.result())
            _append(output, records[-1])
            say(progress_line(records, len(cells), limits.jobs))
    finally:
        pool.shutdown(cancel_futures=True)
    return records


def run_cell(cell: Cell, seconds: float) -> Record:
    """Record of a cell: ``done``, ``failed``, ``refused`` (it overspent) or ``timeout``."""
    command = [sys.executable, '-m', 'comparisons.cell', json.dumps(asdict(cell))]
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=seconds)
        found = _outcome(process.returncode, out, err)
    except subprocess.TimeoutExpired:
        found = {'status': 'timeout', 'error': f'stopped after {seconds:g} s'}
    finally:
        _end(process)
    return {'cell': asdict(cell), 'wall_s': time.perf_counter() - started, **found}


def _end(process: subprocess.Popen[str]) -> None:
    """With all that it started: methods may run others in environments of their own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.communicate()


def _outcome(code: int, out: str, err: str) -> Record:
    if code == 0:
        record: Record = json.loads(out.splitlines()[-1])
        return {'status': 'done', **record}
    lines = err.strip().splitlines()[-_LAST_LINES:] or [f'ended with status {code}']
    refused = any('OverspentError' in line for line in lines)
    return {'status': 'refused' if refused else 'failed', 'error': ' | '.join(lines)}


def progress_line(records: Sequence[Record], total: int, jobs: int) -> str:
    """What the last cell came to, and about how long the rest will take."""
    last = records[-1]
    cell, left = last['cell'], total - len(records)
    minutes = left * mean(record['wall_s'] for record in records) / jobs / 60
    name = f'{cell["dataset"]} {cell["method"]}'
    name += '' if cell['epsilon'] is None else f' epsilon {cell["epsilon"]:g}'
    error = f': {last["error"]}' if 'error' in last else ''
    return (
        f'{len(records)}/{total} {name} seed {cell["seed"]}: {last["status"]} in '
        f'{last["wall_s"]:.0f} s{error} (about {minutes:.0f} min left)'
    )


def _append(output: Path, record: Record) -> None:
    with output.open('a', encoding='utf-8') as file:
        file.write(json.dumps(record) + '\n')
        file.flush()
        os.fsync(file.fileno())


def _end_cut_off_line(output: Path) -> None:
    """A run that was killed while writing leaves a line without its end."""
    if output.exists() and output.stat().st_size and not output.read_bytes().endswith(b'\n'):
        with output.open('a', encoding='utf-8') as file:
            file.write('\n')
