"""What is asked next, and all else about a release, depends on the rows through answers only."""

from __future__ import annotations

import pytest
from checks import answers_alone_decide, strangers
from worlds import MECHANISMS


@pytest.mark.parametrize('mechanism', MECHANISMS)
def test_answers_alone_decide(mechanism):
    answers_alone_decide(mechanism)


def test_the_tables_have_nothing_in_common():
    first, second = strangers(40, 90)
    for name in first.columns:
        assert not set(first[name]) & set(second[name]), name
    assert second['amount'].isna().any() and not first['amount'].isna().any()
