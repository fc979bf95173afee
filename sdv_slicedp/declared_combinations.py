"""A constraint of SDV's kind whose combinations are public: none has to be discovered."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
from sdv.cag import FixedCombinations

from sdv_slicedp.domain import Category

Combination = Sequence[Category | None]


class DeclaredCombinations(FixedCombinations):  # type: ignore[misc]
    """The combinations that some discrete columns can have, by the user's own knowledge.

    ``FixedCombinations`` spends budget on finding out which combinations occur, and never samples
    rare ones. Here they are declared and attested as public, as ``public_domain`` does for single
    columns. Records with another combination are not counted in these columns.

    Args:
        column_names: Names of two or more categorical, ordinal or boolean columns.
        combinations: The combinations, each with one value per column; ``None`` is missing.
        table_name: Name of the table.

    Raises:
        ValueError: If a combination is not one plain value, or ``None``, for each column, or
            comes twice.
    """

    def __init__(
        self,
        column_names: list[str],
        combinations: Collection[Combination],
        table_name: str | None = None,
    ) -> None:
        super().__init__(column_names, table_name)
        self.combinations = [_plain(combination, column_names) for combination in combinations]
        if not self.combinations:
            raise ValueError('combinations is empty: declare at least one.')
        if len(set(map(tuple, self.combinations))) < len(self.combinations):
            raise ValueError('combinations has the same combination more than once.')


def _plain(combination: Combination, names: Sequence[str]) -> list[Category | None]:
    """A combination with Python's own values, as JSON holds them."""
    if isinstance(combination, str) or len(combination) != len(names):
        raise ValueError(
            f'Each of combinations must have one value for each of {list(names)}, got '
            f'{combination!r}.'
        )
    plain = [v.item() if isinstance(v, np.generic) else v for v in combination]
    for value in plain:
        number = isinstance(value, int | float) and math.isfinite(value)
        if not (value is None or isinstance(value, str) or number):
            raise ValueError(
                'combinations may hold strings, finite numbers, booleans and None for missing '
                f'values, got {value!r}.'
            )
    return plain
