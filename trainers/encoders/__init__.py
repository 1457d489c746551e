"""Encoders by name. Each maps prepared images [N, C, *S] to features [N, feature_dim].

An encoder says what it takes as class attributes: `spatial_dims`, the numbers of spatial dimensions; `narrowest`,
the channels of its narrowest layer at width 1; and `least_side`, in pixels, where it cannot take smaller images.
"""

from collections.abc import Callable

from torch import nn

from contrasweep.trainers.errors import UserError
from contrasweep.trainers.registry import Registry

_registry: Registry[nn.Module] = Registry("encoder", __name__)
register, get, names = _registry.register, _registry.get, _registry.names


def build(
    name: str, image_shape: tuple[int, ...], width: float = 1.0, depth: float = 1.0, **params: object
) -> nn.Module:
    """Build `name` for images [C, *S]; weights are drawn from torch's global generator.

    Args:
        image_shape: one prepared image, (C, *S).
        width: factor of the published channels.
        depth: factor of the published blocks, at least one of which stays in each stage.
        params: the encoder's own parameters.

    Raises UserError where the encoder cannot take such images, `width` leaves nothing, or a parameter is unknown.

    >>> build("resnet18", (1, 32, 32), width=0.25).feature_dim
    128
    """
    _check(name, get(name), image_shape, width)
    return _registry.build(name, image_shape=tuple(image_shape), width=width, depth=depth, **params)


def _check(name: str, encoder: Callable[..., nn.Module], image_shape: tuple[int, ...], width: float) -> None:
    dims, sides = len(image_shape) - 1, image_shape[1:]
    allowed, least_side = getattr(encoder, "spatial_dims", (1, 2, 3)), getattr(encoder, "least_side", 1)
    if dims not in allowed:
        plural = "" if dims == 1 else "s"
        taken = ", ".join(map(str, allowed))
        raise UserError(f"encoder '{name}': images have {dims} spatial dimension{plural}; allowed: {taken}")
    if min(sides) < least_side:
        size = " x ".join(map(str, sides))
        raise UserError(f"encoder '{name}': images are {size} pixels; allowed: {least_side} or more along each side")
    narrowest = getattr(encoder, "narrowest", float("inf"))
    if narrowest * width < 1:
        raise UserError(f"encoder '{name}': width is {width:g}; allowed: numbers from {1 / narrowest:g}")
