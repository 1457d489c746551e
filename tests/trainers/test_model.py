import copy

import pytest
import torch

from tests.trainers import tiny
from trainers import losses
from trainers.errors import UserError
from trainers.model import Network, build_model


def model(method: str = "exponential", **config: object) -> Network:
    torch.manual_seed(0)
    return build_model(tiny.run(method, model=config), tiny.IMAGE_SHAPE, label_mean=50.0, label_std=10.0).eval()


def images(count: int = 4) -> torch.Tensor:
    return torch.randn(count, *tiny.IMAGE_SHAPE, generator=torch.Generator().manual_seed(1))


def test_the_probe_reads_the_projection_at_length_one() -> None:
    output, features = model(features="projection")(images())
    assert output.shape == features.shape == (4, 8)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(features * output.norm(dim=1, keepdim=True), output)


def test_the_probe_reads_the_encoder() -> None:
    network = model(features="encoder")
    output, features = network(images())
    assert torch.equal(features, network.encoder(images()))
    assert torch.equal(output, network.head(features))
    assert features.shape == (4, 32)


@pytest.mark.parametrize("method", [name for name in losses.names() if not losses.build(name).end_to_end])
def test_published_is_the_losss_choice(method: str) -> None:
    assert model(method).features == losses.build(method).features


@pytest.mark.parametrize("features", ["published", "encoder", "projection"])
def test_end_to_end_gives_its_own_prediction_to_loss_and_probe(features: str) -> None:
    output, read = model("vanilla", features=features)(images())
    assert output is read
    assert output.shape == (4, 1)


def test_end_to_end_is_in_the_labels_unit() -> None:
    network = model("vanilla")
    standardised = network.head.linear(network.encoder(images()))  # type: ignore[operator]
    torch.testing.assert_close(network(images()).output, 50 + 10 * standardised)


def test_label_statistics_travel_with_the_weights() -> None:
    trained, other = model("vanilla"), copy.deepcopy(model("vanilla"))
    other.head.label_mean.fill_(0)  # type: ignore[operator]
    other.load_state_dict(trained.state_dict())
    assert torch.equal(other(images()).output, trained(images()).output)


def test_weights_come_from_torchs_generator() -> None:
    same, again = model().state_dict(), model().state_dict()
    assert all(torch.equal(same[name], again[name]) for name in same)
    drawn_later = build_model(tiny.run(), tiny.IMAGE_SHAPE, 50.0, 10.0).state_dict()
    assert not torch.equal(same["head.0.weight"], drawn_later["head.0.weight"])


def test_the_projection_head_is_the_published_one() -> None:
    head = model(head_hidden=24, embedding=6).head
    assert isinstance(head, torch.nn.Sequential)
    first, activation, last = head
    assert isinstance(first, torch.nn.Linear) and isinstance(last, torch.nn.Linear)
    assert (first.in_features, first.out_features, last.in_features, last.out_features) == (32, 24, 24, 6)
    assert isinstance(activation, torch.nn.ReLU)


def test_an_unknown_encoder() -> None:
    with pytest.raises(UserError, match=r"unknown encoder 'resnet19'; did you mean 'resnet18'\?"):
        model(encoder="resnet19")
