import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import chi2
from small_projections import category, cell_of, number, projection_release

from sdv_slicedp import slice_pool
from sdv_slicedp.cells import cell_map
from sdv_slicedp.f_divergence import DIVERGENCES, f_divergence
from sdv_slicedp.grid_divergence import node_laws, smoothing
from sdv_slicedp.moments import moments
from sdv_slicedp.objectives import (
    MOST_SAMPLES,
    RecordLaws,
    Records,
    RecordSamples,
    chunks,
)
from sdv_slicedp.pair_laws import PairLaws
from sdv_slicedp.slice_pool import NODES_PER_SCALE

pytestmark = pytest.mark.filterwarnings('error')

CPU = torch.device('cpu')
SHANNON = f_divergence('jensen_shannon')
DOMAINS = [category('a', 3), number('x', 0, 7), category('c', 2)]
Z = 6.0


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class World:
    """A small table, its release, and its own rows as the laws of a perfect generator."""

    def __init__(self, sigma: float = 1e-6, rows: int = 600, wide: bool = False, **options) -> None:
        rng = np.random.default_rng(0)
        kind = rng.choice(3, rows, p=[0.5, 0.3, 0.2])
        x = 2 * kind + rng.integers(0, 4, rows)
        domains = list(DOMAINS)
        if wide:
            domains[1], x = number('x', 0, 7999), 1000 * x + rng.integers(0, 1000, rows)
        self.positions = [kind, x, (kind + rng.integers(0, 2, rows)) % 2]
        self.release = projection_release(domains, self.positions, sigma=sigma, **options)
        self.projection = self.release.projection
        self.cells = cell_map(self.release)
        self.estimates = moments(self.projection)
        parts = zip(self.positions, self.cells.columns, strict=True)
        each = [np.eye(column.n_bins)[cell_of(at, column)] for at, column in parts]
        self.truth = torch.from_numpy(np.concatenate(each, axis=1)).float()
        self.independent = self.truth.mean(dim=0).expand(rows, -1).contiguous()

    def pool(self, directions, least=slice_pool.COARSE):
        within = slice_pool.within_release(self.estimates, directions)
        return slice_pool.slice_pool(self.projection, self.cells, within, least)

    def singles(self):
        return self.pool(slice_pool.column_directions(self.cells), slice_pool.FINE)

    def pairs(self, count: int = 30):
        directions, chosen = slice_pool.pair_directions(self.cells, count, np.random.default_rng(1))
        return self.pool(directions), chosen

    def pair_laws(self, count: int = 30, per_step: int = 1000, divergence=SHANNON) -> PairLaws:
        pool, chosen = self.pairs(count)
        return PairLaws(self.cells, self.singles(), pool, chosen, divergence, per_step, CPU)

    def released(self):
        everything = np.eye(self.projection.directions.shape[1])
        return slice_pool.slice_pool(self.projection, self.cells, everything, slice_pool.COARSE)


def random_laws(world: World, batch: int, seed: int = 0) -> torch.Tensor:
    logits = 2 * torch.randn(batch, int(world.cells.offsets[-1]), generator=stream(seed))
    parts = torch.split(logits, world.cells.sizes, dim=1)
    return torch.cat([torch.softmax(part, dim=1) for part in parts], dim=1)


def every(pool) -> slice:
    return slice(0, len(pool))


# Slices of one and two columns, Eq. (31)


def enumerated(world: World, pool, laws: torch.Tensor) -> np.ndarray:
    """Laws on slices by going through all records that the generator can make."""
    parts = [range(part.start, part.stop) for part in map(world.cells.part, range(3))]
    total = np.zeros((len(pool), pool.nodes))
    for record in itertools.product(*parts):
        mass = float(laws[:, list(record)].prod(dim=1).mean())
        at = torch.from_numpy(world.cells.vectors[list(record)].sum(axis=0)).float()
        values = (at @ pool.directions)[:, None]
        total += mass * node_laws(values, pool.lower, pool.width, pool.nodes).numpy()
    return total @ smoothing(pool.nodes, NODES_PER_SCALE).numpy()


