"""What one training run is told: frozen, strict, and free of machines."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    StrictBool,
    Tag,
    field_validator,
    model_validator,
)

from contrasweep.trainers.objectives import DEFAULT
from contrasweep.trainers.parameters import BelowOne, Count, Fraction, Positive, Several

Factor = Annotated[float, Field(gt=0, le=100)]


class Frozen(BaseModel):
    """Base of every configuration: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


SplitValue = str | int | float
SplitValues = Annotated[tuple[SplitValue, ...], Field(strict=False, min_length=1)]
"""Values of a column. Members of a tagged union are given JSON's lists as lists, which `strict` would refuse."""
TEST = VALIDATION = 0.2
FILES = "data.split.files"
"""Stands for a column in `split_cells`: which of the files names the scan."""


class FoldsBy(Frozen):
    """Each value of a column is a fold: leave one site out."""

    by: str


def _kind_of_folds(given: object) -> str:
    return "by" if isinstance(given, dict | FoldsBy) else "count"


Folds = Annotated[
    Annotated[Several, Tag("count")] | Annotated[FoldsBy, Tag("by")],
    Discriminator(_kind_of_folds),
]
"""So many folds, or one for each value of a column."""


class SplitRules(Frozen):
    """What all kinds of split have.

    `stratify` cuts by quantiles of numeric and values of other columns. Subjects with one value of `family` stay
    together. With `folds` what is not the test split is in folds, each the validation split once. With `outer` everyone
    is in outer folds, each the test split of a whole search once; the rest is split as the other fields say.
    """

    validation: tuple[SplitValue, ...] | float = VALIDATION
    stratify: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    seed: int = 0
    family: str | None = None
    folds: Folds | None = None
    outer: Folds | None = None

    @model_validator(mode="after")
    def _validates_in_one_way(self) -> Self:
        if self.folds is not None and self.validation != VALIDATION:
            raise ValueError("validation is not allowed with folds: each fold is the validation split once")
        return self

    @model_validator(mode="after")
    def _tests_in_one_way(self) -> Self:
        if self.outer is not None and self._own_test:
            raise ValueError(f"{self._own_test} is not allowed with outer: each outer fold is the test split once")
        return self

    @property
    def _own_test(self) -> str:
        """The field that says what the test split is; empty where none does."""
        return ""

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """The columns that decide who is where, each behind the field that names it."""
        family = [("data.split.family", self.family)] if self.family is not None else []
        folds = {"folds": self.folds, "outer": self.outer}
        return (*family, *((f"data.split.{of}.by", by.by) for of, by in folds.items() if isinstance(by, FoldsBy)))


class SplitConfig(SplitRules):
    """Fractions of the subjects held out; with `validation: 0` nobody is validated on."""

    test: Fraction = TEST
    validation: BelowOne = VALIDATION

    @property
    def _own_test(self) -> str:
        return "test" if self.test != TEST else ""

    @model_validator(mode="after")
    def _leaves_a_training_split(self) -> "SplitConfig":
        if self.folds is None and self.outer is None and self.test + self.validation >= 1:
            raise ValueError(f"test + validation is {self.test + self.validation:g}; it must be below 1")
        return self


def _kind_of_validation(given: object) -> str:
    return "values" if isinstance(given, list | tuple) else "fraction"


class SplitByValues(SplitRules):
    """Base of the kinds that hold out by a column's values, which are equal as numbers where they are numbers.

    `validation` is a list of values, or the fraction of the training subjects that is held out at random. Where no
    value is said for `test`, whoever reads the column says which there are.
    """

    test: Annotated[tuple[SplitValue, ...], Field(strict=False)] = ()
    validation: Annotated[
        Annotated[SplitValues, Tag("values")] | Annotated[BelowOne, Tag("fraction")], Discriminator(_kind_of_validation)
    ] = VALIDATION

    @property
    def _own_test(self) -> str:
        return "test" if self.test else ""

    @property
    def values(self) -> dict[str, tuple[SplitValue, ...]]:
        """The values of each split that has a list of them."""
        lists = {name: getattr(self, name, None) for name in ("train", "validation", "test")}
        return {name: given for name, given in lists.items() if isinstance(given, tuple)}

    @model_validator(mode="after")
    def _names_each_value_once(self) -> Self:
        seen: dict[SplitValue, str] = {}
        for name, value in ((name, value) for name, values in self.values.items() for value in values):
            if seen.setdefault(value, name) != name:
                raise ValueError(f"'{value}' is in both {seen[value]} and {name}")
        return self


