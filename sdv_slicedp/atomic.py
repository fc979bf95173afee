"""Writing files that are either whole or not there."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a file beside ``path``, then move it there in one step.

    Whenever the process ends, the file at ``path`` is the old one or the new one, whole. Where it
    is killed without a chance to clean up, a file named ``.NAME.RANDOM.part`` may stay beside it.

    Args:
        path: Where the file will be; of a link, what it points to. What is there and is no file,
            such as a pipe, is written to directly.
        write: Called with the path to write to.

    Raises:
        OSError: If the file cannot be written; then the old one is still there.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        write(path)
        return
    part = path.with_name(f'.{path.name}.{secrets.token_hex(8)}.part')
    try:
        part.touch(exist_ok=False)
        write(part)
        with part.open('rb+') as file:
            os.fsync(file.fileno())  # a crash of the machine must not find it moved but empty
        if path.exists():
            shutil.copymode(path, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
