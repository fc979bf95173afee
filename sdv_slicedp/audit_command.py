"""The command ``sdv-slicedp audit``: every private step attacked, bounds beside claims."""

from __future__ import annotations

import argparse
from typing import Any

from sdv_slicedp.accounting import validate_budget
from sdv_slicedp.audit import HEADING, Finding, audit_step
from sdv_slicedp.audit_canaries import OneRun, audit_fit
from sdv_slicedp.audit_steps import STEPS

FIT = 'fit'
"""Step that is a whole ``fit`` with canaries."""
REFUTED = 1


def add_to(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser('audit', help='attack every private step; reads no table')
    parser.set_defaults(prepare=run)
    parser.add_argument(
        '--step',
        nargs='+',
        choices=(*STEPS, FIT),
        default=(*STEPS, FIT),
        metavar='STEP',
        help=f'of {", ".join((*STEPS, FIT))}; default: all',
    )
    parser.add_argument('--epsilon', type=float, default=1.0, help='default: %(default)s')
    parser.add_argument('--delta', type=float, default=1e-6, help='default: %(default)s')
    parser.add_argument('--runs', type=int, default=2000, help='of each world; default: 2000')
    parser.add_argument('--canaries', type=int, default=500, help='in a fit; default: 500')
    parser.add_argument('--confidence', type=float, default=0.999, help='default: %(default)s')


def run(options: argparse.Namespace) -> int:
    """Attack the steps one by one.

    Returns:
        The exit code: 0, or 1 if a claim was refuted.
    """
    validate_budget(options.epsilon, options.delta)
    print(f'Claims are epsilons at delta = {options.delta:g}, confidence {options.confidence:g}')
    print(HEADING)
    holds = True
    for step in options.step:
        finding = _attack(step, options)
        print(finding, flush=True)
        holds = holds and finding.holds
    return 0 if holds else REFUTED


def _attack(step: str, options: argparse.Namespace) -> Finding | OneRun:
    budget = (options.epsilon, options.delta)
    if step == FIT:
        return audit_fit(*budget, options.canaries, options.confidence)
    return audit_step(step, *budget, options.runs, options.confidence)
