"""Tables are read cell by cell; results are written whole or not at all."""

import pandas as pd
import pytest

from sdv_slicedp.atomic import write_whole
from sdv_slicedp.files import check_writable, read_table, write_table

COLUMNS = {
    'amount': {'sdtype': 'numerical'},
    'code': {'sdtype': 'categorical'},
    'grade': {'sdtype': 'ordinal', 'range_values': [1, 2, 3]},
    'member': {'sdtype': 'boolean'},
    'since': {'sdtype': 'datetime', 'datetime_format': '%Y-%m-%d'},
}


def write(path, text):
    path.write_text(text, encoding='utf-8')
    return path


def test_types_follow_the_metadata(tmp_path):
    path = write(
        tmp_path / 'table.csv',
        'amount,code,grade,member,since\n1.5,007,1,True,2020-01-01\n2,NA,3,no,\n,8,x,maybe,2021-02-03\n',
    )
    table = read_table(path, COLUMNS)
    assert table['amount'].tolist()[:2] == [1.5, 2.0]
    assert table['code'].tolist() == ['007', 'NA', '8']
    assert table['grade'].tolist() == [1, 3, 'x']
    assert table['member'].tolist() == [True, False, None]
    assert table.isna().sum().to_dict() == {
        'amount': 1,
        'code': 0,
        'grade': 0,
        'member': 1,
        'since': 1,
    }


def test_one_row_does_not_change_how_another_is_read(tmp_path):
    rows = ['1', '2', 'x']
    codes = [
        read_table(write(tmp_path / 't.csv', '\n'.join(['code', *kept])), COLUMNS)['code'].tolist()
        for kept in (rows, rows[:2])
    ]
    assert codes[0][:2] == codes[1]


def test_text_in_a_number_names_the_column_and_not_the_cell(tmp_path):
    path = write(tmp_path / 'table.csv', 'amount\n1\nSECRET\n')
    with pytest.raises(ValueError, match="'amount' is declared numerical") as error:
        read_table(path, COLUMNS)
    assert 'SECRET' not in str(error.value)


@pytest.mark.parametrize('content', [b'', b'amount\n1,SECRET,3\n1\n', b'amount\n\xff\xfeSECRET\n'])
def test_a_file_that_is_no_table_is_said_without_quoting_it(tmp_path, content):
    path = tmp_path / 'table.csv'
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        read_table(path, COLUMNS)
    assert 'SECRET' not in str(error.value)


def test_columns_that_the_metadata_do_not_know_are_left_to_the_synthesizer(tmp_path):
    table = read_table(write(tmp_path / 't.csv', 'new,code\n1,a\n'), COLUMNS)
    assert list(table) == ['new', 'code']


def test_a_result_is_written_whole(tmp_path):
    path = write(tmp_path / 'out.csv', 'old')
    write_whole(path, lambda part: pd.DataFrame({'a': [1]}).to_csv(part, index=False))
    assert path.read_text(encoding='utf-8') == 'a\n1\n'
    assert list(tmp_path.iterdir()) == [path]


def test_whole_numbers_are_written_without_a_point(tmp_path):
    table = pd.DataFrame({'a': [1.0, None], 'b': [1.5, 2.0], 'c': ['x', None], 'd': [1e300, 1]})
    write_table(tmp_path / 'out.csv', table)
    text = (tmp_path / 'out.csv').read_text(encoding='utf-8')
    assert text == 'a,b,c,d\n1,1.5,x,1e+300\n,2.0,,1.0\n'


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = write(tmp_path / 'out.csv', 'old')

    def fail(part):
        part.write_text('half')
        raise OSError('disk full')

    with pytest.raises(OSError, match='disk full'):
        write_whole(path, fail)
    assert path.read_text(encoding='utf-8') == 'old'
    assert list(tmp_path.iterdir()) == [path]


def test_a_result_has_the_usual_permissions(tmp_path):
    usual, result = tmp_path / 'usual', tmp_path / 'result'
    usual.touch()
    write_whole(result, lambda part: None)
    assert result.stat().st_mode == usual.stat().st_mode


def test_places_that_cannot_be_written_to(tmp_path):
    check_writable(tmp_path / 'out.csv')
    assert not list(tmp_path.iterdir())
    with pytest.raises(OSError, match='it is a folder'):
        check_writable(tmp_path)
    with pytest.raises(OSError, match='there is no folder'):
        check_writable(tmp_path / 'missing' / 'out.csv')
    with pytest.raises(OSError, match='there is no folder'):
        check_writable(write(tmp_path / 'file', '') / 'out.csv')


def test_numbers_are_read_as_exactly_as_they_can_be(tmp_path):
    table = read_table(write(tmp_path / 't.csv', 'amount\n9007199254740993\n-1\n'), COLUMNS)
    assert table['amount'].tolist() == [9007199254740993, -1]
    assert table['amount'].dtype == 'int64'
    table = read_table(write(tmp_path / 't.csv', 'amount,code\n0.1,\n,a\n+2e3,\n'), COLUMNS)
    assert table['amount'].tolist()[::2] == [0.1, 2000.0]
    assert table['amount'].isna().tolist() == [False, True, False]


@pytest.mark.parametrize('text', ['1e' + '9' * 400, '9' * 400, '-1e-' + '9' * 400, '9' * 5000])
def test_numbers_of_many_digits_do_no_harm(tmp_path, text):
    """An exponent of many digits crashed the process inside pandas."""
    table = read_table(write(tmp_path / 't.csv', f'amount\n1\n{text}\n'), COLUMNS)
    assert table['amount'].tolist() == [1.0, float(text)]


@pytest.mark.parametrize('text', ['1_000', 'one', '0x10', '1,5'])
def test_what_is_no_number_is_refused(tmp_path, text):
    with pytest.raises(ValueError, match='holds other text'):
        read_table(write(tmp_path / 't.csv', f'amount\n1\n"{text}"\n'), COLUMNS)
