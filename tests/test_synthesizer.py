import copy
import logging
import math
import pickle
import signal
import threading
import warnings
from _thread import interrupt_main
from contextlib import contextmanager
from typing import ClassVar

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from leaves import leaves
from sdv.errors import NotFittedError, RefitWarning, SamplingError, SynthesizerInputError
from sdv.metadata import Metadata
from tables import MIXED_COLUMNS, QUICK, TABLE, make_metadata, make_mixed_table

from sdv_slicedp.errors import DomainError, PrivacyError, ReleaseFormatError
from sdv_slicedp.release import Release
from sdv_slicedp.schema import RANGES
from sdv_slicedp.synthesizer import SlicedDPSynthesizer


def sample(synthesizer, num_rows=50):
    return synthesizer.sample(num_rows)[TABLE]


class TestConstructor:
    def test_keeps_every_argument_under_its_name(self, small_metadata):
        synthesizer = SlicedDPSynthesizer(small_metadata, epsilon=2, public_domain=['age'])
        assert synthesizer.get_parameters() == {
            'epsilon': 2,
            'delta': 1e-6,
            'public_domain': ['age'],
            'mechanism': 'histogram',
            'target_columns': None,
            'remainder': None,
            'directions': 'orthonormal',
            'n_slices': None,
            'enforce_min_max_values': True,
            'enforce_rounding': True,
            'locales': ['en_US'],
            'generator': 'mixture',
            'epochs': None,
            'n_components': None,
            'batch_size': None,
            'learning_rate': None,
            'divergence': 'jensen_shannon',
            'estimator': 'grid',
            'slices_per_step': 128,
            'patience': None,
            'callback': None,
            'random_state': None,
            'enable_gpu': True,
            'verbose': False,
        }

    @pytest.mark.parametrize('epsilon', [0, -1, math.nan, math.inf])
    def test_refuses_an_epsilon_without_meaning(self, small_metadata, epsilon):
        with pytest.raises(ValueError, match='epsilon'):
            SlicedDPSynthesizer(small_metadata, epsilon=epsilon)

    @pytest.mark.parametrize('delta', [0, -1e-6, 1, 2, math.nan])
    def test_refuses_a_delta_without_meaning(self, small_metadata, delta):
        with pytest.raises(ValueError, match='delta'):
            SlicedDPSynthesizer(small_metadata, delta=delta)

    @pytest.mark.parametrize('name', ['epsilon', 'delta'])
    @pytest.mark.parametrize('value', ['1', None, True])
    def test_refuses_budgets_that_are_no_numbers(self, small_metadata, name, value):
        with pytest.raises(TypeError, match=name):
            SlicedDPSynthesizer(small_metadata, **{name: value})

    @pytest.mark.parametrize(
        'options, message',
        [
            ({'mechanism': 'exact'}, 'histogram'),
            ({'generator': 'gan'}, 'mixture'),
            ({'epochs': 0}, 'epochs'),
            ({'public_domain': 'age'}, 'public_domain must be'),
            ({'public_domain': ['nowhere']}, 'nowhere'),
            ({'enforce_rounding': 1}, 'enforce_rounding'),
        ],
    )
    def test_refuses_other_options_by_name(self, small_metadata, options, message):
        with pytest.raises(SynthesizerInputError, match=message):
            SlicedDPSynthesizer(small_metadata, **options)

    @pytest.mark.filterwarnings('ignore:This metadata does not contain')
    def test_checks_the_attestation_without_columns_too(self):
        with pytest.raises(SynthesizerInputError, match='public_domain must be'):
            SlicedDPSynthesizer(Metadata(), public_domain='all')
        names = ['to come']
        synthesizer = SlicedDPSynthesizer(Metadata(), public_domain=names)
        names.append('later')
        assert synthesizer.get_parameters()['public_domain'] == ['to come']

    def test_does_not_share_default_locales(self, small_metadata):
        first, second = (SlicedDPSynthesizer(small_metadata) for _ in range(2))
        assert first.locales is not second.locales


