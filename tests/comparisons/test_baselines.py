import math
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from public_tables import assert_looks_like
from sdv.metadata import Metadata

from comparisons import budget
from comparisons.methods import dpmerf, pategan, references, slicewass
from comparisons.methods.network_encoding import NetworkEncoding
from comparisons.public_domain import public_columns

EPSILON, DELTA = 1.0, 1e-5
PRIVATE = {
    'dp_merf': dpmerf.DPMERF(frequencies=20, steps=5, batch_size=50),
    'dp_merf_with_target': dpmerf.DPMERF('income', frequencies=20, steps=5, batch_size=50),
    'slicewass': slicewass.SliceWass(steps=5, batch_size=50),
    'slicewass_of_two_bases': slicewass.SliceWass(bases=2, steps=5, batch_size=50),
    'pate_gan': pategan.PATEGAN(teachers=5, rounds=5, queries=3, batch_size=50),
    'independent': references.IndependentHistograms(),
}
REFERENCES = {
    'gaussian_copula': references.SDVReference('GaussianCopula'),
    'tvae': references.SDVReference('TVAE', epochs=1),
    'bootstrap': references.Bootstrap(),
}


@pytest.fixture(scope='module', autouse=True)
def calibrated_once():
    """One calibration for all tests, which take seconds each."""
    once = cache(budget.gaussian_multiplier)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            budget, 'gaussian_multiplier', lambda e, d, count=1: once(e, d) * math.sqrt(count)
        )
        yield


@pytest.fixture(scope='module', params={**PRIVATE, **REFERENCES})
def case(request, adult):
    method = {**PRIVATE, **REFERENCES}[request.param]
    return method, method.fit(*adult, epsilon=EPSILON, delta=DELTA, seed=0)


def test_samples_look_like_the_table(case, adult):
    sampled = case[1].sample(50, 0)
    assert len(sampled) == 50
    assert_looks_like(sampled, *adult)


def test_samples_follow_the_seed(case):
    first, again, other = (case[1].sample(50, seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_the_recorded_noise_is_the_request(case):
    method, fitted = case
    if method.about.private:
        assert 0.9 * EPSILON < budget.epsilon(fitted.events, DELTA) <= 1.001 * EPSILON
    else:
        assert not fitted.events
        assert not method.about.uses_epsilon


@pytest.mark.parametrize('name', PRIVATE)
def test_noise_does_not_follow_the_seed(name, adult):
    fits = [PRIVATE[name].fit(*adult, epsilon=EPSILON, delta=DELTA, seed=0) for _ in range(2)]
    first, second = (fitted.sample(200, 0) for fitted in fits)
    assert not first.equals(second)


def mixed(n_rows=60):
    """A table with all kinds of missing values, and its metadata."""
    columns = {
        'amount': {
            'sdtype': 'numerical', 'range_min': 0, 'range_max': 10, 'decimal_places': 1,
            'range_is_nullable': True,
        },
        'colour': {'sdtype': 'categorical', 'range_values': ['red', 'blue']},
        'yes': {'sdtype': 'boolean', 'range_is_nullable': False},
    }  # fmt: skip
    metadata = Metadata.load_from_dict({'tables': {'mixed': {'columns': columns}}})
    stream = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            'amount': np.where(
                stream.random(n_rows) < 0.3, np.nan, stream.uniform(0, 10, n_rows).round(1)
            ),
            'colour': stream.choice(np.array(['red', 'blue', None], dtype=object), n_rows),
            'yes': stream.random(n_rows) < 0.5,
        }
    )
    return table, metadata


@pytest.mark.parametrize('name', [name for name in PRIVATE if name != 'dp_merf_with_target'])
def test_missing_values_can_be_sampled(name):
    table, metadata = mixed(600)  # so many that noise does not drown what is missing
    fitted = PRIVATE[name].fit(table, metadata, epsilon=EPSILON, delta=DELTA, seed=0)
    sampled = fitted.sample(300, 0)
    pd.testing.assert_series_equal(sampled.dtypes, table.dtypes)
    assert sampled['amount'].isna().any()
    assert sampled['colour'].isna().any()


def extreme_rows(encoding):
    """Rows of the encoding that differ as much as rows can."""
    rows = np.zeros((2, encoding.width), dtype=np.float32)
    for head in encoding.heads:
        rows[0, head.start], rows[1, head.stop - 1] = (-1, 1) if head.kind == 'tanh' else (1, 1)
    return torch.from_numpy(rows)


@pytest.fixture(params=['adult', 'mixed'])
def encoded(request, adult):
    table, metadata = adult if request.param == 'adult' else mixed()
    encoding = NetworkEncoding(tuple(public_columns(metadata)))
    return encoding, torch.from_numpy(encoding.encode(table))


def test_records_are_not_farther_apart_than_the_diameter(encoded):
    encoding, rows = encoded
    assert torch.cdist(rows, rows).max() <= slicewass.diameter(encoding) * (1 + 1e-6)
    first, second = extreme_rows(encoding)
    assert float((first - second).norm()) == pytest.approx(slicewass.diameter(encoding))


@pytest.mark.parametrize('bases', [1, 3])
def test_projections_move_by_the_root_of_the_bases(encoded, bases):
    encoding, rows = encoded
    stream = torch.Generator().manual_seed(0)
    directions = slicewass.orthonormal_directions(encoding.width, bases, stream)
    moves = rows[1:] - rows[:-1]
    expected = moves.norm(dim=1) * math.sqrt(bases)
    torch.testing.assert_close((moves @ directions).norm(dim=1), expected)


