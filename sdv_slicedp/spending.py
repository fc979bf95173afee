"""Which ``(epsilon, delta)`` a ledger of measurements is, from above.

A ledger has sets of integer histograms ("slices") with discrete Gaussian noise, and projections
of all records on random public directions, with discrete Gaussian noise on a lattice, Eq. (1).

Under ``add_or_remove_one``, a record adds 1 to at most one cell of each slice: one-dimensional
mechanisms of shift 1. Under ``replace_one``, a record moves from one cell to another, so each
slice counts as two such mechanisms, and one row of a projection changes, by the distance of
Eq. (20). ``composition.py`` evaluates them. Thresholds and the sampler's distance from the exact
law are taken off delta first.

The sampler is charged once per touched value: the others have the same law in both tables,
whatever that law is. So is a threshold, once per column, under either relation: of the two
cells that a replaced record touches, one that no other record shares may be left out of the one
table, or added to the other, at the cost of its probability of being shown.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable

from sdv_slicedp import composition, noise, slice_energy
from sdv_slicedp.errors import PrivacyError
from sdv_slicedp.ledger import Entry, LedgerEntry, ProjectionEntry, checked_number

ADD_OR_REMOVE_ONE = 'add_or_remove_one'
"""One of two tables has a record that the other has not; the number of rows is private."""
REPLACE_ONE = 'replace_one'
"""Two tables of the same size differ in one record; the number of rows is public."""

_TOUCHED = {ADD_OR_REMOVE_ONE: 1, REPLACE_ONE: 2}  # cells of a slice
_MAX_EXPONENT = 700.0  # exp() of more overflows
_MAX_STEPS = 60


def mu_squared(entries: Iterable[Entry], relation: str = ADD_OR_REMOVE_ONE) -> float:
    """The currency that plans share out: ``slices / sigma^2`` for each entry, Eq. (6).

    Twice that under ``replace_one``; for a projection, the expectation ``Delta^2 (m/d) / sigma^2``.
    """
    entries = _checked(entries, relation)
    return math.fsum(_entry_mu_squared(entry, relation) for entry in entries)


def epsilon_spent(
    entries: Iterable[Entry], delta: float, relation: str = ADD_OR_REMOVE_ONE
) -> float:
    """Smallest epsilon that is known to hold with ``delta``; never below the true one.

    The scales must have been fixed before the data was touched; the measurements themselves may
    depend on earlier noisy outputs. Projections are averaged over their directions, Eq. (2), and
    what a plan set aside for unlucky directions is not charged.

    Args:
        entries: What was measured, of one fit or several.
        delta: Between 0 and 1.
        relation: Which tables are compared; ``replace_one`` if there is a projection.

    Returns:
        0 for no entries, infinity if ``delta`` does not even cover thresholds and sampler. The
        sampler's share is exp(epsilon) times ``noise.sampling_error``: nothing, up to 60 or so.
    """
    entries = _checked(entries, relation)
    groups, projections = _groups(entries, relation), _projections(entries)
    thresholds = _threshold_delta(entries, adaptive=False)
    return _epsilon_with_sampler(
        entries,
        delta,
        relation,
        thresholds,
        lambda rest: composition.epsilon(groups, rest, projections),
    )


def delta_spent(
    entries: Iterable[Entry], epsilon: float, relation: str = ADD_OR_REMOVE_ONE
) -> float:
    """Delta that is known to hold with ``epsilon``; thresholds and sampler included."""
    entries = _checked(entries, relation)
    if not 0 <= checked_number('epsilon', epsilon) < math.inf:
        raise ValueError(f'epsilon must be finite and not negative, got {epsilon}.')
    if not entries:
        return 0.0
    charge = _threshold_delta(entries, adaptive=False) + _sampler_charge(entries, epsilon, relation)
    groups, projections = _groups(entries, relation), _projections(entries)
    return min(1.0, charge + composition.delta(groups, epsilon, projections))


def zcdp_epsilon(
    entries: Iterable[Entry], delta: float, relation: str = ADD_OR_REMOVE_ONE
) -> float:
    """Epsilon by zero-concentrated privacy, ``rho = sum of slices / (2 sigma^2)``.

    Looser than :func:`epsilon_spent`, but it also holds when scales were chosen adaptively, as
    long as ``rho`` stays below a bound that was fixed beforehand. A projection is taken at the
    largest shift, except for directions that its ``threshold_delta`` pays for.
    """
    entries = _checked(entries, relation)
    rho = composition.rho(_groups(entries, relation), _projections(entries))
    thresholds = _threshold_delta(entries, adaptive=True)
    return _epsilon_with_sampler(
        entries, delta, relation, thresholds, lambda rest: composition.zcdp_epsilon(rho, rest)
    )


def gaussian_epsilon(
    entries: Iterable[Entry], delta: float, relation: str = ADD_OR_REMOVE_ONE
) -> float:
    """Epsilon by Gaussian privacy, ``mu^2 = sum of slices / (sigma^2 - b^2)``.

    Tighter than :func:`zcdp_epsilon` from scales of about 6 on, and like it valid for adaptively
    chosen scales as long as ``mu`` stays below a bound that was fixed beforehand (fully adaptive
    composition of Gaussian mechanisms: Smith and Thakurta, 2022). Infinite for small scales.
    """
    entries = _checked(entries, relation)
    groups, projections = _groups(entries, relation), _projections(entries)
    thresholds = _threshold_delta(entries, adaptive=True)
    return _epsilon_with_sampler(
        entries,
        delta,
        relation,
        thresholds,
        lambda rest: composition.gaussian_epsilon(groups, rest, projections),
    )


def validate_delta(delta: float) -> None:
    """Raise unless ``delta`` is strictly inside (0, 1)."""
    if not 0 < checked_number('delta', delta) < 1:
        raise ValueError(f'delta must be between 0 and 1, both excluded, got {delta}.')


def _checked(entries: Iterable[Entry], relation: str) -> tuple[Entry, ...]:
    """Entries whose cost under ``relation`` is defined."""
    entries = tuple(entries)
    if relation not in _TOUCHED:
        raise ValueError(f'relation must be one of {tuple(_TOUCHED)}, got {relation!r}.')
    projects = any(isinstance(entry, ProjectionEntry) for entry in entries)
    if relation == ADD_OR_REMOVE_ONE and projects:
        raise PrivacyError(
            'A projection shows one line for each row, so no guarantee hides whether a row is '
            'there: its relation is replace_one.'
        )
    if relation == REPLACE_ONE and any(entry.stage == 'selection' for entry in entries):
        raise PrivacyError('Scores of pairs may change by 2 under replace_one: not supported.')
    return entries


def _entry_mu_squared(entry: Entry, relation: str) -> float:
    if isinstance(entry, LedgerEntry):
        return _TOUCHED[relation] * entry.slices / entry.sigma**2
    energy = slice_energy.mean_energy(entry.dimension, entry.slices)
    return (entry.sensitivity / entry.sigma) ** 2 * energy


def _groups(entries: tuple[Entry, ...], relation: str) -> composition.Groups:
    """Number of mechanisms of shift 1 at each scale."""
    counts: Counter[float] = Counter()
    for entry in entries:
        if isinstance(entry, LedgerEntry):
            counts[entry.sigma] += _TOUCHED[relation] * entry.slices
    return tuple(sorted(counts.items()))


def _projections(entries: tuple[Entry, ...]) -> composition.Projections:
    """Projections in units of their lattices, in an order that does not matter."""
    found = [
        composition.Projected(
            entry.directions,
            entry.dimension,
            entry.slices,
            entry.sensitivity * entry.lattice_scale / entry.sigma,
            entry.rounding * entry.lattice_scale / entry.sigma,
            entry.lattice_scale,
            entry.threshold_delta,
        )
        for entry in entries
        if isinstance(entry, ProjectionEntry)
    ]
    return tuple(sorted(found))


def _epsilon_with_sampler(
    entries: tuple[Entry, ...],
    delta: float,
    relation: str,
    thresholds: float,
    conversion: Callable[[float], float],
) -> float:
    """Epsilon for exact noise at what thresholds and sampler leave of ``delta``.

    The sampler's charge grows with epsilon, so it is taken at a cap that epsilon must stay below.
    """
    validate_delta(delta)
    if not entries:
        return 0.0
    rest = delta - thresholds
    cap = 0.0
    for _ in range(_MAX_STEPS):
        left = rest - _sampler_charge(entries, cap, relation)
        if not left > 0:
            return math.inf
        epsilon = conversion(left)
        if epsilon <= cap:
            return epsilon
        cap = epsilon * (1 + 1e-6) + 1e-9
    return math.inf


def _threshold_delta(entries: Iterable[Entry], adaptive: bool) -> float:
    """Delta for category thresholds and, where shifts are capped, for unlucky directions."""
    return math.fsum(
        entry.threshold_delta for entry in entries if adaptive or isinstance(entry, LedgerEntry)
    )


def _sampler_charge(entries: Iterable[Entry], epsilon: float, relation: str) -> float:
    """Delta that covers the distance between sampled and exact noise in both tables."""
    if epsilon > _MAX_EXPONENT:
        return math.inf
    distance = math.fsum(
        noise.sampling_error(noise.admissible_sigma(entry.sigma), _TOUCHED[relation] * entry.slices)
        if isinstance(entry, LedgerEntry)
        else noise.sampling_error(noise.admissible_sigma(entry.lattice_scale), entry.slices)
        for entry in entries
    )
    return (1 + math.exp(epsilon)) * distance
