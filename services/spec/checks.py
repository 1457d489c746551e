"""What can be known to be wrong with a spec before anything is spent: names, values, and what the data decide."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

import search_spaces
from search_spaces import Context
from services.complaints import complaint
from services.spec.roots import confine
from services.spec.spec import LoadedSpec, SweepSpec
from trainers.config import FINETUNE, ModelConfig, TrainingConfig, finetuning
from trainers.errors import UserError, nearest

if TYPE_CHECKING:
    from trainers.losses import Loss


def check_spec(loaded: LoadedSpec, roots: Sequence[Path] = ()) -> None:
    """Check every name and value of the spec that needs no data; where there are data roots, files lie in `roots`.

    Raises UserError on the first that is wrong.
    """
    spec = loaded.spec
    if roots:
        confine(loaded, roots)
    with _naming(loaded.path):
        _check_components(spec, loaded.base)
        _check_search_keys(spec)
        _check_training_ranges(spec)
        _check_methods(spec, spec.context())


def check_against_data(loaded: LoadedSpec, train_size: int, label_range: float) -> None:
    """Check what depends on the prepared data: `train_size` subjects whose labels span `label_range`."""
    spec = loaded.spec
    with _naming(loaded.path):
        if spec.training.batch_size > train_size:
            raise ValueError(
                f"training.batch_size: {spec.training.batch_size} is not allowed: "
                f"the training split has {train_size} scans"
            )
        _check_methods(spec, spec.context(label_range))


def check_image_shape(loaded: LoadedSpec, image_shape: tuple[int, ...]) -> None:
    """Check what depends on the volumes' shape (C, *S): the encoder's dimensions, the augmentations."""
    from trainers.augmentations import Augmenter

    spec = loaded.spec
    with _naming(loaded.path):
        if len(image_shape) - 1 != spec.model.spatial_dims:
            raise ValueError(
                f"model.spatial_dims: {spec.model.spatial_dims} is not allowed: "
                f"prepared images {list(image_shape)} have {len(image_shape) - 1}"
            )
        Augmenter(spec.training.augmentations, image_shape, seed=0)
        _check_networks(spec, image_shape)


def _check_components(spec: SweepSpec, base: Path) -> None:
    from trainers.data.transforms import build_transforms

    _check_encoder(spec.model)
    _check_probe(spec)
    for space in spec.search.spaces:
        _known("search.spaces", "search space", space, search_spaces.names())
    build_transforms(spec.data.transforms, base)
    _check_augmentations(spec)


def _check_encoder(model: ModelConfig) -> None:
    """The encoder can be built, for an image that is large enough for any."""
    import torch

    from trainers import encoders
    from trainers.model import build_encoder

    _known("model.encoder", "encoder", model.encoder, encoders.names())
    try:
        with torch.device("meta"):
            build_encoder(model, (1, *[128] * model.spatial_dims))
    except (TypeError, ValueError) as error:
        raise ValueError(f"model: {' '.join(str(error).split())}") from error


def _check_networks(spec: SweepSpec, image_shape: tuple[int, ...]) -> None:
    """Every method can be put on the encoder, for these images."""
    import torch

    from trainers.model import build_encoder

    for space in spec.search.spaces:
        params = search_spaces.points(space, spec.context(), spec.search.override, spec.search.fix)
        with torch.device("meta"):
            loss = _build_loss(space, next(params), spec.context())
            loss.network(build_encoder(spec.model, image_shape), spec.model)


def _check_probe(spec: SweepSpec) -> None:
    """The probe can be built; what fine-tunes is an end-to-end method that can be, too."""
    from trainers import losses, probes

    ((name, params),) = spec.probe.items()
    _known("probe", "probe", name, [*probes.names(), FINETUNE])
    tune = finetuning(spec.probe)
    if tune is None:
        probes.build(name, **params)
        return
    end_to_end = [loss for loss in losses.names() if losses.get(loss).end_to_end]
    _known(f"probe.{FINETUNE}.method", "method that trains end to end", tune.method, end_to_end)
    fixed = {f"{tune.method}.{key}": value for key, value in tune.params.items()}
    own = search_spaces.parameters(tune.method)
    for key in fixed:
        _known(f"probe.{FINETUNE}.params", "parameter", key, list(own))
    try:
        context = Context(spec.training.batch_size, tune.epochs, views=1)
        search_spaces.check(tune.method, context, {}, fixed)
        losses.build(tune.method, **tune.params)
    except (TypeError, ValueError) as error:
        raise ValueError(f"probe.{FINETUNE}.params: {error}") from error


def _check_augmentations(spec: SweepSpec) -> None:
    """Every augmentation can be built, for an image of any size."""
    from trainers.augmentations import Augmenter

    image_shape = (1, *[32] * spec.model.spatial_dims)
    for name, params in spec.training.augmentations.items():
        try:
            Augmenter({name: params}, image_shape, seed=0)
        except (TypeError, ValueError) as error:
            raise ValueError(f"training.augmentations.{name}: {' '.join(str(error).split())}") from error


def _check_search_keys(spec: SweepSpec) -> None:
    own = [key for space in spec.search.spaces for key in search_spaces.parameters(space)]
    training = [f"training.{field}" for field in search_spaces.TRAINING]
    for key in spec.search.fix:
        if key in training:
            raise ValueError(f"search.fix: '{key}' is fixed already: set it under training")
        _known("search.fix", "parameter", key, own)
    for key in spec.search.override:
        _known("search.override", "parameter", key, own + training)


def _check_training_ranges(spec: SweepSpec) -> None:
    """Every number of an overridden `training.<field>` is a value that the field may have."""
    for key, allowed in spec.search.override.items():
        if not key.startswith("training."):
            continue
        field = key.removeprefix("training.")
        for value in allowed.numbers():
            changed = json.dumps({**spec.training.model_dump(), field: value})
            try:
                TrainingConfig.model_validate_json(changed, strict=True)
            except ValidationError as error:
                raise ValueError(f"search.override: training.{complaint(error, TrainingConfig)}") from error


def _check_methods(spec: SweepSpec, context: Context) -> None:
    """Every method holds its invariants, and its loss can be built, wherever the spec moved its parameters."""
    search = spec.search
    for space in search.spaces:
        try:
            search_spaces.check(space, context, search.override, search.fix)
            for params in search_spaces.points(space, context, search.override, search.fix):
                _build_loss(space, params, context)
        except ValueError as error:
            raise ValueError(f"search: {error}") from error


def _build_loss(name: str, params: dict[str, search_spaces.Value], context: Context) -> "Loss":
    from trainers import losses

    if context.views < losses.get(name).min_views:
        raise ValueError(f"training.views: {context.views} is not allowed: {name} needs two views of each subject")
    return losses.build_decided(name, params, max_epochs=context.epochs, label_range=context.label_range)


def _known(field: str, kind: str, name: str, allowed: list[str]) -> None:
    if name not in allowed:
        raise ValueError(f"{field}: unknown {kind} '{name}'; {nearest(name, allowed)}")


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the spec's file in front of what is found wrong in it."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