@pytest.mark.parametrize('batch', [1, 5])
def test_laws_of_slices_are_those_of_all_records(batch):
    world = World()
    laws, (pairs, _) = random_laws(world, batch), world.pairs()
    objective = world.pair_laws()
    joint = (laws.T @ laws).reshape(-1) / batch
    single = objective._made(
        objective._singles, objective._single_laws, laws.mean(dim=0), every(world.singles())
    )
    pair = objective._made(objective._pairs, objective._pair_laws, joint, every(pairs))

    np.testing.assert_allclose(single, enumerated(world, world.singles(), laws), atol=1e-5)
    np.testing.assert_allclose(pair, enumerated(world, pairs, laws), atol=1e-5)
    if batch > 1:  # a twin: columns that forget the latent numbers
        mean = laws.mean(dim=0, keepdim=True)
        assert np.abs(pair.numpy() - enumerated(world, pairs, mean)).max() > 1e-3


def test_a_part_of_the_slices_has_the_same_laws():
    world = World()
    objective, probabilities = world.pair_laws(), random_laws(world, 4)
    joint = (probabilities.T @ probabilities).reshape(-1) / 4
    made = partial(objective._made, objective._pairs, objective._pair_laws, joint)

    torch.testing.assert_close(made(slice(7, 19)), made(slice(0, 30))[7:19])


@pytest.mark.parametrize('name', sorted(DIVERGENCES))
def test_the_loss_is_least_at_the_truth(name):
    world = World()
    objective = world.pair_laws(divergence=f_divergence(name))

    truth = float(objective(world.truth))

    assert abs(truth) < 1e-3
    assert float(objective(world.independent)) > max(10 * truth, 3e-3)
    assert float(objective(random_laws(world, 50))) > float(objective(world.independent))


def test_numbers_of_many_positions_fit_too():
    world = World(wide=True)
    objective = world.pair_laws()

    truth = float(objective(world.truth))
    assert abs(truth) < 0.01
    assert float(objective(world.independent)) > 3 * truth


@pytest.mark.parametrize('name', sorted(DIVERGENCES))
@pytest.mark.parametrize('sigma', [1e-6, 1.0])
def test_gradients_are_finite(name, sigma):
    world = World(sigma)
    for laws in (random_laws(world, 20), world.truth[:1].clone(), world.independent.clone()):
        moving = laws.requires_grad_()
        loss = world.pair_laws(divergence=f_divergence(name))(moving)
        (gradient,) = torch.autograd.grad(loss, moving)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()
        assert float(gradient.abs().max()) > 0


def test_steps_go_through_all_slices():
    assert [next(part) for part in [chunks(10, 4)] for _ in range(4)] == [
        slice(0, 4),
        slice(4, 8),
        slice(8, 10),
        slice(0, 4),
    ]
    world = World()
    laws = random_laws(world, 5)
    whole, parts = world.pair_laws(), world.pair_laws(per_step=10)
    losses = [float(parts(laws)) for _ in range(6)]

    assert float(whole(laws)) == pytest.approx(np.mean(losses[:3]), rel=1e-4)
    assert losses[:3] == losses[3:]
    assert len(set(losses[:3])) == 3


def test_one_column_has_its_own_slices_only():
    positions = [np.arange(90) % 3]
    release = projection_release([category('a', 3)], positions)
    cells, projection = cell_map(release), release.projection
    within = slice_pool.within_release(moments(projection), np.eye(3))
    pool = slice_pool.slice_pool(projection, cells, within, slice_pool.FINE)
    objective = PairLaws(cells, pool, None, np.zeros((0, 2), dtype=np.int64), SHANNON, 8, CPU)

    assert abs(float(objective(torch.full((4, 3), 1 / 3)))) < 1e-4
    assert float(objective(torch.tensor([[0.8, 0.1, 0.1]]))) > 0.01
    assert objective.shrink_towards(torch.tensor([[0.8, 0.1, 0.1]]))


