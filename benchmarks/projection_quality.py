"""What the projection mechanism gives, and what limits it. Reads real rows: not private.

    python benchmarks/projection_quality.py noiseless    no noise to speak of: the training alone
    python benchmarks/projection_quality.py slices       quality by epsilon and number of slices
    python benchmarks/projection_quality.py objectives   objectives on the same releases

All on the embedded Adult table, split 80 : 20; other tables with --train, --test, --metadata and
--target, as benchmarks/quality.py. Every fit draws new noise; figures are medians over --seeds.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from statistics import median

import numpy as np
import pandas as pd
import torch
from quality import Task, add_task_options, scores_of, task_of

from sdv_slicedp import SlicedDPSynthesizer, embedding, fitting, models, options, sliced_training
from sdv_slicedp.directions import draw_directions
from sdv_slicedp.divergence import PairDivergence
from sdv_slicedp.domain import positions_of
from sdv_slicedp.f_divergence import f_divergence
from sdv_slicedp.ledger import ProjectionEntry
from sdv_slicedp.networks import Components
from sdv_slicedp.objectives import Objective, RecordSamples
from sdv_slicedp.progress import Progress
from sdv_slicedp.projection import Projection
from sdv_slicedp.projection_privacy import LATTICE_SCALE, PITCH_UNIT
from sdv_slicedp.projection_stages import released_columns
from sdv_slicedp.release import Release
from sdv_slicedp.sliced_training import SlicePlan
from sdv_slicedp.stages import Column
from sdv_slicedp.training import Problem, posed, train

EPOCHS, N_COMPONENTS, RATE = 300, 1000, 0.2
SCORES = ('tv1', 'tv2', 'tv3', 'auc', 'cpu_s')


class SlicedWasserstein(RecordSamples):
    """Squared sliced 2-Wasserstein distance of two batches (Rakotomamonjy, Ralaivola 2021)."""

    most_samples = N_COMPONENTS

    def compare(self, real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
        return (real.sort(dim=1).values - made.sort(dim=1).values).square().mean()


def fitted(task: Task, parsed: argparse.Namespace, **parameters: object) -> SlicedDPSynthesizer:
    """A synthesizer fitted by the projection mechanism."""
    synthesizer = SlicedDPSynthesizer(
        task.metadata,
        delta=parsed.delta,
        public_domain=True,
        mechanism='projection',
        **parameters,  # type: ignore[arg-type]
    )
    synthesizer.fit({task.table_name: task.train})
    return synthesizer


def noiseless_release(task: Task, sigma: float) -> tuple[SlicedDPSynthesizer, Release]:
    """A release with noise that hides nothing. It is not private, and says so in no report."""
    synthesizer = SlicedDPSynthesizer(task.metadata, public_domain=True, mechanism='projection')
    domains = synthesizer._domains()
    processed = synthesizer.preprocess({task.table_name: task.train})[task.table_name]
    positions = [positions_of(processed[domain.name], domain) for domain in domains]
    laid_out = embedding.blocks(domains)
    d = embedding.dimension(laid_out)
    directions = draw_directions('orthonormal', d, d)
    units = max(round(sigma / LATTICE_SCALE / PITCH_UNIT), 1)
    exact = embedding.project(laid_out, positions, directions) / units
    noise = LATTICE_SCALE * np.random.default_rng(0).standard_normal(exact.shape)
    sigma = LATTICE_SCALE * units * PITCH_UNIT
    projection = Projection(
        'orthonormal',
        directions,
        np.rint(exact + noise).astype(np.int64),
        units * PITCH_UNIT,
        sigma,
    )
    change = embedding.sensitivity(laid_out)
    entry = ProjectionEntry(
        'projection', 'not private', 'orthonormal', d, d, change, 0.0, sigma, LATTICE_SCALE
    )
    columns = released_columns([Column(domain) for domain in domains])
    release = Release(columns, (), (entry,), 1.0, 1e-6, 'projection', 'replace_one', (), projection)
    return synthesizer, release


def rows_of(synthesizer: SlicedDPSynthesizer, model: models.Model, count: int) -> pd.DataFrame:
    """Rows of a model in the table's own form."""
    processor = synthesizer._data_processor
    processor.fit_domains(tuple(processor.domains.values()), processor.families)
    return processor.reverse_transform(model.sample(count))


def noiseless(task: Task, parsed: argparse.Namespace) -> None:
    header('generator')
    for generator in parsed.generators:
        runs = []
        for seed in parsed.seeds:
            synthesizer, release = noiseless_release(task, parsed.sigma)
            start = time.process_time()
            model = train(release, generator=generator, seed=seed)
            cpu = time.process_time() - start
            runs.append(scored(task, rows_of(synthesizer, model, len(task.train)), seed, cpu))
        line(f'sigma {parsed.sigma:g}, {generator}', runs)


