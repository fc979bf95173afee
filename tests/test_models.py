import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_projections import category, number, projection_release, random_positions
from torch import nn

from sdv_slicedp.cells import cell_map
from sdv_slicedp.denoising import Target
from sdv_slicedp.fitting import cell_laws
from sdv_slicedp.models import mixture_logits, mixture_model, network_of, neural_model
from sdv_slicedp.moments import denoised_target, moments
from sdv_slicedp.networks import headed

pytestmark = pytest.mark.filterwarnings('error')

DOMAINS = [category('a', 3), number('x', 0, 999, missing=True), category('c', 2, other=True)]
LOSSES = pd.DataFrame({'Epoch': [0], 'Loss': [1.0]})


def columns_and_target(domains=DOMAINS):
    positions = random_positions(domains, 200, np.random.default_rng(0))
    release = projection_release(domains, positions)
    cells = cell_map(release)
    return cells.columns, denoised_target(cells, moments(release.projection))


def random_components(columns, seed: int, count: int = 6) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.dirichlet(np.ones(c.n_bins), count).astype(np.float32) for c in columns]


def back(columns, target: Target, components) -> list[np.ndarray]:
    """Through a model and its logits to components again."""
    model = mixture_model(columns, target, components, LOSSES)
    laws = cell_laws(mixture_logits(columns, target, model).T, [c.n_bins for c in columns])
    return [part.numpy() for part in torch.split(laws, [c.n_bins for c in columns], dim=1)]


@given(st.integers(0, 2**32 - 1))
def test_without_remainder_logits_are_those_of_the_components(seed):
    columns, target = columns_and_target(DOMAINS[:2])
    components = random_components(columns, seed)
    for found, expected in zip(back(columns, target, components), components, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_remainder_cells_start_at_their_law_and_others_are_kept_in_proportion():
    columns, target = columns_and_target()
    components = random_components(columns, 1)
    found = back(columns, target, components)[2]
    model = mixture_model(columns, target, components, LOSSES)

    np.testing.assert_allclose(found[:, 2], target.laws[2][2], rtol=1e-4)
    shown = found[:, :2] / found[:, :2].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shown, model.components[2], rtol=1e-4)


def test_remainder_cells_are_not_in_the_model():
    columns, target = columns_and_target()
    model = mixture_model(columns, target, random_components(columns, 2), LOSSES)
    model.set_random_state(0)

    assert [table.shape for table in model.components] == [(6, 3), (6, 65), (6, 2)]
    for table in model.components:
        np.testing.assert_allclose(table.sum(axis=1), 1, rtol=1e-5)
    assert set(model.sample(300)['c']) == {'c0', 'c1'}


@pytest.mark.parametrize('kind', ['mixture', 'network'])
def test_values_are_inside_their_domain(kind):
    columns, target = columns_and_target()
    if kind == 'mixture':
        model = mixture_model(columns, target, random_components(columns, 3), LOSSES)
    else:
        network = headed('mlp', torch.zeros(sum(c.n_bins for c in columns)), 0)
        model = neural_model(columns, target, network, LOSSES)
    model.set_random_state(0)

    x = model.sample(3000)['x']

    assert 0 < x.isna().mean() < 0.2
    assert x.dropna().between(0, 999).all()
    assert (x.dropna() % 1 == 0).all()
    assert x.nunique() > 600  # positions inside the cells are alike


def test_a_network_to_go_on_with_is_a_copy():
    columns, target = columns_and_target()
    network = headed(nn.Sequential(nn.Linear(64, 4)), torch.zeros(71), 0)
    model = neural_model(columns, target, network, LOSSES)

    copied = network_of(model)
    with torch.no_grad():
        copied.head.bias.add_(1)

    assert copied.training
    assert not model.network.training
    assert float(model.network.head.bias.detach().abs().max()) == 0
