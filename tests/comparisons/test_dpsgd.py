"""Training by DP-SGD: what is recorded is what was done."""

import numpy as np
import pytest
import torch
from public_tables import assert_looks_like

pytest.importorskip('opacus')
from comparisons import budget
from comparisons.methods import dpsgd, networks
from comparisons.methods.dpctgan import DPCTGAN
from comparisons.methods.dptvae import DPTVAE

METHODS = {  # and the sampling rates of 300 rows
    'ctgan': (DPCTGAN(batch_size=100, epochs=2), 1 / 3),
    'ctgan of its own batches': (DPCTGAN(epochs=6), 1.0),
    'tvae': (DPTVAE(batch_size=100, epochs=2, hidden=(16,), latent=4), 1 / 3),
}


@pytest.fixture(scope='module', params=METHODS)
def fitted(request, adult):
    table, metadata = adult
    method, _ = METHODS[request.param]
    return method.fit(table, metadata, epsilon=2.0, delta=1e-5, seed=0)


def test_the_recorded_noise_is_the_request(fitted, request):
    assert 1.9 < budget.check(fitted.events, 2.0, 1e-5) <= 2.002
    (training,) = [e for e in fitted.events if isinstance(e, budget.SampledGaussian)]
    _, rate = METHODS[request.node.callspec.params['fitted']]
    assert (training.sampling_rate, training.steps) == (pytest.approx(rate), 6)


@pytest.mark.parametrize(
    ('method', 'epsilon', 'plan'),
    [
        (DPCTGAN(), 2.9, (1000, 100)),
        (DPCTGAN(), 3.0, (500, 200)),
        (DPCTGAN(batch_size=100, epochs=2), 3.0, (100, 2)),
    ],
)
def test_large_epsilons_have_smaller_batches_unless_told(method, epsilon, plan):
    assert method._plan(10_000, epsilon) == dpsgd.Plan(10_000, *plan)


def test_samples_are_in_the_public_domain(fitted, adult):
    rows = fitted.sample(200, seed=1)
    assert len(rows) == 200
    assert_looks_like(rows, *adult)
    assert rows.equals(fitted.sample(200, seed=1))


def private_linear(rows, plan, noise_multiplier=1e-9):
    module = torch.nn.Linear(3, 1, bias=False)
    return dpsgd.make_private(
        module, rows, plan, noise_multiplier=noise_multiplier, max_grad_norm=0.5, learning_rate=0.1
    )


def test_the_gradient_of_a_row_is_clipped():
    rows = 100 * torch.ones(8, 3)
    training = private_linear(rows, dpsgd.Plan(8, 8, 1))
    training.step(training.module(rows).squeeze(1))
    # Each row has a gradient of norm 173; the sum of clipped ones is divided by the batch size.
    (gradient,) = [p.grad for p in training.module.parameters()]
    assert float(gradient.norm()) == pytest.approx(0.5, rel=1e-4)


def test_rows_and_pairs_of_inputs_are_clipped_as_one():
    """The sum of clipped gradients, against gradients taken row by row."""
    module = networks.perceptron(3, (5,), 1)
    pairs = 5 * torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(0))

    def losses(scores):
        return scores[:, 0, 0].square() - scores[:, 1, 0]

    expected = [torch.zeros_like(p) for p in module.parameters()]
    for pair in pairs:
        gradients = torch.autograd.grad(losses(module(pair[None])).sum(), module.parameters())
        norm = torch.sqrt(sum(g.square().sum() for g in gradients))
        for total, gradient in zip(expected, gradients, strict=True):
            total += gradient * min(1.0, 0.7 / float(norm))
    training = dpsgd.make_private(
        module, pairs, dpsgd.Plan(6, 6, 1), noise_multiplier=1e-9, max_grad_norm=0.7,
        learning_rate=0.1,
    )  # fmt: skip
    training.step(losses(training.module(pairs)))
    for parameter, total in zip(module.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, total / 6, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize('name', METHODS)
def test_as_many_steps_as_recorded(name, adult, monkeypatch):
    made = []
    step = dpsgd.Private.step
    monkeypatch.setattr(
        dpsgd.Private, 'step', lambda self, losses: (made.append(self), step(self, losses))
    )
    method, _ = METHODS[name]
    fitted = method.fit(*adult, epsilon=2.0, delta=1e-5, seed=0)
    event = fitted.events[-1]
    assert len(made) == event.steps
    assert made[0].optimizer.noise_multiplier == event.noise_multiplier
    assert made[0].loader.sample_rate == event.sampling_rate


def test_batches_are_poisson_samples_as_often_as_is_accounted_for():
    """False alarms below 1e-6 for the mean and the variance of the sizes."""
    plan = dpsgd.Plan(1_000, 100, 20)
    assert (plan.rate, plan.steps) == (0.1, 200)
    sizes = [len(b) for b in private_linear(torch.zeros(1_000, 3), plan).batches()]
    assert len(sizes) == 200
    assert abs(np.mean(sizes) - 100) < 5 * np.sqrt(90 / 200)
    assert 40 < np.var(sizes) < 160


def test_an_empty_sample_is_a_step_of_noise_alone():
    training = private_linear(torch.zeros(4, 3), dpsgd.Plan(4, 1, 1), noise_multiplier=1.0)
    before = [p.detach().clone() for p in training.module.parameters()]
    training.step(training.module(torch.zeros(0, 3)).squeeze(1))
    (after,) = training.module.parameters()
    assert not torch.equal(before[0], after)


def test_noise_does_not_follow_the_seed(adult):
    table, metadata = adult
    method, _ = METHODS['tvae']
    both = [
        method.fit(table, metadata, epsilon=2.0, delta=1e-5, seed=0).decoder.state_dict()
        for _ in range(2)
    ]
    assert any(not torch.equal(both[0][name], both[1][name]) for name in both[0])
