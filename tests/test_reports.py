"""The privacy report says what was spent, and never less."""

import ast
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdv_slicedp import reports
from sdv_slicedp.accounting import REPLACE_ONE, epsilon_spent, rescale, scale_to_budget
from sdv_slicedp.errors import PrivacyError
from sdv_slicedp.ledger import LedgerEntry
from sdv_slicedp.projection_privacy import plan_projection
from sdv_slicedp.report_text import rounded_up
from sdv_slicedp.reports import FitRecord, privacy_report

PLAN = (
    LedgerEntry('domain', 'categories', 3, 40.0, 60, threshold_delta=1e-7),
    LedgerEntry('one-column', 'level 1 of the numeric grids', 5, 30.0, 200),
    LedgerEntry('pairs', 'all pairs', 10, 60.0, 4000),
)


def record(epsilon=1.0, delta=1e-6, **changes):
    factor = scale_to_budget((), PLAN, epsilon, delta)
    fit = FitRecord(
        epsilon=epsilon,
        delta=delta,
        entries=rescale(PLAN, factor),
        completed=True,
        public_columns=('age',),
        all_columns=('age', 'sex', 'name'),
        noisy_rows=20_000.4,
        neighboring_relation='add_or_remove_one',
    )
    return replace(fit, **changes)


def projected(epsilon=1.0, delta=1e-6, **changes):
    """A fit of the projection mechanism: discovery, then projections."""
    found = tuple(replace(entry, stage='domain') for entry in rescale(PLAN[:2], 3 / epsilon))
    entry = plan_projection('sphere', 40, 16, 2.5, epsilon, delta, found, 0.05 * delta)
    fit = record(
        epsilon,
        delta,
        entries=(*found, entry),
        noisy_rows=20_000.0,
        neighboring_relation=REPLACE_ONE,
    )
    return replace(fit, **changes)


@pytest.fixture(scope='module')
def fit():
    return record()


def test_without_a_fit_nothing_is_spent():
    report = privacy_report([])
    assert (report.epsilon, report.delta, report.fits) == (0.0, 0.0, ())
    assert 'No privacy budget has been spent' in str(report)


def test_a_fit_that_measured_nothing_spends_nothing(fit):
    report = privacy_report([replace(fit, entries=(), noisy_rows=None)])
    assert report.epsilon == 0.0
    assert not report.warnings
    assert json.loads(json.dumps(report.to_dict()))['fits'][0]['lines'] == []


@pytest.mark.parametrize('epsilon', [0.1, 1.0, 8.0])
def test_epsilon_is_recomputed_and_not_above_the_requested(epsilon):
    fit = record(epsilon)
    report = privacy_report([fit])
    assert report.epsilon == epsilon_spent(fit.entries, fit.delta)
    assert 0.9 * epsilon < report.epsilon <= epsilon
    assert not report.warnings


def test_more_than_requested_is_not_hidden(fit):
    report = privacy_report([replace(fit, epsilon=0.5)])
    assert any('more than the requested 0.5' in warning for warning in report.warnings)


def test_shares_of_the_ledger_add_up(fit):
    lines = privacy_report([fit]).fits[0].lines
    assert [line.description for line in lines] == [entry.description for entry in PLAN]
    assert math.fsum(line.share for line in lines) == pytest.approx(1)


def test_several_fits_add_up(fit):
    second = record(2.0, 1e-5)
    report = privacy_report([fit, second])
    single = [each.epsilon for each in report.fits]
    assert max(single) < report.epsilon <= sum(single)
    assert report.delta == pytest.approx(fit.delta + second.delta)
    assert any(warning.startswith('2 fits') for warning in report.warnings)
    assert 'Ledger of fit 2 of 2' in str(report)


