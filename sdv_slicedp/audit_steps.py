"""The private steps of both mechanisms, each run many times on two neighbouring tables.

Tables are worst cases of the audit's own: the record lies in a counted cell of every slice, its
category is at the threshold, and a projected record moves as far as it can. No table of a user is
read here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from sdv_slicedp import embedding, stages
from sdv_slicedp.accounting import budget_mu, mu_squared
from sdv_slicedp.attacker import Attacker, WatchedCurator, release_evidence
from sdv_slicedp.curator import Curator
from sdv_slicedp.domain import CategoricalDomain, ColumnDomain, NumericalDomain
from sdv_slicedp.grid import Cells
from sdv_slicedp.ledger import Entry, Ledger, LedgerEntry, ProjectionEntry
from sdv_slicedp.levels import Level
from sdv_slicedp.mechanism import measure, measure_projection
from sdv_slicedp.noise import admissible_sigma, partition_threshold
from sdv_slicedp.projection import Projection
from sdv_slicedp.projection_privacy import PITCH_UNIT, calibrate_projection
from sdv_slicedp.release import ColumnRelease
from sdv_slicedp.slices import column_pairs
from sdv_slicedp.spending import ADD_OR_REMOVE_ONE, REPLACE_ONE
from sdv_slicedp.table_stages import measure_pairs

Floats = npt.NDArray[np.float64]
Domains = tuple[ColumnDomain, ...]

PUBLIC: Domains = (
    CategoricalDomain('x', 'categorical', ('a', 'b', 'c'), False),
    CategoricalDomain('y', 'categorical', ('a', 'b'), False),
    NumericalDomain('z', 'numerical', 0, 255, (1, 1), False),
)
UNKNOWN: Domains = (
    CategoricalDomain('x', 'categorical', None, True),
    NumericalDomain('z', 'numerical', None, None, None, True),
    NumericalDomain('t', 'datetime', None, None, None, True),
)
MIXED: Domains = (
    *PUBLIC[:2],
    NumericalDomain('n', 'numerical', 0, 255, (1, 1), True),
    NumericalDomain('t', 'datetime', -9, 9, (86_400 * 10**9, 1), False),
)


@dataclass(frozen=True)
class Trials:
    """Many runs of a step in two worlds.

    Attributes:
        scores: Log-likelihood ratios of the record being there: where it is, and where not.
        entries: Ledger of the run that spent most.
        relation: Which tables were compared.
    """

    scores: tuple[Floats, Floats]
    entries: tuple[Entry, ...]
    relation: str = ADD_OR_REMOVE_ONE


Ask = Callable[[WatchedCurator], object]


def watched(
    attacker: Attacker, ask: Ask, runs: int, columns: Sequence[ColumnRelease] = ()
) -> Trials:
    """Put the same question in both worlds, ``runs`` times each.

    Args:
        attacker: Knows all rows but one.
        ask: The question.
        runs: How often it is put, each time with new noise and a new ledger.
        columns: Columns on public cells, where the question is about several of them.
    """
    scores: tuple[list[float], list[float]] = ([], [])
    dearest: tuple[Entry, ...] = ()
    for has_record, found in zip((True, False), scores, strict=True):
        curator = WatchedCurator(attacker, has_record)
        curator.encode(columns)
        for _ in range(runs):
            curator.start_again()
            ask(curator)
            found.append(curator.score)
            dearest = max(dearest, curator.spent, key=mu_squared)
    return Trials((np.array(scores[0]), np.array(scores[1])), dearest)


def known_rows(copies: int = 50) -> Attacker:
    """An attacker on a table of three public columns with a spike and a trough."""
    rows = {'x': ['a', 'b', 'c', 'a'], 'y': ['a', 'b', 'b', 'b'], 'z': [0.0, 255.0, 77.0, 77.0]}
    table = pd.concat([pd.DataFrame(rows)] * copies, ignore_index=True)
    return Attacker(table, pd.DataFrame({'x': ['a'], 'y': ['b'], 'z': [77.0]}))


def _equal_sigma(n_slices: int, mu_squared: float) -> float:
    """Scale of slices that spend all of ``mu_squared``, other than those of a stage."""
    return admissible_sigma(float(np.sqrt(n_slices / mu_squared)))


def discovery_step(epsilon: float, delta: float, runs: int) -> Trials:
    """Decimals, categories and bounds of columns of which nothing is public."""
    threshold_delta = stages.threshold_delta(UNKNOWN, 0.1 * delta)
    budget = budget_mu(epsilon, delta - threshold_delta) ** 2
    n_slices = stages.discovery_slices(UNKNOWN)
    given = n_slices / max(_equal_sigma(n_slices, budget) ** 2 - stages.CORRECTION, 0.1)
    sigma = stages.equal_sigma(n_slices, given)
    # One row more takes the category over its threshold as often as not.
    known = partition_threshold(sigma, threshold_delta) - 1
    row = {'x': ['rare'], 'z': [2.5], 't': [86_400e9]}
    attacker = Attacker(
        pd.concat([pd.DataFrame(row)] * known, ignore_index=True), pd.DataFrame(row)
    )
    return watched(attacker, lambda c: stages.discover(c, UNKNOWN, given, threshold_delta), runs)


def rows_step(epsilon: float, delta: float, runs: int) -> Trials:
    """The number of rows."""
    sigma = _equal_sigma(1, budget_mu(epsilon, delta) ** 2)
    return watched(known_rows(), lambda c: c.row_count(sigma), runs)


def one_column_step(epsilon: float, delta: float, runs: int) -> Trials:
    """The cells of each column, level by level."""
    budget = budget_mu(epsilon, delta) ** 2
    columns = [stages.Column(domain) for domain in PUBLIC]
    return watched(known_rows(), lambda c: stages.measure_columns(c, list(columns), budget), runs)


def _released(attacker: Attacker) -> list[ColumnRelease]:
    """Public columns on cells that no noise had a part in."""
    released = []
    for domain in PUBLIC:
        if isinstance(domain, NumericalDomain):
            edges = np.arange(0, 257, 64)
            lower, upper = edges[:-1], edges[1:] - 1
        else:
            lower = upper = np.arange(domain.n_cells)
        bins = np.arange(len(lower))
        where = Cells(lower, upper).locate(attacker.positions(domain)[:-1])
        counts = np.bincount(where, minlength=len(lower)).astype(np.int64)
        level = Level(lower, upper, counts, 1.0)
        released.append(ColumnRelease(domain, (level,), lower, upper, bins, len(bins)))
    return released


def _crossed_step(ask: Ask, runs: int) -> Trials:
    """A question about several columns, of which only public cells are known."""
    attacker = known_rows()
    return watched(attacker, ask, runs, _released(attacker))


def selection_step(epsilon: float, delta: float, runs: int) -> Trials:
    """Distances of all pairs from what is expected of them."""
    pairs = column_pairs(len(PUBLIC))
    # Some cells have more than is expected and others less: distances move up and down.
    shapes = [(3, 2), (3, 4), (2, 4)]
    expected = [np.full(shape, 200 // math.prod(shape), dtype=np.int64) for shape in shapes]
    sigma = _equal_sigma(len(pairs), budget_mu(epsilon, delta) ** 2)
    return _crossed_step(lambda curator: curator.distances(pairs, expected, sigma), runs)


def pairs_step(epsilon: float, delta: float, runs: int) -> Trials:
    """Tables of all pairs."""
    pairs = column_pairs(len(PUBLIC))
    even = math.sqrt(len(pairs)) / budget_mu(epsilon, delta)
    return _crossed_step(lambda c: measure_pairs(c, dict.fromkeys(pairs, even)), runs)


def triples_step(epsilon: float, delta: float, runs: int) -> Trials:
    """Tables of three columns with each column as the hub."""
    triples = [(0, 1, 2), (1, 0, 2), (2, 0, 1)]
    budget = budget_mu(epsilon, delta) ** 2
    text, sigma = 'three-column slices', _equal_sigma(len(triples), budget)
    entry = LedgerEntry('pairs', text, len(triples), sigma, len(triples))
    return _crossed_step(lambda curator: curator.tables(triples, entry), runs)


def histogram_step(epsilon: float, delta: float, runs: int) -> Trials:
    """The whole histogram mechanism with public domains, from its release alone."""
    attacker = known_rows()
    scores: list[Floats] = []
    dearest: tuple[Entry, ...] = ()
    for table in (attacker.table(True), attacker.table(False)):
        releases = [
            measure(table, PUBLIC, epsilon=epsilon, delta=delta, ledger=Ledger())
            for _ in range(runs)
        ]
        scores.append(np.array([release_evidence(attacker, release) for release in releases]))
        dearest = max([dearest, *(release.ledger for release in releases)], key=mu_squared)
    return Trials((scores[0], scores[1]), dearest)


def far_apart(domains: Sequence[ColumnDomain]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two tables of one row each, the encoded records as far from each other as can be."""
    rows: tuple[dict[str, list[object]], ...] = ({}, {})
    for domain in domains:
        ends: tuple[object, ...] = (-math.inf, math.inf)
        if isinstance(domain, CategoricalDomain):
            ends = (domain.categories or ())[:2]
        for row, value in zip(rows, ends, strict=True):
            row[domain.name] = [value]
    return pd.DataFrame(rows[0]), pd.DataFrame(rows[1])