def test_shrinking_keeps_signal_and_moves_noise():
    clear, noisy = World(), World(sigma=30.0)

    assert clear.pair_laws().shrink_towards(clear.independent)
    before, objective = float(noisy.pair_laws()(noisy.independent)), noisy.pair_laws()
    objective.shrink_towards(noisy.independent)
    # A group of few degrees of freedom may keep some of its noise by chance.
    assert float(objective(noisy.independent)) < 0.3 * before
    assert float(objective(random_laws(noisy, 9))) > 0


# Records


def test_one_cell_of_each_column_is_drawn():
    world = World()
    records = Records(world.cells, world.released(), stream())
    laws = random_laws(world, 500).requires_grad_()

    drawn = records.draw(laws)

    for part in torch.split(drawn.detach(), world.cells.sizes, dim=1):
        assert ((part - part.round()).abs() < 1e-5).all()
        torch.testing.assert_close(part.sum(dim=1), torch.ones(500))
        torch.testing.assert_close(part.amax(dim=1), torch.ones(500))
    (gradient,) = torch.autograd.grad((drawn * torch.rand(drawn.shape)).sum(), laws)
    assert torch.isfinite(gradient).all()
    assert float(gradient.abs().max()) > 0


def statistic(counts: np.ndarray, law: np.ndarray) -> float:
    expected = law * counts.sum()
    return float(((counts - expected) ** 2 / expected).sum())


def test_draws_follow_the_laws():
    """Chi-square tests of three columns at 1e-9 each; another law is told apart."""
    world = World()
    law = random_laws(world, 1, seed=3).clamp_min(0.02)
    drawn = Records(world.cells, world.released(), stream(1)).draw(law.expand(20_000, -1))
    counts = torch.split(drawn.sum(dim=0), world.cells.sizes)
    for count, part in zip(counts, torch.split(law[0], world.cells.sizes), strict=True):
        limit = float(chi2.isf(1e-9, len(part) - 1))
        true, twin = (part / part.sum()).numpy(), (part + 0.05) / (part + 0.05).sum()
        assert statistic(count.numpy(), true) < limit
        if len(part) > 2:
            assert statistic(count.numpy(), twin.numpy()) > limit


def test_columns_are_drawn_independently():
    """The chi-square test of a 3 x 2 table at 1e-9; pairs that are equal are told apart."""
    world = World()
    drawn = Records(world.cells, world.released(), stream(2)).draw(
        world.independent[:1].expand(9000, -1)
    )
    first, last = drawn[:, :3], drawn[:, -2:]

    def independence(table):
        expected = torch.outer(table.sum(dim=1), table.sum(dim=0)) / table.sum()
        return float(((table - expected) ** 2 / expected).sum())

    limit = float(chi2.isf(1e-9, 2))
    assert independence(first.T @ last) < limit
    assert independence(first.T @ torch.stack([first[:, 0], 1 - first[:, 0]], dim=1)) > limit


def test_numbers_are_spread_inside_their_cell():
    """Uniform: the mean of 4,000 is within Z standard errors, and none is out of reach."""
    world = World(wide=True)
    cells, pool = world.cells, world.pool(np.eye(world.cells.vectors.shape[1]))
    cell = cells.part(1).start + 20
    law = world.independent[:1].clone()
    law[:, cells.part(1)] = 0
    law[:, cell] = 1

    values = Records(cells, pool, stream(3)).project(law.expand(4000, -1), every(pool))
    offset = (values[cells.blocks[1].start] - cells.vectors[cell, cells.blocks[1].start]).numpy()
    reach = cells.reach[cell]

    assert np.abs(offset).max() <= reach * 1.001
    assert offset.std() == pytest.approx(reach / math.sqrt(3), rel=0.1)
    assert abs(offset.mean()) < Z * offset.std() / math.sqrt(4000)


