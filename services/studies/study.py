"""A study's file: rows of a paper's table or figure, as configurations of one sweep and readings of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from contrasweep import search_spaces
from contrasweep.services.complaints import complaint
from contrasweep.services.spec.spec import Scalar
from contrasweep.services.spec.yaml import load_mapping
from contrasweep.trainers.config import Conditions, Ends, Frozen, Named
from contrasweep.trainers.errors import UserError, did_you_mean, nearest
from contrasweep.trainers.objectives import OBJECTIVES
from contrasweep.trainers.parameters import Count
from contrasweep.trainers.registry import declared

FOLDER = Path(search_spaces.__file__).parent / "studies"
SECTIONS = ("data", "model", "training", "probe", "read", "search")
"""What a study may say of its sweep's spec."""
PHANTOM = "phantom"
"""The data that a study runs on where nothing else is said."""
METRICS = tuple(name for name, one in OBJECTIVES.items() if one.measure is None)
_PATCHES = ("data", "model", "training", "probe")
_SAID = ("params", *_PATCHES, "start")
_TRAINED = ("method", *_SAID)
PartName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,19}$")]
RowName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._=+-]{0,59}$")]


def _chains(order: object) -> object:
    """Chains of rows; one may be given as it is."""
    if not isinstance(order, list):
        return order
    chains = [order] if order and isinstance(order[0], str) else order
    return tuple(tuple(chain) if isinstance(chain, list) else chain for chain in chains)


class RowRead(Frozen):
    """Which reading of a training a row is: the judged probe, the method's own features and the epoch that counts,
    where nothing else is said.
    """

    probe: Named | None = None
    features: Literal["encoder", "projection"] | None = None
    epoch: Count | None = None


class PublishedIn(Frozen):
    """Which of the published numbers are meant, by columns of `published.csv`; the study says the rest."""

    paper: str | None = None
    table: str | None = None
    dataset: str | None = None
    setting: str | None = None
    method: str | None = None

    @property
    def said(self) -> dict[str, str]:
        """The columns that are told."""
        return self.model_dump(exclude_none=True)


class PartConfig(Frozen):
    """Some of the test scans: with labels in one of several [low, high), where training has so many shots, and with
    what is in columns.
    """

    label: tuple[Ends, ...] = ()
    shots: Literal["many", "medium", "few"] | None = None
    where: Conditions = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_a_part(self) -> "PartConfig":
        if self == PartConfig.model_construct():
            raise ValueError("is the whole; label, shots or where is needed")
        return self


class RowConfig(Frozen):
    """A row: a configuration, with what it changes of the study's spec, or, with `of`, another reading of one.

    `start` is an earlier row, with the weights of whose runs this one's begin. `also` are further numbers that are
    published of it, each by what it says beyond `published`.
    """

    name: RowName
    method: str = ""
    params: dict[str, Scalar] = Field(default_factory=dict)
    data: dict[str, Any] = Field(default_factory=dict)
    model: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    probe: Named | None = None
    start: str | None = None
    of: str | None = None
    read: RowRead = RowRead()
    published: PublishedIn | None = None
    also: tuple[PublishedIn, ...] = ()

    @model_validator(mode="after")
    def _trains_or_reads(self) -> "RowConfig":
        if self.of is None and not self.method:
            raise ValueError("method is missing; or `of`, the row that this is another reading of")
        for field in _TRAINED:
            if self.of is not None and getattr(self, field):
                raise ValueError(f"{field} is not allowed with `of`: nothing is trained for another reading")
        if self.of is not None and self.read == RowRead():
            raise ValueError("read is missing: which reading of `of` it is")
        return self

    @property
    def patch(self) -> dict[str, Any]:
        """What the row changes of the sections of a spec, without those that it leaves alone."""
        return {field: getattr(self, field) for field in _PATCHES if getattr(self, field)}


