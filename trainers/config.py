"""What one training run is told: frozen, strict, and free of machines."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class Frozen(BaseModel):
    """Base of every configuration: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SplitConfig(Frozen):
    """Fractions of the subjects held out, stratified by quantiles of numeric and values of other columns."""

    test: Fraction = 0.2
    validation: Fraction = 0.2
    stratify: tuple[str, ...] | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _leaves_a_training_split(self) -> "SplitConfig":
        if self.test + self.validation >= 1:
            raise ValueError(f"test + validation is {self.test + self.validation:g}; it must be below 1")
        return self


class DataConfig(Frozen):
    """Where the scans are and how they become fixed-shape volumes.

    `participants` is relative to the spec's folder, `image` (a template over the table's columns) to
    the table's folder. `transforms` are MONAI names with their arguments, run once.
    """

    participants: str
    id: str = "participant_id"
    image: str
    label: str
    group: str | None = None
    transforms: tuple[dict[str, dict[str, Any]], ...] = ()
    split: SplitConfig = SplitConfig()
    feed: Literal["auto", "resident", "stream"] = "auto"
    max_rejected: Annotated[float, Field(ge=0, le=1)] = 0.05

    @property
    def strata(self) -> tuple[str, ...]:
        """The columns that the split is stratified by: the label, where nothing is said."""
        return (self.label,) if self.split.stratify is None else self.split.stratify


class ModelConfig(Frozen):
    """Encoder and projection head. `features` is what the probe reads: `published` is the method's own choice."""

    encoder: str = "resnet18"
    spatial_dims: Literal[1, 2, 3] = 3
    width: Positive = 1.0
    head_hidden: Count = 2048
    embedding: Count = 128
    features: Literal["published", "encoder", "projection"] = "published"


class TrainingConfig(Frozen):
    """How one model is trained. `batch_size` is global: the sum over workers."""

    epochs: Count = 50
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
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs {self.warmup_epochs} must be below epochs {self.epochs}")
        return self


class MethodConfig(Frozen):
    """A loss by name and its parameters."""

    name: str
    params: dict[str, Any] = {}


class RunConfig(Frozen):
    """One configuration and one seed: all that `trainers.pretrain` is told."""

    model: ModelConfig
    training: TrainingConfig
    method: MethodConfig
    probe: Literal["ridge"] = "ridge"
    seed: int = 0
