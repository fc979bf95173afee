"""Ctrl-C at any ledger entry: nothing is fitted, nothing is kept, and what was spent is known."""

from __future__ import annotations

import pickle

import cloudpickle
import pytest
from sdv.errors import NotFittedError, RefitWarning, SamplingError
from state import differences, reachable
from worlds import CANARY_TEXTS, TABLE, WORLDS, first_world, make_synthesizer

from sdv_slicedp.accounting import epsilon_spent
from sdv_slicedp.ledger import Ledger
from sdv_slicedp.synthesizer import SlicedDPSynthesizer

EPSILON, DELTA = 5.0, 1e-6
LEAST_ENTRIES = 5
"""Decimals, categories, bounds, one column, pairs: every complete fit has at least these."""


@pytest.fixture
def press_ctrl_c_at(monkeypatch: pytest.MonkeyPatch):
    """Ctrl-C just after an entry was recorded, counted from 1; 0 for never."""
    record = Ledger.record

    def press(number: int) -> None:
        def recording(ledger, entry):
            record(ledger, entry)
            if len(ledger.entries) == number:
                raise KeyboardInterrupt

        monkeypatch.setattr(Ledger, 'record', recording)

    return press


def assert_unfitted(synthesizer: SlicedDPSynthesizer) -> None:
    assert not synthesizer.get_info()['is_fit']
    with pytest.raises(SamplingError):
        synthesizer.sample(1)
    for use in (synthesizer.get_release, synthesizer.refit, synthesizer.get_loss_values):
        with pytest.raises(NotFittedError):
            use()


@pytest.mark.parametrize('number', range(1, LEAST_ENTRIES + 1))
def test_an_interrupted_fit_shows_what_it_spent(press_ctrl_c_at, number):
    synthesizer = make_synthesizer('first', False, epsilon=EPSILON)
    press_ctrl_c_at(number)
    with pytest.raises(KeyboardInterrupt):
        synthesizer.fit({TABLE: first_world()})
    assert_unfitted(synthesizer)
    saved = cloudpickle.dumps(synthesizer)
    assert not any(canary.encode() in saved for canary in CANARY_TEXTS)
    for one in (synthesizer, pickle.loads(saved)):
        report = one.get_privacy_report()
        (fit,) = report.fits
        assert len(fit.lines) == number and not fit.completed and fit.noisy_rows is None
        assert report.epsilon == epsilon_spent(one._history.records[0].entries, DELTA)
        assert 0 < report.epsilon <= EPSILON
        assert any('did not end' in warning for warning in report.warnings)


def test_a_later_fit_adds_to_the_ledger(press_ctrl_c_at):
    synthesizer = make_synthesizer('first', False, epsilon=EPSILON)
    data = {TABLE: first_world()}
    press_ctrl_c_at(2)
    with pytest.raises(KeyboardInterrupt):
        synthesizer.fit(data)
    press_ctrl_c_at(4)
    with pytest.warns(RefitWarning, match='spent'), pytest.raises(KeyboardInterrupt):
        synthesizer.fit(data)
    twice = synthesizer.get_privacy_report()
    press_ctrl_c_at(0)
    with pytest.warns(RefitWarning, match='spent privacy budget before'):
        synthesizer.fit(data)
    report = synthesizer.get_privacy_report()
    assert [fit.completed for fit in report.fits] == [False, False, True]
    assert [len(fit.lines) for fit in report.fits[:2]] == [2, 4]
    assert len(report.fits[2].lines) >= LEAST_ENTRIES
    assert report.fits[:2] == twice.fits
    assert report.epsilon > twice.epsilon and report.delta == pytest.approx(3 * DELTA)
    assert len(synthesizer.sample(5)[TABLE]) == 5


def test_an_interrupted_second_fit_forgets_the_first_but_not_its_cost(press_ctrl_c_at):
    synthesizer = make_synthesizer('first', False, epsilon=EPSILON)
    synthesizer.fit({TABLE: first_world()})
    first = synthesizer.get_privacy_report()
    press_ctrl_c_at(1)
    with pytest.warns(RefitWarning), pytest.raises(KeyboardInterrupt):
        synthesizer.fit({TABLE: first_world()})
    assert_unfitted(synthesizer)
    report = synthesizer.get_privacy_report()
    assert [fit.completed for fit in report.fits] == [True, False]
    assert report.fits[0] == first.fits[0] and report.delta == pytest.approx(2 * DELTA)
    assert report.epsilon > 0.9 * first.epsilon  # at twice the delta


def test_an_interrupted_synthesizer_knows_nothing_of_the_table(press_ctrl_c_at):
    states = []
    press_ctrl_c_at(1)
    for world, make in WORLDS.items():
        synthesizer = make_synthesizer(world, False)
        with pytest.raises(KeyboardInterrupt):
            synthesizer.fit({TABLE: make()})
        synthesizer._synthesizer_id = 'anonymous'
        states.append(reachable(synthesizer))
    assert differences(*states) == set()
