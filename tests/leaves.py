"""All values that an object can reach, for comparing what two synthesizers know."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

ADDRESS = re.compile(r'0x[0-9a-f]+')


def leaves(
    value: Any, path: str = '', seen: dict[int, Any] | None = None
) -> Iterator[tuple[str, str]]:
    """Pairs of path and text of everything that ``value`` reaches by attributes and items."""
    # Holds on to what was seen, so that no other object gets its identity.
    seen = {} if seen is None else seen
    if isinstance(value, str | bytes | int | float | complex | type | None):
        yield path, repr(value)
        return
    if id(value) in seen:
        return
    seen[id(value)] = value
    if isinstance(value, np.ndarray):
        yield path, f'{value.dtype} {value.tolist()!r}'
    elif isinstance(value, pd.Series | pd.DataFrame | pd.Index):
        yield path, f'{getattr(value, "dtypes", "")} {value.to_numpy().tolist()!r}'
    elif isinstance(value, np.random.RandomState):
        yield from leaves(value.get_state(), f'{path}.state', seen)
    elif isinstance(value, random.Random):
        yield path, repr(value.getstate())
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, f'{path}[{key!r}]', seen)
    elif isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        yield path, f'{type(value).__name__} of {len(value)}'
        for position, item in enumerate(items):
            yield from leaves(item, f'{path}[{position}]', seen)
    else:
        yield path, ADDRESS.sub('', repr(value))
        yield from leaves(getattr(value, '__dict__', {}), path, seen)
