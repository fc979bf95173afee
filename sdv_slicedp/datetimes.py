"""Datetimes as nanoseconds since 1970 and back, one value at a time and with public parameters.

The number of a datetime is its wall-clock time in the column's time zone: a date stays on the
grid of days whatever the zone is.
"""

from __future__ import annotations

import datetime
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

SECOND = 10**9
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
UNITS = {'s': float(SECOND), 'ms': 1e6, 'us': 1e3, 'ns': 1.0}
"""Nanoseconds in the units of pandas."""
DIRECTIVE_STEPS = ((1000, 'f'), (SECOND, 'SsTXcr'), (MINUTE, 'MR'), (HOUR, 'HIkl'))
"""Finest unit of strftime directives in nanoseconds, fine to coarse; everything else is a day."""
OFFSET_STEP = 15 * MINUTE
"""Every offset from UTC in use is a multiple of this."""
WITHIN_MONTH = frozenset('djUWVuwaADFxcs')
"""Directives that tell one day of a month from another."""
LARGEST = float(pd.Timestamp.max.value - 1023)
"""Largest number of nanoseconds that float64 and pandas both hold."""
NO_INSTANT = np.iinfo(np.int64).min
"""NumPy's missing datetime, in nanoseconds."""
_PARSED = (str, datetime.date, np.datetime64)
_CLOCK = ('now', 'today')


@dataclass(frozen=True)
class Layout:
    """How a datetime column is written.

    Attributes:
        format: The declared strftime format, if any.
        step: Grid step of the format as ``(nanoseconds, 1)``; ``None`` without a format.
        timezone: Time zone of the wall clock; ``None`` if the values have no zone.
    """

    format: str | None = None
    step: tuple[int, int] | None = None
    timezone: datetime.tzinfo | None = None


def layout(column: Mapping[str, Any]) -> Layout:
    """Layout of a datetime column from its metadata.

    The offset of a format with ``%z`` is that of the declared range, else UTC.
    """
    written = column.get('datetime_format')
    if written is None:
        return Layout()
    directives = _directives(written)
    step = next((unit for unit, marks in DIRECTIVE_STEPS if directives & set(marks)), DAY)
    if not directives & {'z', 'Z'}:
        return Layout(written, (step, 1))
    zone = _declared_offset(column, written) or datetime.timezone.utc
    return Layout(written, (min(step, OFFSET_STEP), 1), zone)


def is_readable(written: str) -> bool:
    """Whether pandas can read datetimes in a format."""
    try:
        pd.to_datetime(pd.Series(['2020']), format=_pandas_format(written), errors='coerce')
    except ValueError:
        return False
    return True


def exact_nanoseconds(value: Any, how: Layout) -> int | None:
    """Wall-clock nanoseconds of one declared datetime; ``None`` if it is none."""
    if not isinstance(value, _PARSED):
        return None
    stamp = _parse(pd.Series([value], dtype=object), how)[0]
    return None if pd.isna(stamp) else int(_wall_clock(stamp, how.timezone).value)


def to_nanoseconds(values: pd.Series, how: Layout) -> Floats:
    """Wall-clock nanoseconds of each value; NaN where it is missing or no datetime.

    Args:
        values: Datetimes, strings, dates, or numbers written in the format.
        how: Layout of the column.
    """
    return _from_datetime64(_clock_times(values, how))


def asked_instants(values: pd.Series, how: Layout, dtype: Any) -> npt.NDArray[np.int64]:
    """Wall-clock nanoseconds of datetimes that a user asks for, without any rounding.

    Args:
        values: Datetimes, strings, dates, or numbers written in the format. What has a time zone is
            taken to the column's own; to UTC, if the column has none.
        how: Layout of the column.
        dtype: Its dtype.

    Returns:
        Nanoseconds; ``NO_INSTANT`` where there is no datetime between 1677 and 2262.
    """
    if how.timezone is None:
        zone = getattr(dtype, 'tz', None) or datetime.timezone.utc
        values = _without_zone(values, zone)
    stamps = _clock_times(values, how)
    stamps = np.where(np.abs(_from_datetime64(stamps)) <= LARGEST, stamps, np.datetime64('NaT'))
    return stamps.astype('datetime64[ns]').view(np.int64)


def from_nanoseconds(
    numbers: Floats, how: Layout, step: tuple[int, int] | None, dtype: Any
) -> pd.Series:
    """Column of datetimes from wall-clock nanoseconds; inverse of :func:`to_nanoseconds`.

    Args:
        numbers: Nanoseconds; NaN is missing.
        how: Layout of the column.
        step: Grid step; float64 is too coarse for nanoseconds, so numbers are rounded to it.
        dtype: A datetime dtype, or any other for values written in the format.
    """
    pitch = step[0] if step else 1
    absent = np.isnan(numbers)
    furthest = np.floor(LARGEST / pitch)
    units = np.clip(np.rint(np.where(absent, 0.0, numbers) / pitch), -furthest, furthest)
    return written_out(units.astype(np.int64) * pitch, absent, how, pitch, dtype)


def written_out(
    instants: npt.NDArray[np.int64],
    absent: npt.NDArray[np.bool_],
    how: Layout,
    pitch: int,
    dtype: Any,
) -> pd.Series:
    """Column of datetimes from whole wall-clock nanoseconds; see :func:`from_nanoseconds`."""
    codes, distinct = pd.factorize(instants)
    stamps = pd.DatetimeIndex(distinct.astype('datetime64[ns]'))
    if pd.api.types.is_datetime64_any_dtype(dtype):
        if how.format and not _directives(how.format) & WITHIN_MONTH:
            stamps = _rounded_to_format(stamps, how.format)
        column = pd.Series(stamps.to_numpy()[codes]).mask(absent)
        return _localised(column, dtype, how.timezone)
    written = how.format or ('%Y-%m-%d' if pitch % DAY == 0 else '%Y-%m-%d %H:%M:%S.%f')
    texts = np.asarray(stamps.tz_localize(how.timezone).strftime(written), dtype=object)[codes]
    texts[absent] = None
    return pd.Series(texts, dtype=object)


