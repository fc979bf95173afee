import pytest
from sdv.errors import SynthesizerInputError

from sdv_slicedp import options


def test_the_mechanism_is_one_that_exists():
    options.check_mechanism('histogram')
    for wrong in ('exact', None, ['histogram']):
        with pytest.raises(SynthesizerInputError, match=r"mechanism must be one of \['histogram'"):
            options.check_mechanism(wrong)


@pytest.mark.parametrize(
    'name, value',
    [
        ('generator', 'gan'),
        ('epochs', 0),
        ('epochs', 1.5),
        ('epochs', float('nan')),
        ('epochs', True),
        ('n_components', -1),
        ('random_state', -1),
        ('random_state', 'seed'),
        ('enable_gpu', 1),
        ('verbose', None),
    ],
)
def test_impossible_training_options_are_named(name, value):
    with pytest.raises(SynthesizerInputError, match=name):
        options.check_training({name: value})


def test_possible_training_options_pass():
    options.check_training({'generator': 'mixture', 'epochs': None, 'n_components': 3})
    options.check_training({'random_state': 0, 'enable_gpu': False, 'verbose': True})


def test_unknown_training_options_are_refused():
    with pytest.raises(TypeError, match=r"\['epsilon'\]"):
        options.check_training({'epsilon': 1})
