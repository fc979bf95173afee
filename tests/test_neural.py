import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import chi2
from torch import nn

from sdv_slicedp.denoising import Target
from sdv_slicedp.domain import CategoricalDomain
from sdv_slicedp.fitting import cell_laws
from sdv_slicedp.models import neural_model
from sdv_slicedp.networks import Headed, headed
from sdv_slicedp.neural import NeuralModel, ShownCells
from sdv_slicedp.release import ColumnRelease

pytestmark = pytest.mark.filterwarnings('error')

SIZES = [3, 4]
LOSSES = pd.DataFrame({'Epoch': [0], 'Loss': [1.0]})


def column(name: str, size: int, other: bool) -> ColumnRelease:
    values = tuple(f'{name}{i}' for i in range(size - other))
    cells = np.arange(size)
    domain = CategoricalDomain(name, 'categorical', values, False, other)
    return ColumnRelease(domain, (), cells, cells, cells, size)


def model_of(network: nn.Module, other: bool = False) -> NeuralModel:
    columns = [column('a', 3, False), column('b', 4, other)]
    laws = (np.full(3, 1 / 3), np.array([0.2, 0.3, 0.1, 0.4]))
    return neural_model(columns, Target(laws, laws, (), (), np.zeros(0)), network, LOSSES)


class Sides(nn.Module):
    """The sign of one latent number decides both columns."""

    latent_dim = 1

    def forward(self, latent):
        side = torch.sign(latent)
        return torch.cat(
            [side * torch.tensor([2.0, 0, -2]), side * torch.tensor([2.0, 1, 0, -1])], 1
        )


def table_of(sample: pd.DataFrame) -> np.ndarray:
    values = [[f'a{i}' for i in range(3)], [f'b{i}' for i in range(4)]]
    table = pd.crosstab(sample['a'], sample['b'])
    return table.reindex(index=values[0], columns=values[1], fill_value=0).to_numpy()


def test_rows_follow_the_laws_of_the_network():
    """A chi-square test of the 12 pairs at 1e-9; independent columns are told apart.

    Rows of a batch are spread evenly, so that the statistic is if anything too small.
    """
    model = model_of(Sides())
    model.set_random_state(0)
    counts = table_of(model.sample(20_000))
    laws = cell_laws(Sides()(torch.tensor([[-1.0], [1.0]])), SIZES).numpy()
    truth = laws[:, :3].T @ laws[:, 3:] / 2

    def statistic(law):
        return float(((counts - law * 20_000) ** 2 / (law * 20_000)).sum())

    limit = float(chi2.isf(1e-9, 11))
    assert statistic(truth) < limit
    assert statistic(np.outer(truth.sum(axis=1), truth.sum(axis=0))) > limit


@pytest.mark.parametrize('count', [0, 1, 17, 4096, 9000])
def test_as_many_rows_as_asked_for(count):
    sample = model_of(Sides()).sample(count)

    assert list(sample.columns) == ['a', 'b']
    assert sample.index.equals(pd.RangeIndex(count))
    assert set(sample['b']) <= {'b0', 'b1', 'b2', 'b3'}


def test_the_seed_gives_the_rows():
    model = model_of(headed('mlp', torch.zeros(7), 0))
    samples = []
    for seed in (1, 1, 2):
        model.set_random_state(seed)
        samples.append(model.sample(50))
    pd.testing.assert_frame_equal(samples[0], samples[1])
    assert not samples[0].equals(samples[2])
    assert not samples[2].equals(model.sample(50))


def test_the_remainder_is_not_shown():
    hidden = torch.tensor([[0.0, 0, 0, 0, 1, 0, 9]])
    network = Headed(nn.Sequential(nn.Linear(64, 2), nn.Threshold(1e9, 0.0)), hidden[0])
    model = model_of(network, other=True)
    model.set_random_state(0)

    shares = model.sample(5000)['b'].value_counts(normalize=True)

    assert set(shares.index) == {'b0', 'b1', 'b2'}
    np.testing.assert_allclose(shares[['b0', 'b1', 'b2']], np.array([2, 3, 1]) / 6, atol=0.02)


def test_what_is_hidden_goes_by_the_law():
    show = ShownCells(np.array([0, 2]), np.array([0.3, 0.4, 0.1, 0.2]))
    table = np.array([[0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5], [0.2, 0.2, 0.2, 0.4]], dtype=np.float32)

    np.testing.assert_allclose(show(table), [[0.5, 0.5], [0.75, 0.25], [0.65, 0.35]], rtol=1e-6)


def test_a_network_is_in_evaluation():
    model = model_of(headed(nn.Sequential(nn.Linear(64, 4), nn.Dropout(0.5)), torch.zeros(7), 0))
    assert not any(module.training for module in model.network.modules())


@pytest.mark.parametrize('generator', ['mlp', 'residual_mlp', nn.Sequential(nn.Linear(64, 4))])
def test_copies_sample_the_same(generator):
    model = model_of(headed(generator, torch.zeros(7), 0), other=True)
    model.set_random_state(3)
    twins = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    expected = model.sample(100)
    for twin in twins:
        pd.testing.assert_frame_equal(twin.sample(100), expected)
        pd.testing.assert_frame_equal(twin.loss_values, LOSSES)
