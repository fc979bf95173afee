"""The projection mechanism and its generators, as a user sees them."""

import copy
import math
import pickle
import warnings

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import torch
from sdv.errors import NotFittedError, RefitWarning, SamplingError, SynthesizerInputError
from sdv.utils import load_synthesizer
from tables import MIXED_COLUMNS, TABLE, make_metadata, make_mixed_table

from sdv_slicedp.errors import PrivacyError
from sdv_slicedp.ledger import Ledger
from sdv_slicedp.reports import privacy_report
from sdv_slicedp.synthesizer import SlicedDPSynthesizer

NAN = float('nan')
FAST = {
    'epochs': 5,
    'n_components': 20,
    'batch_size': 32,
    'slices_per_step': 16,
    'random_state': 0,
    'enable_gpu': False,
}
NAMES = ['age', 'income', 'city']
METADATA = make_metadata({name: MIXED_COLUMNS[name] for name in NAMES})
MODELLED = ('numerical', 'categorical', 'ordinal', 'boolean', 'datetime')


class Own(torch.nn.Module):
    """A generator of the user's own."""

    latent_dim = 3

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 6)

    def forward(self, latent):
        return torch.tanh(self.layer(latent))


GENERATORS = ['mixture', 'mlp', 'residual_mlp', Own()]
MECHANISMS = ['histogram', 'projection']


def named(value):
    return value if isinstance(value, str) else type(value).__name__


def make(metadata=METADATA, **options):
    chosen = {'epsilon': 10.0, 'public_domain': True, 'mechanism': 'projection', **FAST}
    return SlicedDPSynthesizer(metadata, **{**chosen, **options})


def small(n_rows=150, seed=0):
    return make_mixed_table(n_rows, seed)[NAMES]


def sample(synthesizer, num_rows=40):
    return synthesizer.sample(num_rows)[TABLE]


def fit(synthesizer, table):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        synthesizer.fit({TABLE: table})
    return synthesizer


@pytest.fixture(scope='module')
def _fitted_once():
    return {name: fit(make(mechanism=name), small()) for name in MECHANISMS}


@pytest.fixture(params=MECHANISMS)
def of_each(request, _fitted_once):
    """A synthesizer of three columns fitted by each mechanism, the test's own copy."""
    return copy.deepcopy(_fitted_once[request.param])


@pytest.fixture
def projected(_fitted_once):
    """A synthesizer of three columns fitted by the projection mechanism."""
    return copy.deepcopy(_fitted_once['projection'])


def spending(synthesizer):
    """All that a guarantee rests on, and the release as bytes."""
    report = synthesizer.get_privacy_report()
    entries = [record.entries for record in synthesizer._history.records]
    return report, entries, cloudpickle.dumps(synthesizer.get_release())