class SplitByColumn(SplitByValues):
    """A column says who is where. Without `train`, all other values are trained on; a scan of no value is left out."""

    column: str
    train: SplitValues | None = None

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """See `SplitRules`."""
        return (("data.split.column", self.column), *super().columns)


class SplitBy(SplitByValues):
    """Whole sites held out: the values of a column in `test`, and those in `validation`, where it is a list."""

    by: str

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """See `SplitRules`."""
        return (("data.split.by", self.by), *super().columns)


class SplitFiles(Frozen):
    """Files of ids, relative to the spec's folder: one a line, or a table with the column of ids.

    Without `train`, all that the others do not name are trained on. `test` is missing with outer folds alone.
    """

    train: str | None = None
    validation: str | None = None
    test: str | None = None

    @property
    def named(self) -> dict[str, str]:
        """The files that there are, by their split."""
        return {name: path for name, path in self if path is not None}


class SplitByFiles(SplitRules):
    """Files say who is where; a scan that none names is left out. `validation` counts where it has no file."""

    files: SplitFiles
    validation: BelowOne = VALIDATION

    @property
    def _own_test(self) -> str:
        return "files.test" if self.files.test is not None else ""

    @model_validator(mode="after")
    def _has_a_test_split(self) -> Self:
        if self.outer is None and self.files.test is None:
            raise ValueError("files.test is missing")
        return self

    @model_validator(mode="after")
    def _has_no_validation_file_with_folds(self) -> Self:
        if self.folds is not None and self.files.validation is not None:
            raise ValueError("files.validation is not allowed with folds: each fold is the validation split once")
        return self


_SPLIT_KINDS = ("column", "by", "files")


def _kind_of_split(given: object) -> str:
    """The key that tells the kinds apart."""
    keys = given if isinstance(given, dict) else type(given).model_fields if isinstance(given, SplitRules) else ()
    return next((kind for kind in _SPLIT_KINDS if kind in keys), "fractions")


AnySplit = Annotated[
    Annotated[SplitConfig, Tag("fractions")]
    | Annotated[SplitByColumn, Tag("column")]
    | Annotated[SplitBy, Tag("by")]
    | Annotated[SplitByFiles, Tag("files")],
    Discriminator(_kind_of_split),
]
"""Who is trained on, validated on and tested on: by fractions, a column, sites held out, or files of ids."""


Cell = StrictBool | float | str | None
"""What a cell of a table may be compared with: numbers compare as numbers, and null is an empty cell."""


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Cells = Annotated[tuple[Cell, ...], BeforeValidator(_listed)]


def _condition(value: object) -> object:
    return value if isinstance(value, dict | Condition) else {"values": _listed(value)}


class Condition(Frozen):
    """What a column's cell must be: one of `values`, from `min` to `max`, and none of what is under `not`."""

    model_config = ConfigDict(serialize_by_alias=True)

    values: Cells | None = None
    min: FiniteFloat | None = None
    max: FiniteFloat | None = None
    excluded: Cells = Field(default=(), alias="not")

    @model_validator(mode="after")
    def _asks_for_something(self) -> "Condition":
        if self.values is None and self.min is None and self.max is None and not self.excluded:
            raise ValueError("asks for nothing; allowed: values, min, max, not")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


Conditions = dict[str, Annotated[Condition, BeforeValidator(_condition)]]
"""What cells must be, by their column."""


class BinWidth(Frozen):
    """Bins of one width, in the label's unit, from its multiples on."""

    width: Positive


def _kind_of_bins(given: object) -> str:
    return "width" if isinstance(given, dict | BinWidth) else "count"


def _is_a_size(size: float) -> float:
    if not (0 < size <= 1 or (size >= 2 and float(size).is_integer())):
        raise ValueError(f"{size:g} is not allowed: must be a share up to 1, or a whole number of subjects from 2")
    return size


def _ascends(ends: tuple[float, float]) -> tuple[float, float]:
    low, high = ends
    if not low < high:
        raise ValueError(f"[{low:g}, {high:g}] is not allowed: must be [low, high) with low below high")
    return ends


Ends = Annotated[tuple[FiniteFloat, FiniteFloat], AfterValidator(_ascends)]
"""[low, high) of the label."""


