"""The random-slice benchmark, on a table that takes a second."""

from pathlib import Path

import numpy as np
import pytest

from sdv_slicedp import accounting
from sdv_slicedp.datasets import load_adult

pytest.importorskip('sklearn')
NAMES = ['age', 'workclass', 'education_num', 'sex', 'hours_per_week', 'income']


@pytest.fixture(autouse=True)
def _import_benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / 'benchmarks'))


def fitted(**plan):
    """Three slices of 3,000 rows and six columns of Adult."""
    from random_slices import RandomSliceSynthesizer, SlicePlan
    from sdv.metadata import Metadata

    tables, metadata = load_adult()
    columns = metadata.to_dict()['tables']['adult']['columns']
    described = {'tables': {'adult': {'columns': {name: columns[name] for name in NAMES}}}}
    synthesizer = RandomSliceSynthesizer(
        Metadata.load_from_dict(described), 2.0, 1e-5, public_domain=True, epochs=60
    )
    synthesizer.plan, synthesizer.random_state = SlicePlan(number=3, **plan), 0
    synthesizer.fit({'adult': tables['adult'][NAMES].head(3_000)})
    return synthesizer


@pytest.mark.parametrize('share', [0.0, 0.3, 1.0])
def test_the_ledger_has_the_slices_and_stays_within_the_budget(share):
    synthesizer = fitted(share=share, hub='income')
    ledger = synthesizer.get_release().ledger
    assert 1.9 < accounting.epsilon_spent(ledger, 1e-5) <= 2.0
    slices = sum(entry.slices for entry in ledger if entry.stage == 'slices')
    assert slices == len(synthesizer.answers) == (3 if share else 0)
    assert len(synthesizer.get_release().marginals) == (0 if share == 1 else 15)
    for answer in synthesizer.answers:
        assert abs(answer.sum() - 3_000) < 8 * synthesizer.sigma * np.sqrt(answer.size)


@pytest.mark.parametrize('width, hub', [(2, 'income'), (2, 'none'), (0, 'none')])
def test_the_laws_of_a_slice_are_near_exact_sampling(width, hub, monkeypatch):
    from sdv_slicedp.generator import draw_cells

    noise = np.random.default_rng(1)  # how normal a sum is depends on the noise of the pairs
    for module in ('sdv_slicedp.curator', 'random_slices'):
        monkeypatch.setattr(
            f'{module}.discrete_gaussian',
            lambda shape, sigma: np.rint(noise.normal(0, sigma, shape)).astype(np.int64),
        )
    synthesizer = fitted(share=0.3, width=width, hub=hub)
    rng, n_rows = np.random.default_rng(0), 200_000
    component = np.sort(np.arange(n_rows) % synthesizer.laws.shape[1])
    tables = np.split(synthesizer.laws.numpy(), synthesizer.offsets[1:-1])
    codes = [draw_cells(table.T, component, rng) for table in tables]
    for one, law in zip(synthesizer.asked, synthesizer.slices, strict=True):
        total = sum(s[codes[j]] for j, s in zip(one.columns, one.scores, strict=True))
        length = one.cells.max() + 1
        height = 1 if one.hub is None else len(tables[one.hub])
        cell = one.cells[total] + (0 if one.hub is None else length * codes[one.hub])
        sampled = np.bincount(cell, minlength=height * length).reshape(height, length) / n_rows
        exact = law.exact(synthesizer.laws).numpy()
        assert np.abs(exact - sampled).sum() / 2 < 0.01
        if hub == 'none':  # five columns: nearly normal, unless noise picks spikes; two are not
            normal = law.normal(synthesizer.laws).numpy()
            assert (np.abs(normal - sampled).sum() / 2 < 0.1) == (width == 0)
