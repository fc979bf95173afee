"""The ablation script: that each variant takes out what it says, and nothing stays changed."""

import sys
from pathlib import Path

import numpy as np
import pytest

from sdv_slicedp import balancing, coupling, denoising, heads, mechanism, training
from sdv_slicedp.accounting import Ledger
from sdv_slicedp.domain import CategoricalDomain, NumericalDomain
from sdv_slicedp.levels import Level
from sdv_slicedp.mechanism import measure

with pytest.MonkeyPatch.context() as _patch:
    _patch.setattr(sys, 'path', [str(Path(__file__).parents[1] / 'benchmarks'), *sys.path])
    import ablation


def release():
    import pandas as pd

    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, (400, 3))
    codes[:, 2] = codes[:, 0] ^ codes[:, 1]
    frame = pd.DataFrame({name: codes[:, i].astype(object) for i, name in enumerate('abc')})
    domains = [CategoricalDomain(name, 'categorical', (0, 1), False) for name in 'abc']
    return measure(frame, domains, epsilon=5.0, delta=1e-6, ledger=Ledger())


def test_every_variant_leaves_the_package_as_it_was():
    def state():
        return (
            mechanism.HistogramPlan,
            denoising._three_way,
            training.denoise,
            training.denoise_about,
            training.entropy_pull,
            training.GROWN_FROM,
            training.enough_components,
            heads.KEPT,
            balancing.MOST_BALANCED,
            coupling.COUPLED_FROM,
            ablation.column_laws.number_counts,
            ablation.grid.ROOT_CELLS,
        )

    before = state()
    for name, variant in ablation.VARIANTS.items():
        with variant():
            changed = state() != before
        assert changed == (name not in ('as it is', 'the target named')), name
        assert state() == before


def test_variants_take_out_what_they_say():
    with ablation.VARIANTS['no slices of hubs']():
        assert all(len(m.columns) == 2 for m in release().marginals)
    measured = release()
    assert any(len(m.columns) == 3 for m in measured.marginals)
    (law, *_) = training.denoise(measured).hubs[0].tables.values()
    with ablation.VARIANTS['training on pairs only']():
        assert training.denoise(measured).hubs == ()
    with ablation.VARIANTS['three columns only as implied']():
        (implied, *_) = training.denoise(measured).hubs[0].tables.values()
    assert np.abs(implied - law).sum() > 0.5  # of an exclusive or, pairs show nothing


def test_numbers_by_least_squares_have_its_counts():
    cells = np.arange(4)
    level = Level(cells, cells, np.array([900, -7, 4, 1100]), 5.0)
    domain = NumericalDomain('x', 'numerical', 0, 3, (1, 1), False)
    with ablation.VARIANTS['numbers by least squares']():
        _, counts = ablation.column_laws.column_law(domain, [level], 2000.0)
    assert counts.tolist() == [900, 0, 4, 1100]
    with ablation.VARIANTS['32 cells at first']():
        assert (
            len(ablation.grid.root_cells(NumericalDomain('x', 'numerical', 0, 99, (1, 1), False)))
            == 32
        )


def test_figures():
    assert set(ablation.FIGURES) >= {'tv2', 'auc'}
    assert ablation._figure('fit_cpu_s', [1.0, 2.0, 4.0]) == '2.0'
    assert ablation._figure('auc', [float('nan')]) == '-'