class TestConstructor:
    def test_keeps_every_argument_under_its_name(self):
        given = {
            'epsilon': 2.0,
            'delta': 1e-7,
            'public_domain': ['age'],
            'mechanism': 'projection',
            'target_columns': None,
            'remainder': None,
            'directions': 'sphere',
            'n_slices': 5,
            'enforce_min_max_values': False,
            'enforce_rounding': False,
            'locales': ['fr_FR'],
            'generator': 'residual_mlp',
            'epochs': 7,
            'n_components': 8,
            'batch_size': 9,
            'learning_rate': 0.1,
            'divergence': 'kl',
            'estimator': 'samples',
            'slices_per_step': 10,
            'patience': 11,
            'callback': print,
            'random_state': 12,
            'enable_gpu': False,
            'verbose': True,
        }
        assert SlicedDPSynthesizer(METADATA, **given).get_parameters() == given

    def test_keeps_a_module_as_it_is(self):
        module = Own()
        assert make(generator=module).get_parameters()['generator'] is module

    @pytest.mark.parametrize(
        'name, value, cure',
        [
            ('mechanism', 'sliced', "one of ['histogram', 'projection']"),
            ('mechanism', NAN, "one of ['histogram', 'projection']"),
            ('directions', 'axes', "one of ['orthonormal', 'sphere']"),
            ('n_slices', 0, 'None or an integer of at least 1'),
            ('n_slices', NAN, 'None or an integer of at least 1'),
            ('generator', 'gan', "one of ['mixture', 'mlp', 'residual_mlp'] or a torch.nn.Module"),
            ('epochs', NAN, 'None or an integer of at least 1'),
            ('n_components', 0, 'None or an integer of at least 1'),
            ('batch_size', NAN, 'None or an integer of at least 1'),
            ('learning_rate', NAN, 'None or positive and finite'),
            ('learning_rate', -1.0, 'None or positive and finite'),
            ('divergence', 'wasserstein', "one of ['kl', "),
            ('estimator', NAN, "one of ['grid', 'samples']"),
            ('slices_per_step', None, 'an integer of at least 1'),
            ('slices_per_step', NAN, 'integer of at least 1'),
            ('patience', 0, 'None or an integer of at least 1'),
            ('callback', 'print', 'None or callable'),
            ('random_state', NAN, 'None or an integer of at least 0'),
            ('enable_gpu', 'yes', 'True or False'),
            ('verbose', 1, 'True or False'),
        ],
    )
    def test_refuses_options_by_name_value_and_cure(self, name, value, cure):
        with pytest.raises(SynthesizerInputError) as caught:
            make(**{name: value})
        message = str(caught.value)
        assert message.startswith(f'{name} must be ') and f'got {value!r}' in message
        assert cure in message

    @pytest.mark.parametrize('options', [{'n_slices': 5}, {'directions': 'sphere'}])
    def test_histograms_take_no_directions(self, options):
        with pytest.raises(SynthesizerInputError, match=r"mechanism='projection', got"):
            make(mechanism='histogram', **options)


@pytest.mark.parametrize('generator', GENERATORS, ids=named)
class TestEveryGenerator:
    def test_is_trained_saved_loaded_and_trained_again(self, of_each, generator, tmp_path):
        of_each.refit(generator=generator)
        rows = sample(of_each)
        of_each.reset_sampling()
        pd.testing.assert_frame_equal(sample(of_each), rows)
        assert rows['age'].between(0, 120).all() and rows['age'].dtype == np.int64
        assert rows['income'].dropna().between(0, 9000.5).all()
        assert set(rows['city'].dropna()) <= {'Oslo', 'Rome', 'Bonn'}
        of_each.save(tmp_path / 'saved.pkl')
        loaded = load_synthesizer(tmp_path / 'saved.pkl')
        of_each.reset_sampling(), loaded.reset_sampling()
        pd.testing.assert_frame_equal(sample(loaded), sample(of_each))
        assert named(loaded.get_parameters()['generator']) == named(generator)
        loaded.refit(epochs=2)
        assert len(sample(loaded)) == 40

    def test_leaves_release_ledger_and_report_alone(self, of_each, generator):
        before = spending(of_each)
        of_each.refit(generator=generator, epochs=3)
        of_each.refit(warm_start=True, learning_rate=0.01)
        assert spending(of_each) == before
        other = SlicedDPSynthesizer.from_release(
            of_each.get_release(), METADATA, generator=generator, **FAST
        )
        assert spending(other)[0].epsilon == before[0].epsilon
        assert spending(other)[1:] == before[1:]
        other.refit(warm_start=True, epochs=2)
        assert spending(other)[0].epsilon == before[0].epsilon
        assert spending(other)[1:] == before[1:]

    def test_trains_the_same_from_the_same_seed(self, of_each, generator):
        made = []
        for seed in (3, 3, 4):
            of_each.refit(generator=generator, random_state=seed, epochs=3)
            made.append(sample(of_each))
        pd.testing.assert_frame_equal(made[0], made[1])
        assert not made[0].equals(made[2])

    def test_shows_its_losses(self, of_each, generator):
        of_each.refit(generator=generator)
        losses = of_each.get_loss_values()
        assert losses.columns.tolist() == ['Epoch', 'Loss']
        assert 0 < len(losses) <= FAST['epochs']
        assert losses['Epoch'].is_monotonic_increasing and losses['Epoch'].is_unique
        assert np.isfinite(losses['Loss']).all()


