"""Immutable parts of a release."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from sdv_slicedp.ledger import checked_number


class Artefact:
    """Equality by content; copies and unpickled objects are checked and immutable again."""

    def __eq__(self, other: object) -> bool:
        """Whether all values are the same."""
        if type(other) is not type(self):
            return NotImplemented
        return all(same(a, b) for a, b in zip(self._values(), other._values(), strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies are made from the values, so they are checked too."""
        return type(self), self._values()

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]


def same(a: Any, b: Any) -> bool:
    """Whether two values are alike in type and content, arrays included."""
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    return type(a) is type(b) and bool(a == b) and repr(a) == repr(b)


def freeze(part: Any, *names: str) -> None:
    """Replace arrays by int64 copies on bytes, which nothing can make writeable."""
    for name in names:
        array = np.asarray(getattr(part, name))
        if array.dtype.kind != 'i':
            raise TypeError(f'{name} must hold integers, got {array.dtype}.')
        object.__setattr__(part, name, frozen(array, np.int64))


def frozen(array: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """A copy on bytes, which nothing can make writeable."""
    plain = np.ascontiguousarray(array, dtype=dtype)
    return np.frombuffer(plain.tobytes(), dtype=dtype).reshape(array.shape)


def check_scale(part: Any, name: str = 'sigma') -> None:
    """Make a noise scale a float; it must be positive and finite."""
    sigma = checked_number(name, getattr(part, name))
    if not 0 < sigma < math.inf:
        raise ValueError(f'{name} must be positive and finite, got {sigma}.')
    object.__setattr__(part, name, sigma)
