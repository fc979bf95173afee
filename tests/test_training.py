import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_projections import category, number, projection_release
from small_releases import release_of, whole_counts
from torch import nn

from sdv_slicedp import mechanism, training
from sdv_slicedp.accounting import Ledger
from sdv_slicedp.domain import CategoricalDomain, NumericalDomain
from sdv_slicedp.generator import MixtureModel
from sdv_slicedp.models import Model
from sdv_slicedp.progress import Progress
from sdv_slicedp.release import Release
from sdv_slicedp.training import train
from sdv_slicedp.training_plan import (
    FEWEST_COMPONENTS,
    GROWTH,
    NETWORK_EPOCHS,
    PROJECTION_EPOCHS,
    TrainingPlan,
    enough_components,
    enough_epochs,
)

pytestmark = pytest.mark.filterwarnings('error')

SHORT = {'epochs': 150, 'n_components': 100}


def known_joint(seed: int = 0) -> np.ndarray:
    """Counts of three dependent columns of 2, 3 and 4 cells; no noise to speak of."""
    law = np.random.default_rng(seed).dirichlet(np.full(24, 0.7)).reshape(2, 3, 4)
    return whole_counts(law, 10**7)


def pair_of(model: MixtureModel, a: int, b: int) -> np.ndarray:
    left, right = (model.components[i].astype(np.float64) for i in (a, b))
    return left.T @ right / len(left)


def same(a: MixtureModel, b: MixtureModel) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a.components, b.components, strict=True))