class TrainingSplitConfig(Frozen):
    """What is trained on of the training split, in this order; validation, test and cohorts stay as they are.

    Of its scans those that fulfil `where`; of these the subjects none of whose labels is in a range [low, high) of
    `drop`; of these `size`, a share or a number of subjects that `seed` draws, fewer being among more. Methods are
    taught the mean label of the scans in each of `bins` of equal width, a number of them or `{width: 5}`, by `permute:
    values` in place of each label another of them, a bijection, and with `noise`, a sd in label units, each scan's with
    a normal error, all drawn by `seed`. Probes, fine-tuning and all figures have the table's labels. Of scans without a
    label `where` alone leaves any out.
    """

    size: Annotated[int | float, AfterValidator(_is_a_size)] = 1.0
    seed: int = 0
    drop: tuple[Ends, ...] = ()
    permute: Literal["values"] | None = None
    bins: (
        Annotated[Annotated[Several, Tag("count")] | Annotated[BinWidth, Tag("width")], Discriminator(_kind_of_bins)]
        | None
    ) = None
    noise: Positive | None = None
    where: Conditions = {}


def _pairs(value: object) -> object:
    if isinstance(value, str):
        return {value: value}
    return {column: column for column in value} if isinstance(value, list | tuple) else value


class JoinConfig(Frozen):
    """Columns of another `table`, relative to the spec's folder, for the rows whose keys are the same text in both.

    `on` names the key: a column, several, or `{column here: column there}` where the names differ. `columns` are all
    others, where nothing is said.
    """

    table: str
    on: Annotated[dict[str, str], BeforeValidator(_pairs), Field(min_length=1)]
    columns: tuple[str, ...] | None = None


def _kind_of_images(given: object) -> str:
    return "several" if isinstance(given, dict) else "one"


AnyImage = Annotated[
    Annotated[str, Tag("one")] | Annotated[dict[str, str], Tag("several")], Discriminator(_kind_of_images)
]
"""A template of paths, or templates by the names of a scan's images, in the order of their channels."""


class ScansConfig(Frozen):
    """Where scans are, and which of them count; of each data set its own.

    `participants` is relative to the spec's folder, `image` (a template over the table's columns) to
    the table's folder. `bids`, a BIDS data set's or derivative's folder, takes the place of both: images are the files
    that end in `_suffix` and have the `entities` in their names, or, where one is null, have it not; `datatype` (anat,
    func ...) and `extension` count as entities, and numbers match however they are padded. Its tables lie in it or in
    its source data set, or `participants` names one. `session` is a column that tells a subject's scans apart; a
    subject's scans are all on one side of a split. `join` adds other tables' columns, and only scans that fulfil
    `where`, conditions by column, count.

    `image: {t1: TEMPLATE, t2: TEMPLATE}`, of a table only, makes one scan of several images: each goes through the
    transforms by itself, all must then be on one grid, and their channels follow each other in this order.
    """

    participants: str | None = None
    bids: str | None = None
    suffix: str | None = None
    entities: dict[str, str | int | None] = {}
    session: str | None = None
    image: AnyImage | None = None
    join: tuple[JoinConfig, ...] = ()
    where: Conditions = {}
    group: str | None = None
    max_rejected: Annotated[float, Field(ge=0, le=1)] = 0.05

    @field_validator("image")
    @classmethod
    def _names_each_image(cls, image: str | dict[str, str] | None) -> str | dict[str, str] | None:
        if isinstance(image, dict):
            if not image:
                raise ValueError("is empty; at least one image is needed")
            for name in image:
                if not name.isprintable() or not name or name != name.strip():
                    raise ValueError(f"{name!r} is no name for an image: must be text without blanks around it")
        return image

    @model_validator(mode="after")
    def _names_its_files(self) -> Self:
        table, bids = ("participants", "image"), ("suffix", "entities")
        wanted, useless = (table, bids) if self.bids is None else (("suffix",), ("image",))
        for key in useless:
            if getattr(self, key):
                raise ValueError(f"{key} is not allowed {'with' if self.bids else 'without'} bids")
        for key in wanted:
            if getattr(self, key) is None:
                raise ValueError(f"{key} is missing; give participants and image, or bids and suffix")
        return self

    @property
    def images(self) -> dict[str, str]:
        """The image templates by their names; one alone has the name "". None for BIDS."""
        if isinstance(self.image, dict):
            return self.image
        return {} if self.image is None else {"": self.image}

    @property
    def image_names(self) -> tuple[str, ...]:
        """The names of a scan's images in the order of their channels; one alone has the name ""."""
        return tuple(self.images) or ("",)

    @property
    def listed_in(self) -> str:
        """What lists the scans, relative to the spec's folder: the participants table or the BIDS data set."""
        return str(self.participants) if self.bids is None else self.bids

    @property
    def folder(self) -> str:
        """The folder that the images' paths are told from, relative to the spec's."""
        return os.path.dirname(str(self.participants)) if self.bids is None else self.bids


