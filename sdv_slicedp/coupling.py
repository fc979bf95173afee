"""Where in their pair cells the numbers of a row lie, together.

A pair cell of a long tail can be wide. Drawn independently inside their cells, near-copies would
lose much of their correlation there. So the places inside the cells follow a normal copula with the
correlations of the pairs: the generator decides the cells, the copula only what is left open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from sdv_slicedp.denoising import Target
from sdv_slicedp.domain import NumericalDomain
from sdv_slicedp.release import ColumnRelease

Floats = npt.NDArray[np.float64]
Bins = npt.NDArray[np.integer[Any]]

COUPLED_FROM = 0.3
"""Columns join the copula if they correlate so much with another one."""
SWEEPS = 2
"""Rounds of Gibbs sampling."""
FARTHEST = 8.0
"""Normal scores stay within this."""
LEAST_EIGENVALUE = 0.01
RAREST = 1e-12
"""Probabilities are kept so far from 0 and 1."""


@dataclass(frozen=True, eq=False)
class Coupling:
    """A normal copula inside the pair cells, Eq. (38).

    Attributes:
        columns: Positions of the coupled columns.
        edges: Normal scores of the cells' edges of each, ascending.
        centres: Mean normal score of each cell of each.
        precision: Inverse of the correlation matrix of the normal scores.
    """

    columns: tuple[int, ...]
    edges: tuple[Floats, ...]
    centres: tuple[Floats, ...]
    precision: Floats

    def places(self, bins: Sequence[Bins], rng: np.random.Generator) -> dict[int, Floats]:
        """Place of each row inside its pair cells, between 0 and 1, by column.

        Args:
            bins: Pair cells of the coupled columns, one array of shape ``(n,)`` each.
            rng: Source of randomness.
        """
        return self.places_given(bins, {}, rng)[0]

    def places_given(
        self,
        bins: Sequence[Bins],
        pinned: Mapping[int, tuple[Floats, Floats]],
        rng: np.random.Generator,
    ) -> tuple[dict[int, Floats], Floats]:
        """Places where some lie between given ones, and how likely that was, Eq. (40).

        Args:
            bins: Pair cells of the coupled columns, one array of shape ``(n,)`` each.
            pinned: First and last place that a column may have, by column.
            rng: Source of randomness.

        Returns:
            Places by column, and the logarithm of each row's weight.
        """
        scores = np.stack([c[b] for c, b in zip(self.centres, bins, strict=True)], axis=1)
        parts = list(zip(self.edges, bins, strict=True))
        log_weights = np.zeros(len(scores))
        for sweep in range(SWEEPS):
            for i, (edges, cells) in enumerate(parts):
                spread = self.precision[i, i] ** -0.5
                mean = scores[:, i] - scores @ self.precision[i] * spread**2
                lower, upper = edges[cells], edges[cells + 1]
                below, above = ndtr((lower - mean) / spread), ndtr((upper - mean) / spread)
                if sweep == SWEEPS - 1 and self.columns[i] in pinned:
                    # The draw that decides the place is observed; the ones before stay hidden.
                    cell_mass = above - below
                    lower, upper = _scores_between(edges, cells, *pinned[self.columns[i]])
                    below, above = ndtr((lower - mean) / spread), ndtr((upper - mean) / spread)
                    log_weights += _log(above - below) - _log(cell_mass)
                drawn = below + (above - below) * rng.random(len(cells))
                # A cell far from the mean is cut to its nearer edge, not sent to its far one.
                score = mean + spread * ndtri(np.clip(drawn, RAREST, 1 - RAREST))
                scores[:, i] = np.clip(score, lower, upper)
        found = {}
        for i, (edges, cells) in enumerate(parts):
            cumulative = ndtr(edges)
            width = np.maximum(np.diff(cumulative), 1e-300)[cells]
            inside = (ndtr(scores[:, i]) - cumulative[cells]) / width
            found[self.columns[i]] = np.clip(inside, 0.0, np.nextafter(1.0, 0.0))
        return found, log_weights


def _scores_between(
    edges: Floats, cells: Bins, first: Floats, last: Floats
) -> tuple[Floats, Floats]:
    """Normal scores of places inside cells."""
    cumulative = ndtr(edges)
    start, width = cumulative[cells], np.diff(cumulative)[cells]
    ends = (ndtri(np.clip(start + place * width, 0.0, 1.0)) for place in (first, last))
    lower, upper = (np.clip(end, edges[cells], edges[cells + 1]) for end in ends)
    return lower, upper


def _log(mass: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(mass, RAREST)))


def fitted(columns: Sequence[ColumnRelease], target: Target) -> Coupling | None:
    """The coupling of a release's numeric columns; ``None`` where none correlate."""
    numeric = [i for i, c in enumerate(columns) if isinstance(c.domain, NumericalDomain)]
    edges = {i: _edges(target.laws[i]) for i in numeric}
    centres = {i: _centres(target.laws[i], edges[i]) for i in numeric}
    correlation = np.eye(len(numeric))
    order = {column: i for i, column in enumerate(numeric)}
    for (a, b), law in zip(target.pairs, target.tables, strict=True):
        if a in order and b in order:
            value = _correlation(law, centres[a], centres[b])
            correlation[order[a], order[b]] = correlation[order[b], order[a]] = value
    strongest = np.max(np.abs(correlation - np.eye(len(numeric))), axis=1, initial=0.0)
    kept = np.flatnonzero(strongest >= COUPLED_FROM)
    if not len(kept):
        return None
    chosen = tuple(numeric[i] for i in kept)
    return Coupling(
        chosen,
        tuple(edges[i] for i in chosen),
        tuple(centres[i] for i in chosen),
        np.asarray(np.linalg.inv(_positive(correlation[np.ix_(kept, kept)])), dtype=np.float64),
    )


def _edges(law: Floats) -> Floats:
    cumulative = np.r_[0.0, np.cumsum(law)] / max(float(law.sum()), 1e-300)
    scores = ndtri(np.clip(cumulative, 0.0, 1.0))
    return np.asarray(np.clip(scores, -FARTHEST, FARTHEST), dtype=np.float64)


def _centres(law: Floats, edges: Floats) -> Floats:
    """Mean of a normal number between two edges."""
    density = np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi)
    mean = -np.diff(density) / np.maximum(law, 1e-12)
    return np.asarray(np.clip(mean, edges[:-1], edges[1:]), dtype=np.float64)


def _correlation(law: Floats, first: Floats, second: Floats) -> float:
    """Correlation of normal scores by a two-column law; cells are taken at their means."""
    rows, columns = law.sum(1), law.sum(0)
    covariance = first @ law @ second - (first @ rows) * (second @ columns)
    variances = [
        float(shares @ scores**2 - (shares @ scores) ** 2)
        for shares, scores in ((rows, first), (columns, second))
    ]
    scale = float(np.sqrt(max(variances[0], 1e-9) * max(variances[1], 1e-9)))
    return float(np.clip(covariance / scale, -1.0, 1.0))


def _positive(correlation: Floats) -> Floats:
    """The matrix with its small eigenvalues raised, and ones on the diagonal again."""
    values, vectors = np.linalg.eigh(correlation)
    raised = (vectors * np.maximum(values, LEAST_EIGENVALUE)) @ vectors.T
    scale = np.sqrt(np.diag(raised))
    return np.asarray(raised / np.outer(scale, scale), dtype=np.float64)
