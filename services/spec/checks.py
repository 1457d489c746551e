"""What can be known to be wrong with a spec before anything is spent: names, values, and what the data decide."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contrasweep import search_spaces
from contrasweep.search_spaces import LR, SIZES, Context, Refused
from contrasweep.services.spec.cohorts import naming_cohort
from contrasweep.services.spec.readings import naming_options
from contrasweep.services.spec.roots import confine
from contrasweep.services.spec.spec import GRID, LoadedSpec, Options, PointConfig, SweepSpec, patched
from contrasweep.trainers.config import FINETUNE, ModelConfig, TrainingConfig, finetuning
from contrasweep.trainers.errors import UserError, nearest

MOST_OF_A_GRID = 10_000


def check_spec(loaded: LoadedSpec, roots: Sequence[Path] = ()) -> None:
    """Check every name and value of the spec that needs no data; where there are data roots, files lie in `roots`.

    Raises UserError on the first that is wrong.
    """
    spec = loaded.spec
    if roots:
        confine(loaded, roots)
    with _naming(loaded.path):
        _check_components(spec)
        _check_search_keys(spec)
        _check_validation(spec)
        for where, variant in _each(spec):
            with _under(where):
                _check_transforms(variant, loaded.base)
                _check_parts(variant)
                _check_training_ranges(variant)
                for size in variant.sizes:
                    _check_training_ranges(size)
                    _check_methods(size, size.context())
        _check_points(spec)
        _check_untrained(spec)
        _check_grid(spec)
        _check_read(spec)


def check_against_data(loaded: LoadedSpec, labelled: int, unlabelled: int, label_range: float) -> None:
    """Check what depends on the prepared data: the sizes of the training split, and what its labels span."""
    from contrasweep.services.spec.methods import training_sizes

    sizes = training_sizes(loaded.spec.search.spaces, labelled, unlabelled)
    searched = "search.override" if SIZES[0] in loaded.spec.search.override else ""
    with _naming(loaded.path):
        for where, variant in _each(loaded.spec):
            for spec in variant.sizes:
                with _under(where or searched):
                    for method in spec.search.spaces:
                        _check_batch(method, spec.training.batch_size, sizes[method], unlabelled)
                with _under(where):
                    _check_methods(spec, spec.context(label_range))
        for point in loaded.spec.search.points:
            with _under(f"search.points.{point.name}"):
                _check_batch(point.method, point.training.get("batch_size", 0), sizes[point.method], unlabelled)


def _check_batch(method: str, batch_size: float, size: int, unlabelled: int) -> None:
    if batch_size > size:
        besides = f" with a label, which {method} needs" if unlabelled else ""
        raise UserError(
            f"training.batch_size: {batch_size} is not allowed: the training split has {size} scans{besides}"
        )


def check_image_shape(loaded: LoadedSpec, image_shape: tuple[int, ...]) -> None:
    """Check what depends on the volumes' shape (C, *S): the encoder's dimensions, the augmentations."""
    from contrasweep.trainers.augmentations import Augmenter

    with _naming(loaded.path):
        for where, spec in _each(loaded.spec):
            with _under(where):
                if len(image_shape) - 1 != spec.model.spatial_dims:
                    raise UserError(
                        f"model.spatial_dims: {spec.model.spatial_dims} is not allowed: "
                        f"prepared images {list(image_shape)} have {len(image_shape) - 1}"
                    )
                Augmenter(spec.training.augmentations, image_shape, seed=0)
                _check_networks(spec, image_shape)


def check_image_shapes(loaded: LoadedSpec, shapes: Mapping[Options, tuple[int, ...]]) -> None:
    """The same of all that configurations read, by `LoadedSpec.readings`; what reads images alike is checked once."""
    checked = []
    for options, reading in loaded.readings.items():
        own = (shapes[options], reading.spec.model, reading.spec.training, reading.spec.search)
        if own not in checked:
            with naming_options(options, loaded.path):
                check_image_shape(reading, shapes[options])
            checked.append(own)
    with _naming(loaded.path):
        _check_starts(loaded.spec, shapes)


def _check_starts(spec: SweepSpec, shapes: Mapping[Options, tuple[int, ...]]) -> None:
    """Every point that starts from another has something in its encoder that the other one's has, too."""
    points = {point.name: point for point in spec.search.points}
    for point in points.values():
        if point.start is not None:
            own, other = (_tensors(spec, one, shapes) for one in (point, points[point.start]))
            if not own & other:
                raise UserError(
                    f"search.points.{point.name}.start: no tensor of the encoder of '{point.start}' fits that of "
                    f"'{point.name}': encoder, width and depth must be alike"
                )


def _tensors(
    spec: SweepSpec, point: PointConfig, shapes: Mapping[Options, tuple[int, ...]]
) -> set[tuple[str, tuple[int, ...]]]:
    """Names and shapes of what a point's encoder trains."""
    import torch

    from contrasweep.trainers.model import build_encoder

    options = spec.search.options_at(point)
    with torch.device("meta"):
        encoder = build_encoder(spec.choosing(options).model, shapes[spec.search.reading(options)])
    return {(name, tuple(tensor.shape)) for name, tensor in encoder.named_parameters()}


