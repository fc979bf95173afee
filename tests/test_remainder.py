"""Columns of thousands of categories: what is rare counts for a category that the user names."""

import numpy as np
import pandas as pd
import pytest
from sdv.errors import SynthesizerInputError
from sdv.sampling import Condition
from tables import QUICK, TABLE, make_metadata

from sdv_slicedp import Release, SlicedDPSynthesizer
from sdv_slicedp.domain import UNCOUNTED, CategoricalDomain, category_codes
from sdv_slicedp.ledger import Ledger
from sdv_slicedp.mechanism import measure

COLUMNS = {
    'product': {'sdtype': 'categorical', 'range_is_nullable': False},
    'age': {'sdtype': 'numerical', 'range_min': 0, 'range_max': 99, 'decimal_places': 0},
}
METADATA = make_metadata(COLUMNS)
N, COMMON = 50_000, ['apple', 'bread']


@pytest.fixture(scope='module')
def table():
    """A fifth each of two products, and 10,000 others that three people have each."""
    rng = np.random.default_rng(0)
    rare = [f'rare-{i % 10_000}' for i in range(N)]
    product = np.where(rng.random(N) < 0.6, rare, rng.choice(COMMON, N))
    return pd.DataFrame({'product': product, 'age': rng.integers(18, 90, N)})


def fit(table, **options):
    synthesizer = SlicedDPSynthesizer(METADATA, public_domain=['age'], **{**QUICK, **options})
    synthesizer.fit({TABLE: table})
    return synthesizer


@pytest.mark.parametrize('mechanism', ['histogram', 'projection'])
def test_rare_values_count_for_the_category_that_is_named(table, tmp_path, mechanism):
    rows = table if mechanism == 'histogram' else table.head(5_000)
    synthesizer = fit(rows, remainder={'product': 'other'}, mechanism=mechanism)
    domain = synthesizer.get_release().columns[0].domain
    assert domain.categories == (*COMMON, 'other')
    assert not domain.has_other and domain.remainder is None
    rows = synthesizer.sample(5_000)[TABLE]
    assert {'other'} < set(rows['product'].dropna()) <= {*COMMON, 'other'}
    if mechanism == 'histogram':
        # Noise of some tens in counts of ten thousands, and 5,000 drawn rows: 0.03 is four sigma.
        assert (rows['product'] == 'other').mean() == pytest.approx(0.6, abs=0.03)
    asked = [Condition(num_rows=50, column_values={'product': v}) for v in ('apple', 'other')]
    assert synthesizer.sample_from_conditions(asked)[TABLE]['product'].nunique() == 2
    with pytest.raises(ValueError, match=r"'rare-7'\. It holds 'apple', 'bread', 'other'"):
        synthesizer.sample_from_conditions([Condition({'product': 'rare-7'}, num_rows=1)])
    synthesizer.get_release().save(tmp_path / 'some.release')
    assert Release.load(tmp_path / 'some.release') == synthesizer.get_release()
    again = SlicedDPSynthesizer.from_release(tmp_path / 'some.release', METADATA, **QUICK)
    assert 'other' in set(again.sample(100)[TABLE]['product'])


def test_without_a_name_the_rare_values_are_left_out(table):
    synthesizer = fit(table)
    assert synthesizer.get_release().columns[0].domain.has_other
    assert set(synthesizer.sample(500)[TABLE]['product']) == set(COMMON)
    with pytest.raises(ValueError, match=r"cannot be 'rare-7'.*no name that could be shown"):
        synthesizer.sample_from_conditions([Condition({'product': 'rare-7'}, num_rows=1)])


def test_undeclared_values_count_for_it_too(table):
    column = {**COLUMNS['product'], 'range_values': ['bread']}
    synthesizer = SlicedDPSynthesizer(
        make_metadata({**COLUMNS, 'product': column}),
        public_domain=True,
        remainder={'product': 'other'},
        **QUICK,
    )
    synthesizer.fit({TABLE: table})
    shares = synthesizer.sample(5_000)[TABLE]['product'].value_counts(normalize=True)
    assert set(shares.index) == {'bread', 'other'}
    assert shares['other'] == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize('named', ['other', 'b'])
def test_every_value_has_a_code(named):
    domain = CategoricalDomain('x', 'categorical', ('a', 'b', 'other'), True, remainder=named)
    codes = category_codes(pd.Series(['a', 'zzz', None, 'b', 'other']), domain)
    last = domain.categories.index(named)
    assert codes.tolist() == [0, last, 3, 1, 2]
    assert UNCOUNTED not in codes


def test_a_record_moves_one_count():
    """With and without one more row of a rare value, exact counts differ in one cell, by 1."""
    domain = CategoricalDomain('x', 'categorical', ('a', 'other'), False, remainder='other')
    rows = pd.DataFrame({'x': ['a', 'zzz', 'yyy', 'other']})
    counts = [
        np.bincount(category_codes(rows['x'][:n], domain), minlength=domain.n_cells) for n in (3, 4)
    ]
    assert np.abs(counts[1] - counts[0]).sum() == 1
    release = measure(rows, (domain,), epsilon=1.0, delta=1e-6, ledger=Ledger())
    assert release.columns[0].domain == CategoricalDomain('x', 'categorical', ('a', 'other'), False)


@pytest.mark.parametrize(
    'remainder, problem',
    [
        ('other', 'a category by column'),
        ({'age': 'other'}, "names the column 'age'"),
        ({'nowhere': 'other'}, "names the column 'nowhere'"),
        ({'product': None}, 'a string or a finite number'),
        ({'product': float('nan')}, 'a string or a finite number'),
    ],
)
def test_what_is_no_remainder_is_refused(remainder, problem):
    with pytest.raises(SynthesizerInputError, match=problem):
        SlicedDPSynthesizer(METADATA, remainder=remainder)