@pytest.mark.parametrize('target', [None, 'income'])
def test_a_replaced_record_moves_the_embedding_by_at_most_its_sensitivity(adult, target):
    table, metadata = adult
    encoding = NetworkEncoding(tuple(public_columns(metadata)))
    rows = torch.from_numpy(encoding.encode(table))
    features = dpmerf.Features(encoding, target, 30, 0.5, torch.Generator().manual_seed(0))
    torch.testing.assert_close(features.of(rows).norm(dim=1), torch.ones(len(rows)))
    first = features.total(rows)
    for replaced in (*extreme_rows(encoding), rows[7]):
        changed = rows.clone()
        changed[0] = replaced
        assert float((features.total(changed) - first).norm()) <= dpmerf.SENSITIVITY


def test_the_law_of_the_target_is_read_off_the_embedding(adult):
    table, metadata = adult
    encoding = NetworkEncoding(tuple(public_columns(metadata)))
    features = dpmerf.Features(encoding, 'income', 5, 0.5, torch.Generator().manual_seed(0))
    mean = features.total(torch.from_numpy(encoding.encode(table))) / len(table)
    shares = table['income'].value_counts(normalize=True)
    values = encoding.columns[features.target.column].values
    found = features.class_law(mean).numpy()[: len(values)]
    np.testing.assert_allclose(found, [shares[value] for value in values], atol=1e-4)


def test_a_target_must_be_a_choice(adult):
    with pytest.raises(ValueError, match="'age'"):
        dpmerf.DPMERF('age').fit(*adult, epsilon=EPSILON, delta=DELTA, seed=0)


def test_one_record_is_in_one_part_and_adding_it_leaves_the_others():
    with_it = pategan.partition(101, 7, np.random.default_rng(0))
    without = pategan.partition(100, 7, np.random.default_rng(0))
    assert sorted(np.concatenate(with_it)) == list(range(101))
    differing = [(a, b) for a, b in zip(with_it, without, strict=True) if not np.array_equal(a, b)]
    ((longer, shorter),) = differing
    assert set(longer) - set(shorter) == {100}


def test_one_record_changes_one_teacher(adult, monkeypatch):
    table, metadata = adult
    encoding = NetworkEncoding(tuple(public_columns(metadata)))
    rows = torch.from_numpy(encoding.encode(table))
    plan = pategan.PATEGAN(teachers=6, teacher_batch_size=80)
    system_entropy = np.random.default_rng
    monkeypatch.setattr(pategan.np.random, 'default_rng', lambda: system_entropy(0))
    fakes = torch.rand((6, 80, encoding.width), generator=torch.Generator().manual_seed(0))
    scores, parts = [], []
    for kept in (rows, rows[:-1]):
        teachers = pategan.Teachers(kept[:, :], plan, encoding.width)
        # weights and batches are drawn after the partition: the same in both worlds
        parts.append(teachers.parts)
        teachers._random = system_entropy(1)
        for weight in teachers._weights:
            weight.data = torch.full_like(weight, 0.1)
        for _ in range(3):
            teachers.step(fakes)
        scores.append(teachers.scores(fakes).detach())
    touched = [len(a) != len(b) for a, b in zip(*parts, strict=True)]
    changed = (scores[0] != scores[1]).any(dim=1).tolist()
    assert sum(touched) == 1
    assert changed == touched


@pytest.mark.parametrize('relative', [False, True])
def test_a_teacher_has_one_vote_for_each_row(adult, relative):
    table, metadata = adult
    encoding = NetworkEncoding(tuple(public_columns(metadata)))
    plan = pategan.PATEGAN(teachers=6, relative_votes=relative)
    teachers = pategan.Teachers(torch.from_numpy(encoding.encode(table)), plan, encoding.width)
    with torch.no_grad():
        teachers._biases[1][:3] += 100  # which take everything for real
    votes = teachers.votes(torch.rand((20, encoding.width)))
    assert votes.shape == (20,)
    assert votes.min() >= (0 if relative else 3)
    assert votes.max() <= 6
    assert (votes.sum() == 6 * 10) == relative  # half of the rows of each


def test_a_changed_vote_moves_the_counts_by_the_sensitivity():
    counts = [np.array([5 - votes, votes]) for votes in (2, 3)]
    assert np.linalg.norm(counts[1] - counts[0]) == pytest.approx(pategan.VOTE_SENSITIVITY)


def test_labels_are_the_majority_without_noise():
    votes = torch.tensor([0, 2, 3, 5])
    assert pategan.noisy_labels(votes, 5, 1e-9).tolist() == [0, 0, 1, 1]
    noisy = pategan.noisy_labels(torch.full((1000,), 5), 5, 100.0)
    assert 0.4 < noisy.mean() < 0.65


def test_histograms_are_right_without_noise(adult, monkeypatch):
    table, metadata = adult
    monkeypatch.setattr(budget, 'gaussian_multiplier', lambda *request: 1e-3)
    method = references.IndependentHistograms()
    fitted = method.fit(table, metadata, epsilon=EPSILON, delta=DELTA, seed=0)
    sampled = fitted.sample(20_000, 0)
    for name in ('age', 'education_num'):
        assert sampled[name].mean() == pytest.approx(table[name].mean(), rel=0.05)
    for name in ('sex', 'race', 'workclass'):
        shares = [t[name].value_counts(normalize=True, dropna=False) for t in (table, sampled)]
        assert (shares[0].sub(shares[1], fill_value=0)).abs().max() < 0.03


def test_one_row_adds_one_to_one_cell_of_each_column():
    table, metadata = mixed()
    columns = public_columns(metadata)
    whole = references.histograms(table, columns, 20)
    for dropped in range(10):
        rest = references.histograms(table.drop(index=dropped), columns, 20)
        moves = [first - second for first, second in zip(whole, rest, strict=True)]
        assert all(sorted(move)[-1] == 1 and move.sum() == 1 for move in moves)