def _each(spec: SweepSpec) -> Iterator[tuple[str, SweepSpec]]:
    """The spec, and with each option that may be chosen, by the option's place; where nothing is drawn beside points,
    each option with the methods of the points that have it.
    """
    if spec.drawn:
        yield from spec.drawn.items()
        return
    if not spec.search.choices:
        yield "", spec
    methods: dict[str, list[str]] = {}
    for point in spec.search.points:
        for axis, option in spec.search.options_at(point).items():
            methods.setdefault(f"search.choices.{axis}.{option}", []).append(point.method)
    for where, variant in spec.variants.items():
        yield where, variant.searching(spaces=tuple(dict.fromkeys(methods.get(where, ()))))


def _check_components(spec: SweepSpec) -> None:
    from contrasweep.trainers import losses

    for space in spec.search.spaces:
        _known("search.spaces", "method", space, losses.names())
    if spec.data.unlabelled == "train" and all(losses.get(space).needs_labels for space in spec.search.spaces):
        free = [name for name in losses.names() if not losses.get(name).needs_labels]
        raise UserError(
            f"data.unlabelled: train is not allowed: no method of search.spaces is one of {', '.join(free)}"
        )


def _check_transforms(spec: SweepSpec, base: Path) -> None:
    """The transforms can be built, those of the external cohorts, too."""
    from contrasweep.trainers.data.transforms import build_transforms

    build_transforms(spec.data.transforms, base)
    for name, cohort in spec.data.cohorts.items():
        with naming_cohort(name):
            build_transforms(cohort.transforms, base)


def _check_validation(spec: SweepSpec) -> None:
    """Where nobody is validated on, nothing is chosen: neither epoch nor configuration."""
    if spec.data.split.validation != 0:
        return
    if spec.training.checkpoint != "last":
        raise UserError("training.checkpoint: best is not allowed with data.split.validation 0; allowed: last")
    if spec.search.trials > 1:
        raise UserError(
            f"search.trials: {spec.search.trials} is not allowed with data.split.validation 0, by which none of them "
            "can be chosen; allowed: 1"
        )
    if spec.final.ensemble:
        raise UserError(
            f"final.ensemble: {spec.final.ensemble} is not allowed with data.split.validation 0, by which no run can "
            "be chosen; allowed: null"
        )


def _check_parts(spec: SweepSpec) -> None:
    """What an option may change can be built."""
    _check_encoder(spec.model)
    _check_probe(spec)
    _check_augmentations(spec)


def _check_encoder(model: ModelConfig) -> None:
    """The encoder can be built, for an image that is large enough for any."""
    import torch

    from contrasweep.trainers import encoders
    from contrasweep.trainers.model import build_encoder

    _known("model.encoder", "encoder", model.encoder, encoders.names())
    with _under("model"), torch.device("meta"):
        build_encoder(model, (1, *[128] * model.spatial_dims))


def _check_networks(spec: SweepSpec, image_shape: tuple[int, ...]) -> None:
    """Every method can be put on the encoder, for these images."""
    import torch

    from contrasweep.services.spec import methods
    from contrasweep.trainers.model import build_encoder

    for space in spec.search.spaces:
        with torch.device("meta"):
            loss = methods.build(space, methods.typical(space, spec.search, spec.context()), spec.context())
            loss.network(build_encoder(spec.model, image_shape), spec.model)


def _check_probe(spec: SweepSpec) -> None:
    """The probe can be built; what fine-tunes is an end-to-end method that can be, too."""
    from contrasweep.trainers import losses, probes

    ((name, params),) = spec.probe.items()
    _known("probe", "probe", name, [*probes.names(), FINETUNE])
    tune = finetuning(spec.probe)
    if tune is None:
        probes.build(name, **params)
        return
    end_to_end = [loss for loss in losses.names() if losses.get(loss).end_to_end]
    _known(f"probe.{FINETUNE}.method", "method that trains end to end", tune.method, end_to_end)
    field, own = f"probe.{FINETUNE}.params", losses.parameters(tune.method)
    for key in tune.params:
        _known(field, "parameter", key, list(own))
    with _under(field):
        losses.build(tune.method, **tune.params)


def _check_read(spec: SweepSpec) -> None:
    """The probes that read beside the judged one can be built; none of them trains the encoder."""
    from contrasweep.trainers import probes

    for probe in spec.read.probes if spec.read else ():
        ((name, params),) = probe.items()
        _known("read.probes", "probe", name, probes.names())
        with _under("read.probes"):
            probes.build(name, **params)


def _check_augmentations(spec: SweepSpec) -> None:
    """Every augmentation can be built, for an image of any size."""
    from contrasweep.trainers.augmentations import Augmenter

    image_shape = (1, *[32] * spec.model.spatial_dims)
    for name, params in spec.training.augmentations.items():
        with _under(f"training.augmentations.{name}"):
            Augmenter({name: params}, image_shape, seed=0)