class ProjectedRow:
    """A row, what its projections would be without noise, and as many releases as one likes."""

    def __init__(self, row: pd.DataFrame, domains: Sequence[ColumnDomain], copies: int = 1) -> None:
        """Take a table of one row; ``copies`` of it are projected at once."""
        self.laid_out = embedding.blocks(domains)
        self.curator = Curator(pd.concat([row] * copies, ignore_index=True), Ledger())
        positions = [self.curator._positions(domain)[:1] for domain in domains]
        axes = np.eye(embedding.dimension(self.laid_out), dtype=np.int64)
        self.encoded = embedding.project(self.laid_out, positions, axes)[0]

    def release(self, entry: ProjectionEntry) -> Projection:
        """Noisy projections of all copies on new directions."""
        return self.curator.project(self.laid_out, entry)

    def exact(self, projection: Projection) -> Floats:
        """Projections without noise on the directions of a release, shape ``(m,)``."""
        return np.asarray(self.encoded @ projection.directions * PITCH_UNIT)


def projected(
    rows: tuple[pd.DataFrame, pd.DataFrame],
    domains: Sequence[ColumnDomain],
    entry: ProjectionEntry,
    runs: int,
) -> Trials:
    """Projections of one row or the other, ``runs`` times each.

    Full bases see every move alike, so one release of many rows is as good as many releases.
    """
    bases = entry.directions == 'orthonormal' and entry.slices % entry.dimension == 0
    copies = runs if bases else 1
    worlds = [ProjectedRow(row, domains, copies) for row in rows]
    scores = []
    for world in (1, 0):
        found = []
        for _ in range(runs // copies):
            found.append(_line_scores(worlds, worlds[world].release(entry)))
        scores.append(np.concatenate(found))
    return Trials((scores[0], scores[1]), (entry,), REPLACE_ONE)


def _line_scores(worlds: Sequence[ProjectedRow], projection: Projection) -> Floats:
    """Log-likelihood ratio of each line being the second row, the directions being known."""
    first, second = (each.exact(projection) for each in worlds)
    lines = projection.values * projection.pitch
    return np.asarray((lines - (first + second) / 2) @ (second - first) / projection.sigma**2)


def entry_for(
    domains: Sequence[ColumnDomain], kind: str, slices: int | None, epsilon: float, delta: float
) -> ProjectionEntry:
    """A projection that spends the whole budget; ``None`` slices for one full basis."""
    laid_out = embedding.blocks(domains)
    d, change = embedding.dimension(laid_out), embedding.sensitivity(laid_out)
    return calibrate_projection(kind, d, slices or d, change, epsilon, delta)


def bases_step(epsilon: float, delta: float, runs: int) -> Trials:
    """A record on a full basis of orthonormal directions."""
    entry = entry_for(MIXED, 'orthonormal', None, epsilon, delta)
    return projected(far_apart(MIXED), MIXED, entry, runs)


def sphere_step(epsilon: float, delta: float, runs: int) -> Trials:
    """A record on independent directions, fewer than it has coordinates."""
    entry = entry_for(MIXED, 'sphere', 5, epsilon, delta)
    return projected(far_apart(MIXED), MIXED, entry, runs)


def projection_step(epsilon: float, delta: float, runs: int) -> Trials:
    """The whole projection mechanism with public domains, from its release alone.

    On its full basis, lines of one row are as good as releases, and their order tells nothing.
    """
    rows = far_apart(MIXED)
    worlds = [ProjectedRow(row, MIXED) for row in rows]
    releases = [
        measure_projection(
            pd.concat([rows[world]] * runs, ignore_index=True),
            MIXED,
            epsilon=epsilon,
            delta=delta,
            ledger=Ledger(),
        )
        for world in (1, 0)
    ]
    found = [_line_scores(worlds, each.projection) for each in releases if each.projection]
    return Trials((found[0], found[1]), releases[0].ledger, REPLACE_ONE)


STEPS: dict[str, Callable[[float, float, int], Trials]] = {
    'domain': discovery_step,
    'rows': rows_step,
    'one-column': one_column_step,
    'selection': selection_step,
    'pairs': pairs_step,
    'triples': triples_step,
    'histogram': histogram_step,
    'projection-bases': bases_step,
    'projection-sphere': sphere_step,
    'projection': projection_step,
}
"""Every private step, from a budget and a number of runs; each spends the whole budget."""
