"""The page is whole, loads nothing, says that it is not private, and escapes what it shows."""

import dataclasses
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from sdv.metadata import Metadata
from small_releases import release_of

from sdv_slicedp.ledger import LedgerEntry
from sdv_slicedp.page import (
    BANNER,
    MAX_COLUMN_PLOTS,
    PRIVATE,
    PageContent,
    compare,
    plotted_columns,
    plotted_pairs,
    render_page,
)
from sdv_slicedp.release import Release
from sdv_slicedp.reports import FitRecord, privacy_report

VOID = {'meta', 'br', 'hr', 'img', 'input', 'link'}
NASTY = '<script>alert(1)</script>'


class Checker(HTMLParser):
    """Collects the text, and every tag that is not closed or that loads something."""

    def __init__(self):
        super().__init__()
        self.open, self.loads, self.plots, self.words = [], [], 0, []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.loads += [v for k, v in values.items() if k in ('src', 'href')]
        self.plots += values.get('class') == 'plot'
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (['script'], ['style']):
            self.words.append(data)


def content(n_columns=6, rows=300):
    rng = np.random.default_rng(0)
    columns = {
        'amount': {'sdtype': 'numerical'},
        NASTY: {'sdtype': 'categorical'},
        'member': {'sdtype': 'boolean'},
        'since': {'sdtype': 'datetime', 'datetime_format': '%Y-%m-%d'},
        'key': {'sdtype': 'id'},
        'nothing': {'sdtype': 'numerical'},
    }
    columns |= {f'extra {i}': {'sdtype': 'numerical'} for i in range(n_columns - len(columns))}

    def table():
        amount = rng.exponential(100, rows).round(2)
        values = {
            'amount': np.where(rng.random(rows) < 0.1, np.nan, amount),
            NASTY: np.where(amount > 80, '</script><b>', 'b'),
            'member': pd.Series(amount > 50).astype(object).where(amount > 5, None),
            'since': pd.Timestamp('2020-01-01') + pd.to_timedelta(amount // 1, unit='D'),
            'key': [f'k{i}' for i in range(rows)],
            'nothing': np.full(rows, np.nan),
        }
        frame = pd.DataFrame(values)
        frame['since'] = frame['since'].dt.strftime('%Y-%m-%d')
        return frame.assign(**{name: rng.random(rows) for name in columns if name not in frame})

    real, synthetic = table(), table()
    metadata = Metadata.load_from_dict({'tables': {'t & u': {'columns': columns}}})
    fit = FitRecord(
        epsilon=1.0,
        delta=1e-3,
        entries=(LedgerEntry('pairs', 'all <pairs>', 10, 60.0, 4000),),
        completed=True,
        public_columns=(),
        all_columns=tuple(columns),
        noisy_rows=301.5,
        neighboring_relation='add_or_remove_one',
    )
    return PageContent(
        table_name='t & u',
        privacy=privacy_report([fit]),
        release=release_of(np.array([[5, 1], [1, 5]])),
        losses=pd.DataFrame({'Epoch': [0, 1], 'Loss': [2.0, 1.0]}),
        synthetic=synthetic,
        columns=columns,
        comparison=compare({'t & u': real}, {'t & u': synthetic}, metadata),
        timings={'fit': 1.25},
    )


@pytest.fixture(scope='module')
def page():
    return render_page(content())


@pytest.fixture(scope='module')
def checked(page):
    checker = Checker()
    checker.feed(page)
    checker.close()
    return checker


def test_it_is_whole_and_loads_nothing(page, checked):
    assert not checked.open
    assert not checked.loads
    assert page.count('Plotly.newPlot(') >= checked.plots > 0
    assert page.count('plotly.js v') == 1


def test_it_says_that_it_is_not_private(checked):
    words = ' '.join(checked.words)
    assert BANNER in words
    assert words.index(BANNER) < words.index('Taken as public')


def test_it_holds_the_privacy_report(checked):
    words = ' '.join(checked.words)
    report = content().privacy
    for text in (report.guarantee(), *report.warnings, *report.public, *report.not_covered):
        assert text in words
    assert 'all <pairs>' in words


def test_it_holds_the_scores_of_every_column(checked):
    cells = set(checked.words)
    scores = content().comparison.evaluation
    assert f'{scores.quality:.3f}' in cells
    assert f'{scores.diagnostic:.3f}' in cells
    assert set(scores.columns['Column']) <= cells


def test_names_and_categories_are_escaped(page):
    assert NASTY not in page
    assert '</script><b>' not in page


def test_modelled_columns_are_plotted_lowest_quality_first():
    page = content()
    quality = page.comparison.evaluation.columns.set_index('Column')['Quality']
    names = plotted_columns(page)
    assert set(names) == set(page.columns) - {'key'}
    known = [quality[name] for name in names if not np.isnan(quality.get(name, np.nan))]
    assert known == sorted(known)


def test_a_wide_table_gets_as_many_plots_as_can_be_read():
    page = content(n_columns=MAX_COLUMN_PLOTS + 10)
    assert len(plotted_columns(page)) == MAX_COLUMN_PLOTS
    assert all(
        {first, second} <= set(page.columns) for first, second in plotted_pairs(page.comparison)
    )


def test_one_column_has_no_pairs_and_still_a_page():
    table = pd.DataFrame({'a': [1.0, 2.0, 3.0]})
    columns = {'a': {'sdtype': 'numerical'}}
    metadata = Metadata.load_from_dict({'tables': {'t': {'columns': columns}}})
    comparison = compare({'t': table}, {'t': table}, metadata)
    assert plotted_pairs(comparison) == []
    losses = pd.DataFrame({'Epoch': [], 'Loss': []})
    release = Release((), (), (), 1.0, 1e-6)
    page = PageContent('t', privacy_report([]), release, losses, table, columns, comparison)
    assert 'No privacy budget has been spent' in render_page(page)


def test_without_a_real_table_the_page_says_that_it_is_private_and_has_no_scores():
    compared = content()
    page = render_page(dataclasses.replace(compared, comparison=None, timings={}))
    checker = Checker()
    checker.feed(page)
    words = ' '.join(checker.words)
    assert PRIVATE in words and BANNER not in words
    assert not {'SDMetrics', 'Timings'} & set(
        words.replace(':', ' ').split('Not covered')[0].split()
    )
    # Every modelled column, the slices and the losses.
    assert checker.plots == 5 + 2
    assert not checker.open and not checker.loads
    assert '"name":"real"' not in page and '"name":"synthetic"' in page