class TestFit:
    @pytest.mark.parametrize('mechanism', MECHANISMS)
    @pytest.mark.parametrize('generator', ['mlp', Own()], ids=named)
    def test_trains_networks(self, mechanism, generator):
        weights = None if generator == 'mlp' else copy.deepcopy(generator.state_dict())
        synthesizer = fit(make(mechanism=mechanism, generator=generator), small())
        assert len(sample(synthesizer)) == 40
        if weights is not None:  # the user's own module is left alone
            after = generator.state_dict()
            assert all(torch.equal(after[name], weights[name]) for name in weights)

    def test_needs_a_generator_that_keeps_to_the_protocol_before_it_spends(self):
        with pytest.raises(SynthesizerInputError, match='generator must take'):
            make(generator=torch.nn.Linear(5, 5))

    @pytest.mark.parametrize(
        'options',
        [
            {'directions': 'sphere'},
            {'directions': 'sphere', 'n_slices': 20},
            {'n_slices': 2},
            {'n_slices': 1, 'public_domain': False},
            {'estimator': 'samples', 'slices_per_step': 3, 'divergence': 'chi2'},
        ],
    )
    def test_directions_and_estimators(self, options):
        synthesizer = fit(make(**options), small())
        projection = synthesizer.get_release().projection
        assert projection.kind == options.get('directions', 'orthonormal')
        if 'n_slices' in options:
            assert projection.directions.shape[1] == options['n_slices']
        assert len(sample(synthesizer)) == 40

    @pytest.mark.parametrize(
        'divergence', ['jensen_shannon', 'kl', 'reverse_kl', 'chi2', 'hellinger', 'total_variation']
    )
    def test_every_divergence_trains(self, projected, divergence):
        projected.refit(divergence=divergence, epochs=3)
        assert np.isfinite(projected.get_loss_values()['Loss']).all()

    def test_noise_cannot_be_seeded(self, projected):
        other = fit(make(), small())
        first, second = projected.get_release().projection, other.get_release().projection
        assert not np.array_equal(first.directions, second.directions)
        assert not np.array_equal(first.values, second.values)

    def test_in_two_steps_too(self):
        synthesizer = make()
        processed = synthesizer.preprocess({TABLE: small()})
        synthesizer.fit_processed_data(processed)
        assert synthesizer.get_release().projection.n_rows == 150
        assert len(sample(synthesizer)) == 40

    def test_a_second_fit_warns_and_adds_up(self, projected):
        once = projected.get_privacy_report()
        with pytest.warns(RefitWarning, match='spent privacy budget before'):
            projected.fit({TABLE: small(120, 1)})
        twice = projected.get_privacy_report()
        assert twice.fits[0] == once.fits[0] and len(twice.fits) == 2
        assert twice.epsilon > 1.2 * once.epsilon and twice.delta == 2e-6
        assert [fit.noisy_rows for fit in twice.fits] == [150, 120]
        assert twice.neighboring_relation == 'replace_one'

    def test_too_small_a_budget_touches_nothing(self):
        synthesizer = make(epsilon=1e-9, public_domain=False)
        with pytest.raises(PrivacyError, match='epsilon'):
            synthesizer.fit({TABLE: small()})
        assert not synthesizer.get_privacy_report().fits
        assert not synthesizer.get_info()['is_fit']


