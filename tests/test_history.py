import pickle

from sdv_slicedp.history import FitHistory
from sdv_slicedp.ledger import LedgerEntry
from sdv_slicedp.reports import FitRecord

REQUEST = FitRecord(1.0, 1e-6, (), False, (), ('a',), None, 'add_or_remove_one')
ENTRY = LedgerEntry('pairs', 'two-column slices', 1, 8.0, 1)


def test_a_fit_that_touched_no_rows_leaves_no_record():
    history = FitHistory()
    history.begin(REQUEST)
    assert history.records == () and not history.has_spent
    history.end()
    assert history.records == ()
    history.complete()
    assert history.records == ()


def test_a_running_fit_shows_what_it_has_spent_so_far():
    history = FitHistory()
    ledger = history.begin(REQUEST)
    ledger.record(ENTRY)
    (record,) = history.records
    assert record.entries == (ENTRY,) and not record.completed
    ledger.record(ENTRY)
    assert len(history.records[0].entries) == 2
    assert pickle.loads(pickle.dumps(history)).records == history.records


def test_an_interrupted_fit_stays_in_the_history():
    history = FitHistory()
    history.begin(REQUEST).record(ENTRY)
    history.begin(REQUEST).record(ENTRY)
    history.end()
    history.complete()
    assert [record.completed for record in history.records] == [False, True]


def test_a_release_from_elsewhere_is_taken_over():
    history = FitHistory()
    history.adopt(REQUEST)
    assert not history.has_spent
    history.adopt(FitRecord(1.0, 1e-6, (ENTRY,), True, (), ('a',), 7.0, 'add_or_remove_one'))
    assert history.records[0].noisy_rows == 7.0