def by_slices(task: Task, parsed: argparse.Namespace) -> None:
    d = embedding.dimension(
        embedding.blocks(SlicedDPSynthesizer(task.metadata, public_domain=True)._domains())
    )
    header('epsilon | slices | sigma')
    for epsilon in parsed.epsilon:
        for share in parsed.shares:
            runs, sigma = [], 0.0
            for seed in parsed.seeds:
                start = time.process_time()
                synthesizer = fitted(
                    task,
                    parsed,
                    epsilon=epsilon,
                    n_slices=max(round(share * d), 1),
                    random_state=seed,
                )
                cpu = time.process_time() - start
                projection = synthesizer.get_release().projection
                assert projection is not None
                sigma = projection.sigma
                synthetic = synthesizer.sample(num_rows=len(task.train))[task.table_name]
                runs.append(scored(task, synthetic, seed, cpu))
            line(f'{epsilon:g} | {share:g} d = {max(round(share * d), 1)} | {sigma:.2f}', runs)


def objectives(task: Task, parsed: argparse.Namespace) -> None:
    """The same generator, start, slices and epochs, on the same releases; and the package's own."""
    header('epsilon | objective')
    kinds: dict[str, Callable[[Release, Problem, int], Objective]] = {
        'sliced Wasserstein': sliced_wasserstein,
        'kernel estimator (5)': kernel_estimator,
    }
    for epsilon in parsed.epsilon:
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in (*kinds, OWN)}
        for seed in parsed.seeds:
            start = time.process_time()
            synthesizer = fitted(task, parsed, epsilon=epsilon, random_state=seed)
            cpu = time.process_time() - start
            synthetic = synthesizer.sample(num_rows=len(task.train))[task.table_name]
            runs[OWN].append(scored(task, synthetic, seed, cpu))
            for name, kind in kinds.items():
                start = time.process_time()
                model = plainly_trained(synthesizer.get_release(), kind, seed)
                cpu = time.process_time() - start
                rows = rows_of(synthesizer, model, len(task.train))
                runs[name].append(scored(task, rows, seed, cpu))
        for name, found in runs.items():
            line(f'{epsilon:g} | {name}', found)


OWN = 'moments, then grid with (32): the default'


def plainly_trained(
    release: Release, kind: Callable[[Release, Problem, int], Objective], seed: int
) -> models.Model:
    """A mixture that starts at independent columns and sees one objective only."""
    problem = posed(release)
    law = PairDivergence(problem.target, torch.device('cpu')).law
    network = Components(fitting.starting_point(law, N_COMPONENTS, 0.5, seed).T.contiguous())
    fitting.minimise_network(
        network,
        problem.sizes,
        kind(release, problem, seed),
        N_COMPONENTS,
        (RATE, RATE / 100),
        fitting.random_stream(seed, torch.device('cpu')),
        progress := Progress(EPOCHS),
    )
    laws = fitting.cell_laws(network.logits.detach(), problem.sizes).numpy()
    components = np.split(laws, np.cumsum(problem.sizes)[:-1], axis=1)
    return models.mixture_model(problem.columns, problem.target, components, progress.losses)


def kernel_estimator(release: Release, problem: Problem, seed: int) -> Objective:
    assert release.projection is not None and problem.cells is not None
    assert problem.estimates is not None
    plan = SlicePlan('jensen_shannon', 'samples', 0, 32, seed)
    return sliced_training.sliced_objective(
        release.projection, problem.cells, problem.estimates, plan, torch.device('cpu')
    )


def sliced_wasserstein(release: Release, problem: Problem, seed: int) -> Objective:
    assert release.projection is not None and problem.cells is not None
    pool = sliced_training.released_pool(release.projection, problem.cells)
    stream = fitting.random_stream(seed, torch.device('cpu'))
    return SlicedWasserstein(
        release.projection, problem.cells, pool, f_divergence('chi2'), 128, stream
    )


def scored(task: Task, synthetic: pd.DataFrame, seed: int, cpu: float) -> dict[str, float]:
    return {**scores_of(task, synthetic, seed, sdmetrics=False), 'cpu_s': cpu}


def header(first: str) -> None:
    print(f'| {first} | {" | ".join(SCORES)} |')
    print(f'|{"---|" * (len(SCORES) + 1 + first.count("|"))}', flush=True)


def line(name: str, runs: list[dict[str, float]]) -> None:
    figures = (f'{median(run[score] for run in runs):.3f}' for score in SCORES[:-1])
    cpu = median(run['cpu_s'] for run in runs)
    print(f'| {name} | {" | ".join(figures)} | {cpu:.0f} |', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    experiments = {'noiseless': noiseless, 'slices': by_slices, 'objectives': objectives}
    parser.add_argument('experiment', choices=experiments)
    add_task_options(parser)
    parser.add_argument('--epsilon', type=float, nargs='+', default=[1.0, 3.0, 5.0, 10.0])
    parser.add_argument('--shares', type=float, nargs='+', default=[0.25, 0.5, 1, 2])
    parser.add_argument('--generators', nargs='+', default=['mixture'], choices=options.GENERATORS)
    parser.add_argument('--sigma', type=float, default=0.01, help='of the noiseless releases')
    parsed = parser.parse_args()
    warnings.simplefilter('ignore')
    experiments[parsed.experiment](task_of(parsed), parsed)


if __name__ == '__main__':
    main()
