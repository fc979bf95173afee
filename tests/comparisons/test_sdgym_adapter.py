import pytest

from comparisons import sdgym_adapter
from sdv_slicedp.datasets import load_adult


@pytest.mark.parametrize('kind', ['dictionary', 'object'])
def test_what_sdgym_calls(kind):
    tables, metadata = load_adult()
    table = tables['adult'].head(300)
    given = metadata.to_dict() if kind == 'dictionary' else metadata

    rows = sdgym_adapter.sample(sdgym_adapter.train(table, given), 7)

    assert list(rows) == list(table)
    assert len(rows) == 7


def test_sdgym_itself():
    try:
        from sdgym import create_single_table_synthesizer
    except ImportError:
        pytest.skip('SDGym is not installed, or does not import beside this SDV')
    made = create_single_table_synthesizer('SlicedDP', sdgym_adapter.train, sdgym_adapter.sample)
    assert 'SlicedDP' in made.__name__
