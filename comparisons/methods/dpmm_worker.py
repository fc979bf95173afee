"""Fits and samples with dpmm, in the environment that holds it.

Run as ``python dpmm_worker.py fit FOLDER`` or ``sample FOLDER``. It imports nothing of ours: all
that it is told and tells is in CSV and JSON files of the folder.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

PACKAGES = ('dpmm', 'opendp', 'numpy', 'pandas', 'scipy')


def fit(folder: Path) -> None:
    """Fit on ``table.csv`` as ``request.json`` says, store the model, write ``response.json``."""
    from dpmm.pipelines import AIMPipeline, MSTPipeline

    request = json.loads((folder / 'request.json').read_text(encoding='utf-8'))
    table = pd.read_csv(folder / 'table.csv', float_precision='round_trip')
    choices = {name: cells for name, cells in request['cells'].items() if name in table}
    # Without the category type, dpmm takes codes for numbers and bins them.
    table = table.astype({n: pd.CategoricalDtype(range(cells)) for n, cells in choices.items()})
    pipeline = {'AIM': AIMPipeline, 'MST': MSTPipeline}[request['mechanism']](
        epsilon=request['model_epsilon'],
        delta=request['delta'],
        proc_epsilon=request['binning_epsilon'],
        max_model_size=request['max_model_size'],
        n_jobs=1,
        gen_kwargs=request['options'],
    )
    domain = {name: {'categories': list(range(cells))} for name, cells in choices.items()}
    bounds = {n: {'lower': low, 'upper': high} for n, (low, high) in request['bounds'].items()}
    pipeline.fit(table, domain={**domain, **bounds}, random_state=request['seed'])
    (folder / 'model').mkdir()
    pipeline.store(folder / 'model')
    response = {
        'rho': rho_spent(request['mechanism'], pipeline.gen.generator),
        'binning_epsilon': sum(pipeline.proc.spent_epsilon.values()),
        'versions': {name: version(name) for name in PACKAGES},
    }
    (folder / 'response.json').write_text(json.dumps(response), encoding='utf-8')


def rho_spent(mechanism: str, generator: Any) -> float:
    """Concentrated privacy of the noise that was drawn, selections included; for dpmm 0.1.9.

    A row moves counts by one, so noise of standard deviation s on them costs 1 / (2 s^2). It moves
    the scores of a selection by their sensitivity, and an exponential mechanism of epsilon e,
    that is of weights exp(e score / (2 sensitivity)), costs e^2 / 8 (Cesar and Rogers 2021,
    arXiv:2004.07223). The third entry of a measurement is s, except in MST.

    AIM measures each of the columns, then in each round selects with e and measures with s.
    A round starts from 1 / (2 s^2) = 0.9 r and e^2 / 8 = 0.1 r for some r; it may halve s and
    double e, which keeps their ratio. So a round costs 1 / (2 s^2) / 0.9.

    MST measures d columns and, if d > 1, selects and measures d - 1 pairs. It stores s but draws
    with s sqrt(d), the pairs too; so each costs 1 / (2 s^2 d). Its selections have
    e^2 / 8 = rho / 3 / (d - 1): together rho / 3, by its own rho, for e is not stored.

    Args:
        mechanism: ``AIM`` or ``MST``.
        generator: Fitted one of dpmm: ``measures``, ``cliques``, and ``rho`` of MST.
    """
    sigmas = np.array([sigma for _, _, sigma, _ in generator.measures], dtype=np.float64)
    costs = 1 / (2 * sigmas**2)
    # Rounds of AIM may measure a column again.
    columns = len({names for names in generator.cliques if len(names) == 1})
    if mechanism == 'MST':
        selecting = generator.rho / 3 if columns > 1 else 0.0
        return float(costs.sum() / columns + selecting)
    return float(costs[:columns].sum() + costs[columns:].sum() / 0.9)


def sample(folder: Path) -> None:
    """Write the rows that ``sample.json`` asks for into ``sample.csv``."""
    from dpmm.pipelines.base import GenerativePipeline

    request = json.loads((folder / 'sample.json').read_text(encoding='utf-8'))
    pipeline = GenerativePipeline.load(folder / 'model')
    rows = pipeline.generate(n_records=request['rows'], random_state=request['seed'])
    rows.to_csv(folder / 'sample.csv', index=False)


if __name__ == '__main__':
    {'fit': fit, 'sample': sample}[sys.argv[1]](Path(sys.argv[2]))