class TestMixedTable:
    @pytest.fixture(
        scope='class', params=[(True, 'mixture'), (False, 'mlp')], ids=['public', 'discovered']
    )
    @staticmethod
    def synthesizer(request):
        public_domain, generator = request.param
        metadata = make_metadata(MIXED_COLUMNS, primary_key='key')
        # Little noise, so that tests of what is sampled do not depend on luck.
        options = {'epsilon': 200.0, 'public_domain': public_domain, 'generator': generator}
        return fit(make(metadata, **options), make_mixed_table())

    def test_rows_dtypes_missing_values_and_ranges(self, synthesizer):
        synthesizer, real = copy.deepcopy(synthesizer), make_mixed_table()
        rows = sample(synthesizer, 300)
        assert list(rows) == list(real) and len(rows) == 300
        assert rows['key'].is_unique
        public = bool(synthesizer.public_domain)
        families = {'floor': 'int64', 'grade': 'object'}
        for name, column in MIXED_COLUMNS.items():
            if column['sdtype'] not in MODELLED:
                continue
            # Without a declaration, any column may have gaps, which whole numbers show as floats.
            complete = public and not column.get('range_is_nullable', True)
            assert rows[name].isna().mean() <= (0 if complete else 0.4), name
            if not public:
                continue
            assert rows[name].dtype == families.get(name, real[name].dtype), name
            known = rows[name].dropna()
            if column['sdtype'] == 'numerical':
                values = known.to_numpy(dtype=float)
                assert values.min() >= column['range_min'], name
                assert values.max() <= column['range_max'], name
                rounded = np.round(values, column['decimal_places'])
                np.testing.assert_allclose(values, rounded, rtol=1e-6, err_msg=name)
            elif 'range_values' in column:
                assert set(known) <= set(column['range_values']), name
        assert any(rows[name].isna().any() for name in ('income', 'points', 'city', 'born'))

    def test_the_report_is_about_replaced_rows(self, synthesizer):
        report = synthesizer.get_privacy_report()
        assert report.neighboring_relation == 'replace_one'
        assert 0 < report.epsilon <= 200.0 and report.delta == 1e-6
        (one,) = report.fits
        assert one.completed and one.rows_are_public and one.noisy_rows == 400
        assert any('number of rows' in line for line in report.public)
        line = one.lines[-1]
        projection = synthesizer.get_release().projection
        assert (line.stage, line.directions) == ('projection', 'orthonormal')
        assert (line.dimension, line.slices) == projection.directions.shape
        assert line.sigma == projection.sigma and line.sensitivity > 0
        assert sum(line.share for line in one.lines) == pytest.approx(1)
        text = str(report)
        assert 'tables of the same size that differ in one row' in text
        assert '400 rows' in text and 'orthonormal directions' in text
        assert one.requested_epsilon == 200.0 and not report.warnings


