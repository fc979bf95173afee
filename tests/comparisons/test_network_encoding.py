import numpy as np
import pytest
import torch

from comparisons.methods.network_encoding import NetworkEncoding
from comparisons.public_domain import decode, encode, public_columns
from sdv_slicedp.datasets import load_adult


@pytest.fixture(scope='module')
def adult():
    tables, metadata = load_adult()
    columns = tuple(public_columns(metadata))
    return tables['adult'].head(400), columns


def same(left, right):
    return (
        left.astype(object)
        .where(left.notna(), None)
        .equals(right.astype(object).where(right.notna(), None))
    )


def test_tables_come_back(adult):
    table, columns = adult
    assert table.isna().any().any()
    assert same(decode(encode(table, columns), columns, table), table)
    encoding = NetworkEncoding(columns)
    matrix = encoding.encode(table)
    assert matrix.shape == (400, encoding.width)
    assert np.abs(matrix).max() <= 1
    back = encoding.decode(matrix, table)
    # Single precision on [-1, 1]: large numbers may be off by one.
    assert (back['fnlwgt'] - table['fnlwgt']).abs().max() <= 1
    assert same(back.drop(columns='fnlwgt'), table.drop(columns='fnlwgt'))


def test_a_row_is_encoded_by_itself(adult):
    table, columns = adult
    encoding = NetworkEncoding(columns)
    np.testing.assert_array_equal(encoding.encode(table)[5:9], encoding.encode(table.iloc[5:9]))


def test_activations_are_what_rows_look_like(adult):
    _, columns = adult
    encoding = NetworkEncoding(columns)
    stream = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(50, encoding.width, generator=stream)
    soft = encoding.activate(logits, temperature=0.5, stream=stream)
    hard = encoding.activate(logits, temperature=0.5, stream=stream, hard=True)
    for head in encoding.one_hots:
        torch.testing.assert_close(soft[:, head.span].sum(1), torch.ones(50))
        assert set(hard[:, head.span].unique().tolist()) <= {0.0, 1.0}
        torch.testing.assert_close(hard[:, head.span].sum(1), torch.ones(50))
    for head in encoding.numbers:
        torch.testing.assert_close(hard[:, head.span], torch.tanh(logits[:, head.span]))
