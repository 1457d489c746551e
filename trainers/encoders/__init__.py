"""Encoders by name. Each maps images [N, C, *spatial] to features [N, feature_dim]."""

from torch import nn

from trainers.registry import Registry

_registry: Registry[nn.Module] = Registry("encoder", __name__)
register, build, get, names = _registry.register, _registry.build, _registry.get, _registry.names
