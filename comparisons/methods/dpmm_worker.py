"""Fits and samples with dpmm, in the environment that holds it.

Run as ``python dpmm_worker.py fit FOLDER`` or ``sample FOLDER``. It imports nothing of ours: all
that it is told and tells is in CSV and JSON files of the folder.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from dpmm.pipelines import AIMPipeline, MSTPipeline
from dpmm.pipelines.base import GenerativePipeline

PIPELINES = {'AIM': AIMPipeline, 'MST': MSTPipeline}
PACKAGES = ('dpmm', 'opendp', 'numpy', 'pandas', 'scipy')


def fit(folder: Path) -> None:
    """Fit on ``table.csv`` as ``request.json`` says, store the model, write ``response.json``."""
    request = json.loads((folder / 'request.json').read_text(encoding='utf-8'))
    table = pd.read_csv(folder / 'table.csv', float_precision='round_trip')
    choices = {name: cells for name, cells in request['cells'].items() if name in table}
    # Without the category type, dpmm takes codes for numbers and bins them.
    table = table.astype({n: pd.CategoricalDtype(range(cells)) for n, cells in choices.items()})
    pipeline = PIPELINES[request['mechanism']](
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


def rho_spent(mechanism: str, generator: object) -> float:
    """Concentrated privacy of the noise that was drawn, selections included.

    Both mechanisms measure all single columns first. MST divides the rest of a third of its rho
    among measurements of equal weight, and spends a third on selecting; it keeps the noise
    before that weight. AIM selects with a ninth of what each later measurement costs.
    """
    sigmas = np.array([sigma for _, _, sigma, _ in generator.measures], dtype=float)
    costs = 1 / (2 * sigmas**2)
    singles = sum(len(names) == 1 for names in generator.cliques[: len(sigmas)])
    if mechanism == 'MST':
        return float(costs.sum() / max(singles, 1) + generator.rho / 3)
    # Later rounds may measure a single column again, so the first ones are told by position.
    first = len({names for names in generator.cliques if len(names) == 1})
    return float(costs[:first].sum() + costs[first:].sum() / 0.9)


def sample(folder: Path) -> None:
    """Write the rows that ``sample.json`` asks for into ``sample.csv``."""
    request = json.loads((folder / 'sample.json').read_text(encoding='utf-8'))
    pipeline = GenerativePipeline.load(folder / 'model')
    rows = pipeline.generate(n_records=request['rows'], random_state=request['seed'])
    rows.to_csv(folder / 'sample.csv', index=False)


if __name__ == '__main__':
    {'fit': fit, 'sample': sample}[sys.argv[1]](Path(sys.argv[2]))
