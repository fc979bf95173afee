"""Killed, out of disk, out of memory: either a whole file or none, and an honest ledger.

Real processes are ended by real signals and real limits of the operating system. Afterwards, a file
is whole, the old one or the new one; nothing else is left but, after a signal that gives no chance
to clean up, the part that was being written; and nothing of the table is in any file.
"""

from __future__ import annotations

import errno
import os
import pickle
import random
import re
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sdv.errors import NotFittedError, SamplingError
from sdv.metadata import Metadata
from sdv.utils import load_synthesizer

resource = pytest.importorskip('resource')  # and so, no Windows
from crashes import Child, calls_of, killed_at, limit, memory  # noqa: E402

from sdv_slicedp import curator  # noqa: E402
from sdv_slicedp.atomic import write_whole  # noqa: E402
from sdv_slicedp.cli import main  # noqa: E402
from sdv_slicedp.errors import ReleaseFormatError  # noqa: E402
from sdv_slicedp.release import Release  # noqa: E402
from sdv_slicedp.synthesizer import SlicedDPSynthesizer  # noqa: E402

pytestmark = pytest.mark.filterwarnings('ignore:This process.*fork:DeprecationWarning')

TABLE, CANARY, N_ROWS = 'killed', 'CANARY_9f3', 314
OLD, NEW = 4.0, 5.0
"""Epsilons that tell the files of two fits apart."""
RELEASE, SYNTHESIZER = 'it.release', 'it.pkl'
QUICK = {'epochs': 3, 'n_components': 5, 'random_state': 0, 'enable_gpu': False}
COLUMNS = {
    'number': {'sdtype': 'numerical'},
    'word': {'sdtype': 'categorical'},
    'flag': {'sdtype': 'boolean'},
}
SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]


def table_of(n_rows: int = N_ROWS) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            'number': np.arange(n_rows, dtype=np.float64),
            'word': np.array(['p', 'q'], dtype=object)[np.arange(n_rows) % 2],
            'flag': np.arange(n_rows) % 3 == 0,
        }
    )
    table.loc[0, 'word'] = CANARY
    return table


def unfitted(epsilon: float) -> SlicedDPSynthesizer:
    metadata = Metadata.load_from_dict({'tables': {TABLE: {'columns': COLUMNS}}})
    return SlicedDPSynthesizer(metadata, epsilon=epsilon, **QUICK)


def fitted(epsilon: float) -> SlicedDPSynthesizer:
    synthesizer = unfitted(epsilon)
    synthesizer.fit({TABLE: table_of()})
    return synthesizer


@pytest.fixture(scope='module')
def new() -> SlicedDPSynthesizer:
    return fitted(NEW)


@pytest.fixture(scope='module')
def old_files() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        save(fitted(OLD), Path(folder))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


@pytest.fixture(params=['old files', 'no files'])
def folder(request, tmp_path, old_files) -> Path:
    """Where files go; half of the time, there are older ones."""
    folder = tmp_path / 'results'
    folder.mkdir()
    if request.param == 'old files':
        for name, content in old_files.items():
            (folder / name).write_bytes(content)
    return folder


def save(synthesizer: SlicedDPSynthesizer, folder: Path) -> None:
    synthesizer.get_release().save(folder / RELEASE)
    synthesizer.save(folder / SYNTHESIZER)


def check_files(folder: Path, before: set[str], cleaned_up: bool) -> None:
    """Whole files, nothing beside them that should not be, and no cell anywhere."""
    names = {path.name for path in folder.iterdir()}
    parts = {name for name in names if re.fullmatch(r'\.it\.\w+\.[0-9a-f]{16}\.part', name)}
    assert before <= names - parts <= {RELEASE, SYNTHESIZER}
    assert len(parts) <= (0 if cleaned_up else 1)
    if RELEASE in names:
        assert Release.load(folder / RELEASE).epsilon in (OLD, NEW)
    if SYNTHESIZER in names:
        loaded = load_synthesizer(folder / SYNTHESIZER)
        assert loaded.get_release().epsilon == loaded.epsilon in (OLD, NEW)
        assert len(loaded.sample(3)[TABLE]) == 3
    assert not any(CANARY.encode() in (folder / name).read_bytes() for name in names)


def remove_parts(folder: Path) -> None:
    """What a signal that gives no chance to clean up leaves behind."""
    for part in folder.glob('.*.part'):
        part.unlink()


def check_state(synthesizer: SlicedDPSynthesizer, drawn: int) -> None:
    """All of a fit is there, or its release is, or nothing; in every case, what it has spent."""
    report = synthesizer.get_privacy_report()
    assert bool(report.fits) >= bool(drawn)
    assert report.epsilon <= synthesizer.epsilon
    if synthesizer.get_info()['is_fit']:
        assert len(synthesizer.sample(3)[TABLE]) == 3
    else:
        with pytest.raises(SamplingError):
            synthesizer.sample(1)
    try:
        release = synthesizer.get_release()
    except NotFittedError:
        assert not synthesizer.get_info()['is_fit']
        assert not any(fit.completed for fit in report.fits)
    else:
        (fit,) = report.fits
        assert [line.slices for line in fit.lines] == [entry.slices for entry in release.ledger]
        synthesizer.refit()
        assert synthesizer.get_info()['is_fit']
    assert CANARY.encode() not in pickle.dumps(synthesizer)


