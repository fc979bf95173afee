import pytest
import torch
from torch import nn

from sdv_slicedp.networks import LATENT_DIM, MLP, Components, Headed, headed, latent_dim

pytestmark = pytest.mark.filterwarnings('error')

START = torch.log(torch.tensor([0.5, 0.3, 0.2, 0.9, 0.1]))


class Own(nn.Module):
    latent_dim = 3

    def __init__(self, features: int = 4) -> None:
        super().__init__()
        self.layer = nn.Linear(3, features)
        self.dropout = nn.Dropout(0.5)

    def forward(self, latent):
        return self.dropout(self.layer(latent))


class Odd(nn.Module):
    """Returns whatever it was told to."""

    def __init__(self, answer) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, latent):
        return self.answer(latent)


def weights(module: nn.Module) -> list[torch.Tensor]:
    return [weight.clone() for weight in module.state_dict().values()]


def same(first: nn.Module, second: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))


@pytest.mark.parametrize('residual', [False, True])
@pytest.mark.parametrize(('size', 'hidden', 'depth'), [(7, 5, 1), (3, 8, 2), (2, 4, 5)])
def test_features_have_their_shape(residual, size, hidden, depth):
    network = MLP(size, hidden, depth, residual)

    assert network(torch.zeros(6, size)).shape == (6, hidden)
    assert network.latent_dim == size
    assert len(network.layers) == depth


def test_a_residual_layer_adds_its_input():
    plain, residual = MLP(3, 4, 2), MLP(3, 4, 2, residual=True)
    residual.load_state_dict(plain.state_dict())
    latent = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))

    first = nn.functional.silu(plain.layers[0](latent))
    torch.testing.assert_close(residual(latent), first + plain(latent))


def test_without_features_a_network_starts_at_the_start():
    network = Headed(nn.Sequential(nn.Linear(LATENT_DIM, 3), nn.Threshold(1e9, 0.0)), START)

    torch.testing.assert_close(network(torch.randn(4, LATENT_DIM)), START.expand(4, 5))
    torch.testing.assert_close(network.head.bias.detach(), START)


@pytest.mark.parametrize('generator', ['mlp', 'residual_mlp'])
def test_named_networks_start_near_the_start(generator):
    network = headed(generator, START, 0)
    latent = torch.randn(500, latent_dim(network), generator=torch.Generator().manual_seed(1))

    logits = network(latent).detach()

    assert network.body.residual == (generator == 'residual_mlp')
    assert logits.shape == (500, 5)
    assert float((logits - START).abs().mean()) < 0.5
    assert float(logits.std(dim=0).min()) > 0  # rows differ


@pytest.mark.parametrize('generator', ['mlp', 'residual_mlp', nn.Sequential(nn.Linear(64, 4))])
def test_the_seed_gives_the_weights_and_the_global_stream_is_left(generator):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)

    first = headed(generator, START, 1)

    assert same(first, headed(generator, START, 1))
    assert not same(first, headed(generator, START, 2))
    assert not same(headed(generator, START, None), headed(generator, START, None))
    assert torch.equal(torch.rand(3), expected)


def test_modules_are_copied_with_their_weights():
    own = Own()
    network = headed(own, START, 0)

    assert network.body is not own
    assert same(network.body, own)
    assert network.latent_dim == latent_dim(own) == 3
    assert network.head.in_features == 4
    with torch.no_grad():
        network.body.layer.weight.zero_()
    assert float(own.layer.weight.detach().abs().sum()) > 0


@pytest.mark.parametrize('training', [True, False])
def test_looking_at_a_module_leaves_its_mode(training):
    assert headed(Own().train(training), START, 0).body.training == training


def test_batches_are_normalised_without_counting_the_example():
    body = nn.Sequential(nn.Linear(LATENT_DIM, 4), nn.BatchNorm1d(4))
    network = headed(body, START, 0)

    assert int(network.body[1].num_batches_tracked) == 0


def test_a_module_without_latent_dim_takes_the_usual_number():
    network = headed(nn.Sequential(nn.Linear(LATENT_DIM, 6), nn.ReLU()), START, 0)

    assert network.latent_dim == LATENT_DIM
    assert network(torch.zeros(2, LATENT_DIM)).shape == (2, 5)


@pytest.mark.parametrize(
    'body', [nn.Linear(LATENT_DIM + 1, 4), nn.Bilinear(LATENT_DIM, 2, 3), nn.Linear(3, 3)]
)
def test_modules_that_take_something_else_are_refused(body):
    with pytest.raises(TypeError, match=r'generator must take a tensor of shape \(batch, 64\)'):
        headed(body, START, 0)


@pytest.mark.parametrize(
    'answer',
    [
        lambda latent: None,
        lambda latent: (latent, latent),
        lambda latent: latent.sum(dim=1),
        lambda latent: latent[:1],
        lambda latent: latent[:, :, None],
    ],
)
def test_modules_that_return_something_else_are_refused(answer):
    with pytest.raises(TypeError, match='generator must return a tensor of shape'):
        headed(Odd(answer), START, 0)


def test_components_are_the_same_whatever_the_latent_numbers():
    logits = torch.randn(9, 5, generator=torch.Generator().manual_seed(2))
    network = Components(logits)

    assert torch.equal(network(torch.zeros(3, 1)), logits)
    assert [parameter.shape for parameter in network.parameters()] == [(9, 5)]
