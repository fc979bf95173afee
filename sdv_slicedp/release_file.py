"""Files of releases: a zip archive of one JSON manifest and int64 arrays.

Arrays of all levels, columns and marginals are joined end to end; the manifest holds their sizes.
Nothing in a file is executed on reading, and its declared sizes are checked before memory is used.
The same release always gives the same archive members, without a time stamp.
"""

from __future__ import annotations

import io
import json
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sdv_slicedp.atomic import write_whole
from sdv_slicedp.errors import ReleaseFormatError
from sdv_slicedp.release import Release
from sdv_slicedp.release_manifest import (
    ARRAYS,
    PROJECTION_ARRAYS,
    joined_arrays,
    release_of,
    to_manifest,
)

FORMAT = 'sdv-slicedp release'
VERSION = 2
"""Version that is written; version 1, without projections, can be read too."""

_MANIFEST = 'manifest.json'
_ARRAYS_OF = {1: ARRAYS, 2: (*ARRAYS, *PROJECTION_ARRAYS)}
_MAX_MANIFEST = 2**26
_MAX_TOTAL = 2**31
_NPY_HEADER = 1024
_EPOCH = (1980, 1, 1, 0, 0, 0)
_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    NotImplementedError,
    RecursionError,
    RuntimeError,
    SyntaxError,  # of a header, which numpy reads as Python
    tokenize.TokenError,
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
)

Integers = npt.NDArray[np.int64]
Arrays = dict[str, Integers]


def write(release: Release, path: Path) -> None:
    """Write ``release`` to ``path``; an existing file is replaced in one step."""
    header = {'format': FORMAT, 'version': VERSION, **to_manifest(release)}
    manifest = json.dumps(header, allow_nan=False, indent=1).encode('ascii')
    arrays = joined_arrays(release)
    if len(manifest) > _MAX_MANIFEST or _size(arrays) > _MAX_TOTAL * 3 // 4:
        raise ValueError('The release is too large for its file format.')
    write_whole(path, lambda part: _write_archive(part, manifest, arrays))


def read(path: Path) -> Release:
    """Read a release; see :meth:`Release.load`."""
    with path.open('rb') as file:
        size = os.fstat(file.fileno()).st_size
        if size > _MAX_TOTAL:
            raise ReleaseFormatError(
                f"'{path}' is larger than any release: over {_MAX_TOTAL} bytes."
            )
        content = file.read(size)  # no more: memory for what is asked for is taken at once
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _read_archive(archive)
    except ReleaseFormatError:
        raise
    except zipfile.BadZipFile:
        raise ReleaseFormatError(
            f"'{path}' is not a release, or it is damaged: it is no readable zip archive."
        ) from None
    except _FAULTS as error:
        raise ReleaseFormatError(f"'{path}' is not a valid release: {error}") from error


def _size(arrays: Arrays) -> int:
    return sum(8 * array.size for array in arrays.values())


def _write_archive(path: Path, manifest: bytes, arrays: Arrays) -> None:
    with zipfile.ZipFile(path, 'w') as archive:
        for name, content in chain([(_MANIFEST, manifest)], _encoded(arrays)):
            member = zipfile.ZipInfo(name, _EPOCH)
            archive.writestr(member, content, zipfile.ZIP_DEFLATED, compresslevel=1)


def _encoded(arrays: Arrays) -> Iterator[tuple[str, bytes]]:
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array.astype('<i8', copy=False), allow_pickle=False)
        yield f'{name}.npy', buffer.getvalue()


def _read_archive(archive: zipfile.ZipFile) -> Release:
    members = archive.infolist()
    if _MANIFEST not in archive.namelist():
        raise ReleaseFormatError('The file is a zip archive, but not a release: no manifest.')
    if any(member.compress_type != zipfile.ZIP_DEFLATED for member in members):
        raise ReleaseFormatError('The file is compressed in another way than releases are.')
    declared = archive.getinfo(_MANIFEST).file_size
    if declared > _MAX_MANIFEST:
        raise ReleaseFormatError('The manifest is larger than any release has it.')
    with archive.open(_MANIFEST) as file:
        # Read without a size, a member is unpacked whole, however little it declares.
        text = file.read(declared)
    manifest = json.loads(text, parse_constant=_refuse_constant)
    names = _ARRAYS_OF[_checked_version(manifest)]
    expected = {_MANIFEST, *(f'{name}.npy' for name in names)}
    if len(members) != len(expected) or {member.filename for member in members} != expected:
        raise ReleaseFormatError('The file lacks an array, or holds something else besides.')
    if sum(member.file_size for member in members) > _MAX_TOTAL:
        raise ReleaseFormatError(f'The file declares more than {_MAX_TOTAL} bytes.')
    content = {key: value for key, value in manifest.items() if key not in ('format', 'version')}
    arrays = {name: _read_array(archive, name) for name in names}
    if 'directions' not in names:
        empty = dict.fromkeys(PROJECTION_ARRAYS, np.zeros(0, dtype=np.int64))
        content, arrays = {**content, 'projection': None}, {**arrays, **empty}
    return release_of(content, arrays)


def _refuse_constant(text: str) -> Any:
    raise ReleaseFormatError(f'The manifest holds {text}, which is not a number.')


def _checked_version(manifest: Any) -> int:
    if not isinstance(manifest, dict) or manifest.get('format') != FORMAT:
        raise ReleaseFormatError('The file is a zip archive, but not a release.')
    version = manifest.get('version')
    if type(version) is not int or version not in _ARRAYS_OF:
        raise ReleaseFormatError(
            f'The release has format version {version!r}; this package reads up to {VERSION}.'
        )
    return version


def _read_array(archive: zipfile.ZipFile, name: str) -> Integers:
    """A vector of int64; its header is checked against the size before the data is read."""
    size = archive.getinfo(f'{name}.npy').file_size
    with archive.open(f'{name}.npy') as file:
        header = io.BytesIO(file.read(min(size, _NPY_HEADER)))
        if np.lib.format.read_magic(header) != (1, 0):
            raise ReleaseFormatError(f"The array '{name}' has an unknown npy version.")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(header, _NPY_HEADER)
        start = header.tell()
        if dtype.str != '<i8' or fortran or len(shape) != 1 or start + 8 * shape[0] != size:
            raise ReleaseFormatError(f"The array '{name}' is not a vector of int64 of its size.")
        content = header.getvalue()[start:] + file.read(size)
    return np.frombuffer(content, dtype='<i8').astype(np.int64, copy=False)
