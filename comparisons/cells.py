"""The cells of a run: which there are, and which have a record already."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Record = dict[str, Any]

_KEY = ('dataset', 'method', 'epsilon', 'delta', 'seed', 'rows')


@dataclass(frozen=True)
class Cell:
    """One fit.

    Attributes:
        dataset: Name of a registered data set, or of the user's table and its contents.
        method: Name of a registered method.
        epsilon: Privacy budget; ``None`` for methods without one.
        delta: Privacy budget.
        seed: Of everything but privacy noise.
        rows: Real rows to fit on; ``None`` for all that are not held out.
        csv: The user's table, instead of a registered one.
        metadata: Its metadata.
        target: Its target.
    """

    dataset: str
    method: str
    epsilon: float | None
    delta: float
    seed: int
    rows: int | None = None
    csv: str | None = None
    metadata: str | None = None
    target: str | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes two cells the same."""
        return tuple(getattr(self, name) for name in _KEY)


def key_of(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """Key of the cell that a record is of."""
    cell = record['cell']
    return tuple(cell[name] for name in _KEY)


def read_records(paths: Iterable[Path]) -> list[Record]:
    """Records of all files, the last one of each cell; a line that was cut off is left out."""
    found: dict[tuple[Any, ...], Record] = {}
    for path in paths:
        for line in path.read_text(encoding='utf-8').splitlines():
            try:
                record = json.loads(line)
                found[key_of(record)] = record
            except (json.JSONDecodeError, KeyError, TypeError):
                continue
    return list(found.values())


def to_do(cells: Sequence[Cell], records: Iterable[Record], again: bool) -> list[Cell]:
    """Cells without a record; with ``again`` also those that failed."""
    done = {key_of(r) for r in records if not (again and r['status'] != 'done')}
    return [cell for cell in dict.fromkeys(cells) if cell.key not in done]
