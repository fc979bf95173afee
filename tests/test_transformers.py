import inspect

import pytest
import rdt.transformers
from rdt.transformers import (
    AnonymizedFaker,
    BaseTransformer,
    ClusterBasedNormalizer,
    FloatFormatter,
    GaussianNormalizer,
    IndexGenerator,
    LabelEncoder,
    OptimizedTimestampEncoder,
    PseudoAnonymizedFaker,
    RegexGenerator,
    UniformEncoder,
    UnixTimestampEncoder,
)
from sdv.errors import SynthesizerInputError
from tables import MIXED_COLUMNS

from sdv_slicedp import schema
from sdv_slicedp.encoding import DatetimeEncoder, NumberEncoder
from sdv_slicedp.transformers import admitted

MODELLED = schema.modelled_columns(MIXED_COLUMNS, {'key'})
NEUTRAL = {'missing_value_replacement': None, 'missing_value_generation': None}


def choose(column, transformer):
    return admitted({column: transformer}, MIXED_COLUMNS, MODELLED)[column]


@pytest.mark.parametrize(
    'column, transformer',
    [
        ('email', AnonymizedFaker()),
        ('email', AnonymizedFaker(cardinality_rule='unique')),
        ('account', RegexGenerator(regex_format='[0-9]{5}')),
        ('key', IndexGenerator(prefix='K')),
        ('age', NumberEncoder()),
        ('born', DatetimeEncoder()),
        ('city', None),
        ('member', None),
    ],
)
def test_what_learns_nothing_is_taken(column, transformer):
    assert choose(column, transformer) is transformer


def test_rdt_s_own_transformers_without_anything_to_learn_mean_the_default():
    assert type(choose('age', FloatFormatter(**NEUTRAL))) is NumberEncoder
    assert type(choose('age', None)) is NumberEncoder
    encoder = choose('born', UnixTimestampEncoder(**NEUTRAL))
    assert type(encoder) is DatetimeEncoder and encoder.layout.format == '%d/%m/%Y'


@pytest.mark.parametrize(
    'column, transformer',
    [
        ('age', FloatFormatter()),
        ('age', FloatFormatter(**NEUTRAL, learn_rounding_scheme=True)),
        ('age', FloatFormatter(**NEUTRAL, enforce_min_max_values=True)),
        ('age', FloatFormatter(**NEUTRAL, computer_representation='Int8')),
        ('age', GaussianNormalizer()),
        ('age', ClusterBasedNormalizer()),
        ('age', AnonymizedFaker()),
        ('age', DatetimeEncoder()),
        ('born', UnixTimestampEncoder()),
        ('born', OptimizedTimestampEncoder(**NEUTRAL)),
        ('city', UniformEncoder()),
        ('city', LabelEncoder()),
        ('city', AnonymizedFaker()),
        ('email', PseudoAnonymizedFaker()),
        ('email', UniformEncoder()),
        ('email', None),
        ('account', None),
        ('account', FloatFormatter(**NEUTRAL)),
        ('email', AnonymizedFaker(cardinality_rule='match')),
        ('key', RegexGenerator(cardinality_rule='scale')),
        ('age', 'FloatFormatter'),
    ],
)
def test_what_would_learn_from_the_rows_is_refused_with_the_reason(column, transformer):
    with pytest.raises(SynthesizerInputError, match=f"Column '{column}' .*(private|never read)"):
        choose(column, transformer)


def test_unknown_columns_are_refused():
    with pytest.raises(SynthesizerInputError, match="'nowhere' is not in the metadata"):
        choose('nowhere', None)


GENERATORS = (AnonymizedFaker, RegexGenerator, IndexGenerator)
MODELLED_OF_EACH_SDTYPE = ('age', 'city', 'grade', 'member', 'born')
CLASSES = sorted(
    {
        kind
        for kind in vars(rdt.transformers).values()
        if inspect.isclass(kind) and issubclass(kind, BaseTransformer)
    },
    key=lambda kind: kind.__name__,
)


def test_there_are_transformers_to_test():
    assert len(CLASSES) > 15 and set(GENERATORS) < set(CLASSES)


@pytest.mark.parametrize('kind', CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_of_rdt_is_refused_for_modelled_columns(kind):
    """With its defaults, each of them would learn from the rows or change what is measured."""
    for column in MODELLED_OF_EACH_SDTYPE:
        reason = rf"Column '{column}' .*'{kind.__name__}'.*Use None"
        with pytest.raises(SynthesizerInputError, match=reason):
            choose(column, kind())


@pytest.mark.parametrize('kind', CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_of_rdt_is_refused_for_generated_columns_unless_it_makes_new_values(kind):
    transformer = kind()
    if kind in GENERATORS:
        assert choose('account', transformer) is transformer
        return
    reason = rf"Column 'account' .*'{kind.__name__}'.*such as AnonymizedFaker"
    with pytest.raises(SynthesizerInputError, match=reason):
        choose('account', transformer)
