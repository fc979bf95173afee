"""SDV's constraints, which are never fitted on rows.

SDV learns from the rows it fits a constraint on: dtypes, ranges, combinations, means. Here a
constraint is its parameters. Those that fit together are built into what is measured
(``record_maps.py``), and every sampled row is checked against all of them
(``constraint_checks.py``).
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sdv.cag import (
    FixedCombinations,
    FixedIncrements,
    Inequality,
    OneHotEncoding,
    Range,
    SingleTableProgrammableConstraint,
)
from sdv.errors import SamplingError, SynthesizerInputError
from sdv.metadata import Metadata

from sdv_slicedp import validation
from sdv_slicedp.declared_combinations import DeclaredCombinations
from sdv_slicedp.domain import CategoricalDomain, ColumnDomain, NumericalDomain
from sdv_slicedp.errors import DomainError
from sdv_slicedp.joint_columns import Combinations, OneHot, with_values
from sdv_slicedp.orders import Edge, in_sequence, ordered
from sdv_slicedp.record_maps import Differences, Increments, RecordMap, RecordMaps

PREDEFINED = (
    Inequality,
    Range,
    FixedCombinations,
    DeclaredCombinations,
    FixedIncrements,
    OneHotEncoding,
)


def admitted(
    constraints: Any, metadata: Metadata, modelled: Collection[str], columns: Collection[str]
) -> tuple[Any, ...]:
    """New constraints with the same parameters, and nothing that was learned from rows.

    Args:
        constraints: A list of SDV's constraints, fitted or not.
        metadata: The public metadata.
        modelled: Columns that are modelled.
        columns: All columns.

    Raises:
        SynthesizerInputError: If it is no list, or something in it is no constraint of one table.
        ConstraintNotMetError: If a constraint does not fit the metadata.
    """
    if not isinstance(constraints, list):
        raise SynthesizerInputError(
            f'constraints must be a list of constraints of sdv.cag, got {constraints!r}.'
        )
    return tuple(_admitted(c, metadata, modelled, columns) for c in constraints)


def _admitted(
    constraint: Any, metadata: Metadata, modelled: Collection[str], columns: Collection[str]
) -> Any:
    if isinstance(constraint, SingleTableProgrammableConstraint):
        programmed = copy.deepcopy(constraint)
        programmed.validate(metadata)
        programmed.fit(pd.DataFrame(columns=list(columns)), metadata)
        return programmed
    if type(constraint) not in PREDEFINED:
        names = ', '.join(kind.__name__ for kind in PREDEFINED)
        raise SynthesizerInputError(
            f'constraints may hold {names} and SingleTableProgrammableConstraint, got '
            f"'{type(constraint).__name__}'."
        )
    fresh = type(constraint)(**constraint.get_constraint_dict()['parameters'])
    fresh.validate(metadata=metadata)
    generated = [name for name in columns_of(fresh) if name not in modelled]
    if generated:
        raise SynthesizerInputError(
            f'{type(fresh).__name__} cannot use the columns {generated}: they are keys or '
            'generated, so their values are never read. Leave them out of the constraint.'
        )
    return fresh


def _is_discovered(constraint: Any) -> bool:
    """Whether its combinations are to be found in the rows; those of a subclass are declared."""
    return type(constraint) is FixedCombinations


def refuse_late(added: Sequence[Any]) -> None:
    """Refuse constraints that a release must have been measured for."""
    if any(_is_discovered(constraint) for constraint in added):
        raise SynthesizerInputError(
            'FixedCombinations cannot be added after the fit: which combinations there are has to '
            'be measured. Make a new synthesizer, add it, and fit that, which spends budget again.'
        )


def report_few(found: int, wanted: int) -> None:
    """Say that too few of the sampled rows met the constraints.

    Raises:
        SamplingError: If none did.
    """
    text = f'Only {found} of {wanted} rows meet all constraints after the last try.'
    cure = (
        'Raise max_tries_per_batch, or remove constraints that contradict each other or the '
        'declared ranges.'
    )
    if not found:
        raise SamplingError(f'{text} {cure}')
    warnings.warn(f'{text} {cure}', stacklevel=3)


def is_predefined(constraint: Any) -> bool:
    """Whether a constraint is one of SDV's own, and so names its columns."""
    return isinstance(constraint, PREDEFINED)


def parameters(constraint: Any) -> dict[str, Any]:
    """Arguments of a predefined constraint."""
    return dict(constraint.get_constraint_dict()['parameters'])


def columns_of(constraint: Any) -> list[str]:
    """Columns that a predefined constraint names."""
    names: list[str] = []
    for key, value in parameters(constraint).items():
        if key.endswith('column_name') or key == 'column_names':
            names += [value] if isinstance(value, str) else value
    return names


def edges_of(constraint: Any) -> list[Edge]:
    """The order that a constraint asks for; empty if it is of another kind."""
    if not isinstance(constraint, Inequality | Range):
        return []
    names, strict = columns_of(constraint), bool(constraint.strict_boundaries)
    return [Edge(low, high, strict) for i, low in enumerate(names) for high in names[i + 1 :]]


