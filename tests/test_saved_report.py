"""The page of a fitted synthesizer, and SDV's own plots of its rows."""

import warnings
from pathlib import Path

import pytest
from sdv.errors import InvalidDataError, NotFittedError, SynthesizerInputError
from sdv.evaluation import get_column_pair_plot, get_column_plot
from tables import TABLE, make_mixed_table

from sdv_slicedp.page import BANNER, PRIVATE

PLOTTED = ('age', 'income', 'city', 'grade', 'member', 'born', 'seen')


def test_without_real_rows_the_page_is_private_and_nobody_is_warned(fitted, tmp_path):
    path = tmp_path / 'report.html'
    spent = fitted.get_privacy_report().to_dict()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        fitted.save_report(path, num_rows=50)
    page = path.read_text(encoding='utf-8')
    assert PRIVATE in page and BANNER not in page
    assert fitted.get_privacy_report().guarantee() in page
    assert fitted.get_privacy_report().to_dict() == spent
    assert '>50</b><span>synthetic rows' in page


def test_with_real_rows_it_is_not_and_says_so_twice(fitted, tmp_path):
    real = {TABLE: make_mixed_table()}
    path = tmp_path / 'report.html'
    with pytest.warns(UserWarning, match='is not private'):
        fitted.save_report(str(path), real_data=real, num_rows=50)
    page = path.read_text(encoding='utf-8')
    assert BANNER in page and 'SDMetrics quality' in page
    # Personal data and keys are not shown even there, and nothing of the rows is kept.
    assert 'private.example' not in page
    assert not any(value is real[TABLE] for value in vars(fitted).values())


def test_a_mistake_is_found_before_anything_is_sampled_or_written(fitted, tmp_path, monkeypatch):
    monkeypatch.setattr(type(fitted), 'sample', lambda *_, **__: pytest.fail('sampled'))
    path = tmp_path / 'report.html'
    for rows in (0, -1, 2.5, True, float('nan'), None):
        with pytest.raises(SynthesizerInputError, match='num_rows'):
            fitted.save_report(path, num_rows=rows)
    with pytest.raises(FileNotFoundError, match='no folder'):
        fitted.save_report(tmp_path / 'missing' / 'report.html')
    with pytest.raises(InvalidDataError, match='income'):
        fitted.save_report(path, real_data={TABLE: make_mixed_table().drop(columns='income')})
    assert not list(tmp_path.iterdir())


def test_it_needs_a_fit(make_synthesizer, small_metadata):
    with pytest.raises(NotFittedError):
        make_synthesizer(small_metadata).save_report(Path('report.html'))


def test_column_names_that_are_no_text_can_be_compared(make_synthesizer, tmp_path):
    from sdv.metadata import Metadata

    table = make_mixed_table()[['age', 'city']].set_axis([0, 1], axis='columns')
    columns = {0: {'sdtype': 'numerical'}, 1: {'sdtype': 'categorical'}}
    metadata = Metadata.load_from_dict({'tables': {TABLE: {'columns': columns}}})
    synthesizer = make_synthesizer(metadata, public_domain=False)
    synthesizer.fit({TABLE: table})
    with pytest.warns(UserWarning, match='is not private'):
        synthesizer.save_report(tmp_path / 'r.html', real_data={TABLE: table}, num_rows=50)
    assert BANNER in (tmp_path / 'r.html').read_text(encoding='utf-8')


@pytest.mark.parametrize('name', PLOTTED)
def test_sdv_plots_our_columns(fitted, name):
    tables = {TABLE: make_mixed_table()}, fitted.sample(num_rows=60)
    figure = get_column_plot(*tables, fitted.get_metadata(), TABLE, name)
    assert {trace.name for trace in figure.data} >= {'Real', 'Synthetic'}


@pytest.mark.parametrize('names', [['age', 'income'], ['city', 'grade'], ['city', 'income']])
def test_sdv_plots_our_pairs(fitted, names):
    tables = {TABLE: make_mixed_table()}, fitted.sample(num_rows=60)
    assert get_column_pair_plot(*tables, fitted.get_metadata(), TABLE, names).data


def test_losses_are_plotted_under_the_name_that_ctgan_has(fitted):
    figure = fitted.get_loss_values_plot()
    assert list(figure.data[0].y) == list(fitted.get_loss_values()['Loss'])
    assert figure.layout.title.text == 'Training loss'
    assert fitted.get_loss_values_plot(title='L').layout.title.text == 'L'
