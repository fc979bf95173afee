import pytest

from sdv_slicedp.progress import Progress

pytestmark = pytest.mark.filterwarnings('error')


def run(progress: Progress, losses) -> list[int]:
    epochs = []
    for epoch in progress:
        epochs.append(epoch)
        progress.record(losses(epoch))
    return epochs


def test_all_epochs_come_in_order():
    progress = Progress(5)

    assert run(progress, lambda epoch: 1.0 / (1 + epoch)) == [0, 1, 2, 3, 4]
    assert list(progress.losses.columns) == ['Epoch', 'Loss']
    assert progress.losses['Epoch'].tolist() == [0, 1, 2, 3, 4]
    assert progress.losses['Loss'].tolist() == [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]


def test_without_a_bar_nothing_is_locked(monkeypatch):
    """A process that is killed with the lock of the bars would block all others of its family."""
    monkeypatch.setattr('sdv_slicedp.progress.tqdm', None)

    assert run(Progress(3), float) == [0, 1, 2]
    with pytest.raises(TypeError):
        run(Progress(3, verbose=True), float)


def test_there_may_be_no_epochs():
    progress = Progress(0)

    assert run(progress, float) == []
    assert list(progress.losses.columns) == ['Epoch', 'Loss']
    assert len(progress.losses) == 0


@pytest.mark.parametrize('patience', [1, 7, 30])
def test_without_a_fall_it_stops_after_the_patience(patience):
    assert len(run(Progress(100, patience), lambda epoch: 1.0)) == 1 + patience
    assert len(run(Progress(100, None), lambda epoch: 1.0)) == 100


@pytest.mark.parametrize('sign', [1, -1])
def test_as_long_as_it_falls_it_goes_on(sign):
    """Losses of either sign: those of a bound may be negative."""

    def falling(epoch):
        return 0.9**epoch if sign > 0 else -(1.1**epoch)

    assert len(run(Progress(100, 5), falling)) == 100


def test_it_stops_some_time_after_the_last_fall():
    epochs = run(Progress(300, 25), lambda epoch: max(1.0 - epoch / 50, 0.2))

    assert 40 + 25 <= len(epochs) <= 40 + 25 + 20  # losses are averaged over 20


def test_single_losses_do_not_matter():
    noisy = run(Progress(200, 40), lambda epoch: 1.0 - epoch / 200 + 0.3 * (-1) ** epoch)

    assert len(noisy) == 200


def test_the_callback_sees_every_loss():
    seen = []
    run(Progress(4, callback=lambda epoch, loss: seen.append((epoch, loss))), lambda e: 2.0 * e)

    assert seen == [(0, 0.0), (1, 2.0), (2, 4.0), (3, 6.0)]


@pytest.mark.parametrize(('answer', 'epochs'), [(True, 4), (None, 10), (False, 10), (1, 10)])
def test_only_true_stops(answer, epochs):
    progress = Progress(10, callback=lambda epoch, loss: answer if epoch == 3 else None)

    assert len(run(progress, float)) == epochs


def test_parts_have_their_own_losses_and_the_same_rules():
    seen = []
    whole = Progress(10, 3, lambda epoch, loss: seen.append(epoch))
    part = whole.part(6)

    assert run(part, lambda epoch: 1.0) == [0, 1, 2, 3]
    assert seen == [0, 1, 2, 3]
    assert part.epochs == 6
    assert len(whole.losses) == 0


def test_parts_may_count_on_and_tell_the_whole():
    seen = []

    def callback(epoch, loss):
        seen.append(epoch)
        return epoch == 6

    whole = Progress(10, callback=callback)
    part = whole.part(6, 4)

    assert run(part, float) == [0, 1, 2]
    assert seen == part.losses['Epoch'].tolist() == [4, 5, 6]
    assert part.is_told
    assert whole.is_told
    assert not Progress(10).is_told


@pytest.mark.parametrize('verbose', [True, False])
def test_the_bar_is_shown_on_request(capsys, verbose):
    run(Progress(3, verbose=verbose).part(2), lambda epoch: 0.125)

    shown = capsys.readouterr().err
    assert ('Training' in shown) == verbose
    assert ('loss=0.125' in shown) == verbose
