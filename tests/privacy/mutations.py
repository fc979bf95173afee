"""Random damage to files, from one seed: for ``fuzz.py`` and the tests."""

from __future__ import annotations

import io
import random
import zipfile

INTERESTING = (b'', b'\x00', b'\xff' * 8, b'PK\x03\x04', b'PK\x01\x02', b'9' * 400, b'-1', b'1e999')
SNIPPETS = (
    *('null', 'true', '-1', '0', '1e308', '9' * 30, '[]', '{}', '"x"', 'NaN', '""', '[[]]'),
    *('9223372036854775807', '-9223372036854775808', '0.5', '"\\ud800"', '{"a": 1}', '[0, 0]'),
)
"""What a value of a manifest may be replaced by."""


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Bytes that were flipped, cut out, repeated, or replaced by telling ones."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        start = rng.randrange(len(data) + 1)
        stop = min(len(data), start + rng.choice((1, 1, 2, 8, 64, 1000)))
        kind = rng.randrange(4)
        if kind == 0:
            data[start:stop] = rng.randbytes(stop - start)
        elif kind == 1:
            del data[start:stop]
        elif kind == 2:
            data[start:start] = data[start:stop]
        else:
            data[start:stop] = rng.choice(INTERESTING)
    return bytes(data)


def repacked(content: bytes, rng: random.Random) -> bytes:
    """A release whose members were damaged before they were compressed: checksums are right."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice((*members, *['manifest.json'] * len(members)))
    text = name == 'manifest.json' and rng.random() < 0.8
    members[name] = _revalued(members[name], rng) if text else damaged(members[name], rng)
    if rng.random() < 0.05:
        members[rng.choice(('extra', '../up', 'manifest.json\x00', 'a' * 300))] = b'x'
    if rng.random() < 0.05:
        del members[rng.choice(list(members))]
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return file.getvalue()


def _revalued(manifest: bytes, rng: random.Random) -> bytes:
    """JSON with some of its values, or a whole line, replaced."""
    lines = manifest.decode('ascii').split('\n')
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        place = rng.randrange(len(lines))
        key, colon, value = lines[place].partition(': ')
        comma = ',' if lines[place].rstrip().endswith(',') else ''
        if colon and value.strip() not in ('[', '{'):
            lines[place] = f'{key}: {rng.choice(SNIPPETS)}{comma}'
        elif rng.random() < 0.5:
            del lines[place]
            lines = lines or ['']
        else:
            lines[place] = f'{rng.choice(SNIPPETS)}{comma}'
    return '\n'.join(lines).encode('utf-8', 'surrogatepass')
