"""The two functions that SDGym asks of a custom synthesizer.

``sdgym.create_single_table_synthesizer('SlicedDP', train, sample)``. SDGym 0.15.1 does not import
beside SDV 2, so it is not a dependency.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from sdv.metadata import Metadata

from sdv_slicedp import SlicedDPSynthesizer


def train(data: pd.DataFrame, metadata: dict[str, Any] | Metadata) -> SlicedDPSynthesizer:
    """Fit with the default budget; domains that SDGym does not declare are paid for.

    Args:
        data: Real rows.
        metadata: Metadata of one table, as SDV's object or as a dictionary.
    """
    if isinstance(metadata, dict):
        metadata = Metadata.load_from_dict(metadata)
    synthesizer = SlicedDPSynthesizer(metadata)
    synthesizer.fit({next(iter(metadata.tables)): data})
    return synthesizer


def sample(synthesizer: SlicedDPSynthesizer, n_rows: int) -> pd.DataFrame:
    """``n_rows`` synthetic rows."""
    (rows,) = synthesizer.sample(n_rows).values()
    return rows
