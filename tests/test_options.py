import math

import numpy as np
import pytest
import torch
from sdv.errors import SynthesizerInputError

from sdv_slicedp import options
from sdv_slicedp.f_divergence import DIVERGENCES
from sdv_slicedp.training_plan import TrainingPlan

NAN = float('nan')


class Wide(torch.nn.Module):
    """A generator of the user's own."""

    latent_dim = 3

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 5)

    def forward(self, latent):
        return self.layer(latent)


class Flat(Wide):
    """A twin that returns one number too few dimensions."""

    def forward(self, latent):
        return super().forward(latent).sum(dim=1)


class TestMeasurement:
    @pytest.mark.parametrize('wrong', ['exact', None, ['histogram'], NAN])
    def test_the_mechanism_is_one_that_exists(self, wrong):
        with pytest.raises(SynthesizerInputError, match=r"mechanism must be one of \['histogram'"):
            options.check_measurement(wrong, 'orthonormal', None)

    @pytest.mark.parametrize('wrong', ['gaussian', None, 1, NAN])
    def test_the_directions_are_of_a_known_kind(self, wrong):
        message = r"directions must be one of \['orthonormal', 'sphere'\], got "
        with pytest.raises(SynthesizerInputError, match=message):
            options.check_measurement('projection', wrong, None)

    @pytest.mark.parametrize('wrong', [0, -3, 2.0, NAN, math.inf, True, '5'])
    def test_slices_are_counted(self, wrong):
        with pytest.raises(SynthesizerInputError, match='n_slices must be None or an integer'):
            options.check_measurement('projection', 'sphere', wrong)

    @pytest.mark.parametrize('directions, n_slices', [('sphere', None), ('orthonormal', 4)])
    def test_histograms_have_no_directions(self, directions, n_slices):
        with pytest.raises(SynthesizerInputError, match=f"n_slices={n_slices}.*='projection'"):
            options.check_measurement('histogram', directions, n_slices)

    @pytest.mark.parametrize('directions', ['orthonormal', 'sphere'])
    @pytest.mark.parametrize('n_slices', [None, 1, np.int64(7)])
    def test_what_is_possible_passes(self, directions, n_slices):
        options.check_measurement('projection', directions, n_slices)
        options.check_measurement('histogram', 'orthonormal', None)


COUNTS = ('epochs', 'n_components', 'batch_size', 'slices_per_step', 'patience')
WRONG = [
    *((name, value) for name in COUNTS for value in (0, -1, 1.5, NAN, True, '3')),
    *(('random_state', value) for value in (-1, 'seed', 0.5, NAN, True)),
    *(('learning_rate', value) for value in (0, -0.1, NAN, math.inf, True, '0.1')),
    *((name, value) for name in ('enable_gpu', 'verbose') for value in (1, None, 'yes', NAN)),
    *((name, value) for name in ('divergence', 'estimator') for value in ('other', None, NAN)),
    *(('generator', value) for value in ('gan', None, Wide, NAN)),
    *(('callback', value) for value in ('print', 3, NAN)),
    ('slices_per_step', None),
]


@pytest.mark.parametrize('name, value', WRONG)
def test_impossible_training_options_are_named_with_value_and_cure(name, value):
    with pytest.raises(SynthesizerInputError) as caught:
        options.check_training({name: value})
    message = str(caught.value)
    assert message.startswith(f'{name} must be ')
    assert message.endswith(f', got {value!r}.')


@pytest.mark.parametrize('module', [Flat(), torch.nn.Linear(5, 5), torch.nn.Linear(64, 3).double()])
def test_modules_that_break_the_protocol_are_refused_before_anything_is_spent(module):
    with pytest.raises(SynthesizerInputError, match='generator must'):
        options.check_training({'generator': module})


def test_checking_a_module_changes_nothing():
    module = torch.nn.Sequential(Wide(), torch.nn.BatchNorm1d(5), torch.nn.Dropout())
    module.latent_dim = 3
    before = {name: value.clone() for name, value in module.state_dict().items()}
    stream = torch.get_rng_state()
    options.check_training({'generator': module})
    assert module.training and torch.equal(torch.get_rng_state(), stream)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize('generator', [*options.GENERATORS, Wide(), torch.nn.Linear(64, 2)])
def test_possible_generators_pass(generator):
    options.check_training({'generator': generator})


def test_possible_training_options_pass():
    for name in (*COUNTS, 'random_state'):
        options.check_training({name: np.int32(5)})
    options.check_training(dict.fromkeys(set(COUNTS) - {'slices_per_step'}))
    options.check_training({'random_state': 0, 'enable_gpu': False, 'verbose': True})
    options.check_training({'learning_rate': np.float32(0.1), 'callback': None})
    options.check_training({'learning_rate': None, 'callback': print})
    for divergence in DIVERGENCES:
        for estimator in ('grid', 'samples'):
            options.check_training({'divergence': divergence, 'estimator': estimator})


def test_unknown_training_options_are_refused():
    for name in ('epsilon', 'mechanism', 'directions', 'n_slices'):
        with pytest.raises(TypeError, match=rf"\['{name}'\]"):
            options.check_training({name: 1})


def test_the_plan_holds_what_was_chosen_and_defaults_for_the_rest():
    chosen = {'batch_size': 3, 'learning_rate': None, 'patience': None, 'verbose': True}
    plan = options.training_plan({**chosen, 'divergence': 'kl', 'callback': print})
    assert plan == TrainingPlan(batch_size=3, divergence='kl', callback=print)


class TestTargetColumns:
    @pytest.mark.parametrize('names', ['a', 3, True, NAN, {'a': 1}, [None], [['a']], [1.5]])
    def test_are_a_list_of_names(self, names):
        with pytest.raises(SynthesizerInputError, match='target_columns must be None or a list'):
            options.target_columns(names, ['a', 'b'], 'histogram')

    def test_are_columns_that_are_modelled(self):
        with pytest.raises(
            SynthesizerInputError, match=r"not modelled: \['c', 'key'\].*\['a', 'b'\]"
        ):
            options.target_columns(['key', 'a', 'c'], ['a', 'b'], 'histogram')
        assert options.target_columns(['anything'], [], 'histogram') == ['anything']

    @pytest.mark.parametrize('names', [[], ['a']])
    def test_are_of_the_histograms(self, names):
        with pytest.raises(SynthesizerInputError, match=r"of mechanism='histogram'.*'projection'"):
            options.target_columns(names, ['a'], 'projection')

    def test_are_kept_once_each_as_text(self):
        for names in (['b', 'a', 'b'], ('b', 'a'), ['b', 'b', 'a']):
            assert options.target_columns(names, ['a', 'b'], 'histogram') == ['b', 'a']
        assert options.target_columns([1, '1'], ['0', '1'], 'histogram') == ['1']
        assert options.target_columns([], ['a'], 'histogram') == []
        for mechanism in options.RELATIONS:
            assert options.target_columns(None, ['a'], mechanism) is None
