"""The command line: ``sdv-slicedp demo``, ``fit``, ``template`` and ``audit``."""

from __future__ import annotations

import argparse
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from sdv.errors import (
    InvalidDataError,
    InvalidDataTypeError,
    SamplingError,
    SynthesizerInputError,
)
from sdv.metadata.errors import InvalidMetadataError

from sdv_slicedp import __version__, audit_command, fit_command, template_command
from sdv_slicedp.errors import PrivacyError
from sdv_slicedp.fit_command import say

EXPECTED_ERRORS = (
    OSError,
    ValueError,
    PrivacyError,
    InvalidDataError,
    InvalidDataTypeError,
    InvalidMetadataError,
    SamplingError,
    SynthesizerInputError,
)
FAILED, INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit code: 0, 1 for an audit that refutes a claim, 2 for an error, 130 for Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    run: fit_command.Run | None = None
    try:
        with warnings.catch_warnings(), _ended_like_ctrl_c():
            warnings.showwarning = _show_warning
            if options.prepare == audit_command.run:
                return audit_command.run(options)
            run = options.prepare(options)
            if run is not None:
                fit_command.work(run)
    except KeyboardInterrupt:
        return _stop('interrupted', run, INTERRUPTED)
    except EXPECTED_ERRORS as error:
        return _stop(f'error: {error}', run, FAILED)
    return 0


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """SIGTERM says what was spent and cleans up; by itself it would do neither."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(FAILED, f'sdv-slicedp: error: {message} (see {self.prog} --help)\n')


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog='sdv-slicedp', description='Differentially private synthetic tables.')
    parser.add_argument('--version', action='version', version=f'sdv-slicedp {__version__}')
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    fit_command.add_to(commands)
    audit_command.add_to(commands)
    template_command.add_to(commands)
    return parser


def _stop(message: str, run: fit_command.Run | None, code: int) -> int:
    spent = 0.0 if run is None else run.synthesizer.get_privacy_report().epsilon
    budget = f'epsilon = {spent:.4g} was spent' if spent else 'no privacy budget was spent'
    say(f'{" ".join(message.split())} ({budget})')
    return code


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    say('warning: ' + ' '.join(str(message).split()))
