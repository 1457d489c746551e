"""External cohorts in a spec: what each is read as, and how its mistakes are told."""

from typing import Any

import pytest

from contrasweep.services.spec.checks import check_spec
from contrasweep.services.spec.cohorts import naming_cohort
from contrasweep.services.spec.spec import parse_spec
from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.errors import UserError
from tests.services.spec.test_spec import MINIMAL, changed, loaded, parsed

ADNI = {"name": "adni", "participants": "adni/visits.csv", "image": "{RID}.nii.gz"}
BIDS = {"name": "site-b", "bids": "b", "suffix": "T1w"}


def with_cohorts(*cohorts: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {**MINIMAL, "data": {**MINIMAL["data"], **data, "external": list(cohorts)}}


def cohort(said: dict[str, Any], **data: Any) -> DataConfig:
    """What is read of the one cohort of a study."""
    return next(iter(parsed(with_cohorts(said, **data)).data.cohorts.values()))


SHARED: dict[str, Any] = {
    "id": "subject",
    "label": "Age",
    "censored": "keep",
    "missing": (-9999.0,),
    "affine": "sform",
    "transforms": ({"Resize": {"spatial_size": [8, 8, 8]}},),
}
OWN: dict[str, Any] = {
    "session": "visit",
    "join": ({"table": "more.csv", "on": {"RID": "RID"}, "columns": None},),
    "where": {"site": {"values": ("A",)}},
    "group": "sex",
    "max_rejected": 0.5,
}


@pytest.mark.parametrize("field", SHARED)
def test_how_scans_are_read_is_as_the_study_has_it_where_the_cohort_says_nothing(field: str) -> None:
    said = {field: list(SHARED[field]) if isinstance(SHARED[field], tuple) else SHARED[field]}
    assert getattr(cohort(ADNI, **said), field) == SHARED[field]
    assert getattr(cohort({**ADNI, **said}), field) == SHARED[field]


@pytest.mark.parametrize("field", OWN)
def test_where_scans_are_is_the_cohorts_own(field: str) -> None:
    study = parsed(with_cohorts(ADNI, **{field: OWN[field]})).data
    told = study.cohorts["adni"]
    assert getattr(told, field) != getattr(study, field)
    assert getattr(told, field) == DataConfig.model_fields[field].default
    own = cohort({**ADNI, field: OWN[field]})
    assert getattr(own, field) == getattr(study, field)


def test_what_the_store_and_the_feed_decide_is_the_studys() -> None:
    told = cohort(BIDS, dtype="uint8", normalize="training", split={"by": "site", "test": ["B"], "family": "mother"})
    assert (told.dtype, told.normalize) == ("uint8", "training")
    assert (told.bids, told.suffix, told.participants, told.image) == ("b", "T1w", None, None)
    assert told.split.columns == (), "no column of the study's split is looked for"
    assert told.strata == ("age",)


def test_a_spec_with_cohorts_is_written_as_it_is_read() -> None:
    spec = parsed(with_cohorts({**ADNI, "missing": [-4], "where": {"age": {"min": 55}}}, BIDS, missing=[-9]))
    assert parse_spec(spec.to_yaml(), "study.yaml") == spec
    assert parse_spec(spec.to_yaml(), "study.yaml").sweep_id == spec.sweep_id
    assert spec.sweep_id != parsed(MINIMAL).sweep_id, "the figures are others"


@pytest.mark.parametrize(
    ("cohorts", "said"),
    [
        ([{**ADNI, "name": "../x"}], r"data.external\[0\].name: '../x' is not allowed: must be 1 to 63 letters"),
        ([ADNI, {**BIDS, "name": "ADNI"}], "data.external: the name 'adni' is there 2 times"),
        ([ADNI, {"bids": "b", "suffix": "T1w"}], r"data.external\[1\].name: is missing"),
        ([{**ADNI, "bids": "b", "suffix": "T1w"}], r"data.external\[0\]: image is not allowed with bids"),
        ([{"name": "adni", "participants": "a.csv"}], r"data.external\[0\]: image is missing; give participants and"),
        (
            [{**ADNI, "image": {"t1": "a", "t2": "b"}}],
            r"external \(adni\): image: t1, t2 is not allowed: must be one image",
        ),
        ([{**ADNI, "lable": "Age"}], r"data.external\[0\].lable: unknown key; did you mean 'label'\?"),
        ([{**ADNI, "split": {"seed": 1}}], r"data.external\[0\].split: unknown key"),
        ([{**ADNI, "external": []}], r"data.external\[0\].external: unknown key"),
        ([{**ADNI, "max_rejected": 2}], r"data.external\[0\].max_rejected: 2 is not allowed"),
    ],
)
def test_a_cohort_that_is_none_is_refused(cohorts: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(UserError, match=said):
        parsed(with_cohorts(*cohorts))


def test_transforms_of_a_cohort_are_checked() -> None:
    with pytest.raises(UserError, match=r"^study.yaml: data.external \(adni\): .*unknown transform 'Resise'"):
        check_spec(loaded(with_cohorts({**ADNI, "transforms": [{"Resise": {}}]})))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("data.label: no column 'age'", "data.external (adni): label: no column 'age'"),
        ("a.csv: more than data.max_rejected 0 allows", "data.external (adni): a.csv: more than max_rejected 0 allows"),
        ("spec: data.image: 'x' is not allowed", "spec: data.external (adni): image: 'x' is not allowed"),
        ("/data.csv: no column 'x'", "data.external (adni): /data.csv: no column 'x'"),
    ],
)
def test_a_mistake_is_told_with_the_cohorts_name(said: str, told: str) -> None:
    with pytest.raises(UserError) as error, naming_cohort("adni"):
        raise UserError(said)
    assert str(error.value) == told


def test_the_study_of_a_cohort_is_the_same_study() -> None:
    study = loaded(with_cohorts(ADNI))
    told = study.cohorts["adni"]
    assert (told.path, told.base, told.spec.model) == (study.path, study.base, study.spec.model)
    assert told.spec.data.participants == "adni/visits.csv"
    assert told.cohorts == {} == loaded(changed("data/label", "age")).cohorts