class TestRefit:
    def test_needs_no_data(self, projected, tmp_path):
        before = projected.get_privacy_report()
        projected.get_release().save(tmp_path / 'release')
        other = SlicedDPSynthesizer.from_release(tmp_path / 'release', METADATA, **FAST)
        assert other.get_release() == projected.get_release()
        assert other.get_privacy_report().epsilon == before.epsilon
        assert other.get_privacy_report().neighboring_relation == 'replace_one'
        assert other.get_parameters()['mechanism'] == 'projection'
        ours, theirs = sample(projected), sample(other)
        assert theirs['age'].tolist() == ours['age'].tolist()
        assert theirs['city'].dropna().tolist() == ours['city'].dropna().tolist()

    @pytest.mark.parametrize(
        'options', [{}, {'directions': 'sphere'}, {'n_slices': 2}, {'n_slices': 9}]
    )
    def test_a_release_says_which_directions_it_has(self, options):
        first = fit(make(**options), small())
        other = SlicedDPSynthesizer.from_release(first.get_release(), METADATA, **FAST)
        for name in ('mechanism', 'directions', 'n_slices', 'epsilon', 'delta'):
            assert other.get_parameters()[name] == first.get_parameters()[name], name

    @pytest.mark.parametrize('name', ['epsilon', 'mechanism', 'directions', 'n_slices'])
    def test_refuses_what_concerns_the_measurement(self, projected, name):
        with pytest.raises(TypeError, match=name):
            projected.refit(**{name: 1})

    @pytest.mark.parametrize('name', ['batch_size', 'learning_rate', 'divergence', 'callback'])
    def test_refuses_impossible_options_and_keeps_the_old_ones(self, projected, name):
        before, rows = projected.get_parameters(), sample(copy.deepcopy(projected))
        with pytest.raises(SynthesizerInputError, match=name):
            projected.refit(**{name: NAN})
        assert projected.get_parameters() == before
        pd.testing.assert_frame_equal(sample(projected), rows)

    def test_keeps_the_new_options(self, projected):
        projected.refit(generator='mlp', divergence='kl', epochs=2)
        parameters = projected.get_parameters()
        chosen = [parameters[name] for name in ('generator', 'divergence', 'epochs')]
        assert chosen == ['mlp', 'kl', 2]
        assert parameters['batch_size'] == FAST['batch_size']

    @pytest.mark.parametrize(
        'first, second', [('mixture', 'mlp'), ('mlp', 'mixture'), ('mlp', Own()), (Own(), Own())]
    )
    def test_a_warm_start_goes_on_with_the_same_generator_only(self, of_each, first, second):
        of_each.refit(generator=first, epochs=2)
        rows = sample(copy.deepcopy(of_each))
        with pytest.raises(SynthesizerInputError, match='set warm_start=False'):
            of_each.refit(warm_start=True, generator=second)
        assert of_each.get_parameters()['generator'] is first
        pd.testing.assert_frame_equal(sample(of_each), rows)

    @pytest.mark.parametrize('generator', ['mixture', 'mlp'])
    def test_a_warm_start_goes_on(self, generator, _fitted_once):
        synthesizer = copy.deepcopy(_fitted_once['histogram'])
        synthesizer.refit(generator=generator, epochs=60, batch_size=256)
        losses = synthesizer.get_loss_values()['Loss']
        synthesizer.refit(warm_start=True, epochs=2, learning_rate=1e-6)
        again = synthesizer.get_loss_values()['Loss'].iloc[0]
        assert abs(again - losses.iloc[-1]) < 0.3 * (losses.iloc[0] - losses.iloc[-1])

    def test_needs_a_release(self):
        with pytest.raises(NotFittedError):
            make().refit(warm_start=True)


class TestTraining:
    @pytest.mark.parametrize('generator', ['mixture', 'mlp'])
    def test_callbacks_hear_of_every_epoch(self, _fitted_once, generator):
        synthesizer, heard = copy.deepcopy(_fitted_once['histogram']), []
        synthesizer.refit(generator=generator, callback=lambda *told: heard.append(told))
        losses = synthesizer.get_loss_values()
        assert [list(told) for told in heard] == losses.to_numpy().tolist()
        assert len(heard) == FAST['epochs']

    @pytest.mark.parametrize('generator', ['mixture', 'mlp'])
    def test_true_stops(self, of_each, generator):
        heard = []

        def third(epoch, loss):
            assert isinstance(epoch, int) and isinstance(loss, float)
            heard.append(epoch)
            return epoch == 2

        of_each.refit(generator=generator, epochs=1000, callback=third)
        assert heard == [0, 1, 2]

    def test_projections_count_their_epochs_through(self, projected):
        heard = []
        projected.refit(epochs=10, callback=lambda epoch, loss: heard.append(epoch))
        assert heard == list(range(len(heard))) and len(heard) <= 10

    def test_other_answers_do_not_stop(self, of_each):
        of_each.refit(callback=None)
        without = of_each.get_loss_values()
        of_each.refit(callback=lambda epoch, loss: 1)
        pd.testing.assert_frame_equal(of_each.get_loss_values(), without)

    @pytest.mark.parametrize('generator', ['mixture', 'mlp'])
    def test_patience_stops(self, of_each, generator):
        # Steps too small for any gain.
        of_each.refit(generator=generator, epochs=500, patience=3, learning_rate=1e-12)
        assert len(of_each.get_loss_values()) < 250

    def test_a_failing_callback_is_heard_and_costs_nothing(self, of_each):
        before = spending(of_each)

        def fail(epoch, loss):
            raise RuntimeError('of the user')

        with pytest.raises(RuntimeError, match='of the user'):
            of_each.refit(callback=fail)
        assert spending(of_each) == before and len(sample(of_each)) == 40

    def test_verbose_shows_a_bar_with_the_loss(self, of_each, capfd):
        of_each.refit(verbose=True)
        captured = capfd.readouterr()
        assert captured.out == ''
        assert 'Training' in captured.err and 'loss=' in captured.err
        of_each.refit(verbose=False)
        assert capfd.readouterr() == ('', '')

    def test_leaves_global_random_streams_alone(self, of_each):
        before = torch.get_rng_state(), repr(np.random.get_state())  # noqa: NPY002
        of_each.refit(generator='mlp', random_state=None)
        sample(of_each)
        assert torch.equal(torch.get_rng_state(), before[0])
        assert repr(np.random.get_state()) == before[1]  # noqa: NPY002


