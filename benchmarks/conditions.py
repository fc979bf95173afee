"""Time of conditional sampling on the embedded Adult table.

    python benchmarks/conditions.py
    python benchmarks/conditions.py --generator mlp --rows 10000

Three cases: many rows of three conditions, rows with conditions that differ from row to row, and a
combination that hardly occurs. The fit is not timed.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Sequence

import pandas as pd
from sdv.sampling import DataFrameCondition

from sdv_slicedp import SlicedDPSynthesizer
from sdv_slicedp.datasets import load_adult

COMMON = {'sex': 'Female', 'education': 'Bachelors', 'age': 30}
RARE = {'sex': 'Male', 'native_country': 'Holand-Netherlands', 'age': 90}
KNOWN = ['age', 'education', 'occupation', 'hours_per_week']


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    warnings.simplefilter('ignore')  # of SDV on metadata that were not saved
    tables, metadata = load_adult()
    table = tables['adult'].head(options.fit_rows)
    synthesizer = SlicedDPSynthesizer(
        metadata,
        public_domain=True,
        generator=options.generator,
        epochs=options.epochs,
        random_state=0,
    )
    synthesizer.fit({'adult': table})
    known = tables['adult'][KNOWN].sample(options.known_rows, replace=True, random_state=0)
    cases = {
        'three conditions': pd.DataFrame(COMMON, index=range(options.rows)),
        'three rare conditions': pd.DataFrame(RARE, index=range(options.rows)),
        f'{known.drop_duplicates().shape[0]:,} different rows of four conditions': known,
    }
    print('| conditions | rows | seconds | CPU seconds |\n|---|---|---|---|')
    for name, conditions in cases.items():
        wanted = [DataFrameCondition(conditions)]
        rows = timed(name, len(conditions), lambda w=wanted: synthesizer.sample_from_conditions(w))
        asked = conditions.reset_index(drop=True)
        same = (rows[list(asked)] == asked) | (rows[list(asked)].isna() & asked.isna())
        assert len(rows) == len(conditions) and same.all(axis=None)
    timed('none, `sample`', options.rows, lambda: synthesizer.sample(options.rows))


def timed(name: str, count: int, work: Callable[[], dict[str, pd.DataFrame]]) -> pd.DataFrame:
    """The rows that were sampled; prints a line of the table."""
    wall, cpu = time.perf_counter(), time.process_time()
    rows = work()['adult']
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f'| {name} | {count:,} | {wall:.1f} | {cpu:.1f} |', flush=True)
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--generator', default='mixture')
    parser.add_argument('--epochs', type=int, help='of the fit, which is not timed')
    parser.add_argument('--rows', type=int, default=100_000)
    parser.add_argument('--known-rows', type=int, default=10_000)
    parser.add_argument('--fit-rows', type=int, default=50_000)
    return parser


if __name__ == '__main__':
    main()
