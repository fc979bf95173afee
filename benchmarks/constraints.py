"""An Inequality that is built in, against the same one by rejection alone.

Public made-up rows: ``low`` is skewed, ``high`` is ``low`` plus a waiting time that depends on it.
Prints, for each budget, the share of sampled rows that meet the constraint before rejection, and
the 2-way total variation distance of the rows that are given back from the table's.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import pandas as pd
from sdv.cag import Inequality
from sdv.metadata import Metadata

from sdv_slicedp.synthesizer import SlicedDPSynthesizer

TABLE = 'visits'
BINS = 25


def make_table(n_rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    low = np.minimum(rng.gamma(2.0, 12.0, n_rows), 120).astype(int)
    wait = np.minimum(rng.exponential(1 + low / 10), 80).astype(int)
    return pd.DataFrame({'low': low, 'high': low + wait, 'group': rng.integers(0, 4, n_rows)})


def described() -> Metadata:
    number = {'sdtype': 'numerical', 'decimal_places': 0, 'range_is_nullable': False}
    columns = {
        'low': {**number, 'range_min': 0, 'range_max': 120},
        'high': {**number, 'range_min': 0, 'range_max': 200},
        'group': {'sdtype': 'categorical', 'range_values': [0, 1, 2, 3]},
    }
    return Metadata.load_from_dict({'tables': {TABLE: {'columns': columns}}, 'relationships': []})


def distance(first: pd.DataFrame, second: pd.DataFrame) -> float:
    """Total variation of (low, high) on cells of equal width."""
    edges = [np.linspace(0, 200, BINS + 1)] * 2
    laws = [np.histogram2d(t['low'], t['high'], edges)[0] / len(t) for t in (first, second)]
    return float(np.abs(laws[0] - laws[1]).sum() / 2)


def measured(table: pd.DataFrame, epsilon: float, built_in: bool) -> tuple[float, float]:
    synthesizer = SlicedDPSynthesizer(described(), epsilon, 1e-6, public_domain=True)
    wanted = [Inequality('low', 'high')]
    if built_in:
        synthesizer.add_constraints(wanted)
    synthesizer.fit({TABLE: table})
    if not built_in:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            synthesizer.add_constraints(wanted)
    drawn = synthesizer._data_processor.reverse_transform(synthesizer._sample(len(table)))
    accepted = len(synthesizer.reverse_transform_constraints(drawn)) / len(drawn)
    return accepted, distance(synthesizer.sample(len(table))[TABLE], table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--epsilon', type=float, nargs='+', default=[0.2, 1.0, 5.0])
    parser.add_argument('--rows', type=int, default=20_000)
    parser.add_argument('--seeds', type=int, default=3)
    options = parser.parse_args()
    print('epsilon  constraint  accepted  2-way TV (mean, standard deviation)')
    for epsilon in options.epsilon:
        for built_in in (True, False):
            runs = np.array(
                [
                    measured(make_table(options.rows, seed), epsilon, built_in)
                    for seed in range(options.seeds)
                ]
            )
            name = 'built in' if built_in else 'rejection'
            accepted, total = runs.mean(axis=0)
            print(f'{epsilon:7g}  {name:10}  {accepted:8.3f}  {total:.4f} {runs[:, 1].std():.4f}')


if __name__ == '__main__':
    main()