def rows_of(table, columns, **options):
    return sample(fit(make(make_metadata(columns), **options), table))


def test_warm_start_takes_no_other_size_and_no_other_truth(of_each):
    with pytest.raises(SynthesizerInputError, match='n_components'):
        of_each.refit(warm_start=True, n_components=7)
    with pytest.raises(SynthesizerInputError, match='warm_start must be True or False'):
        of_each.refit(warm_start='yes')


class TestOddTables:
    @pytest.mark.parametrize('generator', ['mixture', 'mlp'])
    @pytest.mark.parametrize('public_domain', [True, False])
    def test_one_row(self, generator, public_domain):
        # So few rows that nothing is discovered, or noise: both are fine, a crash is not.
        synthesizer = make(generator=generator, public_domain=public_domain)
        synthesizer.fit({TABLE: small(1)})
        assert len(sample(synthesizer)) == 40
        assert synthesizer.get_release().noisy_rows == 1

    @pytest.mark.parametrize('name', ['age', 'city', 'member', 'opted', 'born', 'seen'])
    @pytest.mark.parametrize('generator', ['mixture', 'mlp'])
    def test_one_column(self, name, generator):
        table, columns = make_mixed_table(100)[[name]], {name: MIXED_COLUMNS[name]}
        rows = rows_of(table, columns, generator=generator)
        assert list(rows) == [name] and len(rows) == 40
        assert rows[name].dtype == table[name].dtype

    @pytest.mark.parametrize('public_domain', [True, False])
    def test_a_column_without_values(self, public_domain):
        table = small().assign(income=np.nan)
        synthesizer = fit(make(public_domain=public_domain, epsilon=100.0), table)
        rows = sample(synthesizer)
        assert rows['income'].dtype == float and len(rows) == 40
        if public_domain:
            assert rows['income'].isna().mean() > 0.7

    @pytest.mark.parametrize('generator', GENERATORS, ids=named)
    def test_only_generated_columns(self, generator):
        names = ['key', 'account', 'email', 'note']
        metadata = make_metadata({name: MIXED_COLUMNS[name] for name in names}, primary_key='key')
        synthesizer = fit(make(metadata, generator=generator), make_mixed_table(50)[names])
        assert list(sample(synthesizer)) == names
        report = synthesizer.get_privacy_report()
        assert report.epsilon == 0.0 and not report.fits
        release = synthesizer.get_release()
        assert (release.mechanism, release.projection) == ('projection', None)
        assert release.neighboring_relation == 'replace_one'
        assert synthesizer.get_loss_values().columns.tolist() == ['Epoch', 'Loss']
        synthesizer.refit(warm_start=True)
        other = SlicedDPSynthesizer.from_release(release, metadata)
        assert len(sample(other)) == 40

    @pytest.mark.parametrize('public_domain', [True, False])
    def test_hostile_cells_are_neither_errors_nor_warnings(self, public_domain, capsys):
        odd = pd.Series([10**400, 'Oslo', (1, 2), b'x', pd.NA, math.inf] * 20, dtype=object)
        numbers = pd.Series([np.inf, -np.inf, 1e300, -5, np.nan, 40.5] * 20)
        table = pd.DataFrame({'age': numbers, 'income': odd, 'city': odd})
        synthesizer = fit(make(public_domain=public_domain), table)
        assert len(sample(synthesizer)) == 40
        assert capsys.readouterr() == ('', '')