def _clock_times(values: pd.Series, how: Layout) -> npt.NDArray[Any]:
    """Wall-clock times in any unit; NaT where a value is missing or no datetime."""
    dtype = values.dtype
    if isinstance(dtype, pd.DatetimeTZDtype):
        clock = values.dt.tz_convert(how.timezone or dtype.tz).dt.tz_localize(None)
        return np.asarray(clock.to_numpy())
    if isinstance(dtype, np.dtype) and dtype.kind == 'M':
        return np.asarray(values.to_numpy())
    if pd.api.types.is_numeric_dtype(dtype):
        values = _digits(values)
    stamps = _parse(_parsed_only(values), how)
    if how.timezone is not None:
        stamps = stamps.dt.tz_convert(how.timezone)
    return np.asarray(stamps.dt.tz_localize(None).to_numpy())


def _without_zone(values: pd.Series, zone: datetime.tzinfo) -> pd.Series:
    """Datetimes with a time zone as wall-clock times of another one; the rest as it is."""
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return values.dt.tz_convert(zone).dt.tz_localize(None)
    if values.dtype != object:
        return values

    def plain(value: Any) -> Any:
        aware = isinstance(value, datetime.datetime) and value.tzinfo is not None
        return pd.Timestamp(value).tz_convert(zone).tz_localize(None) if aware else value

    return pd.Series([plain(value) for value in values], dtype=object)


def _directives(written: str) -> set[str]:
    return set(re.findall(r'%[-#]?([A-Za-z])', written.replace('%%', '')))


def _declared_offset(column: Mapping[str, Any], written: str) -> datetime.tzinfo | None:
    for key in ('range_min', 'range_max'):
        value = column.get(key)
        if isinstance(value, str):
            stamp = pd.to_datetime(value, format=_pandas_format(written), errors='coerce')
            if not pd.isna(stamp) and stamp.tzinfo is not None:
                return datetime.timezone(stamp.utcoffset())
    return None


def _pandas_format(written: str | None) -> str:
    # 'mixed' reads each value by itself; without it pandas guesses from the first value.
    return re.sub('%[-#]', '%', written) if written else 'mixed'


def _parse(values: pd.Series, how: Layout) -> pd.Series:
    """Datetimes in UTC; what has no zone is taken as UTC."""
    options = {'format': _pandas_format(how.format), 'errors': 'coerce', 'utc': True}
    with warnings.catch_warnings():
        # Pandas warns about values that it cannot read.
        warnings.simplefilter('ignore')
        try:
            return pd.to_datetime(values, **options)
        except Exception:
            # One cell that pandas refuses in spite of 'coerce' must not be seen from outside.
            stamps = [_parse_one(value, options) for value in values]
            return pd.Series(stamps, dtype='datetime64[ns, UTC]')


def _parse_one(value: Any, options: dict[str, Any]) -> Any:
    try:
        return pd.to_datetime(value, **options)
    except Exception:
        return pd.NaT


def _parsed_only(values: pd.Series) -> pd.Series:
    """Objects without those that pandas would refuse, count as nanoseconds, or read a clock for."""
    objects = np.array(values, dtype=object)
    kinds = {kind for kind in set(map(type, objects)) if not issubclass(kind, _PARSED)}
    if kinds:
        objects[[type(value) in kinds for value in objects]] = None
    # Stays an array of objects: pandas would infer a dtype from all rows together.
    column = pd.Series(objects, dtype=object)
    return column.where(~column.isin(_CLOCK), None)


def _digits(values: pd.Series) -> pd.Series:
    """Whole numbers as text, as a format such as ``%Y%m%d`` reads them."""
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    readable = np.abs(numbers) < 1e17
    texts = np.full(len(numbers), None, dtype=object)
    texts[readable] = np.rint(numbers[readable]).astype(np.int64).astype(str)
    return pd.Series(texts, dtype=object)


def _from_datetime64(stamps: npt.NDArray[Any]) -> Floats:
    # Not by pandas, which refuses the whole column for one date that nanoseconds cannot hold.
    unit, _ = np.datetime_data(stamps.dtype)
    numbers = stamps.view(np.int64).astype(np.float64) * UNITS[unit]
    numbers[np.isnat(stamps)] = np.nan
    return numbers


def _wall_clock(stamp: pd.Timestamp, timezone: datetime.tzinfo | None) -> pd.Timestamp:
    return stamp.tz_convert(timezone or datetime.timezone.utc).tz_localize(None)


def _rounded_to_format(stamps: pd.DatetimeIndex, written: str) -> pd.DatetimeIndex:
    """Datetimes as the format can write them, for formats such as ``%Y-%m``."""
    return pd.to_datetime(stamps.strftime(written), format=_pandas_format(written))


def _localised(clock: pd.Series, dtype: Any, timezone: datetime.tzinfo | None) -> pd.Series:
    """Wall-clock times in a datetime dtype; without a declared zone, in the dtype's own."""
    own = getattr(dtype, 'tz', None)
    if own is None:
        return clock.astype(dtype)
    ambiguous = np.ones(len(clock), dtype=bool)
    aware = clock.dt.tz_localize(timezone or own, ambiguous=ambiguous, nonexistent='shift_forward')
    return aware.dt.tz_convert(own).astype(dtype)