def _is_a_word(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", name):
        raise ValueError(
            f"'{name}' is not allowed: must be 1 to 63 letters, digits, '-' and '_', starting with a letter or digit"
        )
    return name


class CohortConfig(ScansConfig):
    """A cohort that the best configuration is evaluated on, once, beside the test split, and never before.

    A field that is null is as the study's `data` has it.
    """

    name: Annotated[str, AfterValidator(_is_a_word)]
    id: str | None = None
    label: str | None = None
    censored: Literal["reject", "keep"] | None = None
    missing: Cells | None = None
    affine: Literal["sform", "qform"] | None = None
    transforms: tuple[dict[str, dict[str, Any]], ...] | None = None


def _is_a_line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError(f"{text!r} is not allowed: must be text on one line")
    return text.strip()


Words = Annotated[str, AfterValidator(_is_a_line)]


class DataConfig(ScansConfig):
    """Where the scans are and how they become fixed-shape volumes.

    `censored` says what a label such as `89+` is: `reject` leaves the scan out, `keep` reads 89. Cells that are one of
    `missing` count as empty. `affine` says which counts where a NIfTI file's sform and qform contradict each other;
    where it is null, such a file is rejected. `transforms` run once. `normalize: training` subtracts the mean of the
    training split and divides by its sd, channel by channel, when images are read. `covariates` are columns that the
    probe or the regression head reads beside the image: numbers, or categories. `unlabelled: train` keeps scans without
    a label, for methods that need none to train on. `sample` takes so many labelled subjects alone, at equal distances
    in the order of their labels, and at most as many without. `train` says what is trained on of the training split.
    `external` are cohorts for the final evaluation alone. `unit` is that of the label, `licence` what may be done with
    a model of these data: both are told beside it, and decide nothing.
    """

    id: str = "participant_id"
    label: str
    unit: Words | None = None
    licence: Words | None = None
    censored: Literal["reject", "keep"] = "reject"
    missing: Cells = ()
    covariates: tuple[str, ...] = ()
    unlabelled: Literal["reject", "train"] = "reject"
    sample: Several | None = None
    affine: Literal["sform", "qform"] | None = None
    transforms: tuple[dict[str, dict[str, Any]], ...] = ()
    dtype: Literal["float32", "float16", "uint8"] = "float32"
    normalize: Literal["training"] | None = None
    split: AnySplit = SplitConfig()
    train: TrainingSplitConfig = TrainingSplitConfig()
    feed: Literal["auto", "resident", "stream"] = "auto"
    external: tuple[CohortConfig, ...] = ()

    @field_validator("covariates")
    @classmethod
    def _are_distinct(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        if repeated := sorted({column for column in columns if columns.count(column) > 1}):
            raise ValueError(f"{list(columns)} repeats {repeated[0]}")
        return columns

    @model_validator(mode="after")
    def _keeps_the_answer_from_the_covariates(self) -> "DataConfig":
        if self.label in self.covariates:
            raise ValueError(f"covariates: '{self.label}' is not allowed: it is the label")
        if "images" in self.covariates:
            raise ValueError("covariates: 'images' is not allowed: the served model's images have this name")
        return self

    @field_validator("external")
    @classmethod
    def _names_each_cohort_once(cls, cohorts: tuple[CohortConfig, ...]) -> tuple[CohortConfig, ...]:
        names = [cohort.name.lower() for cohort in cohorts]
        for cohort in cohorts:
            if names.count(cohort.name.lower()) > 1:
                raise ValueError(f"the name '{cohort.name}' is there {names.count(cohort.name.lower())} times")
        return cohorts

    @model_validator(mode="after")
    def _has_the_images_of_the_study_in_each_cohort(self) -> "DataConfig":
        usual = ", ".join(self.image_names) or "one image"
        for cohort in self.external:
            if cohort.image_names != self.image_names:
                own = ", ".join(cohort.image_names) or "one image"
                raise ValueError(
                    f"external ({cohort.name}): image: {own} is not allowed: must be {usual}, as in the study"
                )
        return self

    @property
    def in_unit(self) -> str:
        """What errors are in: `years`, or `units of age` where nobody says."""
        return self.unit or f"units of {self.label}"

    @property
    def unit_or_label(self) -> str:
        """What stands behind a figure: `years`, or `age` where nobody says."""
        return self.unit or self.label

    @property
    def cohorts(self) -> dict[str, "DataConfig"]:
        """What is read of each external cohort, by its name: as this, but for what is its own and what it says."""
        return {cohort.name: self._of(cohort) for cohort in self.external}

    def _of(self, cohort: CohortConfig) -> "DataConfig":
        said = {
            field: value
            for field, value in cohort
            if field in ScansConfig.model_fields or (field != "name" and value is not None)
        }
        alone = {
            "split": SplitConfig(),
            "train": TrainingSplitConfig(),
            "external": (),
            "unlabelled": "reject",
            "sample": None,
        }
        return self.model_copy(update={**said, **alone})

    @property
    def strata(self) -> tuple[str, ...]:
        """The columns that the split is stratified by: the label, where nothing is said."""
        return (self.label,) if self.split.stratify is None else self.split.stratify

    @property
    def stratified_split(self) -> AnySplit:
        """The split with the columns that it is stratified by."""
        return self.split.model_copy(update={"stratify": self.strata})


FeatureSpace = Literal["encoder", "projection"]
"""Whose features are read: the encoder's, or the projection head's."""


class ModelConfig(Frozen):
    """Encoder and projection head.

    `features` is what the probe reads: `published` is the method's own choice; methods without a projection head
    read the encoder. `init_from` names weights to start from: a file with a state dict, or a folder with one for
    each seed.
    """

    encoder: str = "resnet18"
    spatial_dims: Literal[1, 2, 3] = 3
    width: Factor = 1.0
    depth: Factor = 1.0
    encoder_params: dict[str, Any] = {}
    head_hidden: Count = 2048
    embedding: Count = 128
    features: Literal["published", "encoder", "projection"] = "published"
    init_from: str | None = None

    @field_validator("encoder_params")
    @classmethod
    def _are_the_encoders_own(cls, params: dict[str, Any]) -> dict[str, Any]:
        for key in ("image_shape", "width", "depth"):
            if key in params:
                raise ValueError(f"'{key}' is not allowed: it is no encoder's own parameter")
        return params


class TrainingConfig(Frozen):
    """How one model is trained. `batch_size` is global: the sum over workers.

    `checkpoint`: the model of the epoch that is best by the objective is kept and judged, or that of the last epoch.
    With 0 `epochs` nothing is trained: the weights that a run begins with are read as they are, once.
    """

    epochs: Annotated[int, Field(ge=0)] = 50
    batch_size: Annotated[int, Field(ge=2)] = 32
    views: Literal[1, 2] = 2
    augmentations: dict[str, dict[str, Any]] = {}
    lr: Positive = 1e-4
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5e-5
    schedule: Literal["step", "cosine"] = "step"
    step_epochs: Count = 10
    step_factor: Annotated[float, Field(gt=0, le=1)] = 0.9
    warmup_epochs: Annotated[int, Field(ge=0)] = 0
    clip_norm: Positive | None = 1.0
    ema: Annotated[float, Field(ge=0, lt=1)] | None = None
    evaluate_every: Count = 1
    checkpoint: Literal["best", "last"] = "best"
    workers: Count = 1
    cpus_per_worker: Count = 1
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0.0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"

    @model_validator(mode="after")
    def _is_consistent(self) -> "TrainingConfig":
        if self.batch_size % self.workers:
            raise ValueError(f"batch_size {self.batch_size} is not a multiple of workers {self.workers}")
        if self.precision != "fp32" and not self.gpus_per_worker:
            raise ValueError(f"precision '{self.precision}' needs gpus_per_worker > 0; allowed on a CPU: fp32")
        if self.gpus_per_worker > 1 and not self.gpus_per_worker.is_integer():
            raise ValueError(f"gpus_per_worker {self.gpus_per_worker:g} is not allowed: above 1 it must be whole")
        if self.workers > 1 and 0 < self.gpus_per_worker < 1:
            raise ValueError(f"gpus_per_worker {self.gpus_per_worker:g} is a shared GPU; several workers need one each")
        if self.epochs and self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs {self.warmup_epochs} must be below epochs {self.epochs}")
        return self

    @property
    def counted_epochs(self) -> int:
        """Epochs of a whole run's history: what is not trained is evaluated as if it were after a first one."""
        return max(1, self.epochs)


class MethodConfig(Frozen):
    """A loss by name and its parameters."""

    name: str
    params: dict[str, Any] = {}


class FinetuneConfig(Frozen):
    """Training on after pretraining, encoder and all, with an end-to-end method and one view."""

    method: str = "vanilla"
    params: dict[str, Any] = {}
    epochs: Count = 20
    lr: Positive = 1e-4


def _named(value: object) -> object:
    return {value: {}} if isinstance(value, str) else value


def _is_single(value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    if len(value) != 1:
        raise ValueError(f"{list(value)} is not allowed: one name with its parameters")
    return value


Named = Annotated[dict[str, dict[str, Any]], BeforeValidator(_named), AfterValidator(_is_single)]
"""One component with its parameters, `{linear: {epochs: 50}}`, or its name alone."""


def words_of(component: Named) -> str:
    """A component as one word, with the parameters that are said, whatever their order.

    >>> words_of({"ridge": {}}), words_of({"linear": {"kind": "huber", "epochs": 50}})
    ('ridge', 'linear(epochs=50, kind=huber)')
    """
    ((name, params),) = component.items()
    return f"{name}({', '.join(f'{key}={params[key]}' for key in sorted(params))})" if params else name


FINETUNE = "finetune"


def finetuning(probe: Named) -> FinetuneConfig | None:
    """How to fine-tune, where that is the probe."""
    return FinetuneConfig(**probe[FINETUNE]) if FINETUNE in probe else None


def weights_file(epoch: int) -> str:
    """What a run's weights after an epoch, counted from 1, are called; 0 is the epoch that counts.

    >>> weights_file(6), weights_file(0)
    ('epoch-0006.pt', 'best.pt')
    """
    return f"epoch-{epoch:04d}.pt" if epoch else "best.pt"


class RunConfig(Frozen):
    """One configuration and one seed: all that `trainers.pretrain` is told.

    It ends after `stop_after` epochs, on the schedules of all of them. The first of `objectives` chooses the best
    epoch, in both stages of two; all are measured, and so are `costs`. `start` is the run whose `best.pt` it begins
    with: who trains one puts that into `model.init_from`, as `beginning_with` does. The weights after the epochs of
    `keep`, counted from 1, are kept, of two stages those of the second: what is kept makes no other run, and is in no
    dump.
    """

    model: ModelConfig
    training: TrainingConfig
    method: MethodConfig
    probe: Named = {"ridge": {}}
    seed: int = 0
    objectives: tuple[str, ...] = (DEFAULT,)
    costs: tuple[str, ...] = ()
    stop_after: Count | None = None
    start: "RunConfig | None" = None
    keep: Annotated[tuple[Count, ...], Field(exclude=True)] = ()

    @property
    def kept(self) -> dict[int, str]:
        """The files of weights that it leaves, by the epoch, counted from 1; 0 is the one that counts."""
        return {epoch: weights_file(epoch) for epoch in (0, *self.keep)}

    @property
    def epochs(self) -> int:
        """How many its history has in the end."""
        return self.stop_after or self.training.counted_epochs

    def beginning_with(self, weights: Path) -> "RunConfig":
        """This run, where it begins with the weights of a file."""
        return self.model_copy(update={"model": self.model.model_copy(update={"init_from": str(weights)})})

    def pretraining(self) -> "RunConfig":
        """The first of two stages: a ridge probe chooses the epoch that is fine-tuned."""
        return self.model_copy(update={"probe": {"ridge": {}}, "stop_after": None, "keep": ()})

    def finetuning(self) -> "RunConfig":
        """The second of two stages, or this run where it has but one."""
        tune = finetuning(self.probe)
        if tune is None:
            return self
        training = {"epochs": tune.epochs, "lr": tune.lr, "views": 1, "warmup_epochs": 0}
        return RunConfig(
            model=self.model.model_copy(update={"init_from": None}),
            training=self.training.model_copy(update=training),
            method=MethodConfig(name=tune.method, params=tune.params),
            seed=self.seed,
            objectives=self.objectives,
            costs=self.costs,
            stop_after=self.stop_after,
            keep=self.keep,
        )
