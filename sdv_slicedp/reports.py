"""The privacy report: what was spent, on what, what was public, and what is not covered.

Everything in a report is a function of the release and of public parameters, so a report may be
shared wherever the release may. Kept free of plotting and metric libraries, since
``synthesizer.py`` imports it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sdv_slicedp.errors import PrivacyError
from sdv_slicedp.ledger import Entry, ProjectionEntry
from sdv_slicedp.report_text import render_text, rounded_up
from sdv_slicedp.spending import ADD_OR_REMOVE_ONE, REPLACE_ONE, epsilon_spent, mu_squared

RELATIONS = {
    ADD_OR_REMOVE_ONE: 'tables that differ by adding or removing one row',
    REPLACE_ONE: 'tables of the same size that differ in one row',
}

ALWAYS_PUBLIC = (
    'the table name, and the names, the order, the sdtypes and the keys of the columns',
    'the data type family of each column (number, object, or which pandas extension type)',
    'datetime formats, regular expressions and PII types declared in the metadata',
)
PUBLIC_ROWS = 'the number of rows: the release has one line for each row'

COVERED = (
    'Everything computed from the release: training, refitting from it, samples, the saved '
    'synthesizer and this report. None of it costs more budget, however often it is repeated.'
)

NOT_COVERED = (
    'Anything that reads the real table again: SDMetrics scores, plots of real against synthetic '
    'data, and decisions (such as the choice of epsilon) taken after looking at them.',
    'People with several rows: the guarantee is for one row, and weakens with the number of rows '
    'that one person has.',
    'Other tables, other synthesizers and other copies of this one fitted on the same people: '
    'their budgets add up, and this ledger counts only the fits made with this synthesizer.',
    'Ranges, categories and other declarations attested as public that were in fact read from '
    'the data.',
    'Side channels: running time, memory use, crashes, and anyone who can read the memory or '
    'the disk of the machine while it holds the real table.',
    'Whether the table is accepted: a missing column, a wrong data type or an empty table is an '
    'error, and the error says so.',
    'Defects of the random number generator of the operating system, and of the numerical '
    'libraries that the accounting uses.',
)


@dataclass(frozen=True)
class FitRecord:
    """What one fit was granted and what it did, as the synthesizer recorded it.

    Attributes:
        epsilon: Requested epsilon.
        delta: Requested delta.
        entries: Ledger entries, each recorded before the data was touched.
        completed: Whether the fit ended; an interrupted fit has spent its entries all the same.
        public_columns: Columns whose ranges the user attested as public, and joint columns whose
            combinations are declared.
        all_columns: All columns of the table, generated ones included.
        noisy_rows: Noisy number of rows of the release, the exact one where it is public;
            ``None`` without a release.
        neighboring_relation: Which tables the guarantee compares.
    """

    epsilon: float
    delta: float
    entries: tuple[Entry, ...]
    completed: bool
    public_columns: tuple[str, ...]
    all_columns: tuple[str, ...]
    noisy_rows: float | None
    neighboring_relation: str


@dataclass(frozen=True)
class LedgerLine:
    """One ledger entry with its share of the fit's budget (share of mu squared).

    Attributes:
        stage: Part of the mechanism.
        description: What was measured.
        slices: Number of histograms, or of directions of a projection.
        sigma: Noise scale; of a projection, in units of the encoding.
        share: Share of mu squared, the expected one of a projection.
        threshold_delta: Delta for thresholds, or for unlucky directions.
        directions: Kind of the directions of a projection.
        dimension: Length of an encoded record.
        sensitivity: How far an encoded record moves if it is replaced.
    """

    stage: str
    description: str
    slices: int
    sigma: float
    share: float
    threshold_delta: float
    directions: str | None = None
    dimension: int | None = None
    sensitivity: float | None = None


@dataclass(frozen=True)
class FitReport:
    """What one fit spent. ``epsilon`` is recomputed from the noise scales that were used."""

    requested_epsilon: float
    epsilon: float
    delta: float
    completed: bool
    noisy_rows: float | None
    public_columns: tuple[str, ...]
    lines: tuple[LedgerLine, ...]
    rows_are_public: bool = False


@dataclass(frozen=True)
class PrivacyReport:
    """What a synthesizer spent, over all its fits.

    Attributes:
        epsilon: Recomputed from the noise of all fits together, at ``delta``.
        delta: Sum of the deltas of all fits.
        neighboring_relation: Which tables the guarantee compares.
        fits: One report for each fit, in order.
        columns: All columns of the table.
        warnings: What a reader must know before relying on the figures.
        public: What was taken as public.
        not_covered: What the guarantee does not cover.
    """

    epsilon: float
    delta: float
    neighboring_relation: str
    fits: tuple[FitReport, ...]
    columns: tuple[str, ...]
    warnings: tuple[str, ...]
    public: tuple[str, ...]
    covered: str
    not_covered: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain dictionaries, lists, strings and numbers."""
        return {name: _plain(value) for name, value in asdict(self).items()}

    def guarantee(self) -> str:
        """The claim in one sentence.

        One fit promises what was requested: its scales may depend on its own noisy answers, and
        it was planned by a bound that allows for that. The recomputed epsilon takes them as given.
        """
        if not self.fits:
            return 'No privacy budget has been spent: no fit has touched any data.'
        epsilon = self.epsilon
        if len(self.fits) == 1:
            epsilon = max(epsilon, self.fits[0].requested_epsilon)
        return (
            f'({rounded_up(epsilon)}, {self.delta:g})-differential privacy for '
            f'{RELATIONS.get(self.neighboring_relation, self.neighboring_relation)}'
        )

    def __str__(self) -> str:
        """The report as text for a terminal."""
        return render_text(self)


