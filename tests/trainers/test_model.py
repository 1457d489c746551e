import numpy as np
import pytest
import torch

from contrasweep.trainers import losses
from contrasweep.trainers.config import MethodConfig
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.model import build_model, build_network
from contrasweep.trainers.network import Network
from tests.trainers import tiny

JOINT = MethodConfig(name="adacon", params={"regression": 1.0})


def model(method: str = "exponential", **config: object) -> Network:
    torch.manual_seed(0)
    return build_network(tiny.run(method, model=config), tiny.IMAGE_SHAPE).eval()


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
    assert network.head is not None
    assert torch.equal(output, network.head(features))
    assert features.shape == (4, 32)


@pytest.mark.parametrize("method", ["dynlocrep", "exponential", "supremix"])
def test_published_is_the_losss_choice(method: str) -> None:
    assert model(method).features == losses.build(method).features


@pytest.mark.parametrize("features", ["published", "encoder", "projection"])
@pytest.mark.parametrize("method", ["vanilla", "rank_n_contrast"])
def test_methods_that_read_the_encoder_have_no_head(method: str, features: str) -> None:
    network = model(method, features=features)
    output, read = network(images())
    assert network.head is None
    assert output is read
    assert output.shape == (4, 32)


@pytest.mark.parametrize("features", ["published", "projection"])
def test_a_regression_branch_beside_a_projection_head_reads_the_encoder(features: str) -> None:
    run = tiny.run("adacon", model={"features": features}).model_copy(update={"method": JOINT})
    model = build_model(run, tiny.feed())
    output, read = model.network(images())
    assert output.shape == (4, 8 + 32) and torch.equal(output[:, 8:], read)
    assert model.network.head is not None
    assert torch.equal(output[:, :8], model.network.head(read))
    output, read = model.network.eval()(images())
    assert output.shape == (4, 8) and torch.equal(read, model.network.encoder(images()))
    probe = model.loss.probe()
    assert probe is not None and probe.predict(read).shape == (4,)


def test_the_head_of_an_end_to_end_method_starts_at_the_labels_mean() -> None:
    feed = tiny.feed()
    loss = build_model(tiny.run("vanilla"), feed).loss
    probe = loss.probe()
    assert probe is not None
    predictions = probe.predict(torch.zeros(1, 32))
    assert float(predictions) == pytest.approx(np.mean(feed.train_labels), abs=np.std(feed.train_labels))


def test_weights_come_from_torchs_generator() -> None:
    same, again = model().state_dict(), model().state_dict()
    assert all(torch.equal(same[name], again[name]) for name in same)
    drawn_later = build_network(tiny.run(), tiny.IMAGE_SHAPE).state_dict()
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
