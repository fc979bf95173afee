"""Between the raw table and the processed space: SDV's data processor, fitted on public facts.

RDT learns from the rows it is fitted on: ranges, frequencies, shares of missing values, random
seeds made of the first five rows. Here it is fitted on two example rows made from the domains
(``frames.py``), before the release from the metadata alone, after it from the released
domains. Private rows only pass through maps that take one value at a time and have public
parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from rdt.transformers import FloatFormatter, UnixTimestampEncoder
from sdv.data_processing.data_processor import DataProcessor
from sdv.data_processing.errors import NotFittedError

from sdv_slicedp import datetimes, dtypes, frames, schema
from sdv_slicedp.domain import ColumnDomain, NumericalDomain, to_units


@dataclass(frozen=True)
class Output:
    """How the values of a numeric or datetime column are given back.

    Attributes:
        dtype: Dtype family of the column.
        step: Grid step of the released domain; ``None`` before there is one.
        bounds: Range that values are clipped to.
        rounds: Whether values that are not whole are rounded to the grid.
    """

    dtype: Any
    step: tuple[int, int] | None = None
    bounds: schema.Bounds = schema.NO_BOUNDS
    rounds: bool = True


class NumberEncoder(FloatFormatter):
    """RDT's number transformer, with nothing to learn: numbers as floats, missing ones as NaN."""

    def __init__(self) -> None:
        super().__init__(missing_value_replacement=None, missing_value_generation=None)
        self.output = Output(dtypes.NUMBER)

    def _fit(self, data: pd.Series) -> None:
        pass

    def _transform(self, data: pd.Series) -> dtypes.Floats:
        return dtypes.plain_numbers(data)

    def _reverse_transform(self, data: Any) -> pd.Series:
        output = self.output
        numbers = np.asarray(data, dtype=np.float64)
        whole = output.step is not None and output.step[1] == 1
        if output.step is not None and (whole or output.rounds):
            numbers = to_units(numbers, output.step) * output.step[0] / output.step[1]
        return dtypes.restored_numbers(numbers.clip(*output.bounds), output.dtype, whole=whole)


class DatetimeEncoder(UnixTimestampEncoder):
    """RDT's datetime transformer, with nothing to learn: wall-clock nanoseconds as floats."""

    def __init__(self, layout: datetimes.Layout | None = None) -> None:
        self.layout = layout or datetimes.Layout()
        super().__init__(
            missing_value_replacement=None,
            datetime_format=self.layout.format,
            missing_value_generation=None,
        )
        self.output = Output(dtypes.OBJECT)

    def _fit(self, data: pd.Series) -> None:
        pass

    def _transform(self, data: pd.Series) -> dtypes.Floats:
        return datetimes.to_nanoseconds(data, self.layout)

    def _reverse_transform(self, data: Any) -> pd.Series:
        output = self.output
        numbers = np.asarray(data, dtype=np.float64).clip(*output.bounds)
        column = datetimes.from_nanoseconds(numbers, self.layout, output.step, output.dtype)
        return dtypes.restored_generated(column, output.dtype)


