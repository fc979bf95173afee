"""A template holds no data, says where it is not filled in, and becomes metadata when it is."""

import json

import pytest
from sdv.metadata import Metadata
from tables import MIXED_COLUMNS, make_metadata

from sdv_slicedp import DomainError, SlicedDPSynthesizer, load_template, metadata_template
from sdv_slicedp.cli import main
from sdv_slicedp.schema import RANGES
from sdv_slicedp.template import FIELDS, FIELDS_OF, SDTYPE

FILLED = {
    'age': {'sdtype': 'numerical', 'range_min': 0, 'range_max': 120, 'decimal_places': 0},
    'sex': {'sdtype': 'categorical', 'range_values': ['f', 'm'], 'range_is_nullable': False},
}


def columns_of(path):
    ((_, table),) = json.loads(path.read_text(encoding='utf-8'))['tables'].items()
    return table['columns']


def fill(path, columns):
    description = json.loads(path.read_text(encoding='utf-8'))
    ((_, table),) = description['tables'].items()
    table['columns'] = columns
    path.write_text(json.dumps(description), encoding='utf-8')


def test_names_alone_ask_for_everything(tmp_path):
    path = tmp_path / 't.json'
    metadata_template(['age', 'sex'], path)
    assert columns_of(path) == {name: {'sdtype': SDTYPE, **FIELDS} for name in ('age', 'sex')}
    with pytest.raises(DomainError, match=r"sdtype of column 'age'.*range_values of column 'sex'"):
        load_template(path)


@pytest.mark.parametrize('sdtype', ['numerical', 'datetime', 'categorical', 'ordinal', 'boolean'])
def test_an_sdtype_asks_for_what_sdv_lets_it_declare(sdtype, tmp_path):
    path = tmp_path / 't.json'
    metadata_template({'x': sdtype}, path)
    assert set(columns_of(path)['x']) == {'sdtype', *FIELDS_OF[sdtype]}
    values = {
        'datetime_format': '%Y',
        'range_min': '2000' if sdtype == 'datetime' else 0,
        'range_max': '2001' if sdtype == 'datetime' else 1,
        'decimal_places': 0,
        'range_values': ['a'],
        'range_is_nullable': True,
    }
    fill(path, {'x': {'sdtype': sdtype} | {name: values[name] for name in FIELDS_OF[sdtype]}})
    assert load_template(path).tables['table'].columns['x']['sdtype'] == sdtype


def test_no_range_of_metadata_is_taken_over(tmp_path):
    path = tmp_path / 't.json'
    metadata_template(make_metadata(MIXED_COLUMNS, primary_key='key'), path)
    found = columns_of(path)
    assert list(found) == list(MIXED_COLUMNS)
    for name, column in found.items():
        assert column['sdtype'] == MIXED_COLUMNS[name]['sdtype']
        for key, value in column.items():
            if key in RANGES:
                assert value == FIELDS[key]
            else:
                assert value == MIXED_COLUMNS[name][key]
    assert json.loads(path.read_text(encoding='utf-8'))['tables']['mixed']['primary_key'] == 'key'


def test_a_filled_in_template_is_a_public_domain(tmp_path):
    path = tmp_path / 't.json'
    metadata_template(['age', 'sex'], path, table_name='people')
    fill(path, FILLED)
    synthesizer = SlicedDPSynthesizer(load_template(path), public_domain=True)
    age, sex = synthesizer._domains()
    assert (age.lower, age.upper) == (0, 120)
    assert sex.categories == ('f', 'm')


@pytest.mark.parametrize(
    ('column', 'said'),
    [
        ({'sdtype': 'numerical', 'range_min': 9, 'range_max': 1}, 'range_min'),
        ({'sdtype': 'numerical', 'range_min': FIELDS['range_min']}, "range_min of column 'x'"),
        ({'sdtype': 'categorical', 'range_values': []}, 'range_values'),
        ({'sdtype': 'categorical', 'range_values': FIELDS['range_values']}, 'not filled in yet'),
        ({'sdtype': 'nonsense'}, 'nonsense'),
        ({'sdtype': 'categorical', 'range_min': 1}, 'range_min'),
    ],
)
def test_what_is_wrong_is_said(column, said, tmp_path):
    path = tmp_path / 't.json'
    metadata_template(['x'], path)
    fill(path, {'x': column})
    with pytest.raises(ValueError, match=said):
        load_template(path)


@pytest.mark.parametrize('columns', [[], ['a', 'a'], 'age', {}, Metadata()])
def test_columns_that_make_no_table_are_refused(columns, tmp_path):
    with pytest.raises(ValueError, match='columns'):
        metadata_template(columns, tmp_path / 't.json')
    assert not list(tmp_path.iterdir())


def test_a_category_that_looks_like_a_placeholder_is_none(tmp_path):
    path = tmp_path / 't.json'
    metadata_template(['income'], path)
    fill(path, {'income': {'sdtype': 'categorical', 'range_values': ['<=50K', '<other>']}})
    assert load_template(path)


def test_on_the_command_line(tmp_path, capsys):
    path, second = tmp_path / 't.json', tmp_path / 'second.json'
    assert main(['template', 'age', 'a=b=categorical', '--output', str(path)]) == 0
    assert {n: c['sdtype'] for n, c in columns_of(path).items()} == {
        'age': SDTYPE,
        'a=b': 'categorical',
    }
    assert main(['template', '--check', str(path)]) == 2
    assert "sdtype of column 'age'" in capsys.readouterr().err
    fill(path, FILLED)
    assert main(['template', '--check', str(path)]) == 0
    assert 'is filled in' in capsys.readouterr().out
    assert main(['template', '--metadata', str(path), '--output', str(second)]) == 0
    assert columns_of(second)['age']['range_max'] == FIELDS['range_max']


@pytest.mark.parametrize('more', [[], ['a', 'a'], ['a', '--metadata', 'm.json']])
def test_mistakes_on_the_command_line_write_nothing(more, tmp_path, capsys):
    assert main(['template', *more, '--output', str(tmp_path / 't.json')]) == 2
    assert 'error: ' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
