"""What every sample of every method has to look like."""

import pandas as pd

from comparisons.public_domain import Number, public_columns


def assert_looks_like(sampled, table, metadata):
    """Columns and data types of ``table``, values of the public domain."""
    pd.testing.assert_series_equal(sampled.dtypes, table.dtypes)
    for column in public_columns(metadata):
        present = sampled[column.name].dropna()
        assert column.has_missing or len(present) == len(sampled)
        if isinstance(column, Number):
            assert present.between(column.lower, column.upper).all()
        else:
            assert set(present) <= set(column.values)