class Draws:
    """Counts the noises that are drawn."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.number = 0
        real = curator.discrete_gaussian

        def draw(*arguments):
            self.number += 1
            return real(*arguments)

        patch.setattr(curator, 'discrete_gaussian', draw)


def fit_and_save(folder: Path, started: Callable[[], object] = lambda: None) -> None:
    """The work of a child; what interrupts it must leave the synthesizer in order."""
    with pytest.MonkeyPatch.context() as patch:
        draws = Draws(patch)
        synthesizer = unfitted(NEW)
        data = {TABLE: table_of()}
        try:
            started()
            synthesizer.fit(data)
            save(synthesizer, folder)
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            check_state(synthesizer, draws.number)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


class TestSignals:
    def points(self, work: Callable[[], object], number: int) -> list[int]:
        """Calls of some work, evenly spread, the last one included."""
        calls = calls_of(work)
        return [max(1, calls * (i + 1) // number) for i in range(number)]

    def kill_saving(self, synthesizer, folder, number, call) -> int:
        def work() -> None:
            try:
                killed_at(call, number, lambda: save(synthesizer, folder))
            except KeyboardInterrupt:
                assert number == signal.SIGINT

        return Child(work).end()

    @pytest.mark.parametrize('number', SIGNALS, ids=lambda number: number.name)
    def test_a_save_that_is_killed_leaves_whole_files(self, number, folder, new, tmp_path):
        before = names_in(folder)
        for call in self.points(lambda: save(new, tmp_path), 5):
            code = self.kill_saving(new, folder, number, call)
            assert code == (0 if number == signal.SIGINT else -number)
            check_files(folder, before, number == signal.SIGINT)
            remove_parts(folder)

    def test_a_fit_that_is_killed_leaves_whole_files(self, folder):
        before = names_in(folder)
        for number in SIGNALS:
            self.kill_after(0.2 * random.random(), number, folder)
            check_files(folder, before, number == signal.SIGINT)
            remove_parts(folder)

    def kill_after(self, seconds: float, number: signal.Signals, folder: Path) -> int:
        """A fit in a process of its own, killed so many seconds after its start."""
        ready, started = os.pipe()
        child = Child(lambda: fit_and_save(folder, lambda: os.write(started, b'x')))
        os.close(started)  # or a child that never starts would be waited for in vain
        os.read(ready, 1)
        os.close(ready)
        time.sleep(seconds)
        os.kill(child.pid, number)
        code = child.end()
        assert code in (0, -number)
        return code

    @pytest.mark.slow
    @pytest.mark.parametrize('number', SIGNALS, ids=lambda number: number.name)
    def test_fits_that_are_killed_at_random_times(self, number, tmp_path):
        """60 times each, some while fitting, some while saving and some too late."""
        start = time.monotonic()
        assert Child(lambda: fit_and_save(tmp_path)).end() == 0
        usual = time.monotonic() - start
        survived = 0
        for _ in range(60):
            code = self.kill_after(1.1 * usual * random.random(), number, tmp_path)
            survived += code == 0
            check_files(tmp_path, {RELEASE, SYNTHESIZER}, number == signal.SIGINT)
            remove_parts(tmp_path)
        assert survived < 60 or number == signal.SIGINT

    @pytest.mark.slow
    @pytest.mark.parametrize('number', SIGNALS, ids=lambda number: number.name)
    def test_every_part_of_a_save_can_be_killed(self, number, folder, new, tmp_path):
        before = names_in(folder)
        for call in self.points(lambda: save(new, tmp_path), 60):
            self.kill_saving(new, folder, number, call)
            check_files(folder, before, number == signal.SIGINT)
            remove_parts(folder)

    def test_files_that_are_written_in_place_are_caught(self, new, tmp_path, monkeypatch):
        """The twin: without the part file, a half-written file is found."""
        monkeypatch.setattr('sdv_slicedp.hooks.write_whole', lambda path, write: write(path))
        monkeypatch.setattr('sdv_slicedp.release_file.write_whole', lambda path, write: write(path))

        def is_whole(call: int) -> bool:
            self.kill_saving(new, tmp_path, signal.SIGKILL, call)
            try:
                check_files(tmp_path, set(), False)
            except (ReleaseFormatError, EOFError, pickle.UnpicklingError):
                return False
            return True

        assert not all(map(is_whole, self.points(lambda: save(new, tmp_path), 40)))


class TestDisk:
    def test_a_full_disk_leaves_the_old_files(self, folder, new, tmp_path):
        """Wherever the disk ends: each file may be that long and no longer."""
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        save(new, tmp_path)
        largest = max((tmp_path / name).stat().st_size for name in (RELEASE, SYNTHESIZER))
        for most in np.linspace(0, largest - 1, 25).astype(int).tolist():
            with limit(resource.RLIMIT_FSIZE, most), pytest.raises(OSError) as caught:
                new.save(folder / SYNTHESIZER)
            assert caught.value.errno == errno.EFBIG
            assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        smallest = (tmp_path / RELEASE).stat().st_size
        for most in np.linspace(0, smallest - 1, 25).astype(int).tolist():
            with limit(resource.RLIMIT_FSIZE, most), pytest.raises(OSError):
                new.get_release().save(folder / RELEASE)
            assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

    @pytest.mark.parametrize('name', ['os.fsync', 'os.replace', 'shutil.copymode', 'os.open'])
    def test_a_call_that_fails_leaves_the_old_files(self, name, folder, new, monkeypatch):
        def fail(*arguments, **options):
            raise OSError(errno.ENOSPC, 'No space left on device')

        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        if name == 'shutil.copymode' and not before:
            return
        monkeypatch.setattr(name, fail)
        for write in (new.save, new.get_release().save):
            with pytest.raises(OSError, match='No space left'):
                write(folder / (SYNTHESIZER if write == new.save else RELEASE))
        monkeypatch.undo()
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

    def test_what_cannot_be_pickled_leaves_the_old_file(self, old_files, tmp_path):
        (tmp_path / SYNTHESIZER).write_bytes(old_files[SYNTHESIZER])
        synthesizer = fitted(NEW)
        synthesizer.callback = (line for line in ())
        with pytest.raises(TypeError, match='pickle'):
            synthesizer.save(tmp_path / SYNTHESIZER)
        check_files(tmp_path, {SYNTHESIZER}, True)


class TestMemory:
    n_rows = 62_831

    def fit_in(self, megabytes: int, folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            draws = Draws(patch)
            synthesizer, data = unfitted(NEW), {TABLE: table_of(self.n_rows)}
            try:
                with memory(megabytes):
                    synthesizer.fit(data)
                    save(synthesizer, folder)
                assert megabytes > 0, 'there was enough memory'
            except (MemoryError, RuntimeError, OSError) as error:
                assert str(self.n_rows) not in f'{error!r} {error} {error.__cause__}'
            check_state(synthesizer, draws.number)

    def check(self, megabytes: int, folder: Path) -> None:
        before = names_in(folder)
        code = Child(lambda: self.fit_in(megabytes, folder)).end()
        # Some libraries abort the process when they get no memory; that is as good as killed.
        assert code in (0, -signal.SIGABRT, -signal.SIGSEGV)
        check_files(folder, before, code == 0)

    @pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='Linux')
    @pytest.mark.parametrize('megabytes', [0, 4])
    def test_a_fit_without_memory_leaves_whole_files(self, megabytes, folder):
        self.check(megabytes, folder)

    @pytest.mark.slow
    @pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='Linux')
    @pytest.mark.parametrize('megabytes', range(1, 31))
    def test_fits_with_too_little_memory(self, megabytes, folder):
        self.check(megabytes, folder)

    def test_an_array_that_is_too_large_does_not_say_how_large(self, monkeypatch):
        def positions_of(*_):
            return np.empty((N_ROWS, 2**50))

        monkeypatch.setattr(curator, 'positions_of', positions_of)
        synthesizer = unfitted(NEW)
        with pytest.raises(MemoryError, match='not enough memory for this table') as caught:
            synthesizer.fit({TABLE: table_of()})
        assert str(N_ROWS) not in str(caught.value)
        assert synthesizer.get_privacy_report().epsilon > 0


class TestWriteWhole:
    def test_a_link_stays_one(self, tmp_path):
        (tmp_path / 'real').write_text('old')
        (tmp_path / 'link').symlink_to('real')
        write_whole(tmp_path / 'link', lambda part: part.write_text('new'))
        assert (tmp_path / 'link').is_symlink()
        assert (tmp_path / 'real').read_text() == 'new'

    def test_permissions_stay(self, tmp_path):
        (tmp_path / 'file').touch(mode=0o600)
        write_whole(tmp_path / 'file', lambda part: part.write_text('new'))
        assert (tmp_path / 'file').stat().st_mode & 0o777 == 0o600

    def test_a_pipe_is_written_to(self, tmp_path):
        os.mkfifo(tmp_path / 'pipe')
        reader = os.open(tmp_path / 'pipe', os.O_RDONLY | os.O_NONBLOCK)
        write_whole(tmp_path / 'pipe', lambda path: path.write_text('new'))
        assert os.read(reader, 9) == b'new'
        os.close(reader)
        assert names_in(tmp_path) == {'pipe'}


def test_the_command_line_cleans_up_when_it_is_terminated(monkeypatch, capsys):
    """And says what was spent, as it does after Ctrl-C."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(
        'sdv_slicedp.audit_command.audit_step', lambda *_: os.kill(os.getpid(), signal.SIGTERM)
    )
    assert main(['audit', '--step', 'rows']) == 130
    assert 'interrupted (no privacy budget was spent)' in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == before
