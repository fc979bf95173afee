"""Processes that end in the middle of their work: killed, out of memory, out of disk."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

_BLOCK = 2**16
_LONGEST = 120
"""Seconds after which a child that hangs says where, and ends by ``SIGALRM``."""


class Child:
    """A forked process that does some work and then ends; 0 is the exit code if nothing failed."""

    def __init__(self, work: Callable[[], object]) -> None:
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid:
            return
        code = 1
        faulthandler.register(signal.SIGALRM, file=sys.__stderr__, chain=True)
        signal.alarm(_LONGEST)
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def end(self) -> int:
        """Exit code; negative for the signal that killed the process."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def calls_of(work: Callable[[], object]) -> int:
    """Calls and returns of functions, Python's and C's, that some work takes."""
    counted = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal counted
        counted += 1

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counted


def killed_at(call: int, number: signal.Signals, work: Callable[[], object]) -> None:
    """Do some work; at its so-many-th call or return, this process sends itself a signal."""
    counted = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal counted
        counted += 1
        if counted == call:
            os.kill(os.getpid(), number)

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)


@contextlib.contextmanager
def limit(what: int, most: int) -> Iterator[None]:
    """Let this process have so much of a resource: bytes of a file, or of address space."""
    soft, hard = resource.getrlimit(what)
    resource.setrlimit(what, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(what, (soft, hard))


@contextlib.contextmanager
def memory(megabytes: int) -> Iterator[None]:
    """Let this process have no more memory than so much, what was freed before included."""
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    with limit(resource.RLIMIT_AS, pages * resource.getpagesize()):
        held = []
        with contextlib.suppress(MemoryError):
            while True:
                held.append(bytearray(_BLOCK))
        del held[: megabytes * 2**20 // _BLOCK]
        yield