def test_projections_are_reported_under_their_relation():
    fit = projected()
    report = privacy_report([fit])
    text = str(report)

    assert report.neighboring_relation == REPLACE_ONE
    assert report.epsilon == epsilon_spent(fit.entries, fit.delta, REPLACE_ONE)
    assert 0.5 < report.epsilon <= 1 and not report.warnings
    assert report.guarantee().endswith('tables of the same size that differ in one row')
    assert any(item.startswith('the number of rows') for item in report.public)
    assert not any(
        item.startswith('the number of rows') for item in privacy_report([record()]).public
    )
    assert '20,000 rows' in text and '(noisy)' not in text
    line, entry = report.fits[0].lines[-1], fit.entries[-1]
    assert (line.directions, line.dimension, line.slices) == ('sphere', 40, 16)
    assert (line.sigma, line.sensitivity) == (entry.sigma, 2.5)
    assert math.fsum(each.share for each in report.fits[0].lines) == pytest.approx(1)
    for words in ('40 dimensions', '16 sphere directions', f'{entry.sigma:.2f}', 'up to 2.5'):
        assert words in text
    assert json.loads(json.dumps(report.to_dict())) == report.to_dict()


def test_several_projections_add_up():
    report = privacy_report([projected(), projected(2.0)])
    single = [each.epsilon for each in report.fits]
    assert max(single) < report.epsilon <= sum(single)


def test_fits_under_different_relations_have_no_common_claim(fit):
    with pytest.raises(PrivacyError, match='replace_one'):
        privacy_report([fit, replace(fit, neighboring_relation='replace_one')])


@pytest.mark.parametrize(
    ('delta', 'noisy_rows', 'warned'),
    [
        (1e-6, 20_000.0, False),
        (1e-6, 99_000.0, False),
        (1e-6, 101_000.0, True),
        (1e-4, 20_000.0, True),
        (1e-6, None, False),
        (1e-6, math.nan, True),
    ],
)
def test_a_delta_that_is_not_small_is_said(fit, delta, noisy_rows, warned):
    report = privacy_report([replace(fit, delta=delta, noisy_rows=noisy_rows)])
    assert any('is not small' in warning for warning in report.warnings) == warned


def test_an_interrupted_fit_is_said_and_counted(fit):
    entries = fit.entries[:1]
    report = privacy_report([replace(fit, completed=False, entries=entries, noisy_rows=None)])
    assert report.epsilon == epsilon_spent(entries, fit.delta) > 0
    assert any('did not end' in warning for warning in report.warnings)


def test_what_was_attested_is_listed(fit):
    assert any('1 of 3 columns: age' in item for item in privacy_report([fit]).public)
    nothing = privacy_report([replace(fit, public_columns=())])
    assert any('no ranges or categories' in item for item in nothing.public)


def test_as_a_dictionary_it_survives_json(fit):
    as_dict = privacy_report([fit]).to_dict()
    assert json.loads(json.dumps(as_dict)) == as_dict
    assert as_dict['neighboring_relation'] == 'add_or_remove_one'
    assert as_dict['not_covered'] and as_dict['public'] and as_dict['columns']


def test_as_text_it_is_readable_in_a_terminal(fit):
    text = str(privacy_report([fit]))
    assert max(map(len, text.splitlines())) <= 100
    header, *rows = text[text.index('  stage') :].splitlines()[:4]
    assert len({row.index(e.description) for row, e in zip(rows, PLAN, strict=True)}) == 1
    assert header.index('measured') == rows[0].index(PLAN[0].description)
    for item in ('Taken as public', 'Covered', 'Not covered', 'adding or removing one row'):
        assert item in text


@given(st.floats(1e-12, 1e12))
@settings(deadline=None)
def test_rounding_never_understates(epsilon):
    assert epsilon <= float(rounded_up(epsilon)) <= epsilon * (1 + 1e-3)


def test_rounding_keeps_what_needs_no_rounding():
    texts = [rounded_up(value) for value in (1.0, 0.5, 0.0, math.inf)]
    assert texts == ['1', '0.5', '0', 'infinite']


def test_the_module_imports_no_plotting_and_no_metrics():
    tree = ast.parse(Path(reports.__file__).read_text(encoding='utf-8'))
    nodes = list(ast.walk(tree))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert not {name.split('.')[0] for name in names} & {'plotly', 'sdmetrics', 'torch', 'sdv'}