def _check_search_keys(spec: SweepSpec) -> None:
    from contrasweep.services.spec import methods

    search = spec.search
    mixed = len(search.spaces) > 1 and not search.fair
    unlike = "racing" if search.racing else "several spaces and fair: false" if mixed else ""
    if search.sampler in ("gp", "nsga2") and unlike:
        raise UserError(
            f"search.sampler: {search.sampler} is not allowed with {unlike}: it draws from what ran whole and has the "
            f"same parameters, and would draw at random; use tpe, or racing: null with one space or fair: true"
        )
    own = [f"{name}.{key}" for name, params in methods.parameters_of(spec.search.spaces).items() for key in params]
    training = [f"training.{field}" for field in search_spaces.TRAINING]
    for key, value in spec.search.fix.items():
        if key in training and key != LR:
            raise UserError(f"search.fix: '{key}' is fixed already: set it under training")
        _known("search.fix", "parameter", key, [*own, LR])
        if key == LR:
            with _under("search.fix"):
                _check_training(spec.training, {"lr": value})
    for key in spec.search.override:
        _known("search.override", "parameter", key, own + training)


def _check_points(spec: SweepSpec) -> None:
    """Every point can be trained."""
    from contrasweep.services.spec import methods
    from contrasweep.trainers import losses

    for point in spec.search.points:
        with _under(f"search.points.{point.name}"):
            for key in point.params:
                _known("params", f"parameter of {point.method}", key, list(losses.parameters(point.method)))
            configuration = methods.configured(point, spec)
            chosen = spec.choosing(configuration.choices)
            training = _check_training(chosen.training, configuration.training)
            context = chosen.sized(training.model_dump()).context()
            search_spaces.check(point.method, configuration.params, context)
            methods.build(point.method, configuration.params, context)


def _check_untrained(spec: SweepSpec) -> None:
    """What is not trained predicts by a probe: a head of the method's own would be as it was drawn."""
    from contrasweep.services.spec.methods import configured, fixed_of
    from contrasweep.trainers import losses

    fixed = [(method, fixed_of(method, spec.search)) for method in spec.search.spaces]
    tried = {where: [one for one in fixed if one[0] in drawn.search.spaces] for where, drawn in spec.drawn.items()}
    for point in spec.search.points:
        tried[f"search.points.{point.name}"] = [(point.method, configured(point, spec).params)]
    for where, one in {**spec.drawn, **spec.points}.items():
        for method, params in tried[where] if one.training.epochs == 0 else ():
            if losses.build_decided(method, params, max_epochs=0).end_to_end:
                with _under(where):
                    raise UserError(f"training.epochs: 0 is not allowed with {method}, whose own head predicts")


def _check_grid(spec: SweepSpec) -> None:
    """A grid has steps, and ends with the trials."""
    from contrasweep.services.spec import methods

    search = spec.search
    if search.sampler != GRID:
        return
    with _under("search.sampler: grid"):
        tried = methods.all_of_grid(spec, MOST_OF_A_GRID)
    if len(tried) != search.trials:
        more = " or more" if len(tried) >= MOST_OF_A_GRID else ""
        raise UserError(
            f"search.trials: {search.trials} is not allowed with sampler: grid, which tries all {len(tried)}{more} "
            f"configurations that there are: must be as many"
        )


def _check_training_ranges(spec: SweepSpec) -> None:
    """Every number of an overridden `training.<field>` is a value that the field may have."""
    for key, allowed in spec.search.override.items():
        if not key.startswith("training."):
            continue
        field = key.removeprefix("training.")
        if isinstance(getattr(spec.training, field), int) and isinstance(allowed.step, float):
            raise UserError(f"search.override: {key}: step {allowed.step:g} is not allowed: must be a whole number")
        for value in allowed.ends():
            with _under("search.override"):
                _check_training(spec.training, {field: value})


def _check_training(training: TrainingConfig, changes: Mapping[str, Any]) -> TrainingConfig:
    try:
        return patched(training, changes)
    except ValueError as error:
        raise UserError(str(error)) from error


def _check_methods(spec: SweepSpec, context: Context) -> None:
    """Every method's loss can be built, wherever the spec moved its parameters."""
    from contrasweep.services.spec import methods

    for space in spec.search.spaces:
        with _under("search"):
            methods.check_method(space, spec.search, context)


def _known(field: str, kind: str, name: str, allowed: list[str]) -> None:
    if name not in allowed:
        raise UserError(f"{field}: unknown {kind} '{name}'; {nearest(name, allowed)}")


@contextmanager
def _under(field: str) -> Iterator[None]:
    """Put a field of the spec in front of what a component refuses of it; where it names one itself, that stands."""
    try:
        yield
    except (UserError, Refused) as error:
        said = str(error)
        raise UserError(said if not field or said.startswith(f"{field}.") else f"{field}: {said}") from error


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the spec's file in front of what its user did wrong."""
    try:
        yield
    except (UserError, Refused) as error:
        raise UserError(f"{path}: {error}") from error
