"""What a method of the comparison is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pandas as pd
from sdv.metadata import Metadata

from comparisons.budget import Event


class MissingExtraError(ImportError):
    """A method or data set needs a package that is not installed."""


@dataclass(frozen=True)
class About:
    """What a report says of a method.

    Attributes:
        title: Name in tables.
        private: Whether it claims differential privacy; references need no budget.
        neighboring_relation: ``add_or_remove_one``, ``replace_one`` or ``none``.
        accountant: How epsilon is computed, in words.
        packages: Distributions whose versions matter, ours left out.
        hyperparameters: All that was set, defaults included.
        notes: What a reader must know: what is free to this method, what was cut.
        reference: Paper.
        uses_epsilon: ``False`` if the result is the same for every epsilon (references).
    """

    title: str
    private: bool
    neighboring_relation: str
    accountant: str
    packages: Sequence[str] = ()
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    notes: str = ''
    reference: str = ''
    uses_epsilon: bool = True


class Fitted(Protocol):
    """A fitted method."""

    @property
    def events(self) -> Sequence[Event]:
        """Noise of every access to the rows, for ``budget.epsilon``; empty if not private."""

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        """``n`` rows with the columns that are modelled, in the data types of the real table."""


class Method(Protocol):
    """A synthesizer under comparison."""

    about: About

    def fit(
        self,
        table: pd.DataFrame,
        metadata: Metadata,
        *,
        epsilon: float,
        delta: float,
        seed: int,
    ) -> Fitted:
        """Fit on all rows of ``table``.

        Args:
            table: Real rows; its columns are those of ``metadata``, all with a public domain.
            metadata: Metadata of one table, with declared ranges.
            epsilon: Privacy budget.
            delta: Privacy budget.
            seed: Of everything that is not privacy noise.
        """
