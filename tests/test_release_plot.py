"""The figure of a release says what was measured, and how far above the noise it is."""

import numpy as np
import pytest
from small_projections import category, projection_release, random_positions
from small_releases import categorical_column, release_of, whole_counts

from sdv_slicedp.accounting import LedgerEntry
from sdv_slicedp.release import Release
from sdv_slicedp.release_plot import LOWEST, release_figure, slice_signals, stage_shares

DEPENDENT = np.array([[0.4, 0.1], [0.1, 0.4]])
NASTY = '<b>x</b>'


def signals(law, rows=1_000, sigma=0.5):
    return {s.name: s for s in slice_signals(release_of(whole_counts(law, rows), sigma=sigma))}


def test_signals_without_noise_are_those_of_the_law():
    found = signals(DEPENDENT)
    # Each column has 500 rows in each category, and each cell is 150 rows off independence.
    assert found['c0'].signal == pytest.approx(500, rel=1e-3)
    assert found['c0 x c1'].signal == pytest.approx(150, rel=1e-3)
    assert [s.kind for s in found.values()] == ['one column', 'one column', 'two columns']
    assert found['c0 x c1'].cells == 4
    assert {s.noise for s in found.values()} == {0.5}


def test_independent_columns_have_no_signal_together():
    assert signals(np.full((2, 3), 1 / 6), rows=600)['c0 x c1'].signal == 0


def test_noise_is_taken_off():
    rng = np.random.default_rng(0)
    release = release_of(np.rint(1_000 + rng.normal(0, 100, (30, 30))).astype(int), sigma=100)
    pair = slice_signals(release)[-1]
    # 900 values of pure noise: their mean square is within 20 % of its expectation, 4 deviations.
    assert pair.signal < np.sqrt(0.2) * pair.noise


def test_a_projection_has_a_point_for_each_direction():
    domains = [category('a', 3), category('b', 4)]
    positions = random_positions(domains, 500, np.random.default_rng(0))
    release = projection_release(domains, positions)
    found = slice_signals(release)
    assert len(found) == release.projection.directions.shape[1]
    assert {s.kind for s in found} == {'direction'}
    spread = release.projection.rows().std(axis=0)
    expected = np.sqrt(np.maximum(spread**2 - release.projection.sigma**2, 0))
    assert np.allclose([s.signal for s in found], expected, rtol=1e-3, atol=1e-3)
    assert 'units of the encoding' in release_figure(release).layout.xaxis2.title.text


def test_shares_of_the_stages_add_up():
    release = release_of(whole_counts(DEPENDENT, 100))
    entries = (LedgerEntry('a', '', 1, 1.0, 1), LedgerEntry('b', '', 3, 1.0, 1), *release.ledger)
    release = Release(release.columns, release.marginals, entries, 1.0, 1e-6)
    shares = stage_shares(release)
    assert list(shares) == ['a', 'b', 'pairs']
    assert shares['b'] == pytest.approx(3 * shares['a'])
    assert sum(shares.values()) == pytest.approx(1)


def test_the_figure_shows_every_slice():
    joint = whole_counts(np.full((2, 2, 2), 1 / 8), 800)
    figure = release_of(joint).plot()
    points = {trace.name: trace for trace in figure.data if trace.type == 'scatter'}
    assert {name: len(trace.x) for name, trace in points.items()} == {
        'one column': 3,
        'two columns': 3,
        'signal = noise': 2,
    }
    assert list(points['two columns'].y) == [LOWEST * 0.5] * 3


def test_names_are_escaped():
    columns = (categorical_column(np.array([3, 4]), 0.5, NASTY),)
    text = Release(columns, (), (), 1.0, 1e-6).plot().to_json()
    assert NASTY not in text and 'x&lt;' in text


def test_a_release_of_nothing_has_a_figure():
    assert not slice_signals(Release((), (), (), 1.0, 1e-6))
    assert Release((), (), (), 1.0, 1e-6).plot().to_json()
