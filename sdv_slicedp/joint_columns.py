"""Record maps of several columns into one discrete column: combinations, and one-hot columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from sdv_slicedp import discovery, dtypes, frames
from sdv_slicedp.domain import (
    UNCOUNTED,
    CategoricalDomain,
    Category,
    ColumnDomain,
    NumericalDomain,
    category_codes,
)
from sdv_slicedp.errors import DomainError
from sdv_slicedp.record_maps import arrays


@dataclass(frozen=True)
class _JointColumn:
    """Several columns as one.

    Attributes:
        columns: Declared domains of the columns.
        name: Name of the joint column.
    """

    columns: tuple[ColumnDomain, ...]
    name: str

    @property
    def renamed(self) -> dict[str, str]:
        """The joint column, for each of the columns."""
        return {column.name: self.name for column in self.columns}


@dataclass(frozen=True)
class Combinations(_JointColumn):
    """Discrete columns as one, whose categories are the combinations that occur, as JSON.

    A record with a value outside of a declared list of categories is not counted.

    Attributes:
        declared: The combinations, if they are public.
    """

    columns: tuple[CategoricalDomain, ...]
    declared: tuple[tuple[Category | None, ...], ...] | None = None

    def domains(self, domains: Sequence[ColumnDomain]) -> tuple[ColumnDomain, ...]:
        """Domains with a joint column; what is not declared has to be discovered."""
        known = None if self.declared is None else tuple(self._text(c) for c in self.declared)
        joint = CategoricalDomain(self.name, 'categorical', known, False)
        return _joined(domains, self.renamed, joint)

    def encode(self, processed: pd.DataFrame) -> pd.DataFrame:
        """Records with the combination of each as text; ``None`` if it is not counted."""
        columns = arrays(processed)
        parts = [_texts(pd.Series(columns.pop(c.name), dtype=object), c) for c in self.columns]
        joint = np.empty(len(processed), dtype=object)
        joint[:] = [_joint_text(record) for record in zip(*parts, strict=True)]
        return frames.uninferred({**columns, self.name: joint}, len(processed))

    def decode(self, sampled: pd.DataFrame, released: Mapping[str, ColumnDomain]) -> pd.DataFrame:
        """Records with the values of each combination."""
        columns = arrays(sampled)
        codes, texts = pd.factorize(columns.pop(self.name))
        values = [json.loads(text) for text in texts]
        for position, column in enumerate(self.columns):
            choices = np.empty(len(values) + 1, dtype=object)  # the last is for code -1
            choices[: len(values)] = [combination[position] for combination in values]
            columns[column.name] = choices[codes]
        return frames.uninferred(columns, len(sampled))

    def restored(self, released: Sequence[ColumnDomain]) -> tuple[ColumnDomain, ...]:
        """Domains of the columns: what is declared, or else occurs in some combination."""
        (joint,) = (domain for domain in released if domain.name == self.name)
        found = [json.loads(text) for text in getattr(joint, 'categories', None) or ()]
        return _split(released, self.name, with_values(self.columns, found))

    def texts(self, rows: pd.DataFrame) -> list[str | None]:
        """The combination of each row of the processed space."""
        return list(self.encode(rows[[column.name for column in self.columns]])[self.name])

    def _text(self, combination: Sequence[Category | None]) -> str:
        """A declared combination as text, with each value as its column writes it."""
        values = zip(combination, self.columns, strict=True)
        text = _joint_text([_texts(pd.Series([v], dtype=object), c)[0] for v, c in values])
        if text is None:
            raise DomainError(
                f'The declared combination {list(combination)} of the columns '
                f'{list(self.renamed)} has a value that its column cannot have.'
            )
        return text


@dataclass(frozen=True)
class OneHot(_JointColumn):
    """Columns of which exactly one is 1, as one column of their names.

    Records that are not one-hot count for the first of the largest values.
    """

    def domains(self, domains: Sequence[ColumnDomain]) -> tuple[ColumnDomain, ...]:
        """Domains with a joint column; names of columns are public, so it is complete."""
        names = tuple(column.name for column in self.columns)
        joint = CategoricalDomain(self.name, 'categorical', names, False)
        return _joined(domains, self.renamed, joint)

    def encode(self, processed: pd.DataFrame) -> pd.DataFrame:
        """Records with the name of the column that holds the 1."""
        columns = arrays(processed)
        numbers = [dtypes.plain_numbers(pd.Series(columns.pop(c.name))) for c in self.columns]
        values = np.nan_to_num(np.stack(numbers, axis=1), nan=-np.inf)
        names = np.array([column.name for column in self.columns], dtype=object)
        return frames.uninferred(
            {**columns, self.name: names[values.argmax(axis=1)]}, len(processed)
        )

    def decode(self, sampled: pd.DataFrame, released: Mapping[str, ColumnDomain]) -> pd.DataFrame:
        """Records with a 1 in the named column and 0 in the others."""
        columns = arrays(sampled)
        hot = columns.pop(self.name)
        for column in self.columns:
            is_hot = np.asarray(hot == column.name)
            zero, one = _bits(column)
            columns[column.name] = np.where(is_hot, one, zero).astype(
                np.float64 if isinstance(column, NumericalDomain) else object
            )
        return frames.uninferred(columns, len(sampled))

    def restored(self, released: Sequence[ColumnDomain]) -> tuple[ColumnDomain, ...]:
        """Domains of two values each."""
        restored = [
            NumericalDomain(column.name, column.sdtype, 0, 1, (1, 1), False)
            if isinstance(column, NumericalDomain)
            else replace(column, categories=_bits(column), has_missing=False)
            for column in self.columns
        ]
        return _split(released, self.name, restored)


def _bits(column: ColumnDomain) -> tuple[Category, Category]:
    """How a column writes 0 and 1."""
    declared = getattr(column, 'categories', None) or ()
    written = [next((c for c in declared if c == bit), bit) for bit in (0, 1)]
    return written[0], written[1]


def with_values(
    columns: Sequence[CategoricalDomain], combinations: Sequence[Sequence[Category | None]]
) -> tuple[CategoricalDomain, ...]:
    """Columns with the values of some combinations, where they have no declared categories."""
    complete = []
    for position, column in enumerate(columns):
        if column.categories is None:
            values = [combination[position] for combination in combinations]
            categories = discovery.in_public_order(v for v in values if v is not None)
            column = replace(column, categories=categories, has_missing=None in values)
        complete.append(column)
    return tuple(complete)


def _joint_text(record: Sequence[str | None]) -> str | None:
    """The texts of a record's values as one; ``None`` if one of them is not counted."""
    return None if None in record else f'[{", ".join(map(str, record))}]'


def _texts(values: pd.Series, domain: CategoricalDomain) -> list[str | None]:
    """Each value as JSON; ``None`` where a declared list does not have it."""
    if domain.categories is None:
        return [json.dumps(value) for value in values]
    written: list[str | None] = [json.dumps(category) for category in domain.categories]
    written += ['null'] if domain.has_missing else []
    codes = category_codes(values, domain)
    return [None if code == UNCOUNTED else written[code] for code in codes]


def _joined(
    domains: Sequence[ColumnDomain], renamed: Mapping[str, str], joint: ColumnDomain
) -> tuple[ColumnDomain, ...]:
    """Domains with the joint column in place of the first that goes into it."""
    first = next(i for i, domain in enumerate(domains) if domain.name in renamed)
    before = [domain for domain in domains[:first] if domain.name not in renamed]
    after = [domain for domain in domains[first:] if domain.name not in renamed]
    return (*before, joint, *after)


def _split(
    domains: Sequence[ColumnDomain], name: str, parts: Sequence[ColumnDomain]
) -> tuple[ColumnDomain, ...]:
    """Domains with ``parts`` in place of a joint column."""
    place = next(i for i, domain in enumerate(domains) if domain.name == name)
    return (*domains[:place], *parts, *domains[place + 1 :])
