"""Fits a mechanism of dpmm, in its environment, and notes what every access to the rows costs.

``python dpmm_ledger.py MECHANISM FOLDER_OF_THE_WORKER`` prints the request, what the worker
recomputes, and the sum of what was noted.
"""

import json
import sys

import numpy as np
import pandas as pd

sys.path.insert(0, sys.argv[2])
import dpmm_worker
from dpmm.models import aim, mst
from dpmm.models.base.mechanisms import mechanism as shared

costs = []


def noting_noise(draw):
    def noise(sigma, size=None):
        costs.append(1 / (2 * sigma**2))
        return draw(sigma=sigma, size=size)

    return noise


def noting_selection(select):
    def selection(self, scores, epsilon, sensitivity):
        costs.append(epsilon**2 / 8)
        return select(self, scores, epsilon, sensitivity)

    return selection


for module in (aim, shared):
    module.gaussian_noise = noting_noise(module.gaussian_noise)
for kind in (aim.AIM, mst.MST):
    kind.exponential_mechanism = noting_selection(kind.exponential_mechanism)
estimation = mst.FactoredInference
mst.FactoredInference = lambda domain, iters: estimation(domain, iters=20)  # of 2500

random = np.random.default_rng(0)
first = random.integers(0, 4, 3000)
table = pd.DataFrame({'a': first, 'b': first // 2, 'c': random.integers(0, 3, 3000), 'd': first})
options = {'rounds': 8} if sys.argv[1] == 'AIM' else {}
model = {'AIM': aim.AIM, 'MST': mst.MST}[sys.argv[1]](
    epsilon=2.0, delta=1e-5, prng=np.random.RandomState(0), n_iters=20, compress=True,
    domain={name: 5 for name in table}, n_jobs=1, **options,
)  # fmt: skip
model.fit(table)
found = [model.rho, dpmm_worker.rho_spent(sys.argv[1], model), sum(costs), len(costs)]
sys.stdout.write(json.dumps(found) + '\n')
