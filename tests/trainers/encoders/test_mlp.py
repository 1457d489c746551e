"""The perceptron beside its contract."""

import torch
from torch import nn

from contrasweep.trainers import encoders


def test_it_sees_no_neighbourhoods() -> None:
    """Features [N, 256] of images whose values changed places, with weights that did so, too, are the same."""
    torch.manual_seed(0)
    encoder = encoders.build("mlp", (1, 6, 6)).eval()
    images, order = torch.randn(3, 1, 6, 6), torch.randperm(36)
    before = encoder(images)
    first = next(layer for layer in encoder.modules() if isinstance(layer, nn.Linear))
    with torch.no_grad():
        first.weight.copy_(first.weight[:, order])
    after = encoder(images.flatten(1)[:, order].view(3, 1, 6, 6))
    assert before.shape == (3, 256)
    torch.testing.assert_close(after, before)


def test_units_do_not_matter_in_training() -> None:
    torch.manual_seed(0)
    encoder = encoders.build("mlp", (5, 1), dropout=0.0)
    images, units = torch.randn(16, 5, 1), torch.tensor([1.0, 10.0, 100.0, 1000.0, 5.0])[:, None]
    torch.testing.assert_close(encoder(images * units), encoder(images), atol=1e-3, rtol=1e-3)