@pytest.fixture(scope='module')
def noisy_release() -> Release:
    rng = np.random.default_rng(0)
    kind = np.minimum(rng.integers(0, 50, 2000) // 24, 2)
    frame = pd.DataFrame(
        {
            'kind': np.array(['a', 'b', 'c'], dtype=object)[kind],
            'amount': np.where(
                rng.random(2000) < 0.1, np.nan, kind * 10 + rng.integers(0, 9, 2000)
            ),
        }
    )
    domains = [
        CategoricalDomain('kind', 'categorical', ('a', 'b'), False, True),
        NumericalDomain('amount', 'numerical', 0, 40, (1, 1), True),
    ]
    return mechanism.measure(frame, domains, epsilon=5.0, delta=1e-6, ledger=Ledger())


@pytest.mark.parametrize('seed', [0, 1])
def test_pairs_of_a_known_joint_are_recovered(seed):
    joint = known_joint(seed)
    law = joint / joint.sum()

    model = train(release_of(joint), seed=seed, epochs=300, n_components=200)

    for a, b in ((0, 1), (0, 2), (1, 2)):
        truth = law.sum(({0, 1, 2} - {a, b}).pop())
        assert np.abs(pair_of(model, a, b) - truth).sum() / 2 < 0.01
        independent = np.outer(truth.sum(1), truth.sum(0))
        assert np.abs(pair_of(model, a, b) - independent).sum() / 2 > 0.03


def test_loss_falls():
    losses = train(release_of(known_joint()), seed=0, **SHORT).loss_values

    assert list(losses.columns) == ['Epoch', 'Loss']
    assert losses['Epoch'].tolist() == list(range(SHORT['epochs']))
    assert losses['Loss'].iloc[-1] < 0.05 * losses['Loss'].iloc[0]
    assert losses['Loss'].ge(0).all()


def test_training_is_determined_by_the_release_and_the_seed():
    release = release_of(known_joint())

    first = train(release, seed=3, **SHORT)

    assert same(first, train(release, seed=3, **SHORT))
    assert not same(first, train(release, seed=4, **SHORT))
    assert not same(train(release, **SHORT), train(release, **SHORT))
    other = release_of(known_joint(1))
    assert not same(first, train(other, seed=3, **SHORT))


def test_a_saved_release_gives_the_same_model(noisy_release: Release, tmp_path: Path):
    """Nothing but what the file holds enters the training."""
    noisy_release.save(tmp_path / 'release')

    model = train(Release.load(tmp_path / 'release'), seed=0, **SHORT)

    direct = train(noisy_release, seed=0, **SHORT)
    assert same(model, direct)
    pd.testing.assert_frame_equal(model.loss_values, direct.loss_values)
    model.set_random_state(1)
    direct.set_random_state(1)
    pd.testing.assert_frame_equal(model.sample(100), direct.sample(100))


def test_only_a_release_is_accepted():
    with pytest.raises((TypeError, AttributeError)):
        train(pd.DataFrame({'a': [1, 2]}))


def test_options_override_the_plan():
    release = release_of(known_joint())

    model = train(release, seed=0, plan=TrainingPlan(epochs=5, n_components=9))
    assert [len(table) for table in model.components] == [9] * 3
    assert len(model.loss_values) == 5

    model = train(release, seed=0, epochs=2, n_components=4, plan=TrainingPlan())
    assert [len(table) for table in model.components] == [4] * 3
    assert len(model.loss_values) == 2


def test_less_noise_is_worth_more_epochs():
    joint = known_joint()

    epochs = [enough_epochs(release_of(joint, sigma=s)) for s in (0.5, 1e4, 1e5, 1e7, 1e9)]

    assert epochs == sorted(epochs, reverse=True)
    assert epochs[0] > epochs[-1] >= 1


def test_less_noise_is_worth_more_components():
    """Which can be grown from a quarter, and are those that a mixture has."""
    joint = known_joint()
    releases = [release_of(joint, sigma=s) for s in (0.5, 1e4, 1e9)]

    numbers = [enough_components(release) for release in releases]

    assert numbers[0] > numbers[-1] == FEWEST_COMPONENTS
    assert all(number % GROWTH == 0 for number in numbers)
    model = train(releases[0], seed=0, epochs=1)
    assert len(model.components[0]) == numbers[0]
    assert enough_components(projected()) == FEWEST_COMPONENTS


def test_number_of_threads_is_left_as_it_was():
    before = torch.get_num_threads()

    train(release_of(known_joint()), seed=0, epochs=2, n_components=3)

    assert torch.get_num_threads() == before


def test_without_epochs_the_columns_are_nearly_independent():
    joint = known_joint()

    model = train(release_of(joint), seed=0, epochs=0, n_components=500)

    assert len(model.loss_values) == 0
    margins = np.outer(model.components[0].mean(0), model.components[1].mean(0))
    assert np.abs(pair_of(model, 0, 1) - margins).sum() / 2 < 0.05


def test_one_column_is_enough():
    model = train(release_of(np.array([600_000, 300_000, 100_000])), seed=0, **SHORT)
    model.set_random_state(0)

    sample = model.sample(1000)

    assert list(sample.columns) == ['c0']
    assert np.abs(model.components[0].mean(0) - [0.6, 0.3, 0.1]).sum() / 2 < 0.1


def test_the_law_of_a_single_column_is_kept():
    model = train(release_of(np.array([900_000, 90_000, 10_000])), seed=0, **SHORT)

    assert np.abs(model.components[0].mean(0) - [0.9, 0.09, 0.01]).sum() / 2 < 0.002


def test_component_laws_are_laws(noisy_release: Release):
    model = train(noisy_release, seed=0, **SHORT)

    for table, decoder in zip(model.components, model.decoders, strict=True):
        np.testing.assert_allclose(table.sum(1), 1, rtol=1e-5)
        assert (table >= 0).all()
        assert table.shape[1] == decoder.bins.max() + 1
        assert (np.diff(decoder.bins) >= 0).all()


def test_samples_stay_in_the_domain_and_show_no_remainder(noisy_release: Release):
    """The category 'c' was not declared, so it is in the remainder cell."""
    model = train(noisy_release, seed=0, **SHORT)
    model.set_random_state(0)

    sample = model.sample(2000)

    assert set(sample['kind']) == {'a', 'b'}
    assert sample['amount'].dropna().between(0, 40).all()
    assert (sample['amount'].dropna() % 1 == 0).all()
    assert 0.03 < sample['amount'].isna().mean() < 0.2
    assert len(pickle.dumps(model)) < 10**6


def test_dependence_reaches_the_samples(noisy_release: Release):
    model = train(noisy_release, seed=0, **SHORT)
    model.set_random_state(0)

    means = model.sample(4000).groupby('kind')['amount'].mean()

    assert 2 < means['a'] < 7
    assert 11 < means['b'] < 18


@pytest.mark.parametrize('name', ['mlp ', '', None])
def test_unknown_generators_are_refused(name):
    with pytest.raises(ValueError, match='generator must be'):
        train(release_of(known_joint()), generator=name, seed=0)


def test_progress_is_shown_on_request(capsys: pytest.CaptureFixture):
    train(release_of(known_joint()), seed=0, epochs=2, n_components=3)
    assert capsys.readouterr().err == ''

    train(release_of(known_joint()), seed=0, epochs=2, n_components=3, verbose=True)
    assert 'Training' in capsys.readouterr().err


# Projections


PROJECTED = [category('a', 3), number('x', 0, 11), category('c', 4)]
FAST = {'epochs': 120, 'n_components': 60}
PLAN = TrainingPlan(n_training_slices=90, slices_per_step=30, batch_size=128)


def dependent_rows(rows: int = 3000) -> list[np.ndarray]:
    """Three columns; the law of two of them is far from independent."""
    rng = np.random.default_rng(0)
    kind = rng.choice(3, rows, p=[0.5, 0.3, 0.2])
    return [kind, 4 * kind + rng.integers(0, 4, rows), (kind + (rng.random(rows) < 0.3)) % 4]


def projected(positions: list[np.ndarray] | None = None, **options: object) -> Release:
    return projection_release(PROJECTED, positions or dependent_rows(), **options)


def shuffled(positions: list[np.ndarray]) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.permutation(column) for column in positions]


