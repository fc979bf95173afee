"""From trained parameters to models that sample, and back to go on training."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from sdv_slicedp.coupling import Coupling
from sdv_slicedp.denoising import Target
from sdv_slicedp.domain import CategoricalDomain
from sdv_slicedp.generator import ColumnDecoder, MixtureModel
from sdv_slicedp.neural import NeuralModel, ShownCells
from sdv_slicedp.release import ColumnRelease

Floats = npt.NDArray[np.float64]
Tables = npt.NDArray[np.float32]
Model = MixtureModel | NeuralModel
Columns = Sequence[ColumnRelease]


def mixture_model(
    columns: Columns,
    target: Target,
    components: Sequence[Tables],
    losses: pd.DataFrame,
    coupling: Coupling | None = None,
) -> MixtureModel:
    """A mixture without the remainder cells, which have no value to show.

    Args:
        columns: Columns on the cells of the mixture.
        target: Their laws.
        components: Laws of each column's cells, one row for each component.
        losses: Loss of each epoch.
        coupling: How numbers lie in their pair cells together.
    """
    shown, decoders = _shown(columns, target)
    tables = [show(table) for show, table in zip(shown, components, strict=True)]
    return MixtureModel(tables, decoders, losses, coupling)


def neural_model(
    columns: Columns,
    target: Target,
    network: nn.Module,
    losses: pd.DataFrame,
    coupling: Coupling | None = None,
) -> NeuralModel:
    """A network as a sampler, without the remainder cells."""
    shown, decoders = _shown(columns, target)
    sizes = [column.n_bins for column in columns]
    return NeuralModel(network.cpu(), sizes, shown, decoders, losses, coupling)


def mixture_logits(columns: Columns, target: Target, model: MixtureModel) -> torch.Tensor:
    """Logits of a trained mixture over all cells, shape ``(T, N)``.

    Remainder cells, which the model does not have, start at their column's law.
    """
    parts = []
    for column, table, law in zip(columns, model.components, target.laws, strict=True):
        kept = _kept(column)
        hidden = 1.0 - law[kept].sum()
        full = np.tile(law, (len(table), 1))
        full[:, kept] = table * (1.0 - hidden)
        parts.append(np.log(np.maximum(full, 1e-12)).T)
    return torch.from_numpy(np.concatenate(parts)).float()


def network_of(model: NeuralModel) -> nn.Module:
    """A copy of a trained network, to go on training."""
    return copy.deepcopy(model.network).train()


def _shown(columns: Columns, target: Target) -> tuple[list[ShownCells], list[ColumnDecoder]]:
    shown = [
        ShownCells(_kept(column), np.bincount(column.bins, law, column.n_bins).astype(np.float64))
        for column, law in zip(columns, target.fine_laws, strict=True)
    ]
    decoders = [
        _decoder(column, law) for column, law in zip(columns, target.fine_laws, strict=True)
    ]
    return shown, decoders


def _shown_fine(column: ColumnRelease) -> npt.NDArray[np.bool_]:
    shown = np.ones(len(column.bins), dtype=bool)
    domain = column.domain
    if isinstance(domain, CategoricalDomain) and domain.has_other and len(column.bins) > 1:
        shown[-1] = False
    return shown


def _kept(column: ColumnRelease) -> npt.NDArray[np.int64]:
    return np.unique(column.bins[_shown_fine(column)])


def _decoder(column: ColumnRelease, law: Floats) -> ColumnDecoder:
    shown, kept = _shown_fine(column), _kept(column)
    number = np.full(column.n_bins, -1, dtype=np.int64)
    number[kept] = np.arange(len(kept))
    order = np.argsort(column.bins[shown], kind='stable')
    return ColumnDecoder(
        column.domain,
        column.fine_lower[shown][order],
        column.fine_upper[shown][order],
        number[column.bins[shown][order]],
        law[shown][order],
    )
