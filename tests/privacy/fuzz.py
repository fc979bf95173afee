"""Fuzzing of what strangers may send: release files, metadata files and tables as CSV.

    python tests/privacy/fuzz.py release|metadata|table [--inputs N] [--seed S]
    python tests/privacy/fuzz.py release|metadata|table --atheris [options of libFuzzer]

Without ``--atheris``, inputs are random damage to good files. With it (``pip install atheris``),
they are found by coverage. An input passes if it is read, or refused by a documented error, in
bounded memory and time. One that does not is kept in the file ``fuzz-crash``.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import json
import random
import resource
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mutations import damaged, repacked

from sdv_slicedp import files, json_records, release_file, release_manifest
from sdv_slicedp.errors import ReleaseFormatError
from sdv_slicedp.release import Release

WATCHED = (release_file, release_manifest, json_records, files, zipfile, json.decoder)
"""Modules whose branches guide atheris."""
MEMORY = 2**30
"""Bytes that reading one file may take; those in question are below a megabyte."""
SECONDS = 20.0  # of the processor; SDV looks through all of Faker at an unknown sdtype
CANARY = 'CANARY_9f3'
COLUMNS = {
    'number': {'sdtype': 'numerical', 'decimal_places': 2},
    'word': {'sdtype': 'categorical', 'range_values': ['a', 'b']},
    'level': {'sdtype': 'ordinal', 'range_values': [1, 2, 3]},
    'flag': {'sdtype': 'boolean'},
    'day': {'sdtype': 'datetime', 'datetime_format': '%Y-%m-%d'},
    'key': {'sdtype': 'id', 'regex_format': 'K[0-9]{4}'},
}
METADATA = json.dumps(
    {'tables': {'it': {'columns': COLUMNS, 'primary_key': 'key'}}, 'METADATA_SPEC_VERSION': 'V1'},
    indent=1,
).encode()
TABLE = f"""number,word,level,flag,day,key
1.5,a,1,yes,2020-01-01,K0001
,"{CANARY}",x,,2020-02-30,K0002
1e300,"b
c",3,no,,K0003
""".encode()


def read_release(content: bytes, folder: Path) -> bool:
    """Read a release file; whether it is one. A file that is read can be written and read again."""
    path = folder / 'fuzzed.release'
    path.write_bytes(content)
    try:
        release = Release.load(path)
    except ReleaseFormatError:
        return False
    release.save(path)
    if Release.load(path) != release:
        raise AssertionError('A release changed when it was saved and loaded.')
    return True


def read_metadata(content: bytes, folder: Path) -> bool:
    """Read a metadata file; whether it is one."""
    path = folder / 'fuzzed.json'
    path.write_bytes(content)
    try:
        files.load_metadata(path)
    except ValueError:
        return False
    return True


def read_table(content: bytes, folder: Path) -> bool:
    """Read a table by good metadata; whether it is one."""
    path = folder / 'fuzzed.csv'
    path.write_bytes(content)
    try:
        files.read_table(path, COLUMNS)
    except ValueError as error:
        if CANARY in f'{error} {error.__cause__}':
            raise AssertionError('An error quotes a cell.') from None
        return False
    return True


def releases() -> list[bytes]:
    """Two good release files, of a histogram and of a projection."""
    import pandas as pd

    from sdv_slicedp.accounting import Ledger
    from sdv_slicedp.domain import CategoricalDomain, NumericalDomain
    from sdv_slicedp.mechanism import measure, measure_projection

    domains = [
        CategoricalDomain('word', 'categorical', ('a', 'b', 1, 2.5), True),
        NumericalDomain('number', 'numerical', 0, 99, (1, 10), True),
        NumericalDomain('day', 'datetime', 0, 99, (86_400 * 10**9, 1), False),
    ]
    rows = pd.DataFrame(
        {
            'word': pd.Series(['a', 'b', 1, None] * 10, dtype=object),
            'number': np.arange(40) / 10,
            'day': np.arange(40) * 86_400e9,
        }
    )
    found = []
    for ask in (measure, measure_projection):
        release = ask(rows, domains, epsilon=5.0, delta=1e-6, ledger=Ledger())
        with tempfile.TemporaryDirectory() as folder:
            release.save(Path(folder) / 'it')
            found.append((Path(folder) / 'it').read_bytes())
    return found


def damaged_release(good: Sequence[bytes], rng: random.Random) -> bytes:
    """A release with damage to its archive or inside of it."""
    content = rng.choice(good)
    return damaged(content, rng) if rng.random() < 0.3 else repacked(content, rng)


def damaged_text(good: Sequence[bytes], rng: random.Random) -> bytes:
    """Text with damage."""
    return damaged(rng.choice(good), rng)


TARGETS = {
    'release': (read_release, releases, damaged_release),
    'metadata': (read_metadata, lambda: [METADATA], damaged_text),
    'table': (read_table, lambda: [TABLE], damaged_text),
}


@contextlib.contextmanager
def kept(content: bytes):
    """Keep an input that does not pass."""
    start = time.process_time()
    try:
        yield
        if time.process_time() - start > SECONDS:
            raise AssertionError('It took too long.')
    except Exception:
        Path('fuzz-crash').write_bytes(content)
        raise


def fuzz(target: str, inputs: int, seed: int) -> tuple[int, int]:
    """Try so many inputs; how many were read and how many refused."""
    read, good, damage = TARGETS[target]
    rng = random.Random(seed)
    originals = good()
    accepted = 0
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for _ in range(inputs):
            content = damage(originals, rng)
            with kept(content):
                accepted += read(content, Path(folder))
    return accepted, inputs - accepted


def by_coverage(target: str, options: Sequence[str]) -> None:
    """Let atheris look for inputs; ends by itself only with an option such as ``-runs=``."""
    import atheris

    read, good, damage = TARGETS[target]
    for module in WATCHED:
        for name, function in list(vars(module).items()):
            if inspect.isfunction(function) and function.__module__ == module.__name__:
                setattr(module, name, atheris.instrument_func(function))
    folder = Path(tempfile.mkdtemp())
    for number, content in enumerate(good()):
        (folder / 'corpus').mkdir(exist_ok=True)
        (folder / 'corpus' / f'good-{number}').write_bytes(content)
    warnings.simplefilter('ignore')

    def mutate(content: bytes, most: int, seed: int) -> bytes:
        try:
            return damage([content], random.Random(seed))[:most]
        except Exception:  # it is no archive any more
            return atheris.Mutate(content, most)

    atheris.Setup(
        [sys.argv[0], *options, str(folder / 'corpus')],
        lambda content: read(content, folder),
        custom_mutator=mutate,
    )
    atheris.Fuzz()


def bounded() -> None:
    """Let this process have no more memory than it needs for small files."""
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main() -> None:
    """Fuzz from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument('target', choices=TARGETS)
    parser.add_argument('--inputs', type=int, default=10_000)
    parser.add_argument('--seed', type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument('--atheris', action='store_true')
    options, others = parser.parse_known_args()
    if options.atheris:
        by_coverage(options.target, others)
        return
    originals = TARGETS[options.target][1]()  # imports are done before memory is bounded
    del originals
    bounded()
    accepted, refused = fuzz(options.target, options.inputs, options.seed)
    text = f'{options.target}: {accepted:,} inputs were read, {refused:,} refused'
    print(text)  # noqa: T201


if __name__ == '__main__':
    main()
