"""Audits: lower bounds of epsilon from attacks, to compare with what the ledger claims.

An audit can refute a claim and never prove one. It covers the tables that it runs on, and events
that are not too rare for its number of runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sdv_slicedp.accounting import epsilon_spent, validate_budget
from sdv_slicedp.audit_statistics import event_epsilon, gaussian_epsilon_of, mu_bound, shift_share
from sdv_slicedp.audit_steps import STEPS, Trials
from sdv_slicedp.ledger import ProjectionEntry, positive_integer
from sdv_slicedp.slice_energy import energy_law

HEADING = f'{"step":<20}{"relation":<20}{"runs":>8}{"claim":>9}{"bound":>9}{"one event":>11}'


@dataclass(frozen=True)
class Finding:
    """What an attack on one step has shown.

    Attributes:
        step: Name of the step.
        relation: Which tables were compared.
        runs: Releases of each table; canaries of a fit.
        claim: Epsilon of the step by its ledger.
        bound: Lower bound of epsilon by the attacker's guesses, the noise being Gaussian.
        event_bound: Lower bound of epsilon without that assumption, and so a weaker one.
    """

    step: str
    relation: str
    runs: int
    claim: float
    bound: float
    event_bound: float

    @property
    def holds(self) -> bool:
        """Whether the claim is not refuted; NaN refutes it."""
        return self.bound <= self.claim and self.event_bound <= self.claim

    def __str__(self) -> str:
        """One line of a table under ``HEADING``."""
        return (
            f'{self.step:<20}{self.relation:<20}{self.runs:>8,}{self.claim:>9.3f}'
            f'{self.bound:>9.3f}{self.event_bound:>11.3f}{"" if self.holds else "  REFUTED"}'
        )


def audit_step(
    step: str, epsilon: float, delta: float, runs: int = 2000, confidence: float = 0.999
) -> Finding:
    """Attack one step.

    Args:
        step: A key of ``audit_steps.STEPS``.
        epsilon: Budget that the step gets all of.
        delta: Budget that the step gets all of.
        runs: Releases of each of the two tables.
        confidence: Probability, at least, that neither bound is too large.

    Raises:
        ValueError: If an argument is out of range.
    """
    if step not in STEPS:
        raise ValueError(f'step must be one of {tuple(STEPS)}, got {step!r}.')
    validate_budget(epsilon, delta)
    positive_integer('runs', runs)
    if not 0 < confidence < 1:
        raise ValueError(f'confidence must be between 0 and 1, got {confidence}.')
    return judge(step, STEPS[step](epsilon, delta, runs), delta, 1 - confidence)


def judge(step: str, trials: Trials, delta: float, alpha: float) -> Finding:
    """What the scores of a step say; wrong with probability ``alpha`` at most."""
    with_it, without = trials.scores
    claim = epsilon_spent(trials.entries, delta, trials.relation)
    hits = int((with_it > 0).sum()), int((without > 0).sum())
    mu = mu_bound(*hits, len(without), alpha / 2)
    return Finding(
        step=step,
        relation=trials.relation,
        runs=len(without),
        claim=claim,
        bound=_epsilon_of(mu, trials, delta),
        event_bound=event_epsilon(with_it, without, claim / 2, delta, alpha / 2),
    )


def _epsilon_of(mu: float, trials: Trials, delta: float) -> float:
    """What guesses show of epsilon, the noise being Gaussian and the directions as they are drawn.

    Few directions see most of a record seldom, and the claim has to allow for it. Guesses bound
    how much of the move of a record shows for given directions, and Eq. (2) says what that means
    for epsilon.
    """
    (entry, *others) = trials.entries
    if others or not isinstance(entry, ProjectionEntry):
        return gaussian_epsilon_of(mu, delta)
    law = energy_law(entry.directions, entry.dimension, entry.slices)
    share = shift_share(mu, entry.sensitivity / entry.sigma, law)
    if not share > 0:
        return 0.0
    shown = replace(entry, sensitivity=share * entry.sensitivity, rounding=0.0)
    return epsilon_spent((shown,), delta, trials.relation)