class TestMetadata:
    @pytest.mark.parametrize('public_domain', [False, ['age']])
    def test_unattested_ranges_are_nowhere_in_the_synthesizer(self, public_domain, mixed_table):
        columns = copy.deepcopy(MIXED_COLUMNS)
        columns['city']['range_values'].append('zqxjv')
        columns['income']['range_max'] = 9876.54321
        metadata = make_metadata(columns, primary_key='key')
        before = metadata.to_dict()
        synthesizer = SlicedDPSynthesizer(
            metadata, epsilon=10.0, public_domain=public_domain, **QUICK
        )
        synthesizer.fit({TABLE: mixed_table})
        assert metadata.to_dict() == before
        for version in ('original', 'modified'):
            kept = synthesizer.get_metadata(version).tables[TABLE].columns
            ranged = {name for name, column in kept.items() if RANGES & set(column)}
            assert ranged == set(public_domain or [])
        state = cloudpickle.dumps(synthesizer)
        assert b'zqxjv' not in state
        assert b'9876.54321' not in state and np.float64(9876.54321).tobytes() not in state
        assert np.float64(9876.54321).tobytes()[::-1] not in state

    def test_attested_ranges_are_kept(self, mixed_metadata):
        synthesizer = SlicedDPSynthesizer(mixed_metadata, public_domain=True)
        assert synthesizer.get_metadata().to_dict() == mixed_metadata.to_dict()

    def test_changes_of_the_user_s_metadata_are_warned_of(self, small_metadata, small_table):
        synthesizer = SlicedDPSynthesizer(small_metadata, epsilon=10.0, **QUICK)
        small_metadata.update_column('city', sdtype='categorical')
        with pytest.warns(UserWarning, match='metadata has been modified'):
            synthesizer.fit({TABLE: small_table})

    def test_metadata_that_was_never_saved_is_warned_of_once(self, small_metadata, small_table):
        small_metadata.update_column('city', sdtype='categorical')
        with pytest.warns(UserWarning, match='saving the metadata'):
            synthesizer = SlicedDPSynthesizer(small_metadata, epsilon=10.0, **QUICK)
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            synthesizer.fit({TABLE: small_table})


class TestLedger:
    def test_states_what_the_release_states(self, fitted):
        report = fitted.get_privacy_report()
        assert 0.0 < report.epsilon <= 50.0 and report.delta == 1e-6
        assert report.fits[0].completed
        assert len(report.fits[0].lines) == len(fitted.get_release().ledger)
        assert set(report.fits[0].public_columns) == set(MIXED_COLUMNS) - {
            'key',
            'account',
            'email',
            'note',
        }

    def test_nothing_is_spent_before_a_fit(self, small_metadata, small_table):
        synthesizer = SlicedDPSynthesizer(small_metadata)
        synthesizer.validate({TABLE: small_table})
        synthesizer.auto_assign_transformers({TABLE: small_table})
        synthesizer.preprocess({TABLE: small_table})
        assert synthesizer.get_privacy_report().epsilon == 0.0
        with pytest.raises(NotFittedError, match='no release'):
            synthesizer.get_release()

    def test_a_second_fit_warns_and_adds_up(self, small_metadata, small_table, make_synthesizer):
        synthesizer = make_synthesizer(small_metadata)
        synthesizer.fit({TABLE: small_table})
        once = synthesizer.get_privacy_report().epsilon
        with pytest.warns(RefitWarning, match='spent privacy budget before'):
            synthesizer.fit({TABLE: small_table})
        report = synthesizer.get_privacy_report()
        assert len(report.fits) == 2 and report.epsilon > 1.2 * once and report.delta == 2e-6

    def test_wrong_input_spends_nothing_and_keeps_the_fit(self, fitted, mixed_table):
        before = sample(copy.deepcopy(fitted))
        wrong = mixed_table.drop(columns='age')
        with pytest.raises(Exception, match='age'):
            fitted.fit({TABLE: wrong})
        assert len(fitted.get_privacy_report().fits) == 1
        pd.testing.assert_frame_equal(sample(fitted), before)

    def test_wrong_ranges_spend_nothing(self, small_table):
        columns = {name: dict(MIXED_COLUMNS[name]) for name in ('age', 'income', 'city')}
        columns['age']['range_max'] = math.inf
        metadata = make_metadata(columns)
        synthesizer = SlicedDPSynthesizer(metadata, public_domain=True)
        with pytest.raises(DomainError, match="'age'"):
            synthesizer.fit({TABLE: small_table})
        assert not synthesizer.get_privacy_report().fits
        SlicedDPSynthesizer(metadata, epsilon=10.0, public_domain=['city'], **QUICK).fit(
            {TABLE: small_table}
        )

    def test_a_budget_that_is_too_small_is_an_error_of_one_string(self, small_metadata):
        assert str(PrivacyError('text')) == str(DomainError('text')) == 'text'


