"""Accounting that remembers: the same plan is made thousands of times in the audits."""

from __future__ import annotations

import functools

import pytest

from sdv_slicedp import mechanism, projection_stages, stages


def remembered_accounting(patch: pytest.MonkeyPatch) -> None:
    """Keep the results of pure functions of public numbers; nothing else changes."""
    patch.setattr(mechanism, 'planning_budget', functools.cache(mechanism.planning_budget))
    patch.setattr(stages, 'scale_to_budget', functools.cache(stages.scale_to_budget))
    for name in ('planning_budget', 'calibrate_projection', 'plan_projection'):
        patch.setattr(projection_stages, name, functools.cache(getattr(projection_stages, name)))