class StudyConfig(Frozen):
    """A study as its file has it, but for `name`, which is the file's.

    Numbers of epochs and batch sizes are told for the preset's, and scaled to those of the data: see `compile`.

    Attributes:
        paper, table, dataset: of the rows in `published.csv`, where they say nothing else; null where nothing is.
        preset: the recipe of all rows.
        seeds: how many each row is trained with.
        tuned: how many configurations of each method are tried, its published point first, of which its row is the
            best by validation; null where rows are what they say.
        spec: what is laid over the spec of the data, by section.
        published: where else numbers of a metric or part are, by its name.
        also: further numbers of all rows with published ones, or, where there are none, of the whole table.
        metrics: figures of the table: of `METRICS`, of a part as `PART.METRIC`, or `ANALYSIS.FIGURE`; the first decides
            the order.
        where: which test scans count, by column, or `label`.
        parts: of these scans, by name.
        order: rows as they are claimed to be, the best first, where no numbers are published; or several such chains,
            between which nothing is claimed.
        analyses: of `trainers.analyses`, with their parameters.
        notes: footnotes.
        quick: what `--quick` changes beyond the usual, by section.
    """

    name: str
    title: str
    paper: str | None = None
    table: str | None = None
    dataset: str | None = None
    preset: str | None = None
    seeds: Count = 3
    tuned: Count | None = None
    spec: dict[str, Any] = Field(default_factory=dict)
    rows: tuple[RowConfig, ...]
    metrics: Annotated[tuple[str, ...], Field(min_length=1)] = ("mae",)
    published: dict[str, PublishedIn] = Field(default_factory=dict)
    also: tuple[PublishedIn, ...] = ()
    where: Conditions = Field(default_factory=dict)
    parts: dict[PartName, PartConfig] = Field(default_factory=dict)
    order: Annotated[tuple[tuple[str, ...], ...], BeforeValidator(_chains)] = ()
    analyses: tuple[Named, ...] = ()
    notes: tuple[str, ...] = ()
    quick: dict[str, Any] = Field(default_factory=dict)

    @field_validator("spec", "quick")
    @classmethod
    def _are_sections(cls, given: dict[str, Any]) -> dict[str, Any]:
        for section in given:
            if section not in SECTIONS:
                raise ValueError(f"unknown section '{section}'; {nearest(section, SECTIONS)}")
        return given

    @field_validator("metrics")
    @classmethod
    def _are_metrics(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in METRICS and "." not in name:
                raise ValueError(f"unknown metric '{name}'; {nearest(name, METRICS)}, PART.METRIC or ANALYSIS.FIGURE")
        return names

    @model_validator(mode="after")
    def _has_the_parts(self) -> "StudyConfig":
        for metric in self.metrics:
            part, figure = self.split(metric)
            if part and figure not in METRICS:
                raise ValueError(f"metrics: {metric}: unknown metric '{figure}'; {nearest(figure, METRICS)}")
        for name in self.published:
            if name not in (known := (*self.metrics, *self.parts)):
                raise ValueError(f"published: unknown metric or part '{name}'; {nearest(name, known)}")
        return self

    @model_validator(mode="after")
    def _names_what_there_is(self) -> "StudyConfig":
        known = declared("contrasweep.trainers.analyses", "ANALYSES.register")
        wanted = [next(iter(one)) for one in self.analyses]
        for name in wanted:
            if name not in known:
                raise ValueError(f"unknown analysis '{name}'; {nearest(name, known)}")
        for name in self.parts:
            if name in wanted:
                raise ValueError(f"parts: {name} is an analysis; another name is needed")
            if not any(metric.startswith(f"{name}.") for metric in self.metrics):
                raise ValueError(f"parts: {name}: no metric is of it; such as {name}.mae")
        for metric in self.metrics:
            of, dot, _ = metric.partition(".")
            if dot and of not in (*wanted, *self.parts):
                raise ValueError(f"metrics: {metric}: '{of}' is none of parts and analyses")
        return self

    @model_validator(mode="after")
    def _refers_to_rows(self) -> "StudyConfig":
        if not any(row.of is None for row in self.rows):
            raise ValueError("rows: none is trained; a row without `of` is needed")
        names = [row.name for row in self.rows]
        trained = {row.name for row in self.rows if row.of is None}
        for place, row in enumerate(self.rows):
            if row.name in names[:place]:
                raise ValueError(f"rows: {row.name} is there {names.count(row.name)} times")
            if row.of is not None and row.of not in trained:
                raise ValueError(f"rows: {row.name}: of: no row '{row.of}' is trained; {nearest(row.of, trained)}")
            earlier = trained.intersection(names[:place])
            if row.start is not None and row.start not in earlier:
                raise ValueError(
                    f"rows: {row.name}: start: no earlier row '{row.start}'; {nearest(row.start, earlier)}"
                )
        claimed = [name for chain in self.order for name in chain]
        for name in claimed:
            if name not in names:
                raise ValueError(f"order: unknown row '{name}'; {nearest(name, names)}")
            if claimed.count(name) > 1:
                raise ValueError(f"order: {name} is there {claimed.count(name)} times")
        return self

    @model_validator(mode="after")
    def _tunes_each_method_once(self) -> "StudyConfig":
        methods = [row.method for row in self.trained] if self.tuned else []
        for row in self.trained if self.tuned else ():
            for field in _SAID:
                if getattr(row, field):
                    raise ValueError(f"rows: {row.name}: {field} is not allowed with `tuned`, which searches for them")
            if methods.count(row.method) > 1:
                raise ValueError(f"rows: {row.name}: with `tuned` no other row may have its method, {row.method}")
        return self

    @property
    def trained(self) -> Iterator[RowConfig]:
        """The rows that are trained."""
        return (row for row in self.rows if row.of is None)

    def row(self, name: str) -> RowConfig:
        """The row of that name."""
        return next(row for row in self.rows if row.name == name)

    def split(self, metric: str) -> tuple[str, str]:
        """The part that a metric is of, empty for the whole, and the metric there."""
        part, _, figure = metric.partition(".")
        return (part, figure) if part in self.parts else ("", metric)

    def point_of(self, row: RowConfig) -> str:
        """The row whose training a row is a reading of."""
        return row.of or row.name

    def method_of(self, row: RowConfig) -> str:
        """The method that a row is trained with."""
        return self.row(self.point_of(row)).method


def title_of(metric: str) -> str:
    """A metric's name for people.

    >>> title_of("mae"), title_of("few.mae"), title_of("order.spearman")
    ('MAE', 'MAE (few)', 'order spearman')
    """
    of, _, figure = metric.rpartition(".")
    if figure not in OBJECTIVES:
        return metric.replace(".", " ")
    title = OBJECTIVES[figure].title
    return f"{title} ({of})" if of else title


def names() -> list[str]:
    """Sorted names of all studies."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_study(name: str) -> StudyConfig:
    """The study of that name. Raises UserError, in one line, with the nearest name, or what is wrong with its file."""
    if name not in names():
        raise UserError(f"unknown study '{name}'; {did_you_mean(name, names())}`contrasweep study list` has all")
    return read_study(path_of(name))


def study_at(path: Path) -> StudyConfig | None:
    """The study whose file `path` is, in this copy of the program or in another one; None where it is none."""
    return load_study(path.stem) if path.parent.name == FOLDER.name and path.stem in names() else None


def path_of(name: str) -> Path:
    """Where a study's file is."""
    return FOLDER / f"{name}.yaml"


def read_study(path: Path) -> StudyConfig:
    """The study in a file. Raises UserError, in one line that names the file."""
    document = load_mapping(path.read_bytes(), path.name)
    if "name" in document:
        raise UserError(f"{path.name}: name is not allowed: a study is called as its file")
    try:
        return StudyConfig.model_validate_json(json.dumps(document | {"name": path.stem}, default=str), strict=True)
    except ValidationError as error:
        raise UserError(f"{path.name}: {complaint(error, StudyConfig)}") from error
