"""How a generator is trained: the settings, and what the noise of a release says of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import nn

from sdv_slicedp import slices
from sdv_slicedp.progress import Callback
from sdv_slicedp.release import Release

FEWEST_EPOCHS, MOST_EPOCHS = 200, 500
"""Bounds of :func:`enough_epochs`; the fewest are enough at ``MUCH_NOISE``."""
MUCH_NOISE = 0.07
"""Total variation that noise brings to a typical pair, at which ``FEWEST_EPOCHS`` are enough."""
MOST_PULL = 0.1
"""Pull towards independence at ``MUCH_NOISE`` and beyond, see :func:`entropy_pull`."""
PROJECTION_EPOCHS = 500
"""Epochs of a mixture on a projection."""
FEWEST_COMPONENTS = 1000
"""Components of a mixture, at least."""
COMPONENTS_PER_EPOCH = 5
"""Components for each epoch that a release is worth."""
GROWTH, GROWN_FROM = 4, 400
"""So many components come from each half-way, if there are to be at least ``GROWN_FROM``."""
NETWORK_EPOCHS = 3
"""Networks get so many times the epochs of a mixture."""


@dataclass(frozen=True)
class TrainingPlan:
    """How a generator is trained.

    Attributes:
        epochs: Gradient steps; ``None`` for :func:`enough_epochs`.
        n_components: Number N of components of a mixture; ``None`` for :func:`enough_components`.
        batch_size: Latent numbers of a step, in rows, of a network.
        learning_rate: First step of Adam; ``None`` for the generator's own, ``RATES``.
        final_rate: Last step, as a share of the first; geometric in between.
        starting_scale: Spread of the first logits around the product of the one-column laws.
        divergence: Of the projection mechanism: one of ``f_divergence.DIVERGENCES``.
        estimator: Of the projection mechanism: ``grid`` or ``samples``.
        n_training_slices: Of the projection mechanism: slices that training looks at, at most;
            fewer if its steps do not see as many.
        slices_per_step: How many of them a step sees.
        patience: Stop when the loss has not fallen for so many epochs; ``None`` for never.
        callback: Called with each epoch and its loss; stops the training by ``True``.
    """

    epochs: int | None = None
    n_components: int | None = None
    batch_size: int = 1024
    learning_rate: float | None = None
    final_rate: float = 0.01
    starting_scale: float = 0.5
    divergence: str = 'jensen_shannon'
    estimator: str = 'grid'
    n_training_slices: int = 2048
    slices_per_step: int = 128
    patience: int | None = None
    callback: Callback | None = None


def enough_epochs(release: Release, generator: str | nn.Module = 'mixture') -> int:
    """Gradient steps that fit a release without fitting its noise, Eq. (15).

    The less noise there is in a typical pair, the more detail is worth learning. On a projection,
    noise is told from signal before the slices are looked at.
    """
    times = 1 if generator == 'mixture' else NETWORK_EPOCHS
    if release.projection is not None:
        return times * PROJECTION_EPOCHS
    noise = max(slices.expected_noise(release), 1e-9)
    steps = FEWEST_EPOCHS * float(np.cbrt(MUCH_NOISE / noise))
    return times * round(min(max(steps, FEWEST_EPOCHS), MOST_EPOCHS))


def enough_components(release: Release) -> int:
    """Components of a mixture: the more, the more detail is worth learning, Eq. (47)."""
    if release.projection is not None:
        return FEWEST_COMPONENTS
    enough = COMPONENTS_PER_EPOCH * enough_epochs(release)
    return max(FEWEST_COMPONENTS, enough - enough % GROWTH)


def entropy_pull(release: Release) -> float:
    """Strength of the pull towards independence, in proportion to the noise, Eq. (37)."""
    return MOST_PULL * min(slices.expected_noise(release) / MUCH_NOISE, 1.0)