def record_maps(
    constraints: Sequence[Any], domains: Sequence[ColumnDomain], taken: Collection[str] = ()
) -> RecordMaps:
    """The maps that build in as many constraints as fit together.

    Left to rejection are: an Inequality or Range that makes a cycle, a OneHotEncoding of columns
    that another constraint names, and everything programmed.

    Args:
        constraints: Constraints as :func:`admitted` gives them.
        domains: Declared domains of the modelled columns.
        taken: Names that no measured column may have.

    Raises:
        DomainError: If a constraint leaves a declared range no value.
    """
    maps = RecordMaps(tuple(domains))
    names = {*taken, *(domain.name for domain in domains)}
    for plan in (_increments, _differences, _combinations, _one_hots):
        known = {domain.name: domain for domain in maps.measured}
        found = plan(constraints, known, names)
        names |= {new for part in found for new in part.renamed.values()}
        maps = RecordMaps(maps.columns, (*maps.parts, *found))
    return maps


def maps_of_release(
    constraints: Sequence[Any], released: Sequence[ColumnDomain], planned: RecordMaps
) -> RecordMaps:
    """The maps that a release was measured with: those that are planned, or else none.

    Raises:
        SynthesizerInputError: If its columns are neither.
    """
    plain = RecordMaps(planned.columns)
    combined = any(_is_discovered(constraint) for constraint in constraints)
    if planned.parts and not combined and _kinds(released) == _kinds(plain.columns):
        return plain
    validation.check_release(released, planned.measured)
    return planned


def declared_columns(maps: RecordMaps) -> tuple[str, ...]:
    """Joint columns whose combinations are declared, and so taken as public."""
    joint = (part for part in maps.parts if isinstance(part, Combinations))
    return tuple(part.name for part in joint if part.declared is not None)


def _kinds(domains: Sequence[ColumnDomain]) -> dict[str, str]:
    return {domain.name: domain.sdtype for domain in domains}


Domains = Mapping[str, ColumnDomain]


def _increments(constraints: Sequence[Any], _: Domains, __: set[str]) -> list[RecordMap]:
    steps: dict[str, int] = {}
    for constraint in constraints:
        if isinstance(constraint, FixedIncrements):
            name, step = constraint.column_name, int(constraint.increment_value)
            steps[name] = int(np.lcm(steps.get(name, 1), step))
    return [Increments(tuple(steps.items()))] if steps else []


def _differences(constraints: Sequence[Any], domains: Domains, names: set[str]) -> list[RecordMap]:
    edges: list[Edge] = []
    for constraint in constraints:
        wider = [*edges, *edges_of(constraint)]
        try:
            in_sequence(wider)
        except ValueError:
            continue
        edges = wider
    if not edges:
        return []
    measured = {}
    for name in in_sequence(edges):
        below = list(dict.fromkeys(edge.low for edge in edges if edge.high == name))
        measured[name] = _unused('#'.join([*below, name]), names) if below else name
    numbers = {n: d for n, d in domains.items() if isinstance(d, NumericalDomain)}
    return [Differences(ordered(edges, numbers, measured))]


def _combinations(constraints: Sequence[Any], domains: Domains, names: set[str]) -> list[RecordMap]:
    declared = [c for c in constraints if isinstance(c, DeclaredCombinations)]
    groups: list[list[str]] = []
    for constraint in constraints:
        if _is_discovered(constraint):
            overlapping = [g for g in groups if set(g) & set(constraint.column_names)]
            groups = [g for g in groups if g not in overlapping]
            merged = [name for group in overlapping for name in group] + constraint.column_names
            groups.append(list(dict.fromkeys(merged)))
    uses = [name for group in (*groups, *(c.column_names for c in declared)) for name in group]
    for name in uses:
        if uses.count(name) > 1:
            raise DomainError(
                f"Column '{name}' is in DeclaredCombinations and in another constraint of "
                'combinations. Declare the combinations of all their columns together.'
            )
    return [
        *(_declared_map(constraint, domains, names) for constraint in declared),
        *(
            Combinations(_categorical(group, domains), _unused('#'.join(group), names))
            for group in groups
        ),
    ]


def _declared_map(
    constraint: DeclaredCombinations, domains: Domains, names: set[str]
) -> Combinations:
    columns = _categorical(constraint.column_names, domains)
    declared = tuple(tuple(combination) for combination in constraint.combinations)
    name = _unused('#'.join(constraint.column_names), names)
    return Combinations(with_values(columns, declared), name, declared)


def _categorical(names: Sequence[str], domains: Domains) -> tuple[CategoricalDomain, ...]:
    found = (domains[name] for name in names)
    return tuple(domain for domain in found if isinstance(domain, CategoricalDomain))


def _one_hots(constraints: Sequence[Any], domains: Domains, names: set[str]) -> list[RecordMap]:
    uses = [name for c in constraints if is_predefined(c) for name in columns_of(c)]
    return [
        OneHot(tuple(domains[name] for name in group), _unused('#'.join(group), names))
        for group in (columns_of(c) for c in constraints if isinstance(c, OneHotEncoding))
        if all(uses.count(name) == 1 for name in group)
    ]


def _unused(name: str, names: Collection[str]) -> str:
    while name in names:
        name += '_'
    return name