class TestRelations:
    def test_do_not_mix(self, _fitted_once):
        first = _fitted_once['histogram']
        second = SlicedDPSynthesizer.from_release(
            _fitted_once['projection'].get_release(), METADATA, **FAST
        )
        assert first.get_privacy_report().neighboring_relation == 'add_or_remove_one'
        assert second.get_privacy_report().neighboring_relation == 'replace_one'
        with pytest.raises(PrivacyError, match='add_or_remove_one, replace_one'):
            privacy_report([*first._history.records, *second._history.records])

    def test_a_fit_after_a_release_keeps_to_its_mechanism(self, of_each):
        other = SlicedDPSynthesizer.from_release(of_each.get_release(), METADATA, **FAST)
        with pytest.warns(RefitWarning):
            other.fit({TABLE: small()})
        report = other.get_privacy_report()
        assert len(report.fits) == 2
        assert report.neighboring_relation == of_each.get_release().neighboring_relation
        assert other.get_release().mechanism == of_each.mechanism


class TestInterrupt:
    @pytest.mark.parametrize('mechanism', MECHANISMS)
    @pytest.mark.parametrize('generator', ['mixture', 'mlp'])
    def test_while_training_keeps_the_ledger_and_the_release(self, mechanism, generator):
        def press_ctrl_c(epoch, loss):
            raise KeyboardInterrupt

        synthesizer = make(mechanism=mechanism, generator=generator, callback=press_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            synthesizer.fit({TABLE: small()})
        with pytest.raises(SamplingError):
            synthesizer.sample(1)
        synthesizer.callback = None  # a function of this test cannot be compared after a copy
        for one in (synthesizer, pickle.loads(cloudpickle.dumps(synthesizer))):
            (record,) = one.get_privacy_report().fits
            assert not record.completed and record.noisy_rows is not None
            assert len(record.lines) == len(one.get_release().ledger) > 0
            assert 0 < record.epsilon <= 10.0
        spent = synthesizer.get_privacy_report().epsilon
        synthesizer.refit()
        assert len(sample(synthesizer)) == 40
        assert synthesizer.get_privacy_report().fits[0].completed
        assert synthesizer.get_privacy_report().epsilon == spent

    @pytest.mark.parametrize('number', [1, 2, 3, 4])
    def test_while_measuring_shows_what_was_spent(self, monkeypatch, number):
        record = Ledger.record

        def recording(ledger, entry):
            record(ledger, entry)
            if len(ledger.entries) == number:
                raise KeyboardInterrupt

        monkeypatch.setattr(Ledger, 'record', recording)
        synthesizer = make(public_domain=False)
        with pytest.raises(KeyboardInterrupt):
            synthesizer.fit({TABLE: small()})
        with pytest.raises(NotFittedError):
            synthesizer.get_release()
        for one in (synthesizer, pickle.loads(cloudpickle.dumps(synthesizer))):
            report = one.get_privacy_report()
            (line,) = report.fits
            assert len(line.lines) == number and not line.completed and line.noisy_rows is None
            assert 0 < report.epsilon <= 10.0
            assert report.neighboring_relation == 'replace_one'
            assert any('did not end' in warning for warning in report.warnings)
