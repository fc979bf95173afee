"""Which transformers a user may assign: those that can learn nothing from the rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rdt.transformers import FloatFormatter, PseudoAnonymizedFaker, UnixTimestampEncoder
from sdv.errors import SynthesizerInputError

from sdv_slicedp import datetimes, schema
from sdv_slicedp.encoding import DatetimeEncoder, NumberEncoder

_NEUTRAL = {
    'missing_value_replacement': None,
    'missing_value_generation': None,
    'learn_rounding_scheme': False,
    'enforce_min_max_values': False,
    'computer_representation': 'Float',
}


def admitted(
    requested: Mapping[str, Any],
    columns: Mapping[str, schema.ColumnMetadata],
    modelled: Collection[str],
) -> dict[str, Any]:
    """The transformers to use for those that were requested.

    Args:
        requested: Transformer, or ``None``, by column.
        columns: Metadata of all columns.
        modelled: Columns that the mechanism measures; the others are generated.

    Raises:
        SynthesizerInputError: If a transformer would learn from the rows, or does not fit.
    """
    found = {}
    for name, transformer in requested.items():
        if name not in columns:
            raise SynthesizerInputError(
                f"Column '{name}' is not in the metadata; its columns are {list(columns)}."
            )
        choose = _for_modelled if name in modelled else _for_generated
        found[name] = choose(name, columns[name], transformer)
    return found


def _for_modelled(name: str, column: schema.ColumnMetadata, transformer: Any) -> Any:
    sdtype = schema.modelled_sdtype(column)
    kind = type(transformer)
    if sdtype == 'numerical':
        if kind is NumberEncoder:
            return transformer
        if transformer is None or (kind is FloatFormatter and _is_neutral(transformer)):
            return NumberEncoder()
    elif sdtype == 'datetime':
        if kind is DatetimeEncoder:
            return transformer
        if transformer is None or (kind is UnixTimestampEncoder and _is_neutral(transformer)):
            return DatetimeEncoder(datetimes.layout(column))
    elif transformer is None:
        return None
    raise SynthesizerInputError(
        f"Column '{name}' ({column['sdtype']}) cannot use {_described(transformer)}: it would "
        'learn ranges, categories, frequencies or missing values from the private rows, or change '
        'the values that the mechanism measures. Use None, which keeps the default.'
    )


def _for_generated(name: str, column: schema.ColumnMetadata, transformer: Any) -> Any:
    generator = getattr(transformer, 'is_generator', lambda: False)()
    if not generator or isinstance(transformer, PseudoAnonymizedFaker):
        raise SynthesizerInputError(
            f"Column '{name}' ({column['sdtype']}) cannot use {_described(transformer)}: its "
            'values are never read, so it needs a transformer that makes new ones, such as '
            'AnonymizedFaker, RegexGenerator or IndexGenerator.'
        )
    rule = getattr(transformer, 'cardinality_rule', None)
    if rule not in (None, 'unique'):
        raise SynthesizerInputError(
            f"Column '{name}' cannot use cardinality_rule='{rule}': it would count how often the "
            "private values repeat. Use None or 'unique'."
        )
    return transformer


def _is_neutral(transformer: Any) -> bool:
    return all(getattr(transformer, key, value) == value for key, value in _NEUTRAL.items())


def _described(transformer: Any) -> str:
    return 'no transformer' if transformer is None else f"'{type(transformer).__name__}'"
