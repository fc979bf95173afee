"""Tables as real matrices for networks, by the declared public domain alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from comparisons.public_domain import Choice, Number, PublicColumn
from comparisons.public_domain import decode as decode_public
from comparisons.public_domain import encode as encode_public

Matrix = npt.NDArray[np.float32]
PRESENT, MISSING = 0, 1


@dataclass(frozen=True)
class Head:
    """Columns of the matrix that are activated together.

    Attributes:
        column: Index of the table's column.
        kind: ``tanh`` for the value of a number, ``softmax`` for a one-hot.
        start: First column of the matrix.
        stop: One past the last.
    """

    column: int
    kind: Literal['tanh', 'softmax']
    start: int
    stop: int

    @property
    def span(self) -> slice:
        """Columns of the matrix."""
        return slice(self.start, self.stop)


@dataclass(frozen=True)
class NetworkEncoding:
    """Numbers on [-1, 1] with a one-hot of their being missing, choices one-hot.

    Attributes:
        columns: Declared domains, in the order of the matrix.
    """

    columns: tuple[PublicColumn, ...]

    @cached_property
    def heads(self) -> tuple[Head, ...]:
        """Heads from left to right."""
        heads: list[Head] = []
        start = 0
        for index, column in enumerate(self.columns):
            for kind, width in _layout(column):
                heads.append(Head(index, kind, start, start + width))
                start += width
        return tuple(heads)

    @property
    def numbers(self) -> tuple[Head, ...]:
        """Heads of the values of numbers."""
        return tuple(head for head in self.heads if head.kind == 'tanh')

    @property
    def one_hots(self) -> tuple[Head, ...]:
        """Heads of choices and of missing indicators."""
        return tuple(head for head in self.heads if head.kind == 'softmax')

    @property
    def choices(self) -> tuple[Head, ...]:
        """Heads of choices."""
        return tuple(h for h in self.one_hots if isinstance(self.columns[h.column], Choice))

    @property
    def width(self) -> int:
        """Number of columns of the matrix."""
        return self.heads[-1].stop if self.heads else 0

    def encode(self, table: pd.DataFrame) -> Matrix:
        """One row of the matrix for each row of the table, which depends on no other row."""
        public = encode_public(table, self.columns)
        parts = [_columns_of(public[c.name].to_numpy(), c) for c in self.columns]
        return np.hstack(parts).astype(np.float32)

    def activate(
        self,
        logits: torch.Tensor,
        *,
        temperature: float,
        stream: torch.Generator | None = None,
        hard: bool = False,
    ) -> torch.Tensor:
        """Hyperbolic tangent of numbers, Gumbel softmax of one-hots.

        Args:
            logits: Raw outputs of a network, shape ``(n, width)``.
            temperature: Of the softmax.
            stream: Source of the Gumbel noise.
            hard: Exact one-hots instead, drawn from the softmax at temperature one.
        """
        parts = []
        for head in self.heads:
            raw = logits[:, head.span]
            if head.kind == 'tanh':
                parts.append(torch.tanh(raw))
                continue
            noisy = raw + _gumbel(raw, stream)
            parts.append(one_hot(noisy) if hard else torch.softmax(noisy / temperature, dim=1))
        return torch.cat(parts, dim=1)

    def decode(self, matrix: npt.NDArray[np.floating], like: pd.DataFrame) -> pd.DataFrame:
        """Inverse of :meth:`encode`; the largest entry of a one-hot wins."""
        frame = {}
        for index, column in enumerate(self.columns):
            spans = [head.span for head in self.heads if head.column == index]
            frame[column.name] = _values_of([matrix[:, span] for span in spans], column)
        return decode_public(pd.DataFrame(frame), self.columns, like)


def _layout(column: PublicColumn) -> list[tuple[Literal['tanh', 'softmax'], int]]:
    if isinstance(column, Choice):
        return [('softmax', column.n_cells)]
    return [('tanh', 1), ('softmax', 2)] if column.has_missing else [('tanh', 1)]


def _columns_of(values: npt.NDArray[np.generic], column: PublicColumn) -> npt.NDArray[np.float64]:
    if isinstance(column, Choice):
        return np.eye(column.n_cells)[values.astype(np.int64)]
    missing = np.isnan(values.astype(float))
    scaled = np.where(missing, 0.0, _scaled(values.astype(float), column))[:, None]
    return np.hstack([scaled, np.eye(2)[missing.astype(int)]]) if column.has_missing else scaled


def _scaled(values: npt.NDArray[np.float64], column: Number) -> npt.NDArray[np.float64]:
    width = column.upper - column.lower
    return 2 * (values - column.lower) / width - 1 if width > 0 else np.zeros_like(values)


def _values_of(
    parts: Sequence[npt.NDArray[np.floating]], column: PublicColumn
) -> npt.NDArray[np.generic]:
    if isinstance(column, Choice):
        codes: npt.NDArray[np.int64] = parts[0].argmax(axis=1)
        return codes
    place = (np.clip(parts[0][:, 0].astype(float), -1, 1) + 1) / 2
    values: npt.NDArray[np.float64] = column.lower + (column.upper - column.lower) * place
    if column.has_missing:
        values[parts[1].argmax(axis=1) == MISSING] = np.nan
    return values


def _gumbel(like: torch.Tensor, stream: torch.Generator | None) -> torch.Tensor:
    exponential = torch.empty_like(like).exponential_(generator=stream)
    return -torch.log(exponential.clamp_min(1e-20))


def one_hot(scores: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.one_hot(scores.argmax(dim=1), scores.shape[1]).to(scores.dtype)
