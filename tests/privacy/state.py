"""Everything that an object can reach, as text: what an attacker with the object can read."""

from __future__ import annotations

import functools
import logging
import random
import re
import struct
import types
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

ADDRESS = re.compile(r'0x[0-9a-f]+')
PLAIN = (str, bytes, int, float, complex, type(None), np.generic, pd.Timestamp, pd.Timedelta)
SHARED = (type, types.ModuleType, logging.Logger)
"""Not part of an object's state: all objects of the process have them in common."""


def reachable(value: Any) -> dict[str, str]:
    """Path and text of every value that ``value`` reaches, private attributes included.

    Goes through attributes, slots, items, index and dtype of pandas objects, states of random
    generators, closures, defaults, bound objects, weak references and suspended generators.
    """
    return dict(_walk(value, '', {}))


def differences(first: dict[str, str], second: dict[str, str]) -> set[str]:
    """Paths whose text is not the same in two states."""
    return {path for path in first | second if first.get(path) != second.get(path)}


def encodings(number: float) -> list[bytes]:
    """The bytes that a number may have in a file: texts, floats and integers."""
    found = [repr(number).encode(), np.float32(number).tobytes()]
    found += [struct.pack(order + 'd', number) for order in '<>']
    if float(number).is_integer():
        found += [str(int(number)).encode(), *(struct.pack(o + 'q', int(number)) for o in '<>')]
    return found


def _walk(value: Any, path: str, seen: dict[int, Any]) -> Iterator[tuple[str, str]]:
    if isinstance(value, PLAIN):
        yield path, f'{type(value).__name__} {value!r}'
        return
    if isinstance(value, SHARED):
        yield path, ADDRESS.sub('', repr(value))
        return
    if id(value) in seen:
        return
    seen[id(value)] = value  # held, so that no other object gets its identity
    yield path, ADDRESS.sub('', _text(value))
    for name, part in _parts(value):
        yield from _walk(part, f'{path}{name}', seen)


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.dtype != object:
        return f'{value.dtype} {value.tolist()!r}'
    if isinstance(value, list | tuple | set | frozenset | Mapping):
        return f'{type(value).__name__} of {len(value)}'
    if isinstance(value, types.FunctionType | types.BuiltinFunctionType):
        return value.__qualname__
    return type(value).__qualname__


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    special = _special_parts(value)
    if special is not None:
        yield from special.items()
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            name = f'[{ADDRESS.sub("", repr(key))}]'
            yield name, item
            yield f'{name}.key', key
    elif isinstance(value, set | frozenset):
        yield from ((f'{{{i}}}', item) for i, item in enumerate(sorted(value, key=repr)))
    elif isinstance(value, list | tuple) or (
        isinstance(value, np.ndarray) and value.dtype == object
    ):
        items = value.ravel().tolist() if isinstance(value, np.ndarray) else value
        yield from ((f'[{i}]', item) for i, item in enumerate(items))
    yield from ((f'.{name}', part) for name, part in _attributes(value).items())


def _special_parts(value: Any) -> dict[str, Any] | None:
    """Parts that are not attributes; ``None`` for objects without any."""
    match value:
        case pd.DataFrame():
            columns = [value.iloc[:, i] for i in range(value.shape[1])]
            return {'.columns': columns, '.labels': value.columns, '.attrs': value.attrs}
        case pd.Series():
            return {'.name': value.name, '.index': value.index, '.values': value.array}
        case pd.RangeIndex():
            return {'.range': (value.start, value.stop, value.step), '.name': value.name}
        case pd.Index() | pd.api.extensions.ExtensionArray():
            return {'.values': list(value), '.dtype': value.dtype}
        case pd.CategoricalDtype():
            return {'.categories': list(value.categories)}
        case np.dtype() | pd.api.extensions.ExtensionDtype():
            return {'.name': str(value)}
        case np.random.RandomState():
            return {'.state': value.get_state()}
        case np.random.Generator():
            return {'.state': value.bit_generator.state}
        case random.Random():
            return {'.state': value.getstate()}
        case torch.Generator():
            return {'.state': value.get_state().numpy()}
        case torch.Tensor():
            return {'.values': value.detach().cpu().numpy()}
        case weakref.ref():
            return {'()': value()}
        case functools.partial():
            return {'.func': value.func, '.args': value.args, '.keywords': value.keywords}
        case types.MethodType():
            return {'.self': value.__self__, '.func': value.__func__}
        case types.FunctionType():
            cells = [_cell(cell) for cell in value.__closure__ or ()]
            return {'.closure': cells, '.defaults': (value.__defaults__, value.__kwdefaults__)}
        case types.GeneratorType():
            return {'.locals': dict(value.gi_frame.f_locals) if value.gi_frame else None}
    return None


def _cell(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # an empty cell
        return None


def _attributes(value: Any) -> dict[str, Any]:
    found = dict(getattr(value, '__dict__', {}))
    for kind in type(value).__mro__:
        slots = kind.__dict__.get('__slots__', ())
        for name in [slots] if isinstance(slots, str) else slots:
            if name not in {'__weakref__', '__dict__'} and hasattr(value, name):
                found[name] = getattr(value, name)
    return found