class SchemaProcessor(DataProcessor):
    """SDV's data processor for a table of which only public facts are known.

    Attributes:
        domains: Domain of each modelled column, as far as it is known.
        families: Dtype family of each column.
    """

    def __init__(self, metadata: Any, **options: Any) -> None:
        """As SDV's; identifiers are generated, keys or not, and never modelled as categories."""
        ids = [name for name, column in metadata.columns.items() if column['sdtype'] == 'id']
        super().__init__(metadata=metadata, id_columns_use_old_behavior=ids, **options)
        self.domains: dict[str, ColumnDomain] = {}
        self.families: dict[str, Any] = {}

    def prepare_domains(self, domains: Sequence[ColumnDomain], families: Mapping[str, Any]) -> None:
        """Choose the transformers, as ``prepare_for_fitting`` does from rows."""
        self._describe(domains, families)
        self.prepare_for_fitting(self._examples())

    def fit_domains(self, domains: Sequence[ColumnDomain], families: Mapping[str, Any]) -> None:
        """Fit on the domains of the modelled columns and the dtype families of all columns."""
        self._describe(domains, families)
        self.fit(self._examples())
        for name, domain in self.domains.items():
            encoder = self._hyper_transformer.field_transformers.get(name)
            if encoder is not None and isinstance(domain, NumericalDomain):
                encoder.output = self._output(domain)

    def fit_again(self) -> None:
        """Fit on the same facts, after transformers were updated."""
        self.fit_domains(tuple(self.domains.values()), self.families)

    def transform(self, data: pd.DataFrame, is_condition: bool = False) -> pd.DataFrame:
        """Rows in the processed space; keys and generated columns are left out, unread."""
        if not self.fitted:
            raise NotFittedError
        columns = {name: self._encode(data, name) for name in self.domains if name in data}
        return frames.uninferred(columns, len(data))

    def reverse_transform(
        self,
        data: pd.DataFrame,
        reset_keys: bool = False,
        conditions: Mapping[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Rows of the processed space as rows of the table, with generated columns.

        Conditions hold in the processed rows already.
        """
        if not self.fitted:
            raise NotFittedError
        columns = {name: self._decode(data, name) for name in self.domains if name in data}
        columns.update(self._generate(len(data)))
        names = [name for name in self.metadata.columns if name in columns]
        return pd.DataFrame(columns, index=pd.RangeIndex(len(data)), columns=names, copy=False)

    def _describe(self, domains: Sequence[ColumnDomain], families: Mapping[str, Any]) -> None:
        self.domains = {domain.name: domain for domain in domains}
        self.families = dict(families)

    def _examples(self) -> pd.DataFrame:
        return frames.example_frame(self.metadata.columns, self.domains, self.families)

    def _encode(self, data: pd.DataFrame, name: str) -> npt.NDArray[Any]:
        encoder = self._hyper_transformer.field_transformers.get(name)
        if encoder is None:
            return dtypes.plain_categories(data[name])
        # One column at a time: RDT copies all that it is given for every transformer.
        return np.asarray(encoder.transform(data[[name]])[name])

    def _decode(self, data: pd.DataFrame, name: str) -> pd.Series:
        encoder = self._hyper_transformer.field_transformers.get(name)
        if encoder is None:
            values = data[name].to_numpy(dtype=object)
            categories = getattr(self.domains[name], 'categories', None) or ()
            return dtypes.restored_categories(values, self.families[name], categories)
        return encoder.reverse_transform(data[[name]])[name]

    def _generate(self, num_rows: int) -> dict[str, pd.Series]:
        transformers = self._hyper_transformer.field_transformers
        names = [name for name in self.metadata.columns if name not in self.domains]
        if not names or not num_rows:
            return {}
        made = self._hyper_transformer.create_anonymized_columns(
            num_rows, [name for name in names if transformers.get(name) is not None]
        )
        return {name: dtypes.restored_generated(made[name], self.families[name]) for name in made}

    def _output(self, domain: NumericalDomain) -> Output:
        bounds = schema.NO_BOUNDS
        if self._enforce_min_max_values:
            declared = schema.declared_bounds(domain.name, self.metadata.columns[domain.name])
            lower, upper = frames.grid_bounds(domain)
            bounds = (max(lower, declared[0]), min(upper, declared[1]))
        return Output(self.families[domain.name], domain.step, bounds, self._enforce_rounding)

    def _fit_formatters(self, data: pd.DataFrame) -> None:
        """Learn no formats: the encoders know the grid, the dtype and the layout."""

    def _get_column_config(self, column: str, data: pd.DataFrame) -> tuple[str, Any]:
        described = self.metadata.columns[column]
        sdtype = schema.modelled_sdtype(described)
        if column not in self.domains:
            generated = described['sdtype'] in {'id', 'unknown'}
            config = super()._get_column_config if generated else self._get_pii_config
            return config(column, data)  # type: ignore[no-any-return]
        if sdtype == 'numerical':
            return sdtype, NumberEncoder()
        if sdtype == 'datetime':
            return sdtype, DatetimeEncoder(datetimes.layout(described))
        return str(sdtype), None

    def _get_pii_config(self, column: str, data: pd.DataFrame) -> Any:
        return self._get_pii_column_config(column, self.metadata.columns[column]['sdtype'], data)