class InterruptingFrame(pd.DataFrame):
    """A frame whose columns can be read a few times before Ctrl-C is pressed."""

    _metadata: ClassVar = ['reads_left']

    @property
    def _constructor(self):
        return InterruptingFrame

    def __getitem__(self, key):
        self.reads_left -= 1
        if self.reads_left < 0:
            raise KeyboardInterrupt
        return super().__getitem__(key)


def interrupting(table, reads):
    frame = InterruptingFrame(table)
    frame.reads_left = reads
    return frame


@contextmanager
def answering_ctrl_c():
    """Where tests run in the background of a shell, the signal is ignored from the start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class TestInterrupt:
    def test_while_measuring_leaves_an_unfitted_synthesizer_and_a_ledger(
        self, small_metadata, small_table, make_synthesizer
    ):
        synthesizer = make_synthesizer(small_metadata, public_domain=False)
        processed = synthesizer.preprocess({TABLE: small_table})[TABLE]
        with pytest.raises(KeyboardInterrupt):
            synthesizer._fit(interrupting(processed, reads=3))
        (fit,) = synthesizer.get_privacy_report().fits
        assert 0 < fit.epsilon < 10.0 and not fit.completed
        assert {line.stage for line in fit.lines} == {'domain'}
        with pytest.raises(SamplingError):
            synthesizer.sample(1)
        with pytest.raises(NotFittedError):
            synthesizer.get_release()
        assert len(pickle.loads(cloudpickle.dumps(synthesizer)).get_privacy_report().fits) == 1

    @pytest.mark.parametrize('reads', [0, 4])
    def test_before_measuring_spends_nothing(
        self, small_metadata, small_table, make_synthesizer, reads
    ):
        synthesizer = make_synthesizer(small_metadata)
        with pytest.raises(KeyboardInterrupt):
            synthesizer.fit({TABLE: interrupting(small_table, reads)})
        assert not synthesizer.get_privacy_report().fits
        assert not synthesizer.get_info()['is_fit']

    def test_of_a_second_fit_leaves_nothing_of_the_first(
        self, small_metadata, small_table, make_synthesizer
    ):
        synthesizer = make_synthesizer(small_metadata)
        synthesizer.fit({TABLE: small_table})
        with pytest.warns(RefitWarning), pytest.raises(KeyboardInterrupt):
            synthesizer.fit({TABLE: interrupting(small_table, reads=4)})
        with pytest.raises(SamplingError):
            synthesizer.sample(1)
        assert len(synthesizer.get_privacy_report().fits) == 1

    def test_while_training_keeps_the_release(self, small_metadata, small_table, make_synthesizer):
        synthesizer = make_synthesizer(small_metadata, epochs=10**9)
        ended = threading.Event()

        def press_ctrl_c():
            """Again, if Python dropped it: in a finalizer, exceptions are only printed."""
            while synthesizer._release is None and not ended.wait(0.01):
                pass
            while not ended.is_set():
                interrupt_main()
                ended.wait(10)

        presser = threading.Thread(target=press_ctrl_c)
        presser.start()
        with answering_ctrl_c(), pytest.raises(KeyboardInterrupt):
            try:
                synthesizer.fit({TABLE: small_table})
            finally:
                ended.set()
        presser.join()
        with pytest.raises(SamplingError):
            synthesizer.sample(1)
        (fit,) = synthesizer.get_privacy_report().fits
        assert not fit.completed and fit.noisy_rows is not None
        synthesizer.refit(epochs=5)
        assert len(sample(synthesizer)) == 50
        assert synthesizer.get_privacy_report().fits[0].completed


class TestRelease:
    def test_refit_trains_again_for_free(self, fitted):
        release, spent = fitted.get_release(), fitted.get_privacy_report()
        fitted.refit(epochs=7, random_state=3)
        assert len(fitted.get_loss_values()) == 7
        assert fitted.get_parameters()['epochs'] == 7
        assert fitted.get_parameters()['n_components'] == QUICK['n_components']
        assert fitted.get_release() is release and fitted.get_privacy_report() == spent

    def test_the_same_seed_trains_the_same_generator(self, fitted):
        fitted.refit(random_state=5)
        first = sample(fitted)
        fitted.refit(random_state=5)
        pd.testing.assert_frame_equal(sample(fitted), first)

    def test_refit_refuses_what_concerns_the_measurement(self, fitted, small_metadata):
        with pytest.raises(TypeError, match='epsilon'):
            fitted.refit(epsilon=2.0)
        with pytest.raises(SynthesizerInputError, match='epochs'):
            fitted.refit(epochs=-1)
        assert fitted.get_parameters()['epochs'] == QUICK['epochs']
        with pytest.raises(NotFittedError):
            SlicedDPSynthesizer(small_metadata).refit()

    def test_a_saved_release_gives_the_same_synthetic_rows(self, fitted, mixed_metadata, tmp_path):
        path = tmp_path / 'mixed.release'
        fitted.get_release().save(path)
        other = SlicedDPSynthesizer.from_release(path, mixed_metadata, **QUICK)
        assert other.get_release() == fitted.get_release()
        assert other.get_privacy_report().epsilon == fitted.get_privacy_report().epsilon
        ours, theirs = sample(fitted), sample(other)
        # Without the table, its dtypes are not known: datetimes are text if they have a format.
        assert theirs.isna().to_numpy().tolist() == ours.isna().to_numpy().tolist()
        for name in ('age', 'income', 'points', 'city', 'grade', 'size', 'member', 'born'):
            assert theirs[name].dropna().tolist() == ours[name].dropna().tolist(), name
        assert theirs['zoned'].dropna().str.fullmatch(r'2020-\d\d-\d\d \d\d:\d\d').all()

    def test_a_release_carries_over_what_was_public(self, small_metadata, small_table):
        first = SlicedDPSynthesizer(
            small_metadata, epsilon=10.0, delta=1e-5, public_domain=['city'], **QUICK
        )
        first.fit({TABLE: small_table})
        other = SlicedDPSynthesizer.from_release(first.get_release(), small_metadata, **QUICK)
        assert other.get_parameters()['public_domain'] == ['city']
        assert (other.epsilon, other.delta) == (10.0, 1e-5)
        assert other.get_metadata().to_dict() == first.get_metadata().to_dict()
        assert other.get_privacy_report().fits[0].public_columns == ('city',)
        other.refit(epochs=2)

    def test_metadata_must_fit_the_release(self, fitted, small_metadata, mixed_metadata):
        with pytest.raises(SynthesizerInputError, match='does not fit the metadata'):
            SlicedDPSynthesizer.from_release(fitted.get_release(), small_metadata)
        mixed_metadata.tables[TABLE].columns['city']['sdtype'] = 'ordinal'
        with pytest.raises(SynthesizerInputError, match=r"\['city'\]"):
            SlicedDPSynthesizer.from_release(fitted.get_release(), mixed_metadata)

    def test_files_that_are_no_releases_are_refused(self, small_metadata, tmp_path):
        path = tmp_path / 'no.release'
        path.write_bytes(b'no release')
        with pytest.raises(ReleaseFormatError):
            SlicedDPSynthesizer.from_release(path, small_metadata)
        with pytest.raises(FileNotFoundError):
            SlicedDPSynthesizer.from_release(tmp_path / 'nowhere', small_metadata)


class TestTargetColumns:
    @pytest.mark.parametrize('columns', [['city'], ['income', 'city', 'income'], ('age',), []])
    def test_are_the_hubs_of_the_release(
        self, columns, small_metadata, small_table, make_synthesizer, tmp_path
    ):
        synthesizer = make_synthesizer(small_metadata, target_columns=columns, epochs=2)
        assert synthesizer.get_parameters()['target_columns'] == list(dict.fromkeys(columns))
        synthesizer.fit({TABLE: small_table})
        release = synthesizer.get_release()
        positions = {column.domain.name: i for i, column in enumerate(release.columns)}
        triples = [m for m in release.marginals if len(m.columns) == 3]
        assert {m.columns[0] for m in triples} == {positions[name] for name in columns}
        assert len(triples) == len(set(columns))
        assert synthesizer.get_privacy_report().epsilon <= 10.0
        assert len(sample(synthesizer, 5)) == 5

        release.save(tmp_path / 'small.release')
        read = Release.load(tmp_path / 'small.release')
        assert read == release
        again = SlicedDPSynthesizer.from_release(read, small_metadata, **QUICK, target_columns=None)
        assert len(sample(again, 5)) == 5

    def test_are_found_where_none_are_named(self, small_metadata, small_table, make_synthesizer):
        synthesizer = make_synthesizer(small_metadata, epochs=2)
        synthesizer.fit({TABLE: small_table})
        (triple,) = [m for m in synthesizer.get_release().marginals if len(m.columns) == 3]
        assert synthesizer.get_release().columns[triple.columns[0]].domain.name == 'city'

    def test_parameters_make_another_synthesizer(self, small_metadata):
        first = SlicedDPSynthesizer(small_metadata, target_columns=('income', 'age', 'income'))
        second = SlicedDPSynthesizer(small_metadata, **first.get_parameters())
        assert second.get_parameters() == first.get_parameters()
        assert second.target_columns == ['income', 'age']

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            ({'target_columns': 'city'}, 'None or a list'),
            ({'target_columns': ['town']}, r"not modelled: \['town'\]"),
            ({'target_columns': ['city'], 'mechanism': 'projection'}, 'histogram'),
        ],
    )
    def test_mistakes_are_named(self, small_metadata, options, message):
        with pytest.raises(SynthesizerInputError, match=message):
            SlicedDPSynthesizer(small_metadata, **options)

    def test_generated_columns_are_not_modelled(self):
        metadata = make_metadata(MIXED_COLUMNS, primary_key='key')
        for name in ('key', 'email'):
            with pytest.raises(SynthesizerInputError, match='not modelled'):
                SlicedDPSynthesizer(metadata, target_columns=[name])

    def test_cannot_be_changed_after_the_measurement(self, fitted):
        with pytest.raises(TypeError, match='target_columns'):
            fitted.refit(target_columns=['age'])


class TestOnlyGeneratedColumns:
    @pytest.fixture
    def generated(self, mixed_table):
        names = ['key', 'account', 'email', 'note']
        metadata = make_metadata({name: MIXED_COLUMNS[name] for name in names}, primary_key='key')
        synthesizer = SlicedDPSynthesizer(metadata)
        synthesizer.fit({TABLE: mixed_table[names]})
        return synthesizer

    def test_spend_nothing(self, generated):
        report = generated.get_privacy_report()
        assert report.epsilon == 0.0 and not report.fits
        assert generated.get_release().ledger == () == generated.get_release().columns
        assert generated.get_loss_values().empty

    def test_are_sampled(self, generated, mixed_table):
        rows = sample(generated)
        assert rows['key'].str.fullmatch('K[A-Z]{4}').all() and rows['key'].is_unique
        assert not set(rows['email']) & set(mixed_table['email'])
        assert list(rows) == ['key', 'account', 'email', 'note'] and len(rows) == 50

    def test_can_be_saved_and_released(self, generated, tmp_path):
        other = pickle.loads(cloudpickle.dumps(generated))
        pd.testing.assert_frame_equal(sample(other), sample(generated))
        release = generated.get_release()
        third = SlicedDPSynthesizer.from_release(release, generated.get_metadata())
        third.refit()
        assert len(sample(third)) == 50


HOSTILE = {
    'age': pd.Series([np.inf, -np.inf, 1e300, -5, np.nan, 40.5] * 50),
    'income': pd.Series([10**400, None, [1], '12.5', 'x', pd.Timestamp(0)] * 50, dtype=object),
    'city': pd.Series([10**400, 'Oslo', (1, 2), b'x', pd.NA, np.float64('inf')] * 50, dtype=object),
}


@pytest.mark.parametrize('public_domain', [True, False])
def test_hostile_cells_are_neither_errors_nor_warnings(small_metadata, public_domain, capsys):
    synthesizer = SlicedDPSynthesizer(
        small_metadata, epsilon=10.0, public_domain=public_domain, **QUICK
    )
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        table = pd.DataFrame(HOSTILE)
        processed = synthesizer.preprocess({TABLE: table})
        synthesizer.fit_processed_data(processed)
        SlicedDPSynthesizer(
            small_metadata, epsilon=10.0, public_domain=public_domain, **QUICK
        ).fit_processed_data({TABLE: table})
        rows = sample(synthesizer, 200)
    assert capsys.readouterr() == ('', '')
    if public_domain:
        assert rows['age'].between(0, 120).all()
        assert rows['income'].dropna().between(0, 9000.5).all()
        assert set(rows['city'].dropna()) <= {'Oslo', 'Rome', 'Bonn'}


@pytest.mark.parametrize('public_domain', [True, False])
def test_the_saved_synthesizer_holds_no_single_cell(mixed_metadata, mixed_table, public_domain):
    """A value that one row has is shown with a probability of at most delta."""
    canary, number = 'zqxjvcanary', 8754.33
    for name in ('key', 'email', 'note', 'city'):
        mixed_table.loc[7, name] = f'{canary} {name}'
    mixed_table.loc[7, 'income'] = number
    synthesizer = SlicedDPSynthesizer(
        mixed_metadata, epsilon=10.0, public_domain=public_domain, **QUICK
    )
    synthesizer.fit({TABLE: mixed_table})
    saved = cloudpickle.dumps(synthesizer)
    assert canary.encode() not in saved
    assert np.float64(number).tobytes() not in saved
    assert np.float64(number).tobytes()[::-1] not in saved


def test_logs_are_the_same_for_tables_of_any_size(mixed_metadata, caplog):
    def messages(n_rows):
        caplog.clear()
        with caplog.at_level(logging.DEBUG):
            synthesizer = SlicedDPSynthesizer(
                mixed_metadata, epsilon=10.0, public_domain=True, **QUICK
            )
            synthesizer.fit({TABLE: make_mixed_table(n_rows, n_rows)})
        own = {'TIMESTAMP', 'SYNTHESIZER ID'}
        return [
            {key: value for key, value in record.msg.items() if key not in own}
            if isinstance(record.msg, dict)
            else record.getMessage()
            for record in caplog.records
        ]

    first = messages(211)
    assert first == messages(307)
    assert not any('211' in str(message) or 'ROWS' in str(message) for message in first)


def test_the_table_is_left_as_it_was(mixed_metadata, make_synthesizer):
    table = make_mixed_table()
    table.index = table.index * 2
    columns = table.columns
    make_synthesizer(mixed_metadata).fit({TABLE: table})
    expected = make_mixed_table().set_index(table.index)
    pd.testing.assert_frame_equal(table, expected)
    assert table.columns is columns


def test_the_preprocessed_table_can_be_changed_and_fitted(
    small_metadata, small_table, make_synthesizer
):
    synthesizer = make_synthesizer(small_metadata)
    processed = synthesizer.preprocess({TABLE: small_table})
    processed[TABLE]['city'] = 'Rome'
    assert small_table['city'].nunique() == 3
    synthesizer.fit_processed_data(processed)
    assert (sample(synthesizer)['city'] == 'Rome').mean() > 0.8
    with pytest.warns(RefitWarning, match='already fitted'):
        synthesizer.preprocess({TABLE: small_table})


def test_a_processed_table_of_the_user_s_own_is_fitted(small_metadata, make_synthesizer):
    synthesizer = make_synthesizer(small_metadata)
    table = pd.DataFrame(
        {'age': [30.0, np.inf, 1e9] * 40, 'income': [1.0, 'x', None] * 40, 'city': ['Oslo'] * 120},
        index=np.arange(120) * 3,
    )
    synthesizer.fit_processed_data({TABLE: table})
    rows = sample(synthesizer)
    assert rows.dtypes.astype(str).tolist() == ['int64', 'float64', 'object']
    assert rows['age'].between(0, 120).all()
    assert len(synthesizer.get_privacy_report().fits) == 1


@pytest.mark.parametrize('public_domain', [True, False])
def test_two_tables_leave_the_same_state_outside_of_model_and_release(public_domain):
    states = []
    for seed in (1, 2):
        metadata = make_metadata(MIXED_COLUMNS, primary_key='key')
        synthesizer = SlicedDPSynthesizer(
            metadata, epsilon=10.0, public_domain=public_domain, **QUICK
        )
        synthesizer.preprocess({TABLE: make_mixed_table(100 * seed, seed)})
        states.append(dict(leaves(vars(synthesizer))))
    first, second = states
    differing = {path for path in first | second if first.get(path) != second.get(path)}
    assert differing == {"['_synthesizer_id']"}
    assert len(first) > 200


def test_transformers_take_effect_at_once_and_for_free(fitted):
    from rdt.transformers import IndexGenerator

    with warnings.catch_warnings():
        warnings.simplefilter('error')
        fitted.update_transformers({'key': IndexGenerator(prefix='N')})
    rows = sample(fitted, 3)
    assert rows['key'].tolist() == ['N0', 'N1', 'N2']
    assert rows['age'].between(0, 120).all() and rows['age'].dtype == np.int64
    assert len(fitted.get_privacy_report().fits) == 1


def test_losses_are_those_of_the_training(fitted, small_metadata):
    losses = fitted.get_loss_values()
    assert losses.columns.tolist() == ['Epoch', 'Loss'] and len(losses) == QUICK['epochs']
    losses['Loss'] = 0
    assert (fitted.get_loss_values()['Loss'] != 0).any()
    figure = fitted.get_loss_values_plot('A title')
    assert figure.layout.title.text == 'A title' and len(figure.data[0].y) == QUICK['epochs']
    with pytest.raises(NotFittedError, match='losses'):
        SlicedDPSynthesizer(small_metadata).get_loss_values()


def test_an_empty_release_is_a_release():
    assert Release((), (), (), 1.0, 1e-6).noisy_rows == 1.0


def test_empty_metadata_can_be_filled_by_nobody_and_fitted_by_nothing(small_table):
    with pytest.warns(UserWarning):
        synthesizer = SlicedDPSynthesizer(Metadata())
    with pytest.raises(Exception, match='metadata is empty'):
        synthesizer.fit({TABLE: small_table})