def privacy_report(fits: Sequence[FitRecord]) -> PrivacyReport:
    """Report on all fits of one synthesizer, with every epsilon recomputed from the noise used.

    Args:
        fits: The records of the fits, in order; may be empty.

    Raises:
        PrivacyError: If the fits have different neighbouring relations: their budgets do not add
            up to one claim.
    """
    relations = {fit.neighboring_relation for fit in fits}
    if len(relations) > 1:
        raise PrivacyError(
            f'Fits under different neighbouring relations ({", ".join(sorted(relations))}) have no '
            'common guarantee; use one synthesizer for each.'
        )
    relation = relations.pop() if relations else ADD_OR_REMOVE_ONE
    reports = tuple(_fit_report(fit) for fit in fits)
    delta = min(math.fsum(fit.delta for fit in fits), 1.0)
    entries = tuple(entry for fit in fits for entry in fit.entries)
    return PrivacyReport(
        epsilon=reports[0].epsilon if len(reports) == 1 else _epsilon(entries, delta, relation),
        delta=delta,
        neighboring_relation=relation,
        fits=reports,
        columns=fits[-1].all_columns if fits else (),
        warnings=_warnings(reports),
        public=_public(fits),
        covered=COVERED,
        not_covered=NOT_COVERED,
    )


def _fit_report(fit: FitRecord) -> FitReport:
    relation = fit.neighboring_relation
    total = mu_squared(fit.entries, relation)
    return FitReport(
        requested_epsilon=fit.epsilon,
        epsilon=_epsilon(fit.entries, fit.delta, relation),
        delta=fit.delta,
        completed=fit.completed,
        noisy_rows=fit.noisy_rows,
        public_columns=fit.public_columns,
        lines=tuple(
            _ledger_line(entry, mu_squared((entry,), relation) / total) for entry in fit.entries
        ),
        rows_are_public=relation == REPLACE_ONE,
    )


def _ledger_line(entry: Entry, share: float) -> LedgerLine:
    line = LedgerLine(
        stage=entry.stage,
        description=entry.description,
        slices=entry.slices,
        sigma=entry.sigma,
        share=share,
        threshold_delta=entry.threshold_delta,
    )
    if not isinstance(entry, ProjectionEntry):
        return line
    return replace(
        line,
        directions=entry.directions,
        dimension=entry.dimension,
        sensitivity=entry.sensitivity,
    )


def _epsilon(entries: tuple[Entry, ...], delta: float, relation: str) -> float:
    if not entries:
        return 0.0
    # At delta = 1 any epsilon would be true and none would say anything.
    return epsilon_spent(entries, delta, relation) if delta < 1 else math.inf


def _warnings(reports: Sequence[FitReport]) -> tuple[str, ...]:
    found = []
    for number, fit in enumerate(reports, start=1):
        where = f' in fit {number}' if len(reports) > 1 else ''
        # A sum over rows of chances of at most delta: ten percent in all is no longer small.
        if fit.noisy_rows is not None and not fit.delta * fit.noisy_rows < 0.1:
            found.append(
                f'delta = {fit.delta:g}{where} is not small against 1 / (number of rows) = '
                f'{1 / max(fit.noisy_rows, 1):.2g}; use a tenth of that or less.'
            )
        if not fit.epsilon <= fit.requested_epsilon * (1 + 1e-9):
            found.append(
                f'the noise used{where} gives epsilon = {rounded_up(fit.epsilon)}, more than the '
                f'requested {fit.requested_epsilon:g}; please report this as a bug.'
            )
        if not fit.completed:
            found.append(f'the fit{where or " "} did not end; what its ledger lists is spent.')
    if len(reports) > 1:
        found.append(
            f'{len(reports)} fits: their budgets add up if the tables are about the same people.'
        )
    return tuple(found)


def _public(fits: Sequence[FitRecord]) -> tuple[str, ...]:
    if not fits:
        return ALWAYS_PUBLIC
    rows = (PUBLIC_ROWS,) if fits[0].neighboring_relation == REPLACE_ONE else ()
    names = dict.fromkeys(name for fit in fits for name in fit.public_columns)
    attested = [name for name in names if name in fits[-1].all_columns]
    joint = [name for name in names if name not in fits[-1].all_columns]
    combinations = (f'the declared combinations {", ".join(joint)}',) if joint else ()
    if not attested:
        ranges = 'no ranges or categories: every domain was discovered with budget'
    else:
        ranges = (
            'the declared ranges, categories, decimals and nullability, attested by the user, of '
            f'{len(attested)} of {len(fits[-1].all_columns)} columns: {", ".join(attested)}'
        )
    return (*ALWAYS_PUBLIC, *rows, ranges, *combinations)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