def sampled(model: Model, rows: int = 20_000) -> list[np.ndarray]:
    """Positions of rows of a model."""
    model.set_random_state(0)
    sample = model.sample(rows)
    return [
        sample['a'].str[1:].astype(int).to_numpy(),
        sample['x'].astype(int).to_numpy(),
        sample['c'].str[1:].astype(int).to_numpy(),
    ]


def distance(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    """Largest total variation of the laws of two columns."""

    def table(rows: list[np.ndarray], a: int, b: int) -> np.ndarray:
        counts = np.zeros((12, 12))
        np.add.at(counts, (rows[a], rows[b]), 1 / len(rows[a]))
        return counts

    pairs = ((0, 1), (0, 2), (1, 2))
    return max(np.abs(table(first, *p) - table(second, *p)).sum() / 2 for p in pairs)


@pytest.mark.parametrize(
    ('generator', 'options'),
    [('mixture', FAST), ('mlp', {'epochs': 250, 'plan': replace(PLAN, learning_rate=0.01)})],
)
def test_pairs_of_a_projected_table_are_recovered(generator, options):
    truth = dependent_rows()
    options = {'generator': generator, 'seed': 0, 'plan': PLAN, **options}

    found = sampled(train(projected(), **options))
    twin = sampled(train(projected(shuffled(truth)), **options))

    assert distance(found, truth) < 0.2
    assert distance(twin, truth) > 0.5
    assert distance(twin, shuffled(truth)) < 0.2


@pytest.mark.parametrize(
    ('slices', 'change'),
    [(4, {}), (20, {}), (None, {'estimator': 'samples'}), (None, {'divergence': 'kl'})],
)
def test_other_slices_estimators_and_divergences_train(slices, change):
    plan = replace(PLAN, slices_per_step=4, **change)

    model = train(projected(slices=slices), seed=0, plan=plan, epochs=20, n_components=60)

    assert len(model.loss_values) <= 20
    assert np.isfinite(model.loss_values['Loss']).all()
    for table in model.components:
        np.testing.assert_allclose(table.sum(axis=1), 1, rtol=1e-4)


def test_few_slices_teach_what_they_show():
    """With noise wider than the steps between cells; else the gradient through draws is poor."""
    truth = dependent_rows(20_000)
    plan = replace(PLAN, slices_per_step=7)

    model = train(
        projected(truth, slices=7, sigma=0.5), seed=0, plan=plan, epochs=150, n_components=500
    )

    losses = model.loss_values['Loss']
    assert losses.tail(10).mean() < 0.7 * losses.head(3).mean()
    assert distance(sampled(model), truth) < distance(shuffled(truth), truth)


@pytest.mark.parametrize('generator', ['mixture', 'mlp', nn.Sequential(nn.Linear(64, 32))])
@pytest.mark.parametrize('kind', ['histogram', 'projection'])
def test_training_goes_on_from_a_model(generator, kind):
    release = projected() if kind == 'projection' else release_of(known_joint())
    options = {'generator': generator, 'seed': 0, 'plan': PLAN, 'n_components': 60}
    first = train(release, epochs=60, **options)

    second = train(release, epochs=15, start=first, **replace_rate(options))

    assert len(second.loss_values) == 15
    tail = first.loss_values['Loss'].tail(5).mean()
    assert second.loss_values['Loss'].tail(5).mean() <= 1.1 * tail + 1e-5
    assert second.loss_values['Loss'].head(3).mean() <= 1.5 * tail + 1e-4


def replace_rate(options: dict[str, object]) -> dict[str, object]:
    """The same with steps as small as the last ones were."""
    return {**options, 'plan': replace(PLAN, learning_rate=2e-4)}


@pytest.mark.parametrize(('first', 'second'), [('mixture', 'mlp'), ('mlp', 'mixture')])
def test_a_start_of_another_generator_is_refused(first, second):
    release = release_of(known_joint())
    model = train(release, generator=first, seed=0, epochs=1, n_components=3)

    with pytest.raises(ValueError, match='cannot go on from a'):
        train(release, generator=second, seed=0, epochs=1, n_components=3, start=model)


@pytest.mark.parametrize('generator', ['mixture', 'residual_mlp'])
@pytest.mark.parametrize('options', [{}, {'slices': 3}])
def test_a_projection_and_a_seed_give_the_model(generator, options):
    release = projected(**options)

    first, again, other = (
        train(release, generator=generator, seed=s, plan=PLAN, epochs=6, n_components=20)
        for s in (0, 0, 1)
    )

    pd.testing.assert_frame_equal(first.loss_values, again.loss_values)
    assert not first.loss_values.equals(other.loss_values)
    for mine, theirs in zip(sampled(first, 50), sampled(again, 50), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_network_fits_the_pairs_of_histograms():
    joint = known_joint()
    law = joint / joint.sum()

    def tables(model: Model) -> list[np.ndarray]:
        model.set_random_state(0)
        sample = model.sample(20_000)
        return [
            pd.crosstab(sample[f'c{a}'], sample[f'c{b}'], normalize=True).to_numpy()
            for a, b in ((0, 1), (0, 2), (1, 2))
        ]

    plan = TrainingPlan(learning_rate=0.01, batch_size=512)
    model = train(release_of(joint), generator='mlp', seed=0, epochs=300, plan=plan)

    for axis, table in zip((2, 1, 0), tables(model), strict=True):
        truth = law.sum(axis)
        assert np.abs(table - truth).sum() / 2 < 0.04
        independent = np.outer(truth.sum(1), truth.sum(0))
        assert np.abs(table - independent).sum() / 2 > 0.03


def test_epochs_of_both_parts_are_numbered_through():
    """Losses are those of the slices; those of the moments cannot be compared with them."""
    seen = []
    plan = replace(PLAN, callback=lambda epoch, loss: seen.append(epoch))

    model = train(projected(), seed=0, plan=plan, epochs=20, n_components=20)

    assert seen == list(range(20))
    assert model.loss_values['Epoch'].tolist() == list(range(8, 20))


@pytest.mark.parametrize('last', [3, 8, 12])
@pytest.mark.parametrize('generator', ['mixture', 'mlp'])
def test_the_callback_ends_the_training_in_either_part(generator, last):
    seen = []

    def callback(epoch: int, loss: float) -> bool:
        seen.append(epoch)
        return epoch == last

    plan = replace(PLAN, callback=callback)
    model = train(projected(), generator=generator, seed=0, plan=plan, epochs=20, n_components=20)

    assert seen == list(range(last + 1))
    assert model.loss_values['Epoch'].iloc[-1] == last


@pytest.mark.parametrize('epochs', [0, 1, 2])
@pytest.mark.parametrize('generator', ['mixture', 'mlp'])
def test_no_more_epochs_than_asked_for(generator, epochs):
    seen = []
    plan = replace(PLAN, callback=lambda epoch, loss: seen.append(epoch))

    model = train(
        projected(), generator=generator, seed=0, plan=plan, epochs=epochs, n_components=20
    )

    assert seen == list(range(epochs))
    assert list(model.loss_values.columns) == ['Epoch', 'Loss']
    assert len(model.sample(5)) == 5


def test_where_noise_explains_everything_columns_are_independent():
    first = train(projected(sigma=1e5), seed=0, plan=PLAN, epochs=20, n_components=20)

    rows = sampled(first)
    assert distance(rows, shuffled(rows)) < 0.1


def test_networks_get_more_epochs():
    for release in (projected(), release_of(known_joint())):
        assert enough_epochs(release, 'mlp') == NETWORK_EPOCHS * enough_epochs(release)
    assert enough_epochs(projected()) == PROJECTION_EPOCHS


@pytest.mark.parametrize(('epochs', 'slices'), [(1, 30), (2, 60), (3, 90), (50, 90)])
def test_no_more_slices_are_laid_out_than_the_steps_see(epochs, slices):
    release, progress = projected(), Progress(epochs, None, None, False)
    posed, device = training.posed(release), torch.device('cpu')
    run = training._Run(release, posed, PLAN, 10, progress, device, 0)

    assert len(run._objective()._pairs) == slices
