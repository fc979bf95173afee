import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_releases import release_of, whole_counts

from sdv_slicedp import mechanism
from sdv_slicedp.accounting import Ledger
from sdv_slicedp.domain import CategoricalDomain, NumericalDomain
from sdv_slicedp.generator import MixtureModel
from sdv_slicedp.release import Release
from sdv_slicedp.training import TrainingPlan, enough_epochs, train

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
