from dataclasses import replace

import numpy as np
import pytest
import torch
from small_projections import category, number, projection_release, random_positions

from sdv_slicedp import sliced_training
from sdv_slicedp.cells import cell_map
from sdv_slicedp.moments import moments
from sdv_slicedp.objectives import RecordLaws, RecordSamples
from sdv_slicedp.pair_laws import PairLaws
from sdv_slicedp.slice_pool import COARSE, FINE
from sdv_slicedp.sliced_training import SlicePlan, pair_pools, released_pool, sliced_objective

pytestmark = pytest.mark.filterwarnings('error')

DOMAINS = [category('a', 3), number('x', 0, 9), category('c', 2)]
PLAN = SlicePlan('jensen_shannon', 'grid', 20, 8, 0)


def world(domains=DOMAINS, **options):
    positions = random_positions(domains, 100, np.random.default_rng(0))
    release = projection_release(domains, positions, **options)
    return release.projection, cell_map(release), moments(release.projection)


def objective_of(plan: SlicePlan, **options):
    return sliced_objective(*world(**options), plan, torch.device('cpu'))


@pytest.mark.parametrize(
    ('estimator', 'slices', 'kind'),
    [
        ('grid', 6, PairLaws),
        ('grid', 9, PairLaws),
        ('grid', 5, RecordLaws),
        ('samples', 6, RecordSamples),
        ('samples', 2, RecordSamples),
    ],
)
def test_pairs_need_a_full_basis(estimator, slices, kind):
    objective = objective_of(replace(PLAN, estimator=estimator), slices=slices)

    assert type(objective) is kind
    assert torch.isfinite(objective(torch.full((9, 15), 0.25)))


def test_the_plan_says_how_many_slices():
    single, pairs, chosen = pair_pools(*world(), PLAN)

    assert len(single) == 6
    assert len(pairs) == len(chosen) == 20
    torch.testing.assert_close(single.directions, torch.eye(6), rtol=0, atol=1e-5)
    torch.testing.assert_close(pairs.directions.norm(dim=0), torch.ones(20), rtol=0, atol=1e-5)
    upper = single.lower + (single.nodes - 1) * single.width
    assert float((single.scale / (upper - single.lower)).max()) < FINE < COARSE
    assert len(released_pool(world(slices=4)[0], world()[1])) == 4


def test_the_seed_gives_the_slices():
    first, same, other = (
        pair_pools(*world(), replace(PLAN, seed=seed))[1].directions for seed in (0, 0, 1)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_memory_limits_the_slices(monkeypatch):
    monkeypatch.setattr(sliced_training, 'MOST_ENTRIES', 100)  # pairs have 30, 6 and 20 cells
    _, pairs, _ = pair_pools(*world(), PLAN)
    assert len(pairs) == 5

    monkeypatch.setattr(sliced_training, 'MOST_ENTRIES', 1)
    assert len(pair_pools(*world(), PLAN)[1]) == 1


def test_one_column_has_no_pairs():
    single, pairs, chosen = pair_pools(*world(DOMAINS[:1]), PLAN)

    assert len(single) == 3
    assert pairs is None
    assert chosen.shape == (0, 2)
    assert isinstance(objective_of(PLAN, domains=DOMAINS[:1]), PairLaws)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'divergence': 'wasserstein'}, "There is no divergence 'wasserstein'"),
        ({'estimator': 'kernel'}, "estimator must be one of .* got 'kernel'"),
    ],
)
def test_unknown_names_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        objective_of(replace(PLAN, **change))
