"""All that is trained: encoder, head, and what the loss has of its own."""

from typing import cast

from torch import nn

from contrasweep.trainers import encoders, losses
from contrasweep.trainers.config import ModelConfig, RunConfig
from contrasweep.trainers.data.feeds import Feed
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.initialise import initialise
from contrasweep.trainers.losses import Loss
from contrasweep.trainers.network import Network


class Model(nn.Module):
    """The network, whose gradients are averaged over workers, and the loss, which sees the global batch on each."""

    def __init__(self, network: Network, loss: Loss) -> None:
        super().__init__()
        self.network, self.loss = network, loss


def build_model(run: RunConfig, feed: Feed) -> Model:
    """The model of a configuration, not yet on a device. Weights are drawn from torch's global generator.

    Raises UserError where the images [C, *spatial] do not suit the encoder, or the loss refuses its parameters.
    """
    encoder = build_encoder(run.model, feed.image_shape)
    method, covariates = losses.get(run.method.name), len(feed.covariates or ())
    encoder_width = cast(int, encoder.feature_dim)
    width = encoder_width if method.reads == "encoder" else run.model.embedding
    loss = build_loss(
        run,
        label_range=feed.label_range,
        train_labels=feed.train_labels,
        width=width + covariates if method.end_to_end else width,
        encoder_width=encoder_width + covariates,
    )
    network = loss.network(encoder, run.model)
    if run.model.init_from:
        initialise(network, run.model.init_from, run.seed)
    return Model(network, loss)


def build_network(run: RunConfig, image_shape: tuple[int, ...]) -> Network:
    """The network alone, to be filled with trained weights."""
    return build_loss(run).network(build_encoder(run.model, image_shape), run.model)


def build_loss(run: RunConfig, **decided: object) -> Loss:
    """The configured loss, told those of `decided` that it asks for, and `max_epochs`."""
    if run.training.views < losses.get(run.method.name).min_views:
        raise UserError(f"training.views is {run.training.views}; allowed with {run.method.name}: 2")
    return losses.build_decided(run.method.name, run.method.params, max_epochs=run.training.epochs, **decided)


def build_encoder(model: ModelConfig, image_shape: tuple[int, ...]) -> nn.Module:
    """The encoder of a configuration for images (C, *S)."""
    dims = len(image_shape) - 1
    if dims != model.spatial_dims:
        raise UserError(
            f"model.spatial_dims is {model.spatial_dims}; allowed for prepared images {list(image_shape)}: {dims}"
        )
    params = {"width": model.width, "depth": model.depth} | model.encoder_params
    return encoders.build(model.encoder, image_shape=image_shape, **params)