@pytest.mark.parametrize(
    ('kind', 'slices'), [('orthonormal', 3), ('orthonormal', 6), ('sphere', 9)]
)
def test_drawn_records_have_the_laws_of_all_records(kind, slices):
    """Means over 60 batches, at nodes with some mass: false alarm below 1e-5 for all of them."""
    world = World(kind=kind, slices=slices)
    pool, laws = world.released(), random_laws(world, 3).repeat(70, 1)
    objective = RecordLaws(world.cells, pool, SHANNON, 100, stream(4))

    drawn = np.stack([objective._made(laws, every(pool)).numpy() for _ in range(60)])
    expected = enumerated(world, pool, laws)

    def deviation(truth):
        error = drawn.std(axis=0) / math.sqrt(60) + 1e-6
        return np.abs(drawn.mean(axis=0) - truth)[expected > 1e-3] / error[expected > 1e-3]

    assert deviation(expected).max() < 7  # Student's t with 59 degrees: 3e-9 each
    assert deviation(enumerated(world, pool, laws.mean(dim=0, keepdim=True))).max() > 7


def test_records_are_least_off_at_the_truth():
    world = World(slices=3)
    many = world.truth.repeat(10, 1)

    def loss(laws):
        pool = world.released()
        return float(RecordLaws(world.cells, pool, SHANNON, 100, stream(5))(laws))

    assert loss(many) < 1e-3
    assert loss(world.independent.repeat(10, 1)) > 3 * loss(many)


def test_record_laws_are_shrunk_only_by_noise():
    clear, noisy = World(slices=3), World(sigma=30.0, slices=3)

    for world, left in ((clear, True), (noisy, False)):
        objective = RecordLaws(world.cells, world.released(), SHANNON, 100, stream(6))
        assert objective.shrink_towards(world.independent) == left


# Batches of samples, Eq. (5)


def samples_of(world: World, seed: int = 7) -> RecordSamples:
    pool = world.released()
    return RecordSamples(world.projection, world.cells, pool, SHANNON, 100, stream(seed))


def test_batches_are_alike_at_the_truth():
    """Means and variances over 20 batches, in standard errors; 12 numbers: below 1e-7."""
    world = World(sigma=0.2)
    objective = samples_of(world)
    real, made = (
        torch.cat(batches, dim=1)
        for batches in zip(*[objective.batches(world.truth) for _ in range(20)], strict=True)
    )
    assert real.shape == made.shape == (6, 20 * MOST_SAMPLES)
    for first, second in ((real, made), (real.square(), made.square())):
        error = (first.var(dim=1) + second.var(dim=1)).sqrt() / math.sqrt(first.shape[1])
        assert float(((first.mean(dim=1) - second.mean(dim=1)).abs() / error).max()) < Z
    noiseless = World(sigma=0.2)
    noiseless_made = samples_of(noiseless)._records.project(world.truth, slice(0, 6))
    assert (noiseless_made.var(dim=1) < real.var(dim=1)).all()


def test_samples_shrink_nothing():
    world = World(sigma=30.0)
    assert samples_of(world).shrink_towards(world.independent)


def test_samples_prefer_the_truth_and_lead_to_it():
    world = World(sigma=0.05)
    objective = samples_of(world)

    def mean(laws):
        return np.mean([float(objective(laws)) for _ in range(5)])

    far = random_laws(world, 300, seed=9)
    assert mean(world.truth) < mean(far) / 3

    logits = torch.log(far[:100]).requires_grad_()
    optimizer, losses = torch.optim.Adam([logits], lr=0.3), []
    for _ in range(40):
        parts = torch.split(logits, world.cells.sizes, dim=1)
        loss = objective(torch.cat([torch.softmax(part, dim=1) for part in parts], dim=1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
