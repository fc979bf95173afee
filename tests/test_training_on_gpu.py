"""Training on a GPU: the same models as on the CPU. Skipped where PyTorch sees no GPU."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sdv.utils import load_synthesizer
from small_projections import category, number, projection_release
from small_releases import release_of, whole_counts
from torch import nn

from sdv_slicedp import SlicedDPSynthesizer
from sdv_slicedp.datasets import load_adult
from sdv_slicedp.release import Release
from sdv_slicedp.training import train
from sdv_slicedp.training_plan import TrainingPlan

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='PyTorch sees no GPU')

PLAN = TrainingPlan(n_training_slices=90, slices_per_step=30, batch_size=128)
GENERATORS = ['mixture', 'mlp', 'residual_mlp', nn.Sequential(nn.Linear(64, 32))]


def histograms() -> Release:
    law = np.random.default_rng(0).dirichlet(np.full(24, 0.7)).reshape(2, 3, 4)
    return release_of(whole_counts(law, 10**7))


def projections(slices: int | None = None) -> Release:
    rng = np.random.default_rng(0)
    kind = rng.choice(3, 3000, p=[0.5, 0.3, 0.2])
    rows = [kind, 4 * kind + rng.integers(0, 4, 3000), (kind + (rng.random(3000) < 0.3)) % 4]
    columns = [category('a', 3), number('x', 0, 11), category('c', 4)]
    return projection_release(columns, rows, slices=slices)


@pytest.mark.parametrize('epochs', [2, 60])
def test_a_mixture_is_that_of_the_cpu(epochs: int):
    release = histograms()

    ours, theirs = (
        train(release, seed=0, epochs=epochs, n_components=60, device=device)
        for device in ('cuda', 'cpu')
    )

    for mine, other in zip(ours.components, theirs.components, strict=True):
        np.testing.assert_allclose(mine, other, atol=2e-3)
    np.testing.assert_allclose(ours.loss_values['Loss'], theirs.loss_values['Loss'], rtol=0.05)


@pytest.mark.parametrize('generator', GENERATORS)
@pytest.mark.parametrize('slices', ['none', 'few', 'complete'])
def test_every_generator_learns_and_goes_on(generator: str | nn.Module, slices: str):
    release = histograms() if slices == 'none' else projections(3 if slices == 'few' else None)
    options = {'generator': generator, 'seed': 0, 'plan': PLAN, 'n_components': 60}

    model = train(release, epochs=60, device='cuda', **options)
    further = train(release, epochs=5, device='cuda', start=model, **options)

    for trained in (model, further):
        losses = trained.loss_values['Loss']
        assert len(losses)
        assert np.isfinite(losses).all()
        assert len(trained.sample(50)) == 50
    first = model.loss_values['Loss']
    if slices != 'few':  # there, losses are of other slices and other draws at every step
        assert first.tail(5).mean() < first.head(1).mean()


def test_a_synthesizer_trained_on_a_gpu_needs_none_later(tmp_path: Path):
    tables, metadata = load_adult()
    few = {'adult': tables['adult'].head(3000)}
    synthesizer = SlicedDPSynthesizer(metadata, epsilon=1.0, public_domain=True, random_state=0)

    synthesizer.fit(few)

    assert synthesizer.enable_gpu
    path = tmp_path / 'synthesizer.pkl'
    synthesizer.save(path)
    assert b'cuda' not in path.read_bytes()
    loaded = load_synthesizer(path)
    loaded.reset_sampling()
    synthesizer.reset_sampling()
    pd.testing.assert_frame_equal(
        loaded.sample(num_rows=200)['adult'], synthesizer.sample(num_rows=200)['adult']
    )
