"""``sdv-slicedp template``: write metadata to fill in, or check what was filled in."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sdv.metadata import Metadata

from sdv_slicedp.files import check_writable, load_metadata
from sdv_slicedp.template import load_template, metadata_template


def add_to(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    template = commands.add_parser('template', help='metadata to fill in, without any data')
    template.set_defaults(prepare=_run)
    template.add_argument(
        'columns',
        nargs='*',
        metavar='COLUMN[=SDTYPE]',
        help='names, with sdtypes if they are known',
    )
    template.add_argument('--metadata', type=Path, metavar='M.json', help='instead of names')
    template.add_argument('--table-name', metavar='NAME', help='name of the table')
    target = template.add_mutually_exclusive_group(required=True)
    target.add_argument('--output', type=Path, metavar='T.json', help='write a template')
    target.add_argument('--check', type=Path, metavar='T.json', help='check a filled-in one')


def _run(options: argparse.Namespace) -> None:
    if options.check is not None:
        load_template(options.check, options.table_name)
        print(f"'{options.check}' is filled in. Its ranges are public if you attest them.")
        return
    if (options.metadata is None) == (not options.columns):
        raise ValueError('a template needs either names of columns or --metadata.')
    check_writable(options.output)
    if options.metadata is not None:
        columns: Metadata | dict[str, str | None] = load_metadata(
            options.metadata, options.table_name
        )
    else:
        pairs = [column.rpartition('=') for column in options.columns]
        columns = {
            name if equals else last: last if equals else None for name, equals, last in pairs
        }
        if len(columns) < len(pairs):
            raise ValueError('a column is named more than once.')
    metadata_template(columns, options.output, options.table_name or 'table')
