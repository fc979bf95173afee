"""One table of a database can be fitted; several at once are refused, with the way out."""

import pandas as pd
import pytest
from sdv.metadata import Metadata
from sdv.metadata.errors import InvalidMetadataError

from sdv_slicedp import SlicedDPSynthesizer

DATABASE = {
    'tables': {
        'users': {
            'columns': {'id': {'sdtype': 'id'}, 'age': {'sdtype': 'numerical'}},
            'primary_key': 'id',
        },
        'visits': {'columns': {'user': {'sdtype': 'id'}, 'page': {'sdtype': 'categorical'}}},
    },
    'relationships': [
        {
            'parent_table_name': 'users',
            'parent_primary_key': 'id',
            'child_table_name': 'visits',
            'child_foreign_key': 'user',
        }
    ],
}
ROWS = {
    'users': pd.DataFrame({'id': range(50), 'age': [20, 30] * 25}),
    'visits': pd.DataFrame({'user': range(50), 'page': ['home', 'help'] * 25}),
}


def test_several_tables_are_refused_with_the_way_out():
    metadata = Metadata.load_from_dict(DATABASE)
    with pytest.raises(InvalidMetadataError, match=r"get_table_metadata\('users'\)"):
        SlicedDPSynthesizer(metadata)


@pytest.mark.parametrize('name', ROWS)
def test_one_table_of_several_is_fitted(name):
    metadata = Metadata.load_from_dict(DATABASE).get_table_metadata(name)
    synthesizer = SlicedDPSynthesizer(metadata, epsilon=10.0, epochs=5)
    synthesizer.fit({name: ROWS[name]})
    assert list(synthesizer.sample(num_rows=20)[name]) == list(ROWS[name])
